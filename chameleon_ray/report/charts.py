"""The pictures of the report, as SVG and HTML text that the page colours."""

from collections.abc import Mapping, Sequence
from html import escape

from chameleon_ray.ledger import Account
from chameleon_ray.report.format import clock, digits, percent

SERIES = 9
"""Number of the page's colours for parts of a bar."""


def lives(processes: Sequence[Account]) -> str:
    """Draws one stacked bar per process: busy by phase, then waiting; all on one scale.

    A legend precedes the bars.
    """
    phases = list(dict.fromkeys(phase for process in processes for phase in process.busy))
    longest = max((process.total for process in processes), default=0.0)
    rows = "".join(_life(process, phases, longest) for process in processes)
    keys = "".join(_key(phase, f"s{n % SERIES}") for n, phase in enumerate(phases))
    return f'<p class="legend">{keys}{_key("waiting", "waits")}</p><div class="lives">{rows}</div>'


def bar(share: float | None, largest: float = 1.0) -> str:
    """Draws a small bar for a share of one, with its number; the ``largest`` or more fills it."""
    if share is None:
        return '<span class="none">-</span>'
    return f"{length(min(share / largest, 1.0) if largest > 0 else 0.0)}{percent(share)}"


def length(share: float) -> str:
    """Draws a small bar of which a share of one is filled."""
    return f'<span class="bar"><i style="width:{100 * share:.1f}%"></i></span>'


def _life(process: Account, phases: Sequence[str], longest: float) -> str:
    spans: Mapping[str, str] = {phase: f"s{n % SERIES}" for n, phase in enumerate(phases)}
    parts = [(phase, seconds, spans[phase]) for phase, seconds in process.busy.items()]
    parts.append(("waiting", process.starting + process.waiting, "waits"))
    whole = max(longest, process.busy_seconds) or 1.0
    bars = "".join(
        f'<i class="{style}" style="width:{100 * seconds / whole:.2f}%" '
        f'title="{escape(phase)}: {digits(seconds)} s"></i>'
        for phase, seconds, style in parts
        if seconds > 0
    )
    alive = process.total
    busy = f"{100 * process.busy_seconds / alive:.0f}% of {clock(alive)}" if alive > 0 else "-"
    name = escape(process.name)
    return f'<span>{name}</span><span class="life">{bars}</span><span class="num">{busy}</span>'


def _key(name: str, style: str) -> str:
    return f'<span><i class="{style}"></i>{escape(name)}</span>'
