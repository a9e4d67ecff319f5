"""A recording: configurations and what measuring them gave, as any file format tells it."""

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
        values: What each knob that counted was set to, by name.
        status: How it ended.
        latency: Seconds of one execution; infinite unless ``status`` is ``ok``.
        build_seconds: Compiling.
        run_seconds: Verification and timing.
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
        entries: In the order of the file.
        listed: The order of a knob's choices, by name, where the file has one.
        device: What it was recorded on; empty where the file does not say.
        layer: The task's name where the file itself is not named after it.
    """

    entries: Sequence[Entry]
    listed: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    device: str = ""
    layer: str = ""


LARGEST = 2.0**63
"""Numbers of this size and more are no sensible choices or durations."""


def choice_of(value: Any) -> Choice:
    """A parameter's value as JSON has it, as a choice.

    Raises:
        TableError: It cannot be one.
    """
    if isinstance(value, list):
        return tuple(choice_of(item) for item in value)  # type: ignore[misc]
    number = isinstance(value, int | float)
    if isinstance(value, dict) or (number and not abs(value) < LARGEST):
        raise TableError(f"has a parameter set to {value}, which cannot be a choice.")
    return value


def duration(number: Any, unit: float = 1.0) -> float:
    """Seconds of a number of ``unit`` seconds; 0 where it is none."""
    usable = isinstance(number, int | float) and 0 < number < LARGEST
    return number * unit if usable else 0.0
