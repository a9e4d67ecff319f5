"""The comparison of a run's library with a baseline, as Markdown and as plain data."""

from chameleon_ray.measure.slowdown import Slowdown


def markdown(name: str, found: Slowdown, limit: float) -> str:
    """Renders the comparison as a table of one row.

    A library that is certainly less slow than the limit is within it, be it slower or faster.
    """
    verdict = "within the limit" if found.clear(limit) else "unclear"
    if found.reaches(limit):
        verdict = "slower"
    return (
        "| run | slower by | chance if equal | pairs | limit | verdict |\n"
        "|---|---|---|---|---|---|\n"
        f"| {name} | {100 * found.share:+.1f} % | {found.chance:.2g} | {found.pairs} "
        f"| {100 * limit:g} % | {verdict} |"
    )


def plain(found: Slowdown, limit: float) -> dict:
    """Returns the comparison as JSON's own types."""
    return {
        "slower_by": found.share,
        "chance_if_equal": found.chance,
        "pairs": found.pairs,
        "limit": limit,
        "slower": found.reaches(limit),
        "clear": found.reaches(limit) or found.clear(limit),
    }
