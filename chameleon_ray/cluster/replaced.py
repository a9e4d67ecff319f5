"""Puts something else in the place of parts of Ray, for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(*places: Any, **parts: Any) -> Iterator[None]:
    """Gives modules or classes other attributes, and puts back those that they had.

    Args:
        places: The modules or classes; each gets all parts.
        parts: What takes the place of the attribute of that name.
    """
    before = [(place, name, getattr(place, name)) for place in places for name in parts]
    for place, name, _ in before:
        setattr(place, name, parts[name])
    try:
        yield
    finally:
        for place, name, own in before:
            setattr(place, name, own)
