"""The pictures of the report, as SVG and HTML text that the page colours."""

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, isfinite, log10

from chameleon_ray.ledger import Account
from chameleon_ray.report.format import clock, counted, digits, percent
from chameleon_ray.report.layer_history import Point

WIDTH, HEIGHT = 240, 120
LEFT, RIGHT, TOP, BOTTOM = 42, 8, 8, 18
SERIES = 9
"""Number of the page's colours for parts of a bar."""


def convergence(curve: Sequence[Point], default_ms: float) -> str:
    """Draws a layer's best latency over its measurements, log y, with the default as a dashed line.

    Args:
        curve: At least one point.
        default_ms: Milliseconds of the default schedule; not finite where unknown.
    """
    seen = [point.best_ms for point in curve] + ([default_ms] if isfinite(default_ms) else [])
    low, high = min(seen) / 1.12, max(seen) * 1.12
    last = max(curve[-1].measurements, 2)

    def x(measurements: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (measurements - 1) / (last - 1)

    def y(ms: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * log10(high / ms) / log10(high / low)

    parts = [_grid(y(ms), f"{ms:.2g}") for ms in ticks(low, high)]
    if isfinite(default_ms):
        at = f'y1="{y(default_ms):.1f}" y2="{y(default_ms):.1f}"'
        parts.append(f'<line class="default" x1="{LEFT}" x2="{WIDTH - RIGHT}" {at}/>')
    first, *rest = curve
    path = f"M{x(first.measurements):.1f} {y(first.best_ms):.1f}" + "".join(
        f"H{x(point.measurements):.1f}V{y(point.best_ms):.1f}" for point in rest
    )
    parts.append(f'<path class="best" d="{path}"/>')
    parts += [_dot(x(point.measurements), y(point.best_ms), point) for point in curve]
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 5}">1</text>')
    end = f"{last} measurements"
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{end}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def ticks(low: float, high: float) -> list[float]:
    """Returns up to four round values between the ends of a log axis, well apart."""
    decades = range(floor(log10(low)), floor(log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(found) >= 2:
            break
    else:
        found = [low * (high / low) ** part for part in (0.2, 0.8)]
    apart = found[:1]
    for tick in found[1:]:
        if log10(tick / apart[-1]) >= log10(high / low) / 4:
            apart.append(tick)
    return apart


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
    """Draws a small bar for a share of one, with its number; the ``largest`` fills it."""
    if share is None:
        return '<span class="none">-</span>'
    width = 100 * share / largest if largest > 0 else 0.0
    return f'<span class="bar"><i style="width:{width:.1f}%"></i></span>{percent(share)}'


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


def _grid(y: float, label: str) -> str:
    line = f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return f'{line}<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{label}</text>'


def _dot(x: float, y: float, point: Point) -> str:
    words = f"{digits(point.best_ms)} ms after {counted(point.measurements, 'measurement')}"
    title = f"<title>{words}, {clock(point.seconds)}</title>"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6">{title}</circle>'
