"""Where a tuned model's time goes, layer by layer, beside what the machine allows: bars of HTML.

A name is above its bar and has as many lines as it needs, so it can be read on a phone, too.
"""

from collections.abc import Sequence
from html import escape
from math import isfinite

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.figure import legend
from chameleon_ray.report.format import counted, milliseconds, percent
from chameleon_ray.report.layer_name import layer_name
from chameleon_ray.report.layer_result import LayerResult
from chameleon_ray.report.roofline import Reach, reach

MOST = 16
"""Most layers that are drawn, those that take most time."""


def layer_bars(rows: Sequence[LayerResult], ceiling: Ceiling | None) -> str:
    """Renders the bars and what can be seen in them; layers that were never timed are counted."""
    known = [row for row in rows if isfinite(row.best)]
    known.sort(key=lambda row: -row.task.weight * row.seconds)
    drawn = known[:MOST]
    whole = sum(row.task.weight * row.seconds for row in known)
    keys = [("time in the model", "var(--best)")]
    keys += [("the machine's limit", "var(--deep)")] if ceiling is not None else []
    told = escape(_told(drawn, known, len(rows) - len(known), whole, ceiling))
    longest = max((row.task.weight * row.seconds for row in drawn), default=0.0)
    bars = "".join(_bar(row, reach(row, ceiling), whole, longest) for row in drawn)
    shown = f'{legend(keys)}<ol class="bars">{bars}</ol>' if drawn else ""
    return (
        '<figure id="layer-time"><figcaption><b>Where the model\'s time goes</b>'
        f"<span>{told}</span></figcaption>{shown}</figure>"
    )


def _told(
    drawn: Sequence[LayerResult],
    known: Sequence[LayerResult],
    untimed: int,
    whole: float,
    ceiling: Ceiling | None,
) -> str:
    if not drawn:
        return "No layer was timed."
    told = f"The {counted(len(drawn), 'layer')} that take most of the tuned model's time."
    if len(known) > len(drawn):
        rest = sum(row.task.weight * row.seconds for row in known[MOST:])
        told += f" The other {len(known) - MOST} take {percent(rest / whole)}."
    if untimed:
        told += (
            f" {counted(untimed, 'layer')} more had no time to be measured: shares are of those "
            "that had."
        )
    if ceiling is not None:
        told += " The part at the left is the least that the machine allows: no more than the rest "
        told += "can be gained."
    return told


def _bar(row: LayerResult, found: Reach | None, whole: float, longest: float) -> str:
    seconds = row.task.weight * row.seconds
    limit = min(found.share, 1.0) if found is not None else 0.0
    inner = f'<i style="width:{100 * limit:.1f}%"></i>' if limit > 0 else ""
    times = f" ({row.task.weight:g} times {milliseconds(row.seconds)})"
    several = times if row.task.weight != 1 else ""
    return (
        f'<li><span class="layer">{layer_name(row.title)}</span>'
        f'<span class="long"><span style="width:{100 * seconds / longest:.2f}%">{inner}</span>'
        f"</span><span><b>{percent(seconds / whole)}</b> {milliseconds(seconds)} ms{several}</span>"
        "</li>"
    )
