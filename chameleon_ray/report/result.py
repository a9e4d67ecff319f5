"""The result of a run: everything that the summary and the reports are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median, quantiles

from chameleon_ray.ledger import Account
from chameleon_ray.lowerings import by_layer
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.record import Record
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.report.layer_result import LayerOutcome, LayerResult
from chameleon_ray.task import Task
from chameleon_ray.vendor import libraries_used

UNTUNED = "untuned TVM"
"""Name of the reference where nothing independent could run a model."""
Described = tuple[str, tuple[int, ...], str]
"""Name, shape and dtype of an input or output; the name may be empty."""
PHASES = ("import", "extract", "explore", "sample", "fit", "build", "run", "apply", "verify")


@dataclass(frozen=True)
class Latency:
    """Seconds of one execution of the whole model: the median and the interquartile range.

    The range is None where there was one timing only, which says nothing of it.
    """

    seconds: float
    spread: float | None = None

    @property
    def relative(self) -> float | None:
        """The spread over the median; None where that is not known."""
        if self.spread is None:
            return None
        return self.spread / self.seconds if self.seconds > 0 else 0.0

    @staticmethod
    def of(repeats: Sequence[float]) -> "Latency":
        """Sums up the timings in seconds, of which there is at least one."""
        if len(repeats) < 2:
            return Latency(median(repeats))
        low, _, high = quantiles(repeats, n=4, method="inclusive")
        return Latency(median(repeats), high - low)


@dataclass(frozen=True)
class Verified:
    """A compiled model's outputs compared with those to expect.

    Attributes:
        ok: Whether they are equal, within the tolerance of their types.
        max_abs_err: Largest absolute error; infinite where types, shapes or integers differ.
        max_rel_err: Largest error over the largest magnitude of the output that it is in.
        against: Name of what computed the outputs to expect.
        independent: Whether that is something else than TVM.
        fault: What differs, in words that begin with an output's name; empty where nothing does.
        output: Name of that output; empty where it has none.
        examples: Number of examples that were compared.
        precision: Coarsest type that the compiled model computes in; ``quantized`` where it rounds
            floats to small integers; empty in what was kept by earlier versions.
        tolerance: Largest error over the largest magnitude that one value may have; 0 where errors
            are counted in steps of quantisation.
    """

    ok: bool
    max_abs_err: float
    max_rel_err: float
    against: str
    independent: bool = True
    fault: str = ""
    output: str = ""
    examples: int = 1
    precision: str = ""
    tolerance: float = 0.0

    @property
    def errors(self) -> str:
        """The errors for people, and how large they may be, unless that is as for float32."""
        found = f"largest error {self.max_abs_err:.2g} absolute, {self.max_rel_err:.2g} relative"
        if self.precision in ("tf32", "float16", "bfloat16"):
            return f"{found}; {self.precision} allows {self.tolerance:.2g}"
        return found

    @property
    def outcome(self) -> str:
        """Outcome of the comparison: ``verified``, ``differs`` or ``unverified``.

        A model that TVM imported wrongly has TVM's own outputs, so these verify nothing.
        """
        if not self.ok:
            return "differs"
        return "verified" if self.independent else "unverified"


def difference(verified: Verified | None, library: Path) -> str:
    """Says that a tuned model's outputs are not the original's; empty where they are.

    Args:
        verified: Its verification; None where there was none.
        library: The tuned library.
    """
    if verified is not None and verified.ok:
        return ""
    other = verified.against if verified else "the original"
    fault = verified.fault if verified else "they were not compared"
    return (
        f"The tuned model's outputs differ from those of {other} ({fault}); do not use {library}."
    )


@dataclass(frozen=True)
class Launching:
    """How a tuned model's kernels are launched, where there are two ways.

    Attributes:
        graphs: Whether as recorded graphs, and not one by one.
        ratio: Latency of the model launched the other way over that of the way that was chosen, of
            one timing; None where they were not timed.
        fault: Reason for leaving graphs out, in words about them; empty where they were timed.
    """

    graphs: bool
    ratio: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class Compared:
    """What came of timing the model in a framework, in turns with the tuned one.

    Attributes:
        name: Name of the framework, for people.
        version: Version of the framework; empty where it is not known.
        latency: Latency of the model there; None where it could not be timed.
        threads: Number of threads that each copy ran on.
        instances: Number of copies that ran at once.
        fault: Reason why it could not be timed, as a clause; empty where it was.
    """

    name: str
    version: str = ""
    latency: Latency | None = None
    threads: int = 0
    instances: int = 1
    fault: str = ""


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        model: Name of the model.
        target: TVM target.
        device: Device that the model was timed on.
        seed: Seed of the whole run.
        preset: Name of the search system.
        explorer: Name of the system's explorer.
        sampler: Name of the system's sampler.
        wall_seconds: Seconds from the command's start to its end.
        seconds: Seconds by phase, summed over processes; see ``PHASES``.
        device_busy_fraction: Share of the devices' wall time that they timed kernels for, in the
            search.
        tasks: The model's layers.
        records: Every measurement of every session.
        outcomes: One per task where the search came to its end.
        processes: Accounts of the session's processes.
        untuned: Latency of the whole model with default schedules; None where it was not timed.
        tuned: Latency of the whole model with the winners; None where it was not timed.
        verified: Verification of the outputs; None where they were not compared.
        launching: How the tuned model's kernels are launched; None where there is only one way.
        comparison: What other frameworks take for the model, in turns with it; empty where nothing
            was asked for.
        inputs: Name, shape and dtype of each input of the model.
        outputs: The same of each output; empty where nothing but TVM could compute them.
        explanation: Reason for a difference between model and layers; empty where none is known.
        folder: The run directory.
        settings: Options of the run, by name.
        versions: Versions of the packages that matter.
        ceiling: What the timing cores can do at most; None where that was not measured.
        entry: Function of ``model.so`` that is the model.
        apart: Whether no row of the batch depends on the others; None where that was not asked.
    """

    model: str
    target: str
    device: str
    seed: int
    preset: str
    explorer: str
    sampler: str
    wall_seconds: float
    seconds: Mapping[str, float]
    device_busy_fraction: float | None
    tasks: tuple[Task, ...]
    records: tuple[Record, ...]
    outcomes: tuple[LayerOutcome, ...] = ()
    processes: tuple[Account, ...] = ()
    untuned: Latency | None = None
    tuned: Latency | None = None
    verified: Verified | None = None
    launching: Launching | None = None
    comparison: tuple[Compared, ...] = ()
    inputs: tuple[Described, ...] = ()
    outputs: tuple[Described, ...] = ()
    explanation: str = ""
    folder: Path = Path()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    ceiling: Ceiling | None = None
    entry: str = MAIN
    apart: bool | None = None

    @property
    def speedup(self) -> float | None:
        """Latency of the untuned model over the tuned one's; None while either is unknown."""
        if self.untuned is None or self.tuned is None:
            return None
        return ratio(self.untuned.seconds, self.tuned.seconds)

    @property
    def walked(self) -> bool:
        """Whether the explorer was of use: spaces may be too small for it, or never reached."""
        return any(outcome.searched == self.explorer for outcome in self.outcomes)

    @property
    def libraries(self) -> tuple[str, ...]:
        """Vendor's libraries that the tuned model calls."""
        return libraries_used([outcome.config for outcome in self.outcomes])

    @cached_property
    def layers(self) -> tuple[LayerResult, ...]:
        """Results of all layers, in the model's order."""
        own: dict[str, list[Record]] = {task.digest: [] for task in self.tasks}
        for record in self.records:
            if record.task in own:  # a resumed run may have some of layers that are gone
                own[record.task].append(record)
        outcomes = {outcome.task: outcome for outcome in self.outcomes}
        layers = by_layer(self.tasks, lambda task: task).values()
        return tuple(LayerResult.among(tasks, own, outcomes) for tasks in layers)
