"""What a node offers: the GPUs that Ray hands out there, as NVIDIA's driver names them."""

from ray._private import worker

from chameleon_ray.cluster.placement import nodes
from chameleon_ray.measure import nvml


def here() -> int:
    """How many GPUs Ray hands out on this process's node."""
    return next((node.gpus for node in nodes() if node.here), 0)


def gpus() -> list[nvml.Gpu]:
    """Those GPUs; none where the driver does not answer. Nothing is opened on them."""
    count, visible = here(), worker.global_worker.original_visible_accelerator_ids
    try:
        return nvml.named(visible.get("GPU"))[:count] if count else []
    except nvml.NvmlError:
        return []
