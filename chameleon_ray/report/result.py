"""The result of a run: everything that the summary and the reports are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from statistics import median, quantiles

from chameleon_ray.ledger import Account
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.layer_history import LayerHistory, Point, ratio
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.vendor import libraries_used, library_of

UNTUNED = "untuned TVM"
"""Name of the reference where nothing independent could run a model."""
Described = tuple[str, tuple[int, ...], str]
"""Name, shape and dtype of an input or output; the name may be empty."""
PHASES = ("import", "extract", "explore", "sample", "fit", "build", "run", "apply", "verify")


@dataclass(frozen=True)
class Latency:
    """Seconds of one execution of the whole model: the median and the interquartile range."""

    seconds: float
    spread: float = 0.0

    @staticmethod
    def of(repeats: Sequence[float]) -> "Latency":
        """Sums up the timings in seconds, of which there is at least one."""
        several = len(repeats) > 1
        low, _, high = quantiles(repeats, n=4, method="inclusive") if several else (0.0, 0.0, 0.0)
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


@dataclass(frozen=True)
class Launching:
    """How a tuned model's kernels are launched, where there are two ways.

    Attributes:
        graphs: Whether as recorded graphs, and not one by one.
        other: Latency of the model launched the other way; None where it was not timed.
        fault: Reason for leaving graphs out, in words about them; empty where they were timed.
    """

    graphs: bool
    other: Latency | None = None
    fault: str = ""


@dataclass(frozen=True)
class LayerOutcome:
    """The choice for one task at the end.

    Attributes:
        task: Digest of the task.
        config: Configuration of the winner; empty where the default schedule was kept.
        default: Confirmed seconds of the default schedule; infinite where not confirmed.
        best: Confirmed seconds of the winner; infinite where not confirmed.
        reason: Reason for keeping the default schedule, or for the search's end; may be empty.
        disturbed: Share of the confirming timing in which other processes had its cores.
        searched: What chose the configurations that were measured; empty where not known.
    """

    task: str
    config: Config = DEFAULT
    default: float = inf
    best: float = inf
    reason: str = ""
    disturbed: float = 0.0
    searched: str = ""


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
        inputs: Name, shape and dtype of each input of the model.
        outputs: The same of each output; empty where nothing but TVM could compute them.
        explanation: Reason for a difference between model and layers; empty where none is known.
        folder: The run directory.
        settings: Options of the run, by name.
        versions: Versions of the packages that matter.
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
    inputs: tuple[Described, ...] = ()
    outputs: tuple[Described, ...] = ()
    explanation: str = ""
    folder: Path = Path()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

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
    def layers(self) -> tuple["LayerResult", ...]:
        """Results of all layers, in the model's order."""
        own: dict[str, list[Record]] = {task.digest: [] for task in self.tasks}
        for record in self.records:
            if record.task in own:  # a resumed run may have some of layers that are gone
                own[record.task].append(record)
        outcomes = {outcome.task: outcome for outcome in self.outcomes}
        return tuple(
            LayerResult.of(task, own[task.digest], outcomes.get(task.digest)) for task in self.tasks
        )


@dataclass(frozen=True)
class LayerResult:
    """One layer at the end; latencies in seconds of one execution, infinite where unknown.

    Latencies that were confirmed replace those of the search. The curve is the search's own.
    """

    task: Task
    measurements: int
    known: int
    failed: int
    default: float
    best: float
    curve: list[Point]
    kept_default: bool
    reason: str
    values: str
    """Values of the winner's knobs by name, as JSON; empty for the default schedule."""
    library: str = ""
    """Vendor's library whose kernel won; empty where none did."""
    searched: str = ""
    """What chose the configurations that were measured, as the explorer's name."""

    @staticmethod
    def of(task: Task, records: Sequence[Record], outcome: LayerOutcome | None) -> "LayerResult":
        """Makes the result of a layer from its own records and its outcome.

        The outcome is None where the search did not come to its end. Where the default schedule
        was kept, it is also the layer's best.
        """
        history, end = LayerHistory.of(task, records), outcome or LayerOutcome(task.digest)
        kept = outcome is not None and end.config == DEFAULT
        default = end.default if isfinite(end.default) else history.default
        best = end.best if isfinite(end.best) else history.best
        values = [record.values for record in records if record.config == end.config]
        return LayerResult(
            task=task,
            measurements=history.measurements,
            known=history.known,
            failed=history.failed,
            default=default,
            best=default if kept else best,
            curve=history.curve,
            kept_default=kept,
            reason=end.reason,
            values="" if kept or not values else values[-1],
            library=library_of(end.config),
            searched=end.searched,
        )

    @property
    def speedup(self) -> float | None:
        return ratio(self.default, self.best)

    @property
    def from_store(self) -> bool:
        """Whether all that is known of the layer was measured by other runs."""
        return bool(self.known) and not self.measurements


def total(rows: Sequence[LayerResult], latencies: Sequence[float]) -> float:
    """Returns the weighted sum of the layers' known latencies; infinite where none is known."""
    pairs = zip(rows, latencies, strict=True)
    known = [row.task.weight * latency for row, latency in pairs if isfinite(latency)]
    return sum(known) if known else inf
