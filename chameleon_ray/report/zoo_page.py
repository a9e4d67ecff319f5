"""The report of a zoo: one self-contained HTML page that leads to every model's report."""

from dataclasses import replace
from html import escape
from math import inf

from chameleon_ray.layer_names import short_names, title
from chameleon_ray.report.answers import rendered
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import milliseconds, times
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.model_figure import model_figure
from chameleon_ray.report.page import page, section
from chameleon_ray.report.result import UNTUNED
from chameleon_ray.report.zoo import ZooResult
from chameleon_ray.report.zoo_answers import zoo_answers
from chameleon_ray.report.zoo_comparison import means
from chameleon_ray.report.zoo_message import searched
from chameleon_ray.report.zoo_table import models_table
from chameleon_ray.reporting import Reporting
from chameleon_ray.task import Task

MOST_LAYERS = 50
"""Most shared layers that are listed, those in most models first."""


def render(result: ZooResult) -> str:
    """Renders the page; every text of the zoo is escaped."""
    said = [f"On {result.device}.", *searched(result), *result.buckets]
    words = f'<p class="soft">{escape(" ".join(said))}</p>'
    drawings = Drawings()
    top = (
        f"<header><h1>{escape(str(result.file))}</h1>"
        f'<p class="hero">{_hero(result)}</p>{words}</header>'
    )
    body = (
        section("short", "In short", rendered(zoo_answers(result)))
        + section("models", "Models", models_table(result.entries))
        + section("convergence", "Convergence", _convergence(result, drawings))
        + section("shared", "Layers of several models", _shared(result))
    )
    return page(f"{result.file}: tuning report", body, drawings, top)


def _hero(result: ZooResult) -> str:
    """Renders how much faster the models are than the fastest that their user would run instead."""
    found = means([entry.result for entry in result.entries])
    if not found:
        return "<small>no model was timed</small>"
    others = [one for one in found if one.other != UNTUNED]
    least = min(others or found, key=lambda one: one.times)
    style = "good" if least.times > 1 else "bad"
    words = f"{least.words}, geometric mean"
    return f'<span class="{style}">{times(least.times)}</span> <small>{escape(words)}</small>'


def _convergence(result: ZooResult, drawings: Drawings) -> str:
    tasks = result.merged.tasks
    course = Course.of(layers_of(tasks), result.records)
    if not course.points:
        return '<p class="soft">No layer was timed.</p>'
    shorts = short_names(tasks, Reporting.name_width)
    figure = model_figure(course, None, {task.digest: shorts[task.layer] for task in tasks})
    note = (
        "Weighted sum of all layers' best latencies, from the first moment at which each layer had "
        "one; weights are how often a layer occurs, times the importance of its models."
    )
    whole = replace(figure, title="All layers of the zoo")
    return f'<p class="soft">{note}</p>{drawings.place(whole)}'


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
