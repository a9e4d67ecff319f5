"""The GPUs that Ray hands out on each node, as NVIDIA's driver names them."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ray._private import worker

from chameleon_ray.cluster.asking import Silent, asked
from chameleon_ray.cluster.placement import Node, nodes
from chameleon_ray.measure import nvml, rendezvous
from chameleon_ray.measure.device_lock import claim
from chameleon_ray.pool import Unfit

logger = logging.getLogger(__name__)
TAKING_SECONDS = 30.0
"""Seconds to wait for a process that uses a GPU, but is about to end."""


def here() -> int:
    """Counts the GPUs that Ray hands out on this process's node."""
    return next((node.gpus for node in nodes() if node.here), 0)


def gpus() -> list[nvml.Gpu]:
    """Returns the GPUs that Ray hands out here; none where the driver does not answer.

    Nothing is opened on the GPUs.
    """
    count, visible = here(), worker.global_worker.original_visible_accelerator_ids
    try:
        return nvml.named(visible.get("GPU"))[:count] if count else []
    except nvml.NvmlError:
        return []


class GpuInventory:
    """The GPUs of all nodes; each node is asked once."""

    def __init__(self) -> None:
        self._known: dict[str, list[nvml.Gpu]] = {}

    def gpus(self) -> list[nvml.Gpu]:
        """Returns the GPUs of all living nodes."""
        return [gpu for node in self._looked() for gpu in self._known[node.id]]

    def nodes(self, model: str) -> tuple[Node, ...]:
        """Returns the living nodes, counting GPUs of one model only; blocks to ask new nodes."""
        return tuple(
            replace(node, gpus=sum(gpu.name == model for gpu in self._known[node.id]))
            for node in self._looked()
        )

    def _looked(self) -> tuple[Node, ...]:
        """Returns the living nodes, after asking new ones for their GPUs."""
        found = nodes()
        new = [node for node in found if node.id not in self._known]
        self._known.update({node.id: [] for node in new if not node.gpus})
        for node, answer in asked(gpus, [node for node in new if node.gpus]).items():
            self._known[node.id] = _gpus_of(node, answer)
        return tuple(node for node in found if node.id in self._known)  # others were lost meanwhile


def _gpus_of(node: Node, answer: list[nvml.Gpu] | Silent) -> list[nvml.Gpu]:
    """Returns the GPUs that a node named; none where the node gave no answer."""
    if isinstance(answer, Silent):
        logger.warning("The GPUs of node %s are not used: %s.", node.address, answer.reason)
        return []
    return answer


def owning(model: str, factory: Callable[[], Any]) -> Callable[[], Any]:
    """Wraps a factory for actors that own one of Ray's GPUs, so that it is of a given model.

    Ray does not tell the GPUs of a node apart, and may hand out one of another model. Where the
    driver does not answer, nothing is changed. The factory that is returned raises ``Unfit`` where
    no GPU of the model is free.
    """
    return partial(_owning, model, factory)


def _owning(model: str, factory: Callable[[], Any]) -> Any:
    found = gpus()
    if found:
        _take(model, [gpu for gpu in found if gpu.name == model])
    return factory()


def _take(model: str, fit: list[nvml.Gpu]) -> None:
    """Has CUDA see one of these GPUs that no other process has taken; Ray's choice goes first.

    Raises:
        Unfit: Ray's choice is lost, or none of the GPUs became free in time.
    """
    try:
        given = nvml.visible().uuid
    except nvml.NvmlError as error:
        raise Unfit(str(error)) from error
    deadline = time.monotonic() + TAKING_SECONDS
    while fit and time.monotonic() < deadline:
        for gpu in sorted(fit, key=lambda gpu: gpu.uuid != given):
            if claim(gpu.uuid):
                os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
                return
        time.sleep(0.2)
    why = rendezvous.unusable() or "other commands have those that they got until they end"
    raise Unfit(f"no {model} is free here; {why}")
