"""What a run leaves: how near layers are to the best of their spaces, and what time is worth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Protocol

from chameleon_ray.layer_names import short_names
from chameleon_ray.options import Bounding
from chameleon_ray.record import Record
from chameleon_ray.report.format import counted, milliseconds
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.reporting import Reporting
from chameleon_ray.search.posterior import Rivals, rivals
from chameleon_ray.task import Task
from chameleon_ray.vendor import is_searched
from chameleon_ray.winners import LEFT_OUT

MINUTES = 2
"""Minutes of more search whose worth is told."""
NAMED = 6
"""Most layers that are named as too little known."""
LITTLE = 0.001
"""Share of the layers' time up to which a gain is told as next to nothing."""
PORTIONS = 16
"""Number of parts in which those minutes' measurements are given to the layers that gain most."""


class Searched(Protocol):
    """A run or a zoo: what was searched, and what came of it."""

    @property
    def tasks(self) -> Sequence[Task]: ...

    @property
    def records(self) -> Sequence[Record]: ...

    @property
    def layers(self) -> Sequence[LayerResult]: ...


def judged(result: Searched) -> dict[str, Rivals]:
    """Returns what is believed of the rivals of every layer searched enough, by its digest."""
    options, found = Bounding(), dict[str, Rivals]()
    for task in result.tasks:
        own = [record for record in result.records if record.task == task.digest]
        if task.space.knobs and (known := rivals(task.space, own, options)) is not None:
            found[task.digest] = known
    return found


def remaining(result: Searched) -> dict:
    """Returns what is left to gain as plain data: each layer's bound, and what more time saves."""
    found, confidence = judged(result), Bounding().confidence
    return {
        "confidence": confidence,
        "within": _bounds(found),
        "minutes": MINUTES,
        "worth_ms": 1e3 * worth(result, found),
    }


def told(result: Searched, found: Mapping[str, Rivals] | None = None) -> str:
    """Tells what is left to gain, in sentences: first of all the layers never reached.

    There are none where nothing was measured, as a lock had the winners.

    Args:
        result: The run or zoo.
        found: What is ``judged`` of it, where that is known.
    """
    if not result.records:
        return ""
    layers = [row for row in result.layers if row.reason != LEFT_OUT]
    tunable = [row for row in layers if row.task.space.knobs]
    reached = [row for row in tunable if row.measurements or row.known]
    parts = []
    if missing := len(tunable) - len(reached):
        parts.append(f"{missing} of {counted(len(tunable), 'layer')} never reached.")
    found = judged(result) if found is None else found
    near = _bounds(found)
    known = [row for row in reached if row.task.digest in near and isfinite(row.best)]
    tried = _tried_whole(result)
    whole = [row for row in reached if row not in known and row.task.layer in tried]
    unknown = [row for row in reached if row not in known and row not in whole]
    if any(row.best > 0 for row in known):
        which = f"{len(known)} of the layers" if missing or unknown or whole else "the layers"
        notable = LITTLE * sum(row.task.weight * row.best for row in layers if isfinite(row.best))
        gain = worth(result, found)
        much = f"about {milliseconds(gain)} ms" if gain > notable else "next to nothing"
        parts.append(_gain(known, near, much, which))
    if whole:
        parts.append(f"Every configuration of {counted(len(whole), 'layer')} was tried.")
    if unknown:
        what = "Of the others that" if known else "How near layers are to the best of their spaces"
        parts.append(
            f"{what} cannot be said, as too little was measured or the space is too large: "
            f"{_named(result, unknown)}."
        )
    return " ".join(parts)


def _tried_whole(result: Searched) -> set[str]:
    """Returns the layers of which every configuration of each lowering was tried."""
    tried = {(r.task, r.config) for r in result.records if is_searched(r.config)}
    counts = Counter(digest for digest, _ in tried)
    left = {task.layer for task in result.tasks if counts[task.digest] < task.space.size}
    return {task.layer for task in result.tasks} - left


def _gain(known: Sequence[LayerResult], near: Mapping[str, float], much: str, which: str) -> str:
    """Tells what more time saves, and how near the layers are of which enough is known.

    Args:
        known: Those layers.
        near: Bound of each, over the least of its space, by its digest.
        much: What ``MINUTES`` more minutes save.
        which: What the layers are called.
    """
    whole = sum(row.task.weight * row.best for row in known)
    excess = sum(row.task.weight * row.best * _share(near[row.task.digest]) for row in known)
    return (
        f"{MINUTES} more minutes of search are worth {much} in {which}, which take at most "
        f"{100 * excess / whole:.2g}% more than the best of their spaces, as estimated with "
        f"{Bounding().confidence:.0%} confidence each."
    )


def _named(result: Searched, rows: Sequence[LayerResult]) -> str:
    """Names layers, those that take most time first, or some of them where there are many."""
    names = short_names(result.tasks, Reporting.name_width)
    ordered = sorted(rows, key=lambda row: row.task.weight * row.best, reverse=True)
    named = [names[row.task.layer] for row in ordered[:NAMED]]
    more = [f"{len(rows) - NAMED} more"] if len(rows) > NAMED else []
    return ", ".join([*named, *more])


def worth(result: Searched, found: Mapping[str, Rivals]) -> float:
    """Returns the seconds that ``MINUTES`` more minutes are expected to take off the model.

    Of a zoo, they are seconds of the weighted sum of its models.
    """
    times = [record.finished for record in result.records if not record.origin]
    spent = max(times, default=0.0) - min(times, default=0.0)
    rows = [row for row in result.layers if row.task.digest in found and isfinite(row.best)]
    if spent <= 0 or not rows:
        return 0.0
    portion = max(round(60 * MINUTES * len(times) / spent / PORTIONS), 1)
    given, saved = [0] * len(rows), [0.0] * len(rows)
    for _ in range(PORTIONS):
        following = [
            row.task.weight * row.best * found[row.task.digest].worth(count + portion)
            for row, count in zip(rows, given, strict=True)
        ]
        most = max(range(len(rows)), key=lambda n: following[n] - saved[n])
        given[most], saved[most] = given[most] + portion, following[most]
    return sum(saved)


def _bounds(found: Mapping[str, Rivals]) -> dict[str, float]:
    """Returns the bounds of layers whose spaces are judged whole."""
    confidence = Bounding().confidence
    return {digest: one.within(confidence) for digest, one in found.items() if one.whole}


def _share(bound: float) -> float:
    """Returns the share of the best latency that a bound, over the least one, leaves."""
    return bound / (1 + bound) if isfinite(bound) else 1.0
