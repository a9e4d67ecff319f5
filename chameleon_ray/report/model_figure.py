"""The figure of a whole model: what it takes over the run, plan by plan, and what ended it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chameleon_ray.report.course import Course, Plan
from chameleon_ray.report.figure import Columns, Figure, Mark, View
from chameleon_ray.report.format import clock, counted, digits

HEIGHT = 360
ABOVE = 2.5
"""How far above the end the picture reaches, as a multiple; what was slower is cut off."""
NEAR = 1.6
"""How much slower than the end something else may be and still be drawn, as a multiple."""
TIME, COUNT, LATENCY = "minutes", "measurements", "model, ms"
LABEL = "milliseconds (the axis does not begin at zero)"
LEGEND = (
    ("best so far, sum of layers", "var(--best)"),
    ("plan that made it faster", "var(--s1)"),
    ("plan that did not", "var(--faint)"),
    ("sum of layers, final timing", "var(--s2)"),
    ("tuned model, timed as a whole", "var(--s5)"),
)
FOUND = 3
"""Number of entries of the legend that are of the search."""
SYMBOLS = (("diamond", "var(--s2)"), ("star", "var(--s5)"))
"""Symbol and colour of each final timing."""


@dataclass(frozen=True)
class End:
    """What is known of a model at the end of a run, in milliseconds.

    Attributes:
        seconds: When the command ended.
        layers_ms: Weighted sum of the layers, each as its final timing found it.
        tuned_ms: The tuned model, timed as a whole; None where it was not.
        untuned_ms: The untuned one; None where it was not timed.
        others: What else was timed as a whole, by name.
    """

    seconds: float
    layers_ms: float
    tuned_ms: float | None = None
    untuned_ms: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def finals(self) -> list[tuple[str, float]]:
        """Names and milliseconds of what was timed last."""
        tuned = [] if self.tuned_ms is None else [("tuned model, timed as a whole", self.tuned_ms)]
        return [("sum of layers, final timing", self.layers_ms), *tuned]


def model_figure(course: Course, end: End | None, names: Mapping[str, str]) -> Figure:
    """Declares the figure.

    Args:
        course: What the layers came to, measurement by measurement; at least one point.
        end: The end of the run; None while it goes on.
        names: Short name of each layer, by the digests of its tasks.
    """
    plans = _plans(course.plans, names)
    views = tuple(
        View(label, _marks(course, plans, end, x), _axes(course, end, x))
        for label, x in (("over time", TIME), ("over measurements", COUNT))
    )
    legend = LEGEND if end else LEGEND[:FOUND]
    return Figure("course", "The whole model", _told(course, end), views, plans, legend)


def _marks(course: Course, plans: Columns, end: End | None, x: str) -> tuple[Mark, ...]:
    line: Columns = {
        TIME: [point.seconds / 60 for point in course.points],
        COUNT: [point.measurements for point in course.points],
        LATENCY: [point.best_ms for point in course.points],
    }
    steps = Mark(
        "line", line, _at(x, stroke="var(--best)", strokeWidth=2, curve="step-after", clip=True)
    )
    shown = {title: title for title in plans if title not in (x, LATENCY)}
    dots = _at(x, r=2.5, fill="faster", clip=True)
    events = Mark("dot", plans, dots | {"channels": shown, "tip": True})
    return (*_references(end), steps, events, *_finals(course, end, x))


def _references(end: End | None) -> tuple[Mark, ...]:
    """Returns a line for each other thing that was timed as a whole and is not far off."""
    near = {n: ms for n, ms in end.others.items() if ms < NEAR * end.layers_ms} if end else {}
    if not near:
        return ()
    data: Columns = {"what": list(near), "ms": list(near.values())}
    rule = {"y": "ms", "stroke": "var(--soft)", "strokeDasharray": "2 3"}
    text = {"y": "ms", "text": "what", "frameAnchor": "right", "dy": -7, "textAnchor": "end"}
    return Mark("ruleY", data, rule), Mark("text", data, text | {"fill": "var(--soft)"})


def _finals(course: Course, end: End | None, x: str) -> tuple[Mark, ...]:
    """Returns the final timings, and a line that leads to them from the search's end."""
    if end is None:
        return ()
    last, (_, top) = course.points[-1], _range(course, end)
    before = last.seconds / 60 if x == TIME else last.measurements
    where = _last(course, end, x)  # which a command that went on may have ended before
    path: Columns = {x: [before, where], LATENCY: [last.best_ms, end.layers_ms]}
    marks = [Mark("line", path, _at(x, stroke="var(--best)", strokeDasharray="3 3"))]
    for (name, ms), (symbol, colour) in zip(end.finals, SYMBOLS, strict=False):
        if ms > top:  # of a search that left most layers out; the sentence has it
            continue
        style = {"symbol": symbol, "fill": colour, "stroke": "var(--card)", "r": 6}
        timing: Columns = {x: [where], LATENCY: [ms], "final timing": [name]}
        told = {"channels": {"final timing": "final timing"}, "tip": True}
        marks.append(Mark("dot", timing, _at(x, **style, **told)))
    return tuple(marks)


