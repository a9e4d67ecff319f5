"""The protocol of running whole models: questions about compiled libraries, and their answers."""

from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Outputs(Question):
    """Asks for the outputs of one model; the answer is a tuple of arrays."""


@dataclass(frozen=True)
class Check(Question):
    """Asks whether one model gives the outputs that another one gave; the answer is a ``Verdict``.

    Attributes:
        reference: Outputs of the other model.
    """

    reference: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Duel(Question):
    """Asks how long models take, in turns on one device.

    The answer is a tuple of latencies in seconds for each model.

    Attributes:
        options: Settings of the timing.
    """

    options: Confirming


@dataclass(frozen=True)
class Verdict:
    """The largest errors of a model's outputs, and whether they are small enough."""

    ok: bool
    max_abs_err: float
    max_rel_err: float


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
