"""A seat: one worker's place in a crew, kept while the actors on it come and go."""

from dataclasses import dataclass
from typing import Any

import ray

from chameleon_ray.cluster.placement import Node
from chameleon_ray.crew import Unfit


@dataclass(eq=False)
class Seat:
    """Who works here, and how well.

    Attributes:
        name: For people.
        node: Where its actors have to be; wherever Ray puts them if None.
        actor: The one at work.
        failures: Doubtful results in a row.
        strikes: Losses, and failures that others did not confirm, in a row.
        settled: Its first actor was set up, or the seat was given up.
        retired: It is given up.
    """

    name: str
    node: Node | None
    actor: Any = None
    failures: int = 0
    strikes: int = 0
    settled: bool = False
    retired: bool = False

    def dismiss(self) -> None:
        """Lets the actor go, however it is."""
        if self.actor is not None:
            ray.kill(self.actor)
        self.actor = None


def reason(error: Exception) -> str:
    """Why an actor is gone, in a sentence: the first of what Ray says last."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1].removeprefix(f"{Unfit.__module__}.{Unfit.__name__}: ") if lines else ""
    return last.partition(". ")[0].rstrip(".") or type(error).__name__


def counted(count: int, name: str) -> str:
    """So many of them."""
    return f"{count} {name}{'' if count == 1 else 's'}"
