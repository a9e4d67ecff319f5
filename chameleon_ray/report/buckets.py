"""Reports a run of buckets beside what a zoo tells: which shapes its one library has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chameleon_ray.report.result import RunResult
from chameleon_ray.report.summary import summary

Shapes = Sequence[tuple[int, ...]]
"""Shapes of the inputs of a bucket."""


def figures(results: Sequence[RunResult], library: Path | None) -> dict[str, Any]:
    """Returns what ``summary.json`` has of the buckets beside a zoo's figures.

    What all buckets have in common is as in the summary of a run. There is nothing of a zoo, which
    has no library.
    """
    if library is None:
        return {}
    known = [summary(result) for result in results]
    keys = ("entry", "inputs", "outputs", "latency_ms", "verified", "tasks")
    return {
        "model": results[0].model,
        "target": results[0].target,
        "needs": sorted({need for one in known for need in one["needs"]}),
        "timed_with": {file: one for each in known for file, one in each["timed_with"].items()},
        "library_bytes": library.stat().st_size,
        "padded": list(padded(results)),
        "buckets": [{key: one[key] for key in keys} for one in known],
    }


def batched(buckets: Sequence[Shapes]) -> tuple[int, ...]:
    """Returns the places of the inputs that have a batch as their first axis.

    There are none where the buckets differ in other axes, or in batches of different sizes. Of a
    single bucket, these are the inputs whose first extent is that of the first one.

    Args:
        buckets: Shapes of the inputs, of each bucket.
    """
    first = buckets[0]
    if len(buckets) == 1:
        rows = first[0][:1] if first else ()
        return tuple(place for place, shape in enumerate(first) if rows and shape[:1] == rows)
    found = tuple(n for n, column in enumerate(zip(*buckets, strict=True)) if len(set(column)) > 1)
    for shapes in buckets:
        alike = len({shapes[n][:1] for n in found}) == 1 and all(shapes[n] for n in found)
        if not alike or any(shapes[n][1:] != first[n][1:] for n in found):
            return ()
    return found


def padded(results: Sequence[RunResult]) -> tuple[int, ...]:
    """Returns the places of the inputs that are padded to the next larger bucket; may be none."""
    shapes = [[shape for _, shape, _ in result.inputs] for result in results]
    return batched(shapes) if all(result.apart for result in results) else ()


def told(results: Sequence[RunResult], folder: Path, library: Path | None) -> list[str]:
    """Tells what the library takes, and how to call it; nothing of a zoo, which has none."""
    if library is None:
        return []
    names = ", ".join(_shapes(result) for result in results)
    if padded(results):
        rest = "other batches up to the largest are padded, and the outputs cut again"
    elif batched([[shape for _, shape, _ in result.inputs] for result in results]):
        rest = "no other shape, as the outputs depend on the whole batch"
    else:
        rest = "no other shape, as these differ in more than one batch"
    return [
        f"{library} ({library.stat().st_size / 2**20:.0f} MiB) takes {names}; {rest}.",
        f"To load it: chameleon_ray.load({str(folder)!r})(...)",
    ]


def _shapes(result: RunResult) -> str:
    return " with ".join("x".join(map(str, shape)) or "a scalar" for _, shape, _ in result.inputs)
