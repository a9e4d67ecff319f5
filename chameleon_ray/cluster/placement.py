"""Placement: how many actors of a pool each node of a cluster is to have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class Node:
    """One machine of the cluster, as Ray sees it.

    Attributes:
        id: Ray's name of the node; a machine that leaves and comes back gets another one.
        address: Address of the node, for people.
        cpus: Number of cores that the node offers.
        gpus: Number of GPUs that the node offers.
        here: Whether the driver runs on the node.
    """

    id: str
    address: str
    cpus: int
    gpus: int = 0
    here: bool = False


Spread = Callable[[Node], int]
"""Gives the number of a pool's actors, or of cores for a purpose, on a node."""
Look = Callable[[], tuple[Node, ...]]
"""Finds the living nodes."""


def nodes() -> tuple[Node, ...]:
    """Returns the living nodes, the driver's own first."""
    here = ray.get_runtime_context().get_node_id()
    found = [
        Node(
            id=node["NodeID"],
            address=node["NodeManagerAddress"],
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
            here=node["NodeID"] == here,
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return tuple(sorted(found, key=lambda node: (not node.here, node.address, node.id)))


def affinity(node: Node) -> dict[str, Any]:
    """Returns Ray options that bind an actor to a node."""
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def near_driver() -> dict[str, Any]:
    """Returns Ray options that put an actor beside the driver and leave other nodes to builders."""
    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=True)}


def one_per_gpu(node: Node) -> int:
    """Gives the number of runners for GPU targets: one per GPU, which it owns."""
    return node.gpus


def one_per_node(node: Node) -> int:
    """Gives the number of runners for CPU targets: one per node, which owns its timing cores."""
    return 1 if node.cpus else 0


def one_per_core(wanted: int | None, timing: Spread, search: int) -> Spread:
    """Makes the rule of builders: one per core that neither times nor searches.

    Only cores of the driver's node search. A node that has cores gets one builder at least.

    Args:
        wanted: Number of builders on every node that has cores; None for the computed number.
        timing: Gives the number of cores that a node keeps for timing.
        search: Number of search actors and the driver, on the driver's node.
    """

    def spread(node: Node) -> int:
        if not node.cpus:
            return 0
        free = node.cpus - timing(node) - (search if node.here else 0)
        return max(free, 1) if wanted is None else wanted

    return spread
