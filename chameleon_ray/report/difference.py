"""The differences between runs, layer by layer, from the files that they left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from chameleon_ray.report.columns import Column
from chameleon_ray.report.format import milliseconds, times
from chameleon_ray.space import Config


@dataclass(frozen=True)
class Change:
    """One layer in several runs.

    Attributes:
        layer: Name of the layer.
        seconds: Seconds of its winner in each run; infinite where it has none.
        changed: What differs from the first run, in words, of each later one; empty where the
            winner is the same.
    """

    layer: str
    seconds: tuple[float, ...]
    changed: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """How many times as fast it is in the last run as in the first; None where unknown."""
        first, last = self.seconds[0], self.seconds[-1]
        return first / last if max(first, last) < inf and last > 0 else None


Winners = Mapping[str, tuple[Config, float]]


def columns(names: Sequence[str]) -> tuple[Column[Change], ...]:
    """Returns the columns of the table for runs of these names."""

    def latency(number: int) -> Column[Change]:
        return Column(
            f"{names[number]} ms", "number", lambda row: milliseconds(row.seconds[number])
        )

    def change(number: int) -> Column[Change]:
        title = f"changed in {names[number]}" if len(names) > 2 else "changed"
        return Column(title, "text", lambda row: row.changed[number - 1])

    return (
        Column("layer", "text", lambda row: row.layer),
        *map(latency, range(len(names))),
        Column("faster", "number", lambda row: times(row.ratio)),
        *map(change, range(1, len(names))),
    )


def changes(identities: Sequence[Mapping[str, Any]], winners: Sequence[Winners]) -> list[Change]:
    """Compares the layers of runs, those of the first run first; lowerings are one layer.

    Args:
        identities: What ``run.json`` of each has.
        winners: Configuration and seconds of each run's winners, by the digest of the lowering.
    """
    layers = [_layers(identity) for identity in identities]
    found = []
    for digest in dict.fromkeys(one for own in layers for one in own):
        runs = zip(layers, identities, winners, strict=True)
        sides = [_Side.of(own.get(digest, []), *run) for own, *run in runs]
        name = next(side.name for side in sides if side.there)
        seconds = tuple(side.seconds for side in sides)
        found.append(Change(name, seconds, tuple(_changed(sides[0], one) for one in sides[1:])))
    return found


def versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns the packages, and the device, that differ between two runs, in words."""
    first, second = ({"device": one["device"]} | one["versions"] for one in (before, after))
    return [
        f"{name}: {first.get(name, 'none')} -> {second.get(name, 'none')}"
        for name in first | second
        if first.get(name) != second.get(name)
    ]


@dataclass(frozen=True)
class _Side:
    """What one run has of a layer: whether it has it, its name, and all of its winner."""

    there: bool
    name: str
    lowering: str
    space: str | None
    config: Config | None
    seconds: float

    @staticmethod
    def of(lowerings: Sequence[str], identity: Mapping[str, Any], winners: Winners) -> "_Side":
        """Finds it, given the digests of the layer's lowerings; there are none where it is not."""
        won = next((digest for digest in lowerings if digest in winners), "")
        config, seconds = winners.get(won, (None, inf))
        name = identity["layers"][lowerings[0]] if lowerings else ""
        return _Side(bool(lowerings), name, won, identity["spaces"].get(won), config, seconds)


def _layers(identity: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the digests of each layer's lowerings, the first one first, by that of the first."""
    lowerings, found = identity.get("lowerings", {}), dict[str, list[str]]()
    for digest in sorted(identity["layers"], key=lambda one: one in lowerings):
        found.setdefault(lowerings.get(digest, digest), []).append(digest)
    return found


def _changed(before: _Side, after: _Side) -> str:
    """Tells what differs between a layer's winners."""
    if before.there != after.there:
        return f"not in {'this' if before.there else 'the first'} run"
    if before.lowering and after.lowering and before.lowering != after.lowering:
        return "lowering"
    if before.space != after.space:
        return "space"
    return "configuration" if before.config != after.config else ""
