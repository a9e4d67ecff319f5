"""A recording: measured configurations and their results, whatever file format they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from chameleon_ray.errors import UserError
from chameleon_ray.knob import Choice
from chameleon_ray.record import Status


class TableError(UserError):
    """A file that cannot be replayed, in one sentence that says which, why and what to do."""


@dataclass(frozen=True)
class Entry:
    """One configuration that was measured.

    Attributes:
        values: Value of each knob that counted, by name.
        status: How the measurement ended.
        latency: Seconds of one execution; infinite unless ``status`` is ``ok``.
        build_seconds: Time of compiling.
        run_seconds: Time of verification and timing.
        error: Why it failed, in words.
    """

    values: Mapping[str, Choice]
    status: Status
    latency: float = inf
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Recording:
    """All entries of one task on one device; of two with the same values the later one counts.

    Attributes:
        entries: Entries in the order of the file.
        listed: The order of a knob's choices, by name, where the file has one.
        device: Device of the measurements; empty where the file does not say.
        layer: The task's name where the file itself is not named after it.
    """

    entries: Sequence[Entry]
    listed: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    device: str = ""
    layer: str = ""


LARGEST = 2.0**63
"""Size from which a number is no sensible choice or duration."""


def choice_of(value: Any) -> Choice:
    """Converts a parameter's JSON value to a choice.

    Raises:
        TableError: The value cannot be a choice.
    """
    if isinstance(value, list):
        return tuple(choice_of(item) for item in value)  # type: ignore[misc]
    number = isinstance(value, int | float)
    if isinstance(value, dict) or (number and not abs(value) < LARGEST):
        raise TableError(f"has a parameter set to {value}, which cannot be a choice.")
    return value


def duration(number: Any, unit: float = 1.0) -> float:
    """Converts a number of ``unit`` seconds to seconds; 0 where it is no usable number."""
    usable = isinstance(number, int | float) and 0 < number < LARGEST
    return number * unit if usable else 0.0
