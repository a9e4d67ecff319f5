"""Round values for the axes of figures."""

from math import floor, log10


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


def whole_ticks(last: int) -> list[int]:
    """Returns the first, the middle and the last of whole numbers from 1 on."""
    return sorted({1, (1 + last) // 2, last})
