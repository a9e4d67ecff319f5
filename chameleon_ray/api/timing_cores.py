"""The cores of this machine that copies of a model share, with the names that depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Request
from chameleon_ray.report.loading import threads_of


@dataclass(frozen=True)
class TimingCores:
    """The cores of this machine that copies of a model share.

    Attributes:
        kind: Kind of the model's target.
        cores: The cores.
        copies: Number of copies that run at once.
    """

    kind: TargetKind
    cores: tuple[int, ...]
    copies: int

    @property
    def device(self) -> str:
        """Name of the device, as records have it; empty where this machine has none."""
        return self.kind.device_name(len(self.cores), self.copies)

    def target(self, asked: str) -> str:
        """Returns the complete target of one copy, of the target that the user asked for."""
        return self.kind.resolve(asked, max(len(self.cores) // self.copies, 1))


def cores_asked_for(request: Request) -> TimingCores:
    """Returns the cores that a request's ``threads`` and ``instances`` mean on this machine.

    Raises:
        UserError: There is no such target here, or there are fewer cores.
    """
    _, cores = split(available(), request.threads, instances=request.instances)
    return TimingCores(kind_of(request.target), cores, request.instances)


def cores_like(identity: Mapping[str, Any]) -> TimingCores:
    """Returns as many cores as a finished run timed on; all of them where this machine has fewer.

    Args:
        identity: Identity of the run, from its directory.
    """
    target, cores = identity["target"], available()
    threads = threads_of(target) or identity["options"]["threads"]
    copies = min(int(identity["options"].get("instances", 1)), len(cores))
    most = None if threads is None else min(threads, len(cores) // copies)
    return TimingCores(kind_of(target), split(cores, most, instances=copies)[1], copies)
