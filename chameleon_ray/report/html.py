"""The report of a run for people: one self-contained HTML page that needs no network."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from chameleon_ray.record import Record, Status, own
from chameleon_ray.report.charts import bar, lives
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import clock, digits, milliseconds, percent, times
from chameleon_ray.report.launching import sentence
from chameleon_ray.report.layer_figure import layer_figure
from chameleon_ray.report.layer_result import LayerResult, total
from chameleon_ray.report.layer_table import layer_name, layer_table
from chameleon_ray.report.loading import needs, snippet
from chameleon_ray.report.model_figure import End, model_figure
from chameleon_ray.report.page import page, section
from chameleon_ray.report.remaining import told
from chameleon_ray.report.result import Latency, RunResult
from chameleon_ray.report.summary import explain
from chameleon_ray.reporting import Reporting

ERRORS: tuple[Column[tuple[Status, str, int]], ...] = (
    Column("status", "text", lambda error: error[0].value),
    Column("count", "number", lambda error: str(error[2])),
    Column("commonest errors", "text", lambda error: f"<code>{escape(error[1])}</code>"),
)
"""Columns of the table of errors; a row has the status, the text and the count."""


def render(result: RunResult, options: Reporting | None = None) -> str:
    """Renders the page; every text of the run is escaped."""
    drawings = Drawings()
    sections = [
        _headline(result),
        section("model", "The whole model", _model(result, drawings)),
        section("layers", "Layers", _layers(result.layers)),
        section("convergence", "Convergence", _convergence(result.layers, drawings)),
        section("time", "Where the time went", _time(result)),
        section(
            "measurements",
            "Measurements",
            _measurements(own(result.records), options or Reporting()),
        ),
        section("loading", "Loading the model", _loading(result)),
        section("settings", "Settings", _settings(result)),
    ]
    return page(f"{result.model}: tuning report", "".join(sections), drawings)


def commonest(records: Sequence[Record], options: Reporting) -> list[tuple[Status, str, int]]:
    """Returns status, text and count of the commonest errors.

    Texts that differ in numbers only count as one.
    """
    texts: dict[tuple[Status, str], str] = {}
    counts: Counter[tuple[Status, str]] = Counter()
    for record in records:
        if record.status is Status.OK:
            continue
        said = _said(record.error, options.error_width)
        kind = (record.status, re.sub(r"0x[0-9a-fA-F]+|\d+", "#", said))
        texts.setdefault(kind, said)
        counts[kind] += 1
    return [(kind[0], texts[kind], n) for kind, n in counts.most_common(options.errors)]


def _headline(result: RunResult) -> str:
    rows = result.layers
    facts = {
        "Device": result.device,
        "Wall time": clock(result.wall_seconds),
        "Measurements": str(len(own(result.records))),
        "Device busy": percent(result.device_busy_fraction),
        "Layers faster": f"{sum((row.speedup or 0) > 1 for row in rows)} of {len(rows)}",
        "Layers at default": str(sum(row.kept_default for row in rows)),
    }
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{escape(value)}</dd></div>" for key, value in facts.items()
    )
    said = [sentence(result.launching) if result.launching else "", explain(result) or ""]
    said.append(told(result))
    said += needs(result.libraries) if result.tuned is not None else []
    why = "".join(f"<p>{escape(each)}</p>" for each in said if each)
    return (
        f"<header><h1>{escape(result.model)}</h1>{_hero(result)}{_verdict(result)}{why}"
        f'<dl class="facts">{listed}</dl></header>'
    )


def _hero(result: RunResult) -> str:
    if result.untuned is None or result.tuned is None:
        return '<p class="hero">Not timed as a whole</p>'
    style = "good" if (result.speedup or 0) > 1 else "bad"
    spreads = f"{_spread(result.untuned)} before, {_spread(result.tuned)} after"
    return (
        f'<p class="hero">{milliseconds(result.untuned.seconds)} &rarr; '
        f"{milliseconds(result.tuned.seconds)} <small>ms</small> "
        f'<span class="{style}">{times(result.speedup)}</span></p>'
        f'<p class="soft">Median latency of the whole model; interquartile range {spreads}.</p>'
    )


def _spread(latency: Latency) -> str:
    return f"{milliseconds(latency.spread)} ms"


def _verdict(result: RunResult) -> str:
    verified = result.verified
    if verified is None:
        return '<p class="soft">Outputs were not compared.</p>'
    errors = verified.errors
    against = escape(verified.against)
    if verified.outcome == "verified":
        return f'<p><b class="good">Verified</b>: same outputs as {against}, {errors}.</p>'
    if verified.outcome == "unverified":
        return (
            f'<p><b class="bad">Not verified</b>: compared with {against} only, which imported the '
            f"model, {errors}.</p>"
        )
    return (
        f'<p><b class="bad">Not verified</b>: outputs differ from those of {against}, {errors}; '
        f"{escape(verified.fault)}.</p>"
    )


def _layers(rows: Sequence[LayerResult]) -> str:
    note = "Most time first; the time is a layer's share of the weighted sum of all layers."
    return f'<p class="soft">{note}</p>{layer_table(rows)}'


def _model(result: RunResult, drawings: Drawings) -> str:
    course = Course.of(layers_of(result.tasks), result.records)
    if not course.points:
        return '<p class="soft">No measurement succeeded.</p>'
    layers_ms = 1e3 * total(result.layers, [row.best for row in result.layers])
    end = End(result.wall_seconds, layers_ms, _ms(result.tuned), _ms(result.untuned))
    return drawings.place(model_figure(course, end, {t.digest: t.name for t in result.tasks}))


def _ms(latency: Latency | None) -> float | None:
    return 1e3 * latency.seconds if latency else None


def _convergence(rows: Sequence[LayerResult], drawings: Drawings) -> str:
    ordered = sorted(rows, key=lambda row: -row.task.weight * row.default)
    figures = "".join(_figure(row, drawings) for row in ordered)
    note = (
        "Best latency in ms (log scale) over measurements; dashed: the default schedule; diamond: "
        "the final timing."
    )
    return f'<p class="soft">{note}</p><div class="plots">{figures}</div>'


def _figure(row: LayerResult, drawings: Drawings) -> str:
    if not row.curve:
        head = f"<figcaption><b>{layer_name(row.title)}</b></figcaption>"
        return f'<figure class="small">{head}<p class="soft">No measurement succeeded.</p></figure>'
    name = f"curve-{row.task.digest}"
    return drawings.place(
        layer_figure(name, row.title, row.curve, 1e3 * row.default, 1e3 * row.best)
    )


def _time(result: RunResult) -> str:
    spent = [(phase, seconds) for phase, seconds in result.seconds.items() if seconds > 0]
    most = max((seconds for _, seconds in spent), default=0.0)
    whole = sum(seconds for _, seconds in spent)
    columns: tuple[Column[tuple[str, float]], ...] = (
        Column("phase", "text", lambda part: escape(part[0])),
        Column("seconds", "number", lambda part: digits(part[1])),
        Column("share", "share", lambda part: bar(part[1] / whole, most / whole)),
    )
    phases = html_table(columns, spent)
    busy = lives(result.processes) if result.processes else ""
    note = "Seconds by phase, summed over all processes, which work at the same time."
    return f'{busy}<p class="soft note">{note}</p><div class="pair">{phases}</div>'


def _measurements(records: Sequence[Record], options: Reporting) -> str:
    counts = Counter(record.status for record in records)
    total = max(len(records), 1)
    columns: tuple[Column[Status], ...] = (
        Column("status", "text", lambda status: status.value),
        Column("count", "number", lambda status: str(counts[status])),
        Column("share", "share", lambda status: bar(counts[status] / total)),
    )
    errors = commonest(records, options)
    texts = html_table(ERRORS, errors) if errors else ""
    return f'<div class="pair">{html_table(columns, Status)}{texts}</div>'


def _said(error: str, width: int) -> str:
    """Returns the line of a text that says most: a traceback's last, any other text's first."""
    told = [line.strip() for line in error.splitlines() if line.strip()] or ["(no text)"]
    line = told[-1] if told[0].startswith("Traceback") else told[0]
    return line if len(line) <= width else line[:width] + "..."


def _loading(result: RunResult) -> str:
    if result.tuned is None:
        return '<p class="soft">No tuned model was made.</p>'
    return f"<pre>{escape(snippet(result))}</pre>"


def _settings(result: RunResult) -> str:
    system = {
        "target": result.target,
        "seed": result.seed,
        "preset": result.preset,
        "explorer": result.explorer if result.walked else f"{result.explorer}, which never ran",
        "sampler": result.sampler,
    }
    options = _pairs("option", system | dict(result.settings))
    versions = _pairs("package", result.versions) if result.versions else ""
    return f'<div class="pair">{options}{versions}</div>'


def _pairs(title: str, pairs: Mapping[str, object]) -> str:
    columns: tuple[Column[tuple[str, object]], ...] = (
        Column(title, "text", lambda pair: escape(str(pair[0]))),
        Column("value", "text", lambda pair: f"<code>{escape(str(pair[1]))}</code>"),
    )
    return html_table(columns, pairs.items())
