"""What nodes have: a cluster, or the runners of a session, in; their devices out."""

from chameleon_ray.api.choices import UserError
from chameleon_ray.cluster import session
from chameleon_ray.compiler.devices import Device, devices
from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.runtime.cuda_runner import Surveyed
from chameleon_ray.compiler.target import arch_of
from chameleon_ray.measure.measurer import Measurer


def cluster_devices(address: str) -> list[Device]:
    """The devices of every node of a Ray cluster.

    Raises:
        SessionError: It cannot be joined.
    """
    with session.start(address):
        return [device for found in session.everywhere(devices) for device in found]


async def surveyed(measurer: Measurer) -> Surveyed:
    """A runner's GPU.

    Raises:
        UserError: It has none that TVM sees.
    """
    found: Surveyed = await measurer.runners.do("survey")
    if found.error:
        raise UserError(found.error)
    return found


def demand_same(target: str, found: Surveyed) -> None:
    """Sees to it that the GPU is of the architecture that is tuned for.

    Raises:
        UserError: What is compiled for the target would not run on it.
    """
    wanted, there = arch_of(target), arch_of(found.target)
    if capability(wanted) != capability(there):
        raise UserError(
            f"The target is for {wanted}, but the GPU that times, {found.device}, is {there}; "
            "give cuda as the target, or --build-only."
        )
