"""The fleet: the GPUs of all nodes in, the one model of GPU that a run times on out.

Latencies on different models mean nothing side by side, so a run is for one of them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from chameleon_ray.api.choices import Factory
from chameleon_ray.compiler.gpu import capability
from chameleon_ray.crew import Unfit
from chameleon_ray.measure.nvml import Gpu, NvmlError, visible


def chosen(found: Sequence[Gpu], arch: str, preferred: Sequence[str] = ()) -> str:
    """The model that a run times on.

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


def left_out(found: Sequence[Gpu], model: str) -> str:
    """What the user is told where not all GPUs are of the model; empty where they are."""
    counts = Counter((gpu.name, gpu.arch) for gpu in found)
    timing = {arch: n for (name, arch), n in counts.items() if name == model}
    others = sorted((name, arch) for name, arch in counts if name != model)
    if not (timing and others):
        return ""
    listed = ", ".join(f"{counts[other]} {other[0]}" for other in others)
    advice = [
        f"{name} on nodes that have no {model}"
        if arch in timing
        else f"{name} with --target cuda:{arch}"
        for name, arch in others
    ]
    return (
        f"This run times on {sum(timing.values())} {model} and leaves out {listed}, as latencies "
        f"on different GPUs cannot be compared; in a run of its own, tune for {', '.join(advice)}."
    )


def model_of(arch: str, preferred: Sequence[str], tell: Callable[[str], None]) -> str:
    """Asks every node for its GPUs; the model that a run times on, empty where none is known.

    Args:
        arch: The architecture that the target names; any where empty.
        preferred: As for ``chosen``.
        tell: Is given what is left out, in a sentence.

    Raises:
        SessionError: A node did not answer.
    """
    from chameleon_ray.cluster import offered, session

    found = [gpu for node in session.everywhere(offered.gpus) for gpu in node]
    model = chosen(found, arch, preferred)
    if said := left_out(found, model):
        tell(said)
    return model


def own() -> str:
    """The model of the GPU that CUDA counts first here; empty where there is none."""
    try:
        return visible().name
    except NvmlError:
        return ""


def only(model: str, factory: Factory) -> Factory:
    """The factory of a runner, for GPUs that may be of another model than this one: it refuses.

    Where the model is empty, or the driver does not answer, nothing is demanded. The factory that
    is returned raises ``Unfit``.
    """
    return partial(_only, model, factory) if model else factory


def _only(model: str, factory: Factory) -> Any:
    found = own() or model
    if found != model:
        raise Unfit(f"its GPU is {found}, and this run is for {model}; tune for it in another run")
    return factory()
