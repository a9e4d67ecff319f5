"""The builds of each layer's fastest configurations, kept so that the end need not repeat them."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Generic, TypeVar

from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT
from chameleon_ray.space import Config

Build = TypeVar("Build")


@dataclass
class KeptBuilds(Generic[Build]):
    """Artifacts of a session, by layer: the default schedule's, and those of likely finalists.

    Attributes:
        count: Number of configurations of each layer that are kept, besides the default.
        most_bytes: Length of code above which a build is not kept.
    """

    count: int = Confirming.finalists
    most_bytes: int = Confirming.kept_bytes
    _kept: dict[str, dict[Config, tuple[float, Build]]] = field(default_factory=dict)

    def keep(self, task: str, config: Config, build: Build, latency: float) -> None:
        """Keeps a build while its configuration is among the fastest ones of its layer.

        Args:
            task: Digest of the layer.
            config: The configuration.
            build: Its artifact; one that is elsewhere on a cluster is not kept.
            latency: Seconds of one execution; infinite where it failed.
        """
        code = getattr(build, "code", None)
        if not isinstance(code, bytes) or len(code) > self.most_bytes or not isfinite(latency):
            return
        own = self._kept.setdefault(task, {})
        own[config] = latency, build
        others = sorted((seconds, c) for c, (seconds, _) in own.items() if c != DEFAULT)
        for _, slow in others[self.count :]:
            del own[slow]

    def get(self, task: str, config: Config) -> Build | None:
        """Returns the build of a configuration, or None where it is not kept."""
        found = self._kept.get(task, {}).get(config)
        return None if found is None else found[1]

    def has(self, task: str, config: Config) -> bool:
        """Whether the build of a configuration is kept."""
        return self.get(task, config) is not None
