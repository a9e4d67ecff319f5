"""The set-up of a session: all that can be refused before anything is written or started."""

from dataclasses import dataclass
from pathlib import Path

from chameleon_ray.api.algorithms import search_of
from chameleon_ray.api.warm_start import transfer_of
from chameleon_ray.cluster import gpus, ray_session
from chameleon_ray.compiler.codegen.link import find_linker
from chameleon_ray.compiler.target import demand_known, is_gpu
from chameleon_ray.measure import nvml
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Request, Search
from chameleon_ray.transfer import Transfer


@dataclass(frozen=True)
class Setup:
    """What a session works with on this machine.

    Attributes:
        search: The search system.
        search_cores: Cores for search and builds.
        timing_cores: Cores for timing alone.
        transfer: What tasks know of each other; None where they learn nothing from others.
    """

    search: Search
    search_cores: tuple[int, ...]
    timing_cores: tuple[int, ...]
    transfer: Transfer | None


def set_up(request: Request) -> Setup:
    """Checks a request against this machine, and divides its cores.

    Raises:
        UserError: The request cannot be met.
    """
    search = search_of(request)
    demand_known(request.target)
    ray_session.check_pins()
    find_linker()
    count = _gpus(request) if is_gpu(request.target) else None
    search_cores, timing_cores = split(available(), request.threads, count)
    return Setup(
        search, search_cores, timing_cores, transfer_of(search, map(Path, request.warm_start))
    )


def _gpus(request: Request) -> int:
    """How many GPUs of this machine need a core; a cluster's head may hand out none of them."""
    found = nvml.count()
    if found < 2 or not request.on_cluster:  # there is a core for the first one in any case
        return found
    with ray_session.start(request.address):
        return gpus.here()
