"""Whole models: questions about compiled libraries in, outputs, comparisons and latencies out."""

from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Outputs(Question):
    """What one model gives: a tuple of arrays."""


@dataclass(frozen=True)
class Check(Question):
    """Whether one model gives what another one gave, its reference: a ``Verdict``."""

    reference: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Duel(Question):
    """How long models take, in turns on one device: latencies in seconds, a tuple for each."""

    options: Confirming


@dataclass(frozen=True)
class Verdict:
    """How far a model's outputs are from their reference."""

    ok: bool
    max_abs_err: float
    max_rel_err: float


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
