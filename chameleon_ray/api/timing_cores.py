"""The cores of this machine that copies of a model share, with the names that depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chameleon_ray.compiler.kind import TargetKind
from chameleon_ray.compiler.kinds import kind_of
from chameleon_ray.measure.cores import available, split
from chameleon_ray.options import Request


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
    """Returns as many cores as a finished run timed on, where this machine has them.

    Args:
        identity: Identity of the run, from its directory.
    """
    options, cores = identity["options"], available()
    asked, threads = int(options.get("instances", 1)), options["threads"]
    wanted = threads if threads is None or asked * threads <= len(cores) else None
    copies = min(asked, len(cores))
    return TimingCores(
        kind_of(identity["target"]), split(cores, wanted, instances=copies)[1], copies
    )
