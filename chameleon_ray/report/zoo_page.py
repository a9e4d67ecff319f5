"""A zoo's report: one self-contained HTML page that leads to every model's report."""

from html import escape
from math import inf

from chameleon_ray.report.charts import convergence
from chameleon_ray.report.css import CSS
from chameleon_ray.report.format import milliseconds, times
from chameleon_ray.report.html import table
from chameleon_ray.report.zoo import Entry, ZooResult, cells, outputs, sentences

MOST_LAYERS = 50
"""Most shared layers that are listed, those in most models first."""


def render(result: ZooResult) -> str:
    """Renders the page; every text of the zoo is escaped."""
    title = escape(result.request.model)
    words = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(result)[:-1])
    sections = [
        f'<header><h1>{title}</h1><p class="hero"><span class="good">{times(result.speedup)}'
        f"</span> <small>geometric mean</small></p>{words}</header>",
        _section("Models", _models(result)),
        _section("Convergence", _convergence(result)),
        _section("Layers of several models", _shared(result)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}: tuning report</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _models(result: ZooResult) -> str:
    titles = ["model", "weight#", "layers#", "shared#", "untuned ms#", "tuned ms#", "faster#"]
    rows = [
        [_name(entry), f"{entry.weight:g}", *cells(entry), _outcome(entry)]
        for entry in result.entries
    ]
    return table([*titles, "outputs"], rows)


def _name(entry: Entry) -> str:
    name = escape(entry.name)
    if entry.result is None:
        return name
    return f'<a href="models/{name}/report.html">{name}</a>'


def _outcome(entry: Entry) -> str:
    if entry.problem:
        return f'<span class="bad">{escape(outputs(entry))}</span>: {escape(entry.problem)}'
    return f'<span class="good">{escape(outputs(entry))}</span>'


def _convergence(result: ZooResult) -> str:
    if not result.curve:
        return '<p class="soft">Not every layer was timed.</p>'
    note = (
        "Weighted sum of all layers' best latencies in ms (log scale) over measurements, from the "
        "first at which each layer had one."
    )
    figure = f"<figure>{convergence(result.curve, inf)}</figure>"
    return f'<p class="soft">{note}</p><div class="plots">{figure}</div>'


def _shared(result: ZooResult) -> str:
    users, best = result.merged.users, dict.fromkeys(result.merged.users, inf)
    for record in result.records:
        best[record.task] = min(best.get(record.task, inf), record.latency)
    shared = [task for task in result.merged.tasks if users[task.digest] > 1]
    if not shared:
        return '<p class="soft">None.</p>'
    shared.sort(key=lambda task: -users[task.digest])
    rows = [
        [
            f'<div class="layer">{escape(task.name)}<small>{escape(task.shape)}</small></div>',
            str(users[task.digest]),
            f"{task.weight:g}",
            milliseconds(best[task.digest]),
        ]
        for task in shared[:MOST_LAYERS]
    ]
    return table(["layer", "models#", "weight#", "best ms#"], rows)