def _at(x: str, **options: Any) -> dict[str, Any]:
    return {"x": x, "y": LATENCY} | options


def _range(course: Course, end: End | None) -> tuple[float, float]:
    """Returns the least and the most milliseconds that are drawn."""
    values = [point.best_ms for point in course.points]
    values += [ms for _, ms in end.finals] if end else []
    near = [ms for ms in end.others.values() if ms < NEAR * end.layers_ms] if end else []
    low = min(values + near)
    high = max([min(max(values), ABOVE * low), *near])
    pad = 0.06 * (high - low) or 0.1 * low
    return low - pad, high + pad


def _axes(course: Course, end: End | None, x: str) -> dict[str, Any]:
    return {
        "height": HEIGHT,
        "marginLeft": 56,
        "inset": 6,
        "marginRight": 24,
        "x": {"label": x, "domain": [0, _last(course, end, x)]},
        "y": {"label": LABEL, "domain": [*_range(course, end)], "grid": True},
        "color": {"domain": ["yes", "no"], "range": ["var(--s1)", "var(--faint)"]},
    }


def _last(course: Course, end: End | None, x: str) -> float:
    """Returns where the horizontal axis ends, which begins with the command."""
    last = course.points[-1]
    if x == COUNT:
        return last.measurements
    return max(last.seconds, end.seconds if end else 0.0) / 60


def _plans(plans: Sequence[Plan], names: Mapping[str, str]) -> Columns:
    return {
        TIME: [plan.point.seconds / 60 for plan in plans],
        COUNT: [plan.point.measurements for plan in plans],
        LATENCY: [plan.point.best_ms for plan in plans],
        "layer": [names.get(plan.task, plan.task) for plan in plans],
        "plan": [plan.number for plan in plans],
        "measured": [plan.count for plan in plans],
        "failed": [plan.failed for plan in plans],
        "its best, ms": [plan.best_ms for plan in plans],
        "model faster by, ms": [plan.gained_ms for plan in plans],
        "faster": ["yes" if plan.gained_ms > 0 else "no" for plan in plans],
    }


def _told(course: Course, end: End | None) -> str:
    """Tells in words what the figure shows."""
    first, last = course.points[0], course.points[-1]
    untuned = f"Untuned {digits(end.untuned_ms)} ms. " if end and end.untuned_ms else ""
    which = "all other layers" if course.left_out else "every layer"
    parts = [
        f"{untuned}After {clock(first.seconds)} {which} had a latency, {digits(first.best_ms)} "
        f"ms together; after {counted(last.measurements, 'measurement')}, in "
        f"{clock(last.seconds)}, they took {digits(last.best_ms)} ms."
    ]
    if end:
        finals = " and ".join(f"{digits(ms)} ms ({name})" for name, ms in end.finals)
        parts.append(f"Timed again at the end: {finals}.")
    if course.left_out:
        parts.insert(0, f"{counted(course.left_out, 'layer')} never timed, so not in the sums.")
    return " ".join(parts)
