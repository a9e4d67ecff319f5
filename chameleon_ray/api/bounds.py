"""The bounds of numbers that options may have, and that no type of theirs tells."""

from math import isfinite

from chameleon_ray.errors import UserError
from chameleon_ray.options import Request

MOST_SEED = 2**64 - 1
"""Largest seed that torch takes."""


def demand_bounds(request: Request) -> None:
    """Raises a ``UserError`` where a number of a request is out of bounds."""
    if request.minutes is not None and not isfinite(request.minutes):
        raise UserError(
            f"--minutes {request.minutes} is no number; for no limit of time give --trials alone."
        )
    if request.seed > MOST_SEED:
        raise UserError(f"--seed {request.seed} is too large; give {MOST_SEED} at most.")
