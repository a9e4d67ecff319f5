"""How long actors that are killed are missing, from a roll that is called again and again."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass
class Roll:
    """Calls the roll of the pools' actors, and notes how long each one that was gone was missing.

    Actors of a pool are alike: the one that has been missing longest is there again first.

    Attributes:
        full: How many actors each pool has.
        gaps: Seconds and the pool of each that was missing: where ``actors`` alone were killed,
            and where a node or the driver was, too (``more``).
        cause: Of these two, what holds until all are there again.
    """

    full: dict[str, int]
    gaps: dict[str, list[tuple[float, str]]] = field(
        default_factory=lambda: {"actors": [], "more": []}
    )
    cause: str = "actors"
    _since: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def absent(self) -> int:
        """How many actors are missing."""
        return sum(map(len, self._since.values()))

    def call(self, there: Counter, now: float) -> None:
        """Notes who is there, by pool, at a time in seconds."""
        before = self.absent
        for pool, count in self.full.items():
            since, missing = self._since[pool], count - there[pool]
            since += [now] * (missing - len(since))
            while len(since) > max(missing, 0):
                self.gaps[self.cause].append((now - since.pop(0), pool))
        if before and not self.absent:
            self.cause = "actors"
