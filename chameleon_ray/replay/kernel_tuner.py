"""Reads Kernel Tuner's cache files.

All times of a cache are milliseconds. A failed configuration has the name of an error instead of a
time. Format: ``kernel_tuner/schema/cache`` of github.com/KernelTuner/kernel_tuner.
"""

import json
from typing import Any

from chameleon_ray.record import Status
from chameleon_ray.replay.recording import Entry, Recording, TableError, choice_of, duration

MILLISECOND = 1e-3
FAILED = 1e20
"""The time in milliseconds that early versions give to a failure."""
STATUS = {
    "CompilationFailedConfig": Status.BUILD_ERROR,
    "RuntimeFailedConfig": Status.RUN_ERROR,
    "InvalidConfig": Status.INVALID,
}
"""Statuses by the name of an error; any other error is a ``run_error``."""


def is_cache(document: Any) -> bool:
    """Whether a JSON document is a cache."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("cache"), dict)
        and isinstance(document.get("tune_params"), dict)
    )


def closed(text: str) -> Any:
    """Parses the cache of a tuner that was stopped before it could write the end.

    Raises:
        ValueError: The text is damaged in some other way.
    """
    for cut in (text, text.rpartition("\n")[0]):  # the last line may be half an entry
        try:
            return json.loads(cut.rstrip().removesuffix(",") + "}}")
        except ValueError as error:
            damage = error
    raise damage


def recording(document: Any) -> Recording:
    """Converts a cache to a recording.

    Raises:
        TableError: An entry lacks a parameter.
    """
    parameters = document["tune_params"]
    listed = {
        name: tuple(choice_of(value) for value in values)
        for name, values in parameters.items()
        if isinstance(values, list)
    }
    entries = [_entry(key, entry, list(parameters)) for key, entry in document["cache"].items()]
    return Recording(entries, listed, str(document.get("device_name", "")))


def _entry(key: str, entry: Any, names: list[str]) -> Entry:
    if not isinstance(entry, dict) or any(name not in entry for name in names):
        raise TableError(f"has an entry that lacks a parameter ({key!r}).")
    measured = entry.get("time")
    latency = duration(measured, MILLISECOND)
    status, error = Status.OK, ""
    if not 0 < latency < FAILED * MILLISECOND:
        error = measured if isinstance(measured, str) else f"its time is {measured}"
        status, latency = STATUS.get(error, Status.RUN_ERROR), float("inf")
    spent = {name: duration(entry.get(f"{name}_time"), MILLISECOND) for name in PARTS}
    return Entry(
        values={name: choice_of(entry[name]) for name in names},
        status=status,
        latency=latency,
        build_seconds=spent["compile"],
        run_seconds=spent["verification"] + spent["benchmark"],
        error=error,
    )


PARTS = ("compile", "verification", "benchmark")
"""Phases of a measurement whose seconds a cache records."""
