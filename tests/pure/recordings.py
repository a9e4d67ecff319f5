"""Small recordings whose answers are known, in every format that can be replayed."""

import gzip
import json
from itertools import product
from pathlib import Path

from chameleon_ray.database import Database
from chameleon_ray.record import DEFAULT, Record, Status

PARAMETERS = {
    "block": [16, 32, 64, 128, 256],
    "tile": [1, 2, 3, 4],
    "cached": [True, False],
    "order": ["xy", "yx"],
    "scale": [0.5, 1.5],
    "fixed": [15],
}
BEST = {"block": 64, "tile": 3, "cached": True, "order": "yx", "scale": 1.5, "fixed": 15}
FAILURES = {
    "CompilationFailedConfig": ("compile", Status.BUILD_ERROR),
    "RuntimeFailedConfig": ("runtime", Status.RUN_ERROR),
    "InvalidConfig": ("constraints", Status.INVALID),
}


def milliseconds(values: dict) -> float | str:
    """1 ms at the best configuration; each kind of failure in a corner of the space."""
    if values["block"] == 256 and values["tile"] == 4:
        return ["CompilationFailedConfig", "RuntimeFailedConfig"][values["cached"]]
    if values["block"] == 16 and values["tile"] == 4:
        return "InvalidConfig"
    steps = [
        abs(PARAMETERS[name].index(values[name]) - PARAMETERS[name].index(BEST[name]))
        for name in PARAMETERS
    ]
    return float(1.0 + 0.3 * sum(steps) + 0.1 * steps[0] * steps[1])


def configurations() -> list[dict]:
    """All 160."""
    return [dict(zip(PARAMETERS, values, strict=True)) for values in product(*PARAMETERS.values())]


def cache() -> dict:
    """As Kernel Tuner writes it: 100 ms to compile, 20 to verify, 30 to time."""
    spent = {"compile_time": 100.0, "verification_time": 20, "benchmark_time": 30.0}
    return {
        "device_name": "Toy 1",
        "kernel_name": "toy",
        "tune_params_keys": list(PARAMETERS),
        "tune_params": PARAMETERS,
        "objective": "time",
        "cache": {
            ",".join(map(str, values.values())): values | {"time": milliseconds(values)} | spent
            for values in configurations()
        },
    }


def result(values: dict) -> dict:
    """One of T4's, as Kernel Tuner writes it."""
    time = milliseconds(values)
    return {
        "configuration": values,
        "times": {"compilation": 100.0, "validation": 20, "benchmark": 30.0, "runtimes": [9.0]},
        "invalidity": FAILURES[time][0] if isinstance(time, str) else "correct",
        "correctness": 1,
        "measurements": [{"name": "time", "value": time, "unit": "ms"}],
        "objectives": ["time"],
    }


def record(sequence: int, values: dict, /, **changes: object) -> Record:
    """One of this project's; its configuration is not what identifies it."""
    time = milliseconds(values)
    failed = isinstance(time, str)
    fields: dict = {
        "task": "a" * 16,
        "target": "{}",
        "device": "Toy 1",
        "config": (sequence,),
        "values": json.dumps(values),
        "status": FAILURES[time][1] if failed else Status.OK,
        "latencies": () if failed else (time * 1e-3,),
        "build_seconds": 0.1,
        "run_seconds": 0.05,
        "sequence": sequence,
        "error": time if failed else "",
    }
    return Record(**fields | changes)


def write_cache(path: Path) -> Path:
    path.write_bytes(gzip.compress(json.dumps(cache(), indent=0).encode()))
    return path


def write_t4(path: Path) -> Path:
    body = {"results": [result(values) for values in configurations()], "schema_version": "1.0.0"}
    path.write_text(json.dumps(body))
    return path


def write_records(path: Path) -> Path:
    """A folder of two parts, one with the default schedule."""
    records = [record(number, values) for number, values in enumerate(configurations())]
    default = record(len(records), BEST, config=DEFAULT, values="{}", latencies=(1e-6,))
    Database(path).append(records[:100])
    Database(path).append([*records[100:], default])
    return path


WRITERS = {"cache": write_cache, "t4": write_t4, "records": write_records}
