"""Formats the numbers of a run as people read them; what is unknown becomes a dash."""

from math import floor, isfinite, log10

UNKNOWN = "-"


def milliseconds(seconds: float) -> str:
    """Formats seconds as milliseconds with three significant digits, without the unit."""
    return digits(1e3 * seconds)


def digits(number: float | None) -> str:
    """Formats a number with three significant digits, never in scientific notation."""
    if number is None or not isfinite(number):
        return UNKNOWN
    rounded = float(f"{number:.3g}")
    places = 2 - floor(log10(abs(rounded))) if rounded else 0
    return f"{rounded:.{min(max(places, 0), 9)}f}"


def times(ratio: float | None) -> str:
    """Formats a speed-up."""
    return UNKNOWN if ratio is None or not isfinite(ratio) else f"{ratio:.2f}x"


def percent(share: float | None) -> str:
    """Formats a share of one in per cent."""
    return UNKNOWN if share is None or not isfinite(share) else f"{100 * share:.1f}%"


def clock(seconds: float | None) -> str:
    """Formats seconds as ``m:ss`` or ``h:mm:ss``."""
    if seconds is None or not isfinite(seconds):
        return UNKNOWN
    minutes, rest = divmod(max(0, floor(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def counted(number: int, noun: str) -> str:
    """Puts a noun to a number, in the plural where it must be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ago(seconds: float) -> str:
    """Formats a time that has passed by its largest unit, as ``3 h``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{floor(seconds / length)} {unit}"
    return f"{max(0, floor(seconds))} s"


def size(count: float) -> str:
    """Formats a number of bytes, as ``149 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
