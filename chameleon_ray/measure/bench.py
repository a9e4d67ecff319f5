"""Whole models: questions about compiled libraries in, outputs, comparisons and latencies out."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chameleon_ray.measure.isolate import Outcome
from chameleon_ray.options import Confirming


@dataclass(frozen=True)
class Question:
    """What is asked of compiled models.

    Attributes:
        libraries: Their files.
        inputs: Of each of them, in order.
    """

    libraries: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]

    def run(self, models: "Models") -> Any:
        """The answer, found where the models can be run."""
        raise NotImplementedError


@dataclass(frozen=True)
class Outputs(Question):
    """What one model gives: a tuple of arrays."""

    def run(self, models: "Models") -> tuple[np.ndarray, ...]:
        return models.outputs(self)


@dataclass(frozen=True)
class Check(Question):
    """Whether one model gives what another one gave, its reference: a ``Verdict``."""

    reference: tuple[np.ndarray, ...]

    def run(self, models: "Models") -> "Verdict":
        return models.check(self)


@dataclass(frozen=True)
class Duel(Question):
    """How long models take, in turns on one device: latencies in seconds, a tuple for each."""

    options: Confirming

    def run(self, models: "Models") -> list[tuple[float, ...]]:
        return models.duel(self)


@dataclass(frozen=True)
class Verdict:
    """How far a model's outputs are from their reference."""

    ok: bool
    max_abs_err: float
    max_rel_err: float


class Models(Protocol):
    """What loads and runs compiled models, in the process that answers questions."""

    def outputs(self, question: Outputs) -> tuple[np.ndarray, ...]: ...

    def check(self, question: Check) -> Verdict: ...

    def duel(self, duel: Duel) -> list[tuple[float, ...]]: ...


class Bench(Protocol):
    """Answers questions, one at a time."""

    def ask(self, question: Question, contents: tuple[bytes, ...] = ()) -> Outcome:
        """Runs whole models.

        Args:
            question: What is asked.
            contents: Of the libraries, where their files are another machine's.

        Returns:
            The answer, or how the process that was to find it ended.
        """
        ...

    def close(self) -> None:
        """Ends what it started."""
        ...
