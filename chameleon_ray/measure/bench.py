"""The protocol of running whole models: questions about compiled libraries, and their answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from chameleon_ray.measure.example import Arrays, Example
from chameleon_ray.measure.isolate import Outcome
from chameleon_ray.measure.precision import PLAIN, Precision
from chameleon_ray.options import Confirming

MAIN = "main"
"""Function of a library that is the model, where the library has one model."""


@dataclass(frozen=True)
class Question:
    """A question about compiled models.

    Attributes:
        libraries: Files of the compiled models.
        entries: Function of each library that is the model; ``main`` where there are none.
    """

    libraries: tuple[str, ...]
    entries: tuple[str, ...] = field(default=(), kw_only=True)

    def run(self, models: "Models") -> Any:
        """Returns the answer, which is found where the models can be run."""
        raise NotImplementedError


@dataclass(frozen=True)
class Presence(Question):
    """Asks which device there is to run models on; there are no libraries.

    The answer is its name, as its driver has it, which is empty for a CPU; None without a device.
    """

    libraries: tuple[str, ...] = ()

    def run(self, models: "Models") -> str | None:
        return models.present()


@dataclass(frozen=True)
class Outputs(Question):
    """Asks for the outputs of one model; the answer is a tuple of arrays.

    Attributes:
        inputs: Inputs of the model, in order.
    """

    inputs: Arrays

    def run(self, models: "Models") -> Arrays:
        return models.outputs(self)


@dataclass(frozen=True)
class Check(Question):
    """Asks whether one model gives the outputs to expect; the answer is a ``Verdict``.

    Attributes:
        examples: Inputs and the outputs to expect of them; at least one.
        precision: Precision that the model computes in.
        names: Names of the outputs; may be empty.
        patience: Seconds of running after which no further example is begun.
        replayed: Whether to run the first example once more at the end, from other memory, as a
            model that records its launches runs as recorded from its second run on.
    """

    examples: tuple[Example, ...]
    precision: Precision = PLAIN
    names: tuple[str, ...] = ()
    patience: float = inf
    replayed: bool = False

    def run(self, models: "Models") -> "Verdict":
        return models.check(self)


@dataclass(frozen=True)
class Duel(Question):
    """Asks how long models take, in turns on one device.

    The answer is a tuple of latencies in seconds for each model: the host's time from the call to
    the moment when the device has finished, launches included.

    Attributes:
        inputs: Inputs of each model, in order.
        options: Settings of the timing.
    """

    inputs: Arrays
    options: Confirming

    def run(self, models: "Models") -> list[tuple[float, ...]]:
        return models.duel(self)


@dataclass(frozen=True)
class Profile(Question):
    """Asks how long the functions of models take inside them, in turns on a CPU.

    The answer is, for each model, the seconds of one call by the function's name in its library.

    Attributes:
        inputs: Inputs of each model, in order.
        seconds: Seconds for which each model is run.
    """

    inputs: Arrays
    seconds: float

    def run(self, models: "Models") -> list[dict[str, float]]:
        return models.profile(self)


@dataclass(frozen=True)
class Verdict:
    """The largest errors of a model's outputs, and whether they are small enough.

    Attributes:
        ok: Whether all outputs are right.
        max_abs_err: Largest absolute error; infinite where outputs cannot be compared by numbers.
        max_rel_err: Largest error over the largest magnitude of the output that it is in.
        fault: What is wrong, in words that begin with an output's name; empty where nothing is.
        output: Name of that output; empty where it has none.
        examples: Number of examples that were compared.
    """

    ok: bool
    max_abs_err: float
    max_rel_err: float
    fault: str = ""
    output: str = ""
    examples: int = 1

    @staticmethod
    def of_all(verdicts: "Sequence[Verdict]") -> "Verdict":
        """Joins the verdicts on several examples, of which there is at least one."""
        first = next((one for one in verdicts if not one.ok), verdicts[0])
        return Verdict(
            first.ok,
            max(one.max_abs_err for one in verdicts),
            max(one.max_rel_err for one in verdicts),
            first.fault,
            first.output,
            sum(one.examples for one in verdicts),
        )


class Models(Protocol):
    """A loader and runner of compiled models, in the process that answers questions."""

    def present(self) -> str | None: ...

    def outputs(self, question: Outputs) -> Arrays: ...

    def check(self, question: Check) -> Verdict: ...

    def duel(self, duel: Duel) -> list[tuple[float, ...]]: ...

    def profile(self, question: Profile) -> list[dict[str, float]]: ...


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
