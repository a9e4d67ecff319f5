"""The page of several runs side by side: what each takes, how it got there, and every layer."""

from html import escape
from pathlib import Path

from chameleon_ray.errors import UserError
from chameleon_ray.printable import printable
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.course import Course
from chameleon_ray.report.difference import columns
from chameleon_ray.report.figure import Columns, Drawings, Figure, Mark, View
from chameleon_ray.report.format import counted, digits
from chameleon_ray.report.model_figure import LABEL
from chameleon_ray.report.page import page, section
from chameleon_ray.report.summary import write_text
from chameleon_ray.runs.comparing import RUNS, Comparison
from chameleon_ray.runs.courses import course_of

HEIGHT = 360
MOST = 3.0
"""How far above the best end the picture reaches, as a multiple; what was slower is cut off."""
COLOURS = 9
TIME, COUNT, LATENCY, RUN = "minutes", "measurements", "sum of layers, ms", "run"


def side_by_side(found: Comparison) -> str:
    """Returns the whole page, which needs no network; every text of a run is escaped."""
    drawings = Drawings()
    head = "<header><h1>Runs compared</h1></header>"
    return page("Runs compared", head + body(found, drawings), drawings)


def write(file: Path, text: str) -> None:
    """Writes a page, whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    try:
        write_text(file, text)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def body(found: Comparison, drawings: Drawings) -> str:
    """Returns the sections of the page as HTML, and places its figures among ``drawings``."""
    notes = "".join(f"<p>{safe(note)}</p>" for note in found.notes)
    courses = {name: course_of(run) for name, run in zip(found.names, found.runs, strict=True)}
    known = {name: course for name, course in courses.items() if course is not None}
    figure = drawings.place(courses_figure(known)) if known else ""
    layers = html_table(escaped(columns(found.names)), found.layers, "Layers in each run")
    return (
        section("runs", "Runs", html_table(escaped(RUNS), found.rows, "The runs") + notes)
        + (section("courses", "How they got there", figure) if known else "")
        + section("layers", "Layers", layers)
    )


def courses_figure(courses: dict[str, Course]) -> Figure:
    """Declares the figure of what the model took in each run, by time and by measurements.

    A sum that lacks layers is no model's, and only drawn where there is no other.
    """
    drawn = {name: course for name, course in courses.items() if not course.left_out} or courses
    colours = {name: f"var(--s{n % COLOURS})" for n, name in enumerate(drawn)}
    ends = {name: course.points[-1].best_ms for name, course in drawn.items()}
    points = [point for course in drawn.values() for point in course.points]
    values = [point.best_ms for point in points]
    lasts = {
        TIME: max(point.seconds for point in points) / 60,
        COUNT: max(point.measurements for point in points),
    }
    low = min(values)
    high = max(min(max(values), MOST * low), *ends.values()) * 1.02
    options = {
        "height": HEIGHT,
        "y": {"label": LABEL, "domain": [0.96 * low, high], "grid": True},
        "color": {"domain": list(colours), "range": list(colours.values())},
    }
    views = tuple(
        View(label, _marks(drawn, x), options | {"x": {"label": x, "domain": [0, lasts[x]]}})
        for label, x in (("over time", TIME), ("over measurements", COUNT))
    )
    said = ", ".join(_end(name, course) for name, course in courses.items())
    told = f"Sum of the layers' best latencies in the search; at its end: {said}."
    legend = tuple(colours.items())
    return Figure("courses-figure", "The whole model", told, views, None, legend)


def _end(name: str, course: Course) -> str:
    """Tells what the layers of a run took in the end, and how many were never timed."""
    lacking = f" without {counted(course.left_out, 'layer')} never timed" * bool(course.left_out)
    return f"{name} {digits(course.points[-1].best_ms)} ms{lacking}"


def escaped(table: tuple[Column, ...]) -> tuple[Column, ...]:
    """Returns the columns of a table for a terminal as those of a page."""

    def one(column: Column) -> Column:
        return Column(safe(column.title), column.kind, lambda row: safe(column.cell(row)))

    return tuple(map(one, table))


def safe(text: str) -> str:
    """Returns a text as HTML that shows it, control characters and all."""
    return escape(printable(text))


def _marks(courses: dict[str, Course], x: str) -> tuple[Mark, ...]:
    rows = [(name, point) for name, course in courses.items() for point in course.points]
    data: Columns = {
        RUN: [name for name, _ in rows],
        TIME: [point.seconds / 60 for _, point in rows],
        COUNT: [point.measurements for _, point in rows],
        LATENCY: [point.best_ms for _, point in rows],
    }
    at = {"x": x, "y": LATENCY, "stroke": RUN, "clip": True}
    return (
        Mark("line", data, at | {"strokeWidth": 2, "curve": "step-after", "z": RUN}),
        Mark("dot", data, at | {"r": 2, "fill": RUN, "tip": True, "channels": {RUN: RUN}}),
    )
