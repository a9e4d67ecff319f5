"""The difference between two runs, layer by layer, from the files that they left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from chameleon_ray.report.columns import Column
from chameleon_ray.report.format import milliseconds, times
from chameleon_ray.space import Config


@dataclass(frozen=True)
class Change:
    """One layer in two runs.

    Attributes:
        layer: Name of the layer.
        before: Seconds of its winner in the first run; infinite where it has none.
        after: Seconds of its winner in the second run.
        changed: What differs, in words; empty where the winner is the same.
    """

    layer: str
    before: float
    after: float
    changed: str


COLUMNS: tuple[Column[Change], ...] = (
    Column("layer", "text", lambda row: row.layer),
    Column("before ms", "number", lambda row: milliseconds(row.before)),
    Column("after ms", "number", lambda row: milliseconds(row.after)),
    Column("faster", "number", lambda row: times(_ratio(row))),
    Column("changed", "text", lambda row: row.changed),
)
Winners = Mapping[str, tuple[Config, float]]


def changes(
    identities: tuple[Mapping[str, Any], Mapping[str, Any]], winners: tuple[Winners, Winners]
) -> list[Change]:
    """Compares the layers of two runs, those of the first run first; lowerings are one layer.

    Args:
        identities: What ``run.json`` of each has.
        winners: Configuration and seconds of each run's winners, by the digest of the lowering.
    """
    first, second = map(_layers, identities)
    return [
        _change(first.get(d, ()), second.get(d, ()), identities, winners) for d in first | second
    ]


def versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns the packages, and the device, that differ between two runs, in words."""
    first, second = ({"device": one["device"]} | one["versions"] for one in (before, after))
    return [
        f"{name}: {first.get(name, 'none')} -> {second.get(name, 'none')}"
        for name in first | second
        if first.get(name) != second.get(name)
    ]


def _layers(identity: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the digests of each layer's lowerings, the first one first, by that of the first."""
    lowerings, found = identity.get("lowerings", {}), dict[str, list[str]]()
    for digest in sorted(identity["layers"], key=lambda one: one in lowerings):
        found.setdefault(lowerings.get(digest, digest), []).append(digest)
    return found


def _change(
    before: Sequence[str],
    after: Sequence[str],
    identities: tuple[Mapping[str, Any], Mapping[str, Any]],
    winners: tuple[Winners, Winners],
) -> Change:
    """Compares a layer, whose lowerings in both runs are given; none where it has no such layer."""
    sides = zip((before, after), winners, strict=True)
    chosen = [next((d for d in own if d in won), "") for own, won in sides]
    (config, seconds), (other, later) = (
        won.get(d, (None, inf)) for d, won in zip(chosen, winners, strict=True)
    )
    spaces = [one["spaces"].get(d) for d, one in zip(chosen, identities, strict=True)]
    changed = "configuration" if config != other else ""
    if not (before and after):
        changed = f"only in the {'first' if before else 'second'} run"
    elif all(chosen) and chosen[0] != chosen[1]:
        changed = "lowering"
    elif spaces[0] != spaces[1]:
        changed = "space"
    name = (identities[0]["layers"] | identities[1]["layers"])[(before or after)[0]]
    return Change(name, seconds, later, changed)


def _ratio(row: Change) -> float | None:
    return row.before / row.after if max(row.before, row.after) < inf else None
