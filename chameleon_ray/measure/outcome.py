"""What comes of a job in a child process."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Ending(StrEnum):
    """The ways in which a job in a child ends."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: its value, or what went wrong.

    Attributes:
        ending: Way in which the job ended.
        value: Value that the job returned, where ``ending`` is ``ok``.
        error: Error in words; empty where there was none.
        seconds: Seconds that the job took.
        for_user: Whether the error is a sentence for the user, as the job raised a ``UserError``.
    """

    ending: Ending
    value: Any = None
    error: str = ""
    seconds: float = 0.0
    for_user: bool = False
