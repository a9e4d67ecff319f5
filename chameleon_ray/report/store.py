"""What a store holds, for people: a table of its layers, and all that is known of one."""

from collections.abc import Iterable, Sequence
from math import inf

from rich.table import Table

from chameleon_ray.record import DEFAULT
from chameleon_ray.report.format import counted, milliseconds, times
from chameleon_ray.report.layer_history import ratio
from chameleon_ray.store.entry import Entry


def listed(entries: Iterable[Entry]) -> Table:
    """Returns a table with a row per entry: what it is of, and how fast its best is."""
    table = Table(box=None, pad_edge=False)
    table.add_column("digest", no_wrap=True)
    for title in ("layer", "device"):
        table.add_column(title, overflow="fold")
    for title in ("records", "default ms", "best ms", "faster"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in sorted(entries, key=lambda one: (one.circumstances.device, one.name, one.task)):
        default, best = _latencies(entry)
        table.add_row(
            *(entry.task, entry.name, entry.circumstances.device, str(len(entry.records))),
            *(milliseconds(default), milliseconds(best), times(ratio(default, best))),
        )
    return table


def shown(entries: Sequence[Entry]) -> list[str]:
    """Returns lines with all that is known of a layer."""
    lines = []
    for entry in entries:
        default, best = _latencies(entry)
        lines += [
            entry.title,
            f"  layer {entry.task}, space {entry.space}",
            f"  target {entry.target}",
            f"  device {entry.circumstances.device}",
            f"  versions {_pairs(entry.circumstances.versions.items())}",
            f"  {counted(len(entry.records), 'record')}, default {milliseconds(default)} ms, "
            f"best {milliseconds(best)} ms",
            f"  search: {entry.ended or 'may go on'}",
        ]
        if entry.chosen is not None:
            config = list(entry.chosen.config) or "the default schedule"
            lines.append(f"  winner {config}, {milliseconds(entry.chosen.latency)} ms")
    return lines


def figures(entry: Entry) -> dict:
    """Returns what is known of a layer as plain data; unknown latencies are infinite."""
    default, best = _latencies(entry)
    return {
        "layer": entry.name,
        "shape": entry.shape,
        "digest": entry.task,
        "space": entry.space,
        "target": entry.target,
        "device": entry.circumstances.device,
        "versions": dict(entry.circumstances.versions),
        "records": len(entry.records),
        "default_ms": 1e3 * default,
        "best_ms": 1e3 * best,
        "search": entry.ended or None,
        "winner": list(entry.chosen.config) if entry.chosen is not None else None,
    }


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in pairs)


def _latencies(entry: Entry) -> tuple[float, float]:
    """Returns the least seconds of the default schedule, and of all configurations."""
    default = min((r.latency for r in entry.records if r.config == DEFAULT), default=inf)
    return default, min((record.latency for record in entry.records), default=inf)
