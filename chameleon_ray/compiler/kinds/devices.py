"""Lists the devices that a machine can tune on, and what they lack."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chameleon_ray.compiler.kind import Device, TargetKind
from chameleon_ray.compiler.kinds import KINDS
from chameleon_ray.compiler.tvm_process import block_torch
from chameleon_ray.measure.isolate import Ending, Isolate, Setting

PATIENCE = 60.0
"""Seconds in which TVM, and after that each driver, has to say which devices there are."""


def probe(kinds: Sequence[TargetKind]) -> "Probe":
    """Makes the handler in the child that probes."""
    return Probe(kinds)


@dataclass(frozen=True)
class Listing:
    """A job that lists the devices of a kind.

    Attributes:
        name: The kind's name.
        probed: What TVM said of the kind; empty where it did not answer.
        error: Why TVM did not answer; empty where it did.
    """

    name: str
    probed: Mapping[str, Any]
    error: str


class Probe:
    """Asks TVM and drivers for devices, inside a child, as they may crash or never answer."""

    def __init__(self, kinds: Sequence[TargetKind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def __call__(self, job: Listing | None) -> Any:
        """Does a job; None is the one that asks TVM, whose answers are returned by kind."""
        if job is not None:
            return self._kinds[job.name].devices(job.probed, job.error)
        block_torch()
        for kind in self._kinds.values():
            kind.preload()
        return {kind.name: kind.probe() for kind in self._kinds.values()}


def devices(seconds: float = PATIENCE) -> list[Device]:
    """Returns the CPU of this machine and any GPU, and what they lack.

    Args:
        seconds: Time that TVM has to answer, and each kind's driver after that.
    """
    kinds = tuple(KINDS.values())
    child = Isolate(Setting("chameleon_ray.compiler.kinds.devices:probe", kinds))
    try:
        outcome = child.call(None, seconds)
        seen = outcome.value if outcome.ending is Ending.OK else {}
        jobs = [Listing(kind.name, seen.get(kind.name, {}), outcome.error) for kind in kinds]
        found = [_listed(child, job, seconds) for job in jobs]
    finally:
        child.close()
    return [replace(device, node=platform.node()) for own in found for device in own]


def _listed(child: Isolate, job: Listing, seconds: float) -> list[Device]:
    """Returns the devices of one kind, or an entry that says why they could not be listed."""
    outcome = child.call(job, seconds)
    if outcome.ending is Ending.OK:
        found: list[Device] = outcome.value
        return found
    why = f"its driver does not answer ({outcome.error}); restart the machine"
    return [Device(job.name, "unknown device", False, why)]
