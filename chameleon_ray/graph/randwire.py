"""RandWire stages (Xie et al., ICCV 2019): separable convolutions wired at random."""

from collections.abc import Iterator

import numpy as np

from chameleon_ray.graph.wiring import Op

CHANNELS, SIDE = 78, 16
NODES, NEIGHBOURS, REWIRED = 32, 4, 0.75
"""Nodes, neighbours on the ring and probability of rewiring of the Watts-Strogatz graphs."""


def stage(seed: int, nodes: int = NODES, ancestors: bool = False) -> list[Op]:
    """Returns a stage whose sources read ``input``, of twice its side, and whose sinks are added.

    Args:
        seed: Seed of the wiring.
        nodes: Number of the graph's nodes, without the sum at the end.
        ancestors: Whether a node sums up all nodes before it, as in one published implementation,
            instead of only those it is wired to.
    """
    edges = watts_strogatz(nodes, NEIGHBOURS, REWIRED, np.random.default_rng(seed))
    before: list[set[int]] = [set() for _ in range(nodes)]
    for first, second in sorted(edges):
        before[second] |= {first} | (before[first] if ancestors else set())
    sinks = sorted(set(range(nodes)) - {first for first, _ in edges})
    reads = [tuple(f"n{one}" for one in sorted(earlier)) or ("input",) for earlier in before]
    ops = [Op(f"n{number}", "separable", read, CHANNELS, SIDE) for number, read in enumerate(reads)]
    return [*ops, Op("output", "add", tuple(f"n{one}" for one in sinks), CHANNELS, SIDE)]


def watts_strogatz(
    nodes: int, neighbours: int, rewired: float, rng: np.random.Generator
) -> set[tuple[int, int]]:
    """Draws a connected random graph (Watts and Strogatz, Nature 1998).

    Every node of a ring is joined to its ``neighbours`` nearest nodes. Then each edge's far end is
    moved with probability ``rewired``. This is repeated until the graph is connected.

    Returns:
        Edges, from the lower to the higher node.

    Raises:
        ValueError: There are no such graphs.
    """
    if not 2 <= neighbours < nodes or neighbours % 2 or not 0 <= rewired <= 1:
        raise ValueError("A ring joins each node to an even number of neighbours, below its own.")
    while True:
        edges = _draw(nodes, neighbours, rewired, rng)
        if _is_connected(nodes, edges):
            return edges


def _draw(
    nodes: int, neighbours: int, rewired: float, rng: np.random.Generator
) -> set[tuple[int, int]]:
    joined = [set[int]() for _ in range(nodes)]
    for first, second in _ring(nodes, neighbours):
        joined[first].add(second)
        joined[second].add(first)
    for first, second in _ring(nodes, neighbours):
        free = sorted(set(range(nodes)) - joined[first] - {first})
        if rng.random() < rewired and free:
            other = free[rng.integers(len(free))]
            joined[first].remove(second)
            joined[second].remove(first)
            joined[first].add(other)
            joined[other].add(first)
    return {(first, other) for first in range(nodes) for other in joined[first] if first < other}


def _ring(nodes: int, neighbours: int) -> Iterator[tuple[int, int]]:
    for distance in range(1, neighbours // 2 + 1):
        yield from ((node, (node + distance) % nodes) for node in range(nodes))


def _is_connected(nodes: int, edges: set[tuple[int, int]]) -> bool:
    reached, before = {0}, set[int]()
    while reached != before:
        before = reached
        reached = before | {n for edge in edges if before & set(edge) for n in edge}
    return len(reached) == nodes
