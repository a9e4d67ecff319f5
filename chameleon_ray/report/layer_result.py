"""The result of one layer: its winner, and what its measurements came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

from chameleon_ray.layer_names import own_name, title
from chameleon_ray.record import DEFAULT, Record
from chameleon_ray.report.layer_history import LayerHistory, Point, ratio
from chameleon_ray.space import Config
from chameleon_ray.task import Task
from chameleon_ray.vendor import library_of


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
        inside: Seconds of the winner inside the model; infinite where not known.
    """

    task: str
    config: Config = DEFAULT
    default: float = inf
    best: float = inf
    reason: str = ""
    disturbed: float = 0.0
    searched: str = ""
    inside: float = inf


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
    others: tuple[tuple[str, float], ...] = ()
    """Names of the layer's other lowerings, and the best latency of each."""
    inside: float = inf
    """Latency of the winner inside the model, on a CPU."""

    @staticmethod
    def among(
        tasks: Sequence[Task],
        records: Mapping[str, Sequence[Record]],
        outcomes: Mapping[str, LayerOutcome],
    ) -> "LayerResult":
        """Makes the result of a layer from its lowerings, the first one first.

        It is that of the lowering that has an outcome, or before there is any, of the fastest one.
        Measurements, and the curve, are those of all lowerings.

        Args:
            tasks: Lowerings of the layer.
            records: Records by task digest.
            outcomes: Outcomes by task digest.
        """
        rows = [LayerResult.of(t, records[t.digest], outcomes.get(t.digest)) for t in tasks]
        decided = [row for row in rows if row.task.digest in outcomes]
        chosen = decided[0] if decided else min(rows, key=lambda row: row.best)
        every = sorted((r for t in tasks for r in records[t.digest]), key=lambda r: r.sequence)
        return replace(
            chosen,
            curve=LayerHistory.of(tasks[0], every).curve,
            default=chosen.default if isfinite(chosen.default) else rows[0].default,
            measurements=sum(row.measurements for row in rows),
            failed=sum(row.failed for row in rows),
            others=tuple((r.task.lowering, r.best) for r in rows if r is not chosen),
        )

    @staticmethod
    def of(task: Task, records: Sequence[Record], outcome: LayerOutcome | None) -> "LayerResult":
        """Makes the result of a layer from its own records and its outcome.

        The outcome is None where the search did not come to its end. Where the default schedule
        was kept, it is also the layer's best.
        """
        history, end = LayerHistory.of(task, records), outcome or LayerOutcome(task.digest)
        kept = outcome is not None and end.config == DEFAULT
        default = end.default if isfinite(end.default) else history.default
        known = default if kept else history.best
        values = [record.values for record in records if record.config == end.config]
        return LayerResult(
            task=task,
            measurements=history.measurements,
            known=history.known,
            failed=history.failed,
            default=default,
            best=end.best if isfinite(end.best) else known,
            curve=history.curve,
            kept_default=kept,
            reason=end.reason,
            values="" if kept or not values else values[-1],
            library=library_of(end.config),
            searched=end.searched,
            inside=end.inside,
        )

    @property
    def seconds(self) -> float:
        """Latency of the winner inside the model, where it was timed there, else alone."""
        return self.inside if isfinite(self.inside) else self.best

    @property
    def title(self) -> str:
        """The layer's name and what it does, for people."""
        return title(self.task)

    @property
    def speedup(self) -> float | None:
        return ratio(self.default, self.best)

    @property
    def from_store(self) -> bool:
        """Whether all that is known of the layer was measured by other runs."""
        return bool(self.known) and not self.measurements


def shown_name(task: Task) -> str:
    """Returns the name under which people see a layer."""
    return own_name(task)


def names_of(task: Task) -> tuple[str, ...]:
    """Returns all names by which people may ask for a layer."""
    return *task.nodes, shown_name(task), task.name, task.digest


def total(rows: Sequence[LayerResult], latencies: Sequence[float]) -> float:
    """Returns the weighted sum of the layers' known latencies; infinite where none is known."""
    pairs = zip(rows, latencies, strict=True)
    known = [row.task.weight * latency for row, latency in pairs if isfinite(latency)]
    return sum(known) if known else inf
