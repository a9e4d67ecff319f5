"""Clocks and temperature of a process's GPU, which are noted with its timings."""

import json
from dataclasses import asdict
from functools import cache

from chameleon_ray.measure import nvml


def condition() -> str:
    """Reads clocks and temperature of this process's GPU, as JSON; empty where that fails."""
    try:
        return json.dumps(asdict(nvml.condition(_uuid())))
    except nvml.NvmlError:
        return ""


@cache
def _uuid() -> str:
    """Returns the UUID of this process's GPU, which all GPUs have to be asked for."""
    return nvml.visible().uuid
