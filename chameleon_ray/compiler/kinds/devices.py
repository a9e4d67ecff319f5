"""Lists the devices that a machine can tune on, and what they lack."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chameleon_ray.compiler.kind import Device, TargetKind
from chameleon_ray.compiler.kinds import KINDS
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Setting


def probe(kinds: Sequence[TargetKind]) -> "Probe":
    """Makes the handler in the child that probes."""
    return Probe(kinds)


class Probe:
    """Asks TVM for devices, inside a child, as TVM may crash where a driver is broken."""

    def __init__(self, kinds: Sequence[TargetKind]) -> None:
        self._kinds = kinds

    def __call__(self, _: object) -> dict[str, Any]:
        block_torch()
        for kind in self._kinds:
            kind.preload()
        return {kind.name: kind.probe() for kind in self._kinds}


def devices() -> list[Device]:
    """Returns the CPU of this machine and any GPU, and what they lack."""
    kinds = tuple(KINDS.values())
    child = Isolate(Setting("chameleon_ray.compiler.kinds.devices:probe", kinds))
    try:
        outcome = child.call(None, 60)
    finally:
        child.close()
    seen = outcome.value if outcome.ending is Ending.OK else {}
    found = [kind.devices(seen.get(kind.name, {}), outcome.error) for kind in kinds]
    return [replace(device, node=platform.node()) for own in found for device in own]
