"""The difference between two runs, layer by layer, from the files that they left."""

from collections.abc import Mapping
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
    """Compares the layers of two runs, those of the first run first.

    Args:
        identities: What ``run.json`` of each has.
        winners: Configuration and seconds of each run's winners, by the layer's digest.
    """
    names = identities[0]["layers"] | identities[1]["layers"]
    none = ((), inf)
    return [
        Change(
            name,
            winners[0].get(digest, none)[1],
            winners[1].get(digest, none)[1],
            _changed(digest, identities, winners),
        )
        for digest, name in names.items()
    ]


def versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns the packages, and the device, that differ between two runs, in words."""
    first, second = ({"device": one["device"]} | one["versions"] for one in (before, after))
    return [
        f"{name}: {first.get(name, 'none')} -> {second.get(name, 'none')}"
        for name in first | second
        if first.get(name) != second.get(name)
    ]


def _changed(
    digest: str,
    identities: tuple[Mapping[str, Any], Mapping[str, Any]],
    winners: tuple[Winners, Winners],
) -> str:
    for run, other in ((0, "second"), (1, "first")):
        if digest not in identities[run]["layers"]:
            return f"only in the {other} run"
    if identities[0]["spaces"].get(digest) != identities[1]["spaces"].get(digest):
        return "space"
    before, after = (each.get(digest, (None, inf))[0] for each in winners)
    return "configuration" if before != after else ""


def _ratio(row: Change) -> float | None:
    return row.before / row.after if max(row.before, row.after) < inf else None
