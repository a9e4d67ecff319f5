"""The summary of a run for programs: ``summary.json``, which is strict JSON with a version."""

import json
from collections import Counter
from dataclasses import asdict
from math import inf
from pathlib import Path

from chameleon_ray.atomic_write import write_whole
from chameleon_ray.layer_names import short_names
from chameleon_ray.ledger import Account
from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.record import Status, own
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.disturbance import disturbance_of
from chameleon_ray.report.explanation import explain
from chameleon_ray.report.headline import rival
from chameleon_ray.report.layer_result import LayerOutcome, LayerResult, total
from chameleon_ray.report.parts import counts
from chameleon_ray.report.remaining import remaining
from chameleon_ray.report.result import PHASES, Described, Latency, Launching, RunResult, Verified
from chameleon_ray.report.roofline import reach
from chameleon_ray.report.strict_json import strict
from chameleon_ray.reporting import Reporting
from chameleon_ray.vendor import FILES

__all__ = [
    "Latency",
    "LayerOutcome",
    "RunResult",
    "Verified",
    "strict",
    "summary",
    "verification",
    "write",
    "write_text",
]

SCHEMA = 1


def summary(result: RunResult, options: Reporting | None = None) -> dict:
    """Returns ``summary.json`` as plain, strict JSON data; unknown values are None."""
    made = own(result.records)
    counts = Counter(record.status for record in made)
    names = short_names(result.tasks)
    body = {
        "schema": SCHEMA,
        "model": result.model,
        "target": result.target,
        "device": result.device,
        "seed": result.seed,
        "preset": result.preset,
        "explorer": result.explorer if result.walked else None,
        "sampler": result.sampler,
        "wall_seconds": result.wall_seconds,
        "seconds": dict.fromkeys(PHASES, 0.0) | dict(result.seconds),
        "device_busy_fraction": result.device_busy_fraction,
        "measurements": {"total": len(made), "from_store": len(result.records) - len(made)}
        | {status.value: counts[status] for status in Status},
        "tasks": [_layer(layer, names[layer.task.layer], result) for layer in result.layers],
        "ceiling": _ceiling(result.ceiling),
        "remaining": remaining(result),
        "processes": [_process(process) for process in result.processes],
        "latency_ms": {
            "untuned": 1e3 * _seconds(result.untuned),
            "tuned": 1e3 * _seconds(result.tuned),
        },
        "comparison": [rival(one) for one in result.comparison],
        "course": Course.of(layers_of(result.tasks), result.records).points,
        "layers_ms": 1e3 * total(result.layers, [layer.best for layer in result.layers]),
        "inputs": [_array(array) for array in result.inputs],
        "outputs": [_array(array) for array in result.outputs],
        "entry": result.entry,
        **_needs(result),
        "explanation": explain(result, options),
        "verified": verification(result.verified),
        "launching": _launching(result.launching),
        "disturbed": asdict(disturbance_of(result)),
    }
    return {key: strict(value) for key, value in body.items()}


def verification(verified: Verified | None) -> dict:
    """Returns what came of comparing outputs as plain data; unknown values are None.

    Outputs that equal untuned TVM's are neither known to be right nor known to be wrong.
    """
    known = verified.outcome if verified else None
    return {
        "outcome": known,
        "against": verified.against if verified else None,
        "examples": verified.examples if verified else 0,
        "ok": {"verified": True, "differs": False}.get(known or ""),
        "max_abs_err": strict(verified.max_abs_err) if verified else None,
        "max_rel_err": strict(verified.max_rel_err) if verified else None,
        "precision": verified.precision or None if verified else None,
        "tolerance": verified.tolerance or None if verified else None,
        "fault": verified.fault or None if verified else None,
    }


def _needs(result: RunResult) -> dict:
    """Returns the files of the libraries that the model calls, and their versions if known."""
    files = {FILES[library]: result.versions.get(library) for library in result.libraries}
    return {"needs": list(files), "timed_with": {file: one for file, one in files.items() if one}}


def _array(array: Described) -> dict:
    name, shape, dtype = array
    return {"name": name or None, "shape": list(shape), "dtype": dtype}


def _launching(launching: Launching | None) -> dict | None:
    """Returns how the kernels are launched as plain data; None where there is only one way."""
    if launching is None:
        return None
    return {
        "graphs": launching.graphs,
        "other_ratio": launching.ratio,
        "fault": launching.fault or None,
    }


def write(path: Path, result: RunResult) -> None:
    """Writes ``summary.json`` at once or not at all.

    Raises:
        OSError: The disk is full or the folder cannot be written; an older file stands.
    """
    text = json.dumps(summary(result), indent=2, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Puts a text file in the place of an older one, atomically and durably.

    Raises:
        OSError: The disk is full or the folder cannot be written; an older file stands.
    """
    write_whole(path, text.encode())


def _ceiling(ceiling: Ceiling | None) -> dict | None:
    if ceiling is None:
        return None
    return {"flops": ceiling.flops, "bytes": ceiling.bytes, "cores": ceiling.cores}


def _layer(row: LayerResult, short: str, result: RunResult) -> dict:
    tasks = {task.digest for task in result.tasks if task.layer == row.task.layer}
    found = reach(row, result.ceiling)
    return {
        "title": row.title,
        "short": short,
        "nodes": list(row.task.nodes),
        "name": row.task.name,
        "digest": row.task.digest,
        "shape": row.task.shape,
        "weight": row.task.weight,
        "flop": row.task.flop,
        "traffic": row.task.traffic,
        "limit_ms": 1e3 * found.limit if found else None,
        "space_size": row.task.space.size,
        "measurements": row.measurements,
        "from_store": row.known,
        "library": row.library or None,
        "lowering": row.task.lowering or None,
        "other_lowerings": [{"name": n, "best_ms": strict(1e3 * best)} for n, best in row.others],
        "searched": row.searched or None,
        "chosen_by": counts([record for record in result.records if record.task in tasks]),
        "default_ms": 1e3 * row.default,
        "best_ms": 1e3 * row.best,
        "inside_ms": 1e3 * row.inside,
        "curve": row.curve,
    }


def _process(process: Account) -> dict:
    return {
        "name": process.name,
        "busy_seconds": process.busy_seconds,
        "waiting_seconds": process.waiting,
        "starting_seconds": process.starting,
        "total_seconds": process.total,
        "busy": dict(process.busy),
    }


def _seconds(latency: Latency | None) -> float:
    return latency.seconds if latency else inf
