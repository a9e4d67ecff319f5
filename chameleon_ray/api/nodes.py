"""What nodes have: a cluster, or the runners of a session, in; their devices out."""

from chameleon_ray.api.choices import UserError
from chameleon_ray.cluster import session
from chameleon_ray.compiler.devices import Device, devices
from chameleon_ray.compiler.gpu_run import Surveyed
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
