"""Reads T4 results, the FAIR format that autotuners exchange.

A document does not list a parameter's values: they are those of its configurations. Times are in
the unit that the metadata names. Without one they are milliseconds, as Kernel Tuner writes them.
Format: ``results-schema.json`` of github.com/odgaard/TuningSchema, and ``T4.json`` of
github.com/AutoTuningAssociation/autotuning_methodology.
"""

from statistics import median
from typing import Any

from chameleon_ray.record import Status
from chameleon_ray.replay.recording import Entry, Recording, TableError, choice_of, duration

UNITS = {
    **{"nanoseconds": 1e-9, "microseconds": 1e-6, "milliseconds": 1e-3, "seconds": 1.0},
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
}
STATUS = {
    "correct": Status.OK,
    "compile": Status.BUILD_ERROR,
    "runtime": Status.RUN_ERROR,
    "timeout": Status.RUN_TIMEOUT,
    "correctness": Status.WRONG_ANSWER,
    "constraints": Status.INVALID,
}
"""Statuses by a result's invalidity; any other invalidity is a ``run_error``."""


def is_results(document: Any) -> bool:
    """Whether a JSON document has T4 results."""
    return isinstance(document, dict) and isinstance(document.get("results"), list)


def recording(document: Any) -> Recording:
    """Converts a document to a recording.

    Raises:
        TableError: A result has no configuration.
    """
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    unit = UNITS.get(str(metadata.get("timeunit")), UNITS["milliseconds"])
    entries = [_entry(result, unit) for result in document["results"]]
    return Recording(entries, device=str(metadata.get("device", "")))


def _entry(result: Any, unit: float) -> Entry:
    if not isinstance(result, dict) or not isinstance(result.get("configuration"), dict):
        raise TableError("has a result without a configuration.")
    times = result.get("times")
    times = times if isinstance(times, dict) else {}
    invalidity = result.get("invalidity", "correct")
    status, latency = STATUS.get(str(invalidity), Status.RUN_ERROR), float("inf")
    error = "" if status is Status.OK else str(invalidity)
    if status is Status.OK:
        latency = _latency(result, times, unit) or latency
    if status is Status.OK and latency == float("inf"):
        status, error = Status.RUN_ERROR, "no time was measured"
    compilation = times.get("compilation_time", times.get("compilation"))
    return Entry(
        values={name: choice_of(value) for name, value in result["configuration"].items()},
        status=status,
        latency=latency,
        build_seconds=duration(compilation, unit),
        run_seconds=duration(times.get("validation"), unit) + _timing(times, unit),
        error=error,
    )


def _latency(result: dict, times: dict, unit: float) -> float:
    """Returns the seconds of the measurement ``time``, else the runtimes' median; 0 if neither."""
    measurements = result.get("measurements")
    for measurement in measurements if isinstance(measurements, list) else []:
        if isinstance(measurement, dict) and measurement.get("name") == "time":
            own = UNITS.get(str(measurement.get("unit")), unit)
            return duration(measurement.get("value"), own)
    runtimes = _runtimes(times, unit)
    return median(runtimes) if runtimes else 0.0


def _timing(times: dict, unit: float) -> float:
    """Returns the seconds of timing: ``benchmark`` as Kernel Tuner writes it, else all runtimes."""
    return duration(times.get("benchmark"), unit) or sum(_runtimes(times, unit))


def _runtimes(times: dict, unit: float) -> list[float]:
    runtimes = times.get("runtimes")
    return [duration(run, unit) for run in runtimes] if isinstance(runtimes, list) else []
