"""The top of a report: the tuned model's latency beside what its user would run instead."""

from dataclasses import dataclass
from html import escape

from chameleon_ray.record import own
from chameleon_ray.report.charts import length
from chameleon_ray.report.format import clock, milliseconds, percent, times
from chameleon_ray.report.headline import headline_of
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.report.result import UNTUNED, Latency, RunResult

BEYOND = 3.0
"""How much longer than all others untuned TVM's bar may be; where it is longer, it has none."""


@dataclass(frozen=True)
class Timed:
    """Something that was timed as a whole: its name for people, latency, and note."""

    name: str
    latency: Latency
    note: str = ""


def hero(result: RunResult) -> str:
    """Renders the latencies, and whether the outputs are right."""
    if result.tuned is None:
        return f'<p class="hero">Not timed as a whole</p>{_verdict(result)}'
    return (
        f'<p class="hero">{milliseconds(result.tuned.seconds)} <small>ms, tuned, on '
        f"{escape(result.device)}</small></p>{_rivals(result)}{_verdict(result)}"
    )


def facts(result: RunResult) -> str:
    """Renders what else is known of the run in few words."""
    rows = result.layers
    found = {
        "Wall time": clock(result.wall_seconds),
        "Measurements": str(len(own(result.records))),
        "Device busy": percent(result.device_busy_fraction),
        "Layers faster": f"{sum((row.speedup or 0) > 1 for row in rows)} of {len(rows)}",
        "Layers at default": str(sum(row.kept_default for row in rows)),
    }
    listed = "".join(
        f"<div><dt>{key}</dt><dd>{escape(value)}</dd></div>" for key, value in found.items()
    )
    return f'<dl class="facts">{listed}</dl>'


def _timed(result: RunResult) -> list[Timed]:
    """Returns all that was timed, the tuned model first and untuned TVM last."""
    assert result.tuned is not None
    found = [Timed("tuned", result.tuned)]
    found += [
        Timed(one.name, one.latency, one.version)
        for one in result.comparison
        if one.latency is not None
    ]
    return found + ([Timed(UNTUNED, result.untuned)] if result.untuned else [])


def _rivals(result: RunResult) -> str:
    """Renders a bar for each latency; untuned TVM's may be far too long for one."""
    assert result.tuned is not None
    timed = _timed(result)
    others = [one for one in timed if one.name != UNTUNED] if len(timed) > 2 else timed
    longest = max(one.latency.seconds for one in others)
    rows = "".join(_rival(one, result.tuned, longest) for one in timed)
    head = (
        '<tr><th scope="col">what</th><th scope="col">median latency</th>'
        '<th scope="col" class="num">ms</th><th scope="col" class="num">against tuned</th></tr>'
    )
    notes = escape(" ".join(headline_of(result).notes))
    return (
        f'<table class="rivals"><caption class="hidden">Latency of the whole model</caption>'
        f'<thead>{head}</thead><tbody>{rows}</tbody></table><p class="soft">{notes}</p>'
    )


def _rival(one: Timed, tuned: Latency, longest: float) -> str:
    share = one.latency.seconds / longest
    drawn = (
        length(min(share, 1.0)) if share <= BEYOND else '<span class="soft">off the scale</span>'
    )
    faster = ratio(one.latency.seconds, tuned.seconds)
    style = "" if faster is None or one.latency is tuned else "good" if faster > 1 else "bad"
    said = "" if one.latency is tuned else times(faster)
    note = f" <small>{escape(one.note)}</small>" if one.note else ""
    return (
        f'<tr><th scope="row">{escape(one.name)}{note}</th><td class="wide">{drawn}</td>'
        f'<td class="num">{milliseconds(one.latency.seconds)}</td>'
        f'<td class="num {style}">{said}</td></tr>'
    )


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
