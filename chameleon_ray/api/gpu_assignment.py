"""GPUs and the targets they time for: which models of GPU a session uses, and what they are."""

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

Known = Mapping[str, Sequence[str]]
"""Targets, and models of GPU that are taken before others for each, in this order."""


def shared_out(found: Sequence[Gpu], wanted: Known) -> dict[str, tuple[str, ...]]:
    """The models of GPU that a session times on.

    Args:
        found: All GPUs that could time; none where the driver answers nowhere.
        wanted: What is timed.

    Returns:
        By model, the targets that it is for; those that no GPU fits are missing. With no GPU known
        all targets are for the empty model, of which nothing is demanded.
    """
    if not found:
        return {"": tuple(wanted)}
    shared: dict[str, tuple[str, ...]] = {}
    for target, preferred in wanted.items():
        if model := chosen(found, arch_of(target), preferred):
            shared[model] = (*shared.get(model, ()), target)
    return shared


def chosen(found: Sequence[Gpu], arch: str, preferred: Sequence[str] = ()) -> str:
    """The model that a target is timed on.

    Args:
        found: All GPUs that could time.
        arch: The architecture that the target names; any where empty.
        preferred: Models that are taken before others, in this order.

    Returns:
        Of the other models that fit, the one that most GPUs are, of several the first by name;
        empty where none fits.
    """
    fit = [gpu.name for gpu in found if not arch or capability(gpu.arch) == capability(arch)]
    for model in preferred:
        if model in fit:
            return model
    return min(fit, key=lambda name: (-fit.count(name), name), default="")


def left_out(found: Sequence[Gpu], models: Collection[str]) -> str:
    """What the user is told where not all GPUs are of one of the models; empty where they are."""
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
    """Why nothing comes of a target that no GPU fits."""
    return (
        f"There is no GPU of {arch_of(target)}, which the target is for; give one that there is, "
        "as chameleon devices lists them, or --build-only."
    )


def own() -> str:
    """The model of the GPU that CUDA counts first here; empty where there is none."""
    try:
        return visible().name
    except NvmlError:
        return ""


def _listed(counts: Mapping[tuple[str, str], int]) -> str:
    return ", ".join(f"{count} {name}" for (name, _), count in counts.items())


def cluster_devices(address: str) -> list[Device]:
    """The devices of every node of a Ray cluster.

    Raises:
        SessionError: It cannot be joined.
    """
    with ray_session.start(address):
        return [device for found in ray_session.everywhere(devices) for device in found]


async def surveyed(measurer: Measurer) -> Surveyed:
    """A runner's GPU.

    Raises:
        UserError: It has none that TVM sees.
    """
    found = await measurer.runners.call(Calibrated.survey)
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
