"""The report of a run for people: one self-contained HTML page that needs no network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from html import escape
from math import isfinite

from chameleon_ray.layer_names import short_names
from chameleon_ray.options import Request
from chameleon_ray.record import own
from chameleon_ray.report import hero
from chameleon_ray.report.answers import answers, rendered
from chameleon_ray.report.charts import bar, lives
from chameleon_ray.report.columns import Column, html_table
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.explanation import explain
from chameleon_ray.report.failures import devices, endings
from chameleon_ray.report.figure import Drawings
from chameleon_ray.report.format import counted, digits
from chameleon_ray.report.knob_figures import knob_figures
from chameleon_ray.report.knobs import Knobs, knobs_of
from chameleon_ray.report.launching import sentence
from chameleon_ray.report.layer_bars import layer_bars
from chameleon_ray.report.layer_figure import layer_figure
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.layer_result import LayerResult, total
from chameleon_ray.report.layer_table import layer_table
from chameleon_ray.report.loading import needs, snippet
from chameleon_ray.report.model_figure import End, model_figure
from chameleon_ray.report.page import Section, contents, page
from chameleon_ray.report.parts import parts_of, parts_table, told
from chameleon_ray.report.result import Latency, RunResult
from chameleon_ray.report.roofline import roofline
from chameleon_ray.reporting import Reporting

APART = 1.1
"""Ratio of the final timing to the search's best from which the reader is told why."""


def render(result: RunResult, options: Reporting | None = None) -> str:
    """Renders the page; every text of the run is escaped."""
    chosen, drawings = options or Reporting(), Drawings()
    shorts, records = short_names(result.tasks, chosen.name_width), own(result.records)
    names = {task.digest: shorts[task.layer] for task in result.tasks}
    sections = [
        Section("short", "In short", rendered(answers(result, names))),
        Section("model", "The whole model", _model(result, names, drawings)),
        Section("layers", "Layers", _layers(result, names, drawings)),
        Section("convergence", "Convergence", _convergence(result.layers, names, drawings)),
        Section("parts", "What the parts of the system brought", _parts(result)),
        Section("search", "Inside the search", _search(result, names, chosen, drawings)),
        Section("failures", "Measurements and failures", endings(records, chosen)),
        Section("time", "Where the time went", _time(result, devices(records))),
        Section("loading", "Loading the model", _loading(result)),
        Section("settings", "Settings", _settings(result)),
    ]
    top = f"<header>{_headline(result)}</header>{contents(sections)}"
    body = "".join(one.html for one in sections)
    return page(f"{result.model}: tuning report", body, drawings, top)


def _headline(result: RunResult) -> str:
    said = [sentence(result.launching) if result.launching else "", explain(result) or ""]
    said += needs(result.libraries, result.versions) if result.tuned is not None else []
    why = "".join(f"<p>{escape(each)}</p>" for each in said if each)
    return f"<h1>{escape(result.model)}</h1>{hero.hero(result)}{why}{hero.facts(result)}"


def _model(result: RunResult, names: Mapping[str, str], drawings: Drawings) -> str:
    course = Course.of(layers_of(result.tasks), result.records)
    if not course.points:
        return '<p class="soft">No measurement succeeded.</p>'
    layers_ms = 1e3 * total(result.layers, [row.best for row in result.layers])
    others = {
        one.name: 1e3 * one.latency.seconds for one in result.comparison if one.latency is not None
    }
    end = End(result.wall_seconds, layers_ms, _ms(result.tuned), _ms(result.untuned), others)
    figure = model_figure(course, end, names)
    if 2 * course.left_out > len(result.layers):  # a picture would show next to nothing
        return f"<p>{escape(figure.told)}</p>"
    return drawings.place(figure)


def _ms(latency: Latency | None) -> float | None:
    return 1e3 * latency.seconds if latency else None


def _layers(result: RunResult, names: dict[str, str], drawings: Drawings) -> str:
    rows, ceiling = result.layers, result.ceiling
    roof = roofline(rows, ceiling, names) if ceiling is not None else None
    placed = drawings.place(roof) if roof is not None else ""
    return f"{layer_bars(rows, ceiling)}{placed}{layer_table(rows, ceiling)}"


def _convergence(rows: Sequence[LayerResult], names: Mapping[str, str], drawings: Drawings) -> str:
    ordered = sorted((row for row in rows if row.curve), key=_time_in_model)
    figures = "".join(_figure(row, _called(row, names), drawings) for row in ordered)
    missing = [_called(row, names) for row in rows if not row.curve]
    without = f"{counted(len(missing), 'layer')} without a successful measurement"
    rest = f"<p>{without}: {', '.join(map(layer_name, missing))}.</p>" if missing else ""
    note = (
        "Best latency in ms (log scale) over the measurements of all lowerings of a layer; dashed: "
        "the default schedule; diamond: the winner in the final timing, where finalists took "
        "turns with the default, which is what the table says."
    )
    drawn = f'<p class="soft">{note}</p><div class="plots">{figures}</div>' if figures else ""
    return f"{drawn}{rest}"


