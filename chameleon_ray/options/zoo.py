"""What is asked of a zoo: models that are tuned together, in one search with one budget."""

from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.options.request import Request


@dataclass(frozen=True)
class Member:
    """One model of a zoo, on one target."""

    name: str
    """For people, and of its directory below the zoo's."""
    request: Request
    """As if it were tuned alone."""
    weight: float = 1.0
    """What a second of its latency counts, beside one of the other models'."""


@dataclass(frozen=True)
class Zoo:
    """What the user asked for."""

    file: Path
    """The YAML file that names the models."""
    common: Request
    """What all models have in common; its ``model`` is empty."""
    members: tuple[Member, ...]
