"""Assigns targets to the models of GPU that a session times on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from chameleon_ray.cluster import ray_session
from chameleon_ray.compiler.kind import Device
from chameleon_ray.compiler.kinds.devices import devices
from chameleon_ray.compiler.nvidia import capability
from chameleon_ray.compiler.target import arch_of
from chameleon_ray.errors import UserError
from chameleon_ray.measure.calibrated import Calibrated, Surveyed
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.measure.nvml import Gpu, NvmlError, visible

Preferred = Mapping[str, Sequence[str]]
"""Targets, and for each the models of GPU that are preferred, best first."""


def shared_out(found: Sequence[Gpu], wanted: Preferred) -> dict[str, tuple[str, ...]]:
    """Chooses the models of GPU that a session times on.

    Args:
        found: All GPUs that could time; empty where no node's driver answers.
        wanted: Targets to time for, with preferred models.

    Returns:
        Targets by model of GPU; those that no GPU fits are missing. Where no GPU is known, all
        targets are given to the model with the empty name, which any GPU may be.
    """
    if not found:
        return {"": tuple(wanted)}
    shared: dict[str, tuple[str, ...]] = {}
    for target, preferred in wanted.items():
        if model := chosen(found, arch_of(target), preferred):
            shared[model] = (*shared.get(model, ()), target)
    return shared


def chosen(found: Sequence[Gpu], arch: str, preferred: Sequence[str] = ()) -> str:
    """Chooses the model of GPU that a target is timed on.

    Args:
        found: All GPUs that could time.
        arch: Architecture that the target names; empty where any will do.
        preferred: Models that are taken before others, best first.

    Returns:
        The first preferred model that fits. Without one, the model with most GPUs among those that
        fit; on a tie, the first by name. Empty where none fits.
    """
    fit = [gpu.name for gpu in found if not arch or capability(gpu.arch) == capability(arch)]
    for model in preferred:
        if model in fit:
            return model
    return min(fit, key=lambda name: (-fit.count(name), name), default="")


def left_out(found: Sequence[Gpu], models: Collection[str]) -> str:
    """Returns a sentence on the GPUs that are of none of the models; empty if all are used."""
    counts = Counter((gpu.name, gpu.arch) for gpu in found)
    timing = {gpu: count for gpu, count in counts.items() if gpu[0] in models}
    others = sorted(gpu for gpu in counts if gpu not in timing)
    if not (timing and others):
        return ""
    taken = {arch: name for name, arch in timing}
    advice = [
        f"{name} on nodes that have no {taken[arch]}"
        if arch in taken
        else f"{name} with --target cuda:{arch}"
        for name, arch in others
    ]
    return (
        f"This run times on {_listed(timing)} and leaves out "
        f"{_listed({other: counts[other] for other in others})}, as latencies "
        f"on different GPUs cannot be compared; in a run of its own, tune for {', '.join(advice)}."
    )


def missing(target: str) -> str:
    """Returns a sentence on a target that no GPU fits."""
    return (
        f"There is no GPU of {arch_of(target)}, which the target is for; give one that there is, "
        "as chameleon devices lists them, or --build-only."
    )


def own_gpu_model() -> str:
    """Returns the model of the first GPU that CUDA sees here; empty where there is none."""
    try:
        return visible().name
    except NvmlError:
        return ""


def _listed(counts: Mapping[tuple[str, str], int]) -> str:
    return ", ".join(f"{count} {name}" for (name, _), count in counts.items())


def cluster_devices(address: str) -> list[Device]:
    """Returns the devices of every node of a Ray cluster.

    Raises:
        SessionError: The cluster cannot be joined, or a node does not answer.
    """
    with ray_session.start(address):
        return [device for found in ray_session.everywhere(devices) for device in found]


async def surveyed(measurer: Measurer) -> Surveyed:
    """Asks a runner for its GPU.

    Raises:
        UserError: TVM sees no GPU there, or the runner failed.
    """
    found = await measurer.runners.call(Calibrated.survey)
    if found.error:
        raise UserError(found.error)
    return found


def demand_same(target: str, found: Surveyed) -> None:
    """Demands that a GPU has the architecture that is tuned for.

    Raises:
        UserError: Kernels for the target would not run on the GPU.
    """
    wanted, there = arch_of(target), arch_of(found.target)
    if capability(wanted) != capability(there):
        raise UserError(
            f"The target is for {wanted}, but the GPU that times, {found.device}, is {there}; "
            "give cuda as the target, or --build-only."
        )
