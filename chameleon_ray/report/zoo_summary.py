"""The summary of a zoo for programs: ``summary.json``, from one result per model."""

import json
from collections import Counter
from pathlib import Path

from chameleon_ray.record import Status, own
from chameleon_ray.report import buckets
from chameleon_ray.report.headline import rival
from chameleon_ray.report.summary import strict, verification, write_text
from chameleon_ray.report.zoo import ZooEntry, ZooResult

SCHEMA = 1


def figures(result: ZooResult) -> dict:
    """Returns ``summary.json`` of a zoo as strict JSON data; unknown values are None."""
    made = own(result.records)
    counts = Counter(record.status for record in made)
    before, after = result.weighted
    body = {
        "schema": SCHEMA,
        "zoo": str(result.file),
        "device": result.device,
        "seed": result.common.seed,
        "preset": result.common.preset,
        "wall_seconds": result.wall_seconds,
        "device_busy_fraction": result.device_busy_fraction,
        "models": [entry_of(entry) for entry in result.entries],
        "tasks": {
            "before_merging": result.merged.before,
            "after_merging": len(result.merged.distinct),
            "taught": result.taught,
        },
        "measurements": {"total": len(made), "from_store": len(result.records) - len(made)}
        | {"saved_by_merging": result.saved}
        | {status.value: counts[status] for status in Status},
        "weighted_ms": {"untuned": 1e3 * before, "tuned": 1e3 * after},
        "speedup": result.speedup,
        "curve": result.curve,
    }
    body |= buckets.figures(result.results, result.library)
    return {key: strict(value) for key, value in body.items()}


def write(path: Path, result: ZooResult) -> None:
    """Writes ``summary.json`` at once or not at all.

    Raises:
        OSError: The disk is full or the folder cannot be written; an older file stands.
    """
    write_text(path, json.dumps(figures(result), indent=2, allow_nan=False) + "\n")


def entry_of(entry: ZooEntry) -> dict:
    """Returns what the summary has of one model as plain data."""
    untuned, tuned = entry.latencies
    return {
        "name": entry.name,
        "model": entry.request.model,
        "target": entry.result.target if entry.result else entry.request.target,
        "weight": entry.weight,
        "folder": str(entry.folder),
        "tasks": entry.layers,
        "shared_tasks": entry.shared,
        "latency_ms": {
            "untuned": 1e3 * untuned.seconds if untuned else None,
            "tuned": 1e3 * tuned.seconds if tuned else None,
        },
        "comparison": [rival(one) for one in entry.result.comparison] if entry.result else [],
        "verified": verification(entry.result.verified if entry.result else None),
        "error": entry.problem or None,
    }
