"""Compares the latency over time of two tuners: curves, ratios, a picture and a table's row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Point = tuple[int, float, float]
"""Measurements, seconds since the command began, weighted sum of the layers' best in ms."""


@dataclass(frozen=True)
class Event:
    """One measurement: when it was known, of what, and its seconds; None where it failed."""

    seconds: float
    task: str
    latency: float | None


def curve(events: Iterable[Event], weights: Mapping[str, float]) -> list[Point]:
    """A point at every improvement, from when each task of ``weights`` has a latency."""
    best: dict[str, float] = {}
    points: list[Point] = []
    for count, event in enumerate(sorted(events, key=lambda one: one.seconds), 1):
        if event.latency is None or event.latency >= best.get(event.task, float("inf")):
            continue
        best[event.task] = event.latency
        if best.keys() >= weights.keys():
            total = 1e3 * sum(weight * best[task] for task, weight in weights.items())
            points.append((count, event.seconds, total))
    return points


def timed(events: Iterable[Event], weights: Mapping[str, float]) -> dict[str, float]:
    """The weights of the tasks of which some measurement succeeded."""
    known = {event.task for event in events if event.latency is not None}
    return {task: weight for task, weight in weights.items() if task in known}


def reached(points: Sequence[Point], wanted: float) -> Point | None:
    """The first point that is at most ``wanted`` ms."""
    return next((point for point in points if point[2] <= wanted), None)


def ratios(theirs: Sequence[Point], ours: Sequence[Point]) -> dict[str, float | None]:
    """Theirs over ours: to their final latency in time and measurements, and latency at the end.

    Args:
        theirs: At least one point.
        ours: The same.
    """
    count, seconds, latency = theirs[-1]
    there = reached(ours, latency)
    return {
        "time_ratio": None if there is None else seconds / there[1],
        "measurement_ratio": None if there is None else count / there[0],
        "latency_ratio": latency / ours[-1][2],
    }


def draw(curves: Mapping[str, Sequence[Point]], title: str, path: Path) -> None:
    """Latency over time beside latency over measurements, as SVG."""
    import matplotlib as mpl
    from bench_plots import STYLE, shorter
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 3.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, axis, label in zip(panels, (1, 0), ("seconds", "measurements"), strict=True):
            for name, points in curves.items():
                at, latency = [point[axis] for point in points], [point[2] for point in points]
                axes.step(at, latency, where="post", label=name, linewidth=1.5)
            axes.set(xlabel=label, xscale="log", yscale="log")
        panels[0].set(ylabel="weighted sum of the layers' best, ms", title=title)
        panels[0].legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
    path.write_text(shorter(path.read_text()))


def row(body: Mapping) -> str:
    """A row of the table in docs/benchmarks/metaschedule.md."""
    sides = [body["metaschedule"], body["chameleon"]]
    counts = [str(side["measurements"]) for side in sides]
    layers = [f"{side['layers_ms']:.1f}" for side in sides]
    trials = [f"{side['trial_seconds']:.2f}" for side in sides]
    models = [latency(side["model_ms"]) for side in sides]
    least = [times(body[name]) for name in ("time_ratio", "measurement_ratio", "latency_ratio")]
    cells = [body["model"], *(" / ".join(pair) for pair in (counts, trials, layers, models))]
    return f"| {' | '.join([*cells, *least, times(body['model_latency_ratio'])])} |"


def latency(ms: Mapping) -> str:
    """A median and its spread, where that is known."""
    spread = "" if ms["spread"] is None else f" ± {ms['spread']:.1f}"
    return f"{ms['median']:.1f}{spread}"


def times(ratio: float | None) -> str:
    """A ratio for people."""
    return "not reached" if ratio is None else f"{ratio:.2f}x"


TITLES = (
    *("model", "measurements", "s per measurement", "layers, ms", "whole model, ms"),
    *("time", "measurements to their best", "layers", "whole model"),
)


def table(body: Mapping) -> str:
    """The row under its titles; pairs are MetaSchedule's / this engine's."""
    rule = "|".join(["---", *["---:"] * (len(TITLES) - 1)])
    return f"| {' | '.join(TITLES)} |\n|{rule}|\n{row(body)}"
