"""The request for a zoo: models that are tuned together, in one search with one budget."""

from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.options.request import Request


@dataclass(frozen=True)
class Member:
    """One model of a zoo, on one target."""

    name: str
    """Name for people, and of the model's directory below the zoo's."""
    request: Request
    """Request that would tune the model alone."""
    weight: float = 1.0
    """Importance of a second of the model's latency beside one of the other models'."""


@dataclass(frozen=True)
class Zoo:
    """A request to tune several models together."""

    file: Path
    """YAML file that names the models, or the model where these are its buckets."""
    common: Request
    """Options that all models have in common; its ``model`` is empty."""
    members: tuple[Member, ...]
    together: bool = False
    """Whether the members are buckets of one model, which share one library."""