def _time_in_model(row: LayerResult) -> float:
    """A key that sorts by time, the most first and the unknown last."""
    return -row.task.weight * row.best if isfinite(row.best) else 0.0


def _figure(row: LayerResult, name: str, drawings: Drawings) -> str:
    place = f"curve-{row.task.digest}"
    figure = layer_figure(place, name, row.curve, 1e3 * row.default, 1e3 * row.best)
    return drawings.place(replace(figure, told=f"{figure.told}{_gap(row)}"))


def _gap(row: LayerResult) -> str:
    """Says why the final timing is far from the curve's end; empty where it is not."""
    ratio = 1e3 * row.best / row.curve[-1].best_ms
    if not isfinite(ratio) or 1 / APART < ratio < APART:
        return ""
    if row.kept_default:
        return f" The default schedule was kept: {row.reason}." if row.reason else ""
    return (
        f" That is {digits(ratio)} times what the search saw, where the least of "
        f"{counted(row.measurements, 'measurement')} counts, each made at a time of its own."
    )


def _parts(result: RunResult) -> str:
    parts = parts_of(result)
    return f'<p class="soft">{escape(told(parts, result))}</p>{parts_table(parts)}'


def _search(
    result: RunResult, names: Mapping[str, str], options: Reporting, drawings: Drawings
) -> str:
    known: dict[str, Knobs] = {}
    for row in sorted(result.layers, key=_time_in_model):
        mine = [record for record in own(result.records) if record.task == row.task.digest]
        if len(known) < options.judged and (found := knobs_of(row.task.space, mine)) is not None:
            known[_called(row, names)] = found
    if not known:
        return '<p class="soft">No layer has enough measurements to be judged.</p>'
    figures = "".join(drawings.place(figure) for figure in knob_figures(known))
    return f'<div class="pair wide">{figures}</div>'


def _called(row: LayerResult, names: Mapping[str, str]) -> str:
    """Returns a name that no other layer has, and what the layer computes."""
    name = names[row.task.digest]
    return f"{name} · {row.task.what}" if row.task.what else name


def _time(result: RunResult, devices: str) -> str:
    spent = [(phase, seconds) for phase, seconds in result.seconds.items() if seconds > 0]
    most = max((seconds for _, seconds in spent), default=0.0)
    whole = sum(seconds for _, seconds in spent)
    columns: tuple[Column[tuple[str, float]], ...] = (
        Column("phase", "text", lambda part: escape(part[0])),
        Column("seconds", "number", lambda part: digits(part[1])),
        Column("share", "share", lambda part: bar(part[1] / whole, most / whole)),
    )
    phases = html_table(columns, spent, "Seconds by phase, summed over all processes")
    busy = lives(result.processes) if result.processes else ""
    return f'{busy}<div class="pair note">{phases}{devices}</div>'


def _loading(result: RunResult) -> str:
    if result.tuned is None:
        return '<p class="soft">No tuned model was made.</p>'
    return f'<pre tabindex="0">{escape(snippet(result))}</pre>'


def _settings(result: RunResult) -> str:
    system = {
        "target": result.target,
        "seed": result.seed,
        "preset": result.preset,
        "explorer": result.explorer if result.walked else f"{result.explorer}, which never ran",
        "sampler": result.sampler,
    }
    usual = dict(_leaves(asdict(Request(""))))
    given = {n: v for n, v in _leaves(result.settings) if n not in usual or v != usual[n]}
    caption = "Options of the run; all others have their defaults"
    options = _pairs("option", given | system, caption)
    versions = _pairs("package", result.versions, "Versions of packages") if result.versions else ""
    return f'<div class="pair">{options}{versions}</div>'


def _leaves(options: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Yields all options and those inside of them, under names such as ``measuring.repeats``."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _pairs(title: str, pairs: Mapping[str, object], caption: str) -> str:
    columns: tuple[Column[tuple[str, object]], ...] = (
        Column(title, "text", lambda pair: escape(str(pair[0]))),
        Column("value", "text", lambda pair: f"<code>{escape(_written(pair[1]))}</code>"),
    )
    return html_table(columns, pairs.items(), caption)


def _written(value: object) -> str:
    """Writes a value; a list without its brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
