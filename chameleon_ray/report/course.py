"""The course of a run: what the whole model takes, by its layers, after every measurement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from types import MappingProxyType

from chameleon_ray.record import Record
from chameleon_ray.report.layer_history import Point
from chameleon_ray.task import Task

Layers = Mapping[str, tuple[str, float]]
"""Digest of the layer that each task computes, and the layer's weight in the model."""
NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Plan:
    """One round of the search of one task, once all of it is measured.

    Attributes:
        task: Digest of the task.
        number: Number of the plan, from 0.
        count: Configurations that it measured.
        failed: How many of them failed.
        best_ms: Least latency among them in milliseconds; infinite where all failed.
        point: What the whole model took after it.
        gained_ms: By how much the plan's own measurements made the model faster.
    """

    task: str
    number: int
    count: int
    failed: int
    best_ms: float
    point: Point
    gained_ms: float


@dataclass(frozen=True)
class Course:
    """What a model takes during the search: the weighted sum of its layers' best latencies.

    Attributes:
        points: Every improvement, from the first moment at which every layer has a latency, and the
            last measurement.
        plans: Every plan that ended after that moment, in the order of their ends.
        left_out: Number of layers that never had a latency; the sums are without them.
    """

    points: tuple[Point, ...]
    plans: tuple[Plan, ...]
    left_out: int

    @staticmethod
    def of(
        layers: Layers, records: Sequence[Record], known: Mapping[str, float] = NOTHING
    ) -> "Course":
        """Makes the course from the records of a run.

        Args:
            layers: Layer and weight of each task.
            records: Records of these tasks, in order; others are left out.
            known: Seconds that a layer takes before anything of it is measured, by its digest.
        """
        timed = {layers[r.task][0] for r in records if r.task in layers and r.latencies}
        best = {layer: known.get(layer, inf) for layer, _ in layers.values()}
        lacking = [one for one, seconds in best.items() if one not in timed and seconds == inf]
        for layer in lacking:
            del best[layer]
        kept = [r for r in records if r.task in layers and layers[r.task][0] in best]
        steps = list(_steps(layers, best, kept))
        plans = sorted(_plans(kept, steps), key=lambda plan: plan.point.seconds)
        return Course(tuple(_improvements(steps)), tuple(plans), len(lacking))


def layers_of(tasks: Iterable[Task]) -> Layers:
    """Returns the layer and the weight of each of a model's tasks."""
    return {task.digest: (task.layer, task.weight) for task in tasks}


def _steps(layers: Layers, best: Mapping[str, float], records: Iterable[Record]) -> Iterator[Point]:
    """Yields what the model takes after each record; infinite until every layer has a latency."""
    now, measured = dict(best), 0
    weights = dict(layers.values())
    for record in records:
        measured += not record.origin
        layer, _ = layers[record.task]
        now[layer] = min(now[layer], record.latency)
        total = sum(weights[one] * seconds for one, seconds in now.items())
        yield Point(measured, record.finished, 1e3 * total)


def _improvements(steps: Sequence[Point]) -> Iterator[Point]:
    """Yields the steps at which the model became faster, and the last one."""
    best, last = inf, None
    for step in steps:
        if step.best_ms < best:
            best, last = step.best_ms, step
            yield step
    if last is not None and steps[-1] != last:
        yield steps[-1]


def _plans(records: Sequence[Record], steps: Sequence[Point]) -> Iterator[Plan]:
    """Yields every plan that was measured by the run itself, once the model's latency is known."""
    groups: dict[tuple[str, int], list[int]] = {}
    for number, record in enumerate(records):
        if not record.origin:
            groups.setdefault((record.task, record.plan), []).append(number)
    for (task, plan), numbers in groups.items():
        end = steps[numbers[-1]]
        if not isfinite(end.best_ms):
            continue
        latencies = [records[n].latency for n in numbers]
        gains = [steps[n - 1].best_ms - steps[n].best_ms for n in numbers if n]
        yield Plan(
            task=task,
            number=plan,
            count=len(numbers),
            failed=sum(not isfinite(one) for one in latencies),
            best_ms=1e3 * min(latencies),
            point=end,
            gained_ms=sum(gain for gain in gains if isfinite(gain)),
        )
