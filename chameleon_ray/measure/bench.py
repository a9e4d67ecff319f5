"""The protocol of running whole models: questions about compiled libraries, and their answers."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chameleon_ray.measure.isolate import Outcome
from chameleon_ray.options import Confirming


@dataclass(frozen=True)
class Question:
    """A question about compiled models.

    Attributes:
        libraries: Files of the compiled models.
        inputs: Inputs of each model, in order.
    """

    libraries: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]

    def run(self, models: "Models") -> Any:
        """Returns the answer, which is found where the models can be run."""
        raise NotImplementedError


@dataclass(frozen=True)
class Outputs(Question):
    """Asks for the outputs of one model; the answer is a tuple of arrays."""

    def run(self, models: "Models") -> tuple[np.ndarray, ...]:
        return models.outputs(self)


@dataclass(frozen=True)
class Check(Question):
    """Asks whether one model gives the outputs that another one gave; the answer is a ``Verdict``.

    Attributes:
        reference: Outputs of the other model.
    """

    reference: tuple[np.ndarray, ...]

    def run(self, models: "Models") -> "Verdict":
        return models.check(self)


@dataclass(frozen=True)
class Duel(Question):
    """Asks how long models take, in turns on one device.

    The answer is a tuple of latencies in seconds for each model.

    Attributes:
        options: Settings of the timing.
    """

    options: Confirming

    def run(self, models: "Models") -> list[tuple[float, ...]]:
        return models.duel(self)


@dataclass(frozen=True)
class Verdict:
    """The largest errors of a model's outputs, and whether they are small enough."""

    ok: bool
    max_abs_err: float
    max_rel_err: float


class Models(Protocol):
    """A loader and runner of compiled models, in the process that answers questions."""

    def outputs(self, question: Outputs) -> tuple[np.ndarray, ...]: ...

    def check(self, question: Check) -> Verdict: ...

    def duel(self, duel: Duel) -> list[tuple[float, ...]]: ...


class Bench(Protocol):
    """Runs whole models to answer questions, one at a time."""

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """Answers a question.

        Args:
            question: The question.
            contents: Contents of the libraries, where their files are another machine's.

        Returns:
            The answer, or how the process that was to find it ended.
        """
        ...

    def close(self) -> None:
        """Ends the processes that the bench started."""
        ...
