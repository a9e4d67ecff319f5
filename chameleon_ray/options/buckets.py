"""Inputs that ask for several shapes: they list extents in braces, as ``x:{1,2,4,8}x3x224x224``."""

from collections.abc import Iterable


def lists_extents(text: str) -> bool:
    """Whether an input's text has braces outside a value."""
    return "=" not in text and ("{" in text or "}" in text)


def is_bucketed(inputs: Iterable[str]) -> bool:
    """Whether an input lists extents in braces."""
    return any(map(lists_extents, inputs))
