"""The report of a zoo: one self-contained HTML page that leads to every model's report."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from math import inf

from chameleon_ray.layer_names import short_names, title
from chameleon_ray.options import typed
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import milliseconds, percent, times
from chameleon_ray.report.layer_table import layer_name
from chameleon_ray.report.model_figure import model_figure
from chameleon_ray.report.page import page, section
from chameleon_ray.report.zoo import (
    SHARED_COLUMNS,
    ZooEntry,
    ZooResult,
    framework_columns,
    outputs,
    sentences,
)
from chameleon_ray.report.zoo_comparison import means
from chameleon_ray.reporting import Reporting
from chameleon_ray.task import Task

MOST_LAYERS = 50
"""Most shared layers that are listed, those in most models first."""


def render(result: ZooResult) -> str:
    """Renders the page; every text of the zoo is escaped."""
    told = [*sentences(result)[:-1], *result.buckets]
    words = "".join(f"<p>{escape(sentence)}</p>" for sentence in told)
    drawings = Drawings()
    top = (
        f"<header><h1>{escape(str(result.file))}</h1>"
        f'<p class="hero">{_hero(result)}</p>{words}</header>'
    )
    models = html_table(_columns(result.entries), result.entries, "Models of the zoo")
    body = (
        section("short", "In short", _answers(result))
        + section("models", "Models", models)
        + section("convergence", "Convergence", _convergence(result, drawings))
        + section("shared", "Layers of several models", _shared(result))
    )
    return page(f"{result.file}: tuning report", body, drawings, top)


def _hero(result: ZooResult) -> str:
    """Renders how much faster the models are than what their user would run instead."""
    found = means([entry.result for entry in result.entries])
    if not found:
        return "<small>no model was timed</small>"
    style = "good" if found[0].times > 1 else "bad"
    words = f"{found[0].words}, geometric mean"
    return f'<span class="{style}">{times(found[0].times)}</span> <small>{escape(words)}</small>'


def _columns(entries: Sequence[ZooEntry]) -> tuple[Column[ZooEntry], ...]:
    """Returns the columns of the table of models."""
    return (
        Column("model", "text", _name),
        Column("weight", "number", lambda entry: f"{entry.weight:g}"),
        *SHARED_COLUMNS,
        *(replace(one, title=escape(one.title)) for one in framework_columns(entries)),
        Column("outputs", "text", _outcome),
    )


def _answers(result: ZooResult) -> str:
    """Answers what people ask first; the models' own reports say more."""
    again = replace(result.common, model=str(result.file), store="none")
    command = shlex.join(typed(again, "tune" if result.library else "zoo"))
    more = (
        "Each model's report says how near its layers are to the machine's limit, what more time "
        "would bring, and how it compares with what you would run instead."
    )
    found = (
        ("Which layer takes most time?", escape(_most(result))),
        ("How do I repeat it?", f"<pre>{escape(command)}</pre>"),
        ("What else?", more),
    )
    parts = "".join(
        f'<div><h3>{question}</h3><div class="answer">{answer}</div></div>'
        for question, answer in found
    )
    return f'<div class="answers">{parts}</div>'


def _most(result: ZooResult) -> str:
    """Names the layer with the greatest share of the weighted sum of all."""
    weights = {task.layer: task.weight for task in result.merged.tasks}
    layers = {task.digest: task for task in result.merged.tasks}
    best: dict[str, float] = {}
    for record in result.records:
        if record.task in layers and record.latencies:
            layer = layers[record.task].layer
            best[layer] = min(best.get(layer, inf), record.latency)
    if not best:
        return "No layer was timed."
    seconds = {layer: weights[layer] * least for layer, least in best.items()}
    first = max(seconds, key=lambda layer: seconds[layer])
    share = seconds[first] / sum(seconds.values())
    return f"{title(layers[first])}: {percent(share)} of the weighted sum of all layers."


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
