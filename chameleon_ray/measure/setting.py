"""What a child is made of: its handler, cores, memory and environment."""

from dataclasses import dataclass
from typing import Any

from chameleon_ray.measure.freezer import Freezer


@dataclass(frozen=True)
class Setting:
    """The handler, cores, memory and environment of a child.

    Attributes:
        handler: ``module:factory``; ``factory(argument)`` gives the callable that does the jobs.
        argument: Picklable argument of the factory.
        cores: CPU cores the child is bound to; all of the parent's where None.
        memory_bytes: Most private memory; no limit where None.
        environment: Environment variables set before any import.
        freezer: Freezer that zygote and child join. Time limits of jobs then count the CPU time of
            the child.
    """

    handler: str
    argument: Any = None
    cores: tuple[int, ...] | None = None
    memory_bytes: int | None = None
    environment: tuple[tuple[str, str], ...] = ()
    freezer: Freezer | None = None
