"""The report of a zoo: one self-contained HTML page that leads to every model's report."""

from html import escape
from math import inf

from chameleon_ray.layer_names import title
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import milliseconds, times
from chameleon_ray.report.layer_figure import layer_figure
from chameleon_ray.report.layer_table import layer_name
from chameleon_ray.report.page import page, section
from chameleon_ray.report.zoo import SHARED_COLUMNS, ZooEntry, ZooResult, outputs, sentences
from chameleon_ray.task import Task

MOST_LAYERS = 50
"""Most shared layers that are listed, those in most models first."""
PAGE_COLUMNS: tuple[Column[ZooEntry], ...] = (
    Column("model", "text", lambda entry: _name(entry)),
    Column("weight", "number", lambda entry: f"{entry.weight:g}"),
    *SHARED_COLUMNS,
    Column("outputs", "text", lambda entry: _outcome(entry)),
)
"""Columns of the table of models."""


def render(result: ZooResult) -> str:
    """Renders the page; every text of the zoo is escaped."""
    words = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(result)[:-1])
    drawings = Drawings()
    top = (
        f'<header><h1>{escape(str(result.file))}</h1><p class="hero"><span class="good">'
        f"{times(result.speedup)}</span> <small>geometric mean</small></p>{words}</header>"
    )
    models = html_table(PAGE_COLUMNS, result.entries, "Models of the zoo")
    body = (
        section("models", "Models", models)
        + section("convergence", "Convergence", _convergence(result, drawings))
        + section("shared", "Layers of several models", _shared(result))
    )
    return page(f"{result.file}: tuning report", body, drawings, top)


def _name(entry: ZooEntry) -> str:
    name = escape(entry.name)
    if entry.result is None:
        return name
    return f'<a href="models/{name}/report.html">{name}</a>'


def _outcome(entry: ZooEntry) -> str:
    if entry.problem:
        return f'<span class="bad">{escape(outputs(entry))}</span>: {escape(entry.problem)}'
    tone = "bad" if entry.unverified else "good"
    return f'<span class="{tone}">{escape(outputs(entry))}</span>'


def _convergence(result: ZooResult, drawings: Drawings) -> str:
    if not result.curve:
        return '<p class="soft">Not every layer was timed.</p>'
    note = (
        "Weighted sum of all layers' best latencies in ms (log scale) over measurements, from the "
        "first at which each layer had one."
    )
    figure = drawings.place(layer_figure("course", "All layers", result.curve))
    return f'<p class="soft">{note}</p><div class="plots">{figure}</div>'


def _shared(result: ZooResult) -> str:
    users, best = result.merged.users, dict.fromkeys(result.merged.users, inf)
    for record in result.records:
        best[record.task] = min(best.get(record.task, inf), record.latency)
    shared = [task for task in result.merged.tasks if users[task.digest] > 1]
    if not shared:
        return '<p class="soft">None.</p>'
    shared.sort(key=lambda task: -users[task.digest])
    columns: tuple[Column[Task], ...] = (
        Column("layer", "text", _layer),
        Column("models", "number", lambda task: str(users[task.digest])),
        Column("weight", "number", lambda task: f"{task.weight:g}"),
        Column("best ms", "number", lambda task: milliseconds(best[task.digest])),
    )
    return html_table(columns, shared[:MOST_LAYERS], "Layers that several models have")


def _layer(task: Task) -> str:
    return f'<div class="layer">{layer_name(title(task))}</div>'
