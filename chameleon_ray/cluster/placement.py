"""Placement: a cluster's nodes in, how many actors of a pool each of them is to have out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class Node:
    """One machine of the cluster, as Ray sees it.

    Attributes:
        id: Ray's; a machine that leaves and comes back has another one.
        address: For people.
        cpus: Cores that it inventory.
        gpus: The same for GPUs.
        here: The driver runs on it.
    """

    id: str
    address: str
    cpus: int
    gpus: int = 0
    here: bool = False


Spread = Callable[[Node], int]
"""How many actors of a pool, or cores for a purpose, belong on a node."""
Look = Callable[[], tuple[Node, ...]]
"""Finds the nodes that there are."""


def nodes() -> tuple[Node, ...]:
    """The nodes that live, the driver's first."""
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
    """Ray options of an actor that has to be on a node."""
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False)}


def near_driver() -> dict[str, Any]:
    """Ray options of an actor of the search, which leaves the other nodes to builders."""
    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=True)}


def one_per_gpu(node: Node) -> int:
    """Runners of a GPU target own a GPU each."""
    return node.gpus


def one_per_node(node: Node) -> int:
    """The runner of a CPU target owns a node's timing cores."""
    return 1 if node.cpus else 0


def one_per_core(wanted: int | None, timing: Spread, search: int) -> Spread:
    """Builders: one per core that neither times nor, on the driver's node, searches.

    Args:
        wanted: Builders of every node that has cores, in place of what is counted.
        timing: Cores that a node keeps for timing.
        search: Actors of the search, and the driver itself, on the driver's node.
    """

    def spread(node: Node) -> int:
        if not node.cpus:
            return 0
        free = node.cpus - timing(node) - (search if node.here else 0)
        return max(free, 1) if wanted is None else wanted

    return spread
