"""Other commands on this machine: they are told of this one, and the user of them."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from chameleon_ray.api.setup import Setup
from chameleon_ray.api.site import Site
from chameleon_ray.measure import nvml, rendezvous
from chameleon_ray.measure.occupants import Occupant, occupying, others
from chameleon_ray.report.progress import Progress


@dataclass(frozen=True)
class Neighbours:
    """Commands that work beside this one.

    Attributes:
        own: What they know of this one.
        progress: Progress of this one, which tells the user.
    """

    own: Occupant
    progress: Progress

    def tell(self) -> None:
        """Tells of commands on the cores or GPUs that this one times on, once each."""
        for told in (other.told(self.own) for other in others()):
            if told and told not in self.progress.notes:
                self.progress.note(told)


@contextmanager
def beside(site: Site, setup: Setup, progress: Progress) -> Iterator[Neighbours]:
    """Lets other commands on this machine know of a session for the length of a ``with`` block.

    What commands left that were killed is removed first.
    """
    timing = setup.timing_cores if setup.kind.gpus is None else ()
    command, folder = shlex.join(("chameleon", *site.words)), str(site.folder.path.resolve())
    rendezvous.sweep()
    gpus = _gpus() if setup.kind.owns_gpu and not site.request.on_cluster else ()
    own = Occupant(os.getpid(), command, folder, setup.search_cores, timing, gpus)
    if reason := rendezvous.unusable():
        progress.note(
            f"Commands of this machine cannot find each other ({reason}), so they do not take "
            "turns at cores and GPUs; see to it that no other one runs."
        )
    with occupying(own):
        yield Neighbours(own, progress)


def _gpus() -> tuple[str, ...]:
    """Returns the UUIDs of the GPUs that CUDA shows this process; none without a driver."""
    with suppress(nvml.NvmlError):
        return tuple(gpu.uuid for gpu in nvml.shown())
    return ()
