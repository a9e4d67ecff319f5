"""What nodes have: a cluster, or the runners of a run, in; devices, and the target they stand for,
out."""

from dataclasses import replace

from chameleon_ray.api.choices import UserError
from chameleon_ray.cluster import session
from chameleon_ray.compiler.devices import Device, devices
from chameleon_ray.compiler.target import GPU
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Request


def cluster_devices(address: str) -> list[Device]:
    """The devices of every node of a Ray cluster.

    Raises:
        SessionError: It cannot be joined.
    """
    with session.start(address):
        return [device for found in session.everywhere(devices) for device in found]


async def surveyed(request: Request, measurer: Measurer) -> tuple[Request, str]:
    """The request, its target completed by what a runner's GPU is where it was left open, and the
    GPU's name.

    Raises:
        UserError: The runner has no GPU that TVM sees.
    """
    found = await measurer.runners.do("survey")
    if found.error:
        raise UserError(found.error)
    target = found.target if request.target == GPU else request.target
    return replace(request, target=target), found.device
