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
        id: Ray's name of it; a machine that leaves and comes back gets another one.
        address: Its address, for people.
        cpus: Cores that it offers.
        gpus: GPUs that it offers.
        here: Whether the driver runs on it.
    """

    id: str
    address: str
    cpus: int
    gpus: int = 0
    here: bool = False


Spread = Callable[[Node], int]
"""Gives the number of a pool's actors, or of cores for a purpose, on a node."""
Look = Callable[[], tuple[Node, ...]]
"""Finds the present nodes."""


def nodes() -> tuple[Node, ...]:
    """The living nodes, the driver's own first."""
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
    """Ray options that bind an actor to a node."""
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def near_driver() -> dict[str, Any]:
    """Ray options that put a search actor beside the driver, and leave other nodes to builders."""
    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=True)}


def one_per_gpu(node: Node) -> int:
    """One runner per GPU, which it owns: the rule of GPU targets."""
    return node.gpus


def one_per_node(node: Node) -> int:
    """One runner per node, which owns the node's timing cores: the rule of CPU targets."""
    return 1 if node.cpus else 0


def one_per_core(wanted: int | None, timing: Spread, search: int) -> Spread:
    """The rule of builders: one per core that neither times nor, on the driver's node, searches.

    Args:
        wanted: Builders on every node that has cores, in place of the computed number.
        timing: Gives the cores that a node keeps for timing.
        search: The number of search actors and the driver, on the driver's node.
    """

    def spread(node: Node) -> int:
        if not node.cpus:
            return 0
        free = node.cpus - timing(node) - (search if node.here else 0)
        return max(free, 1) if wanted is None else wanted

    return spread
