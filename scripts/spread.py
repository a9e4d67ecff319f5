"""Sums up a benchmark's repeated figures by their median and spread."""

from collections.abc import Sequence
from statistics import median, quantiles


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and interquartile range; 0 of a single value."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (0, 0, 0)
    return {"median": median(values), "spread": high - low}
