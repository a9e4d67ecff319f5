"""Identity graph rewriting: convolutions of concatenations become sums of partial ones.

The graph after each step computes the same, and its best order needs no more memory. Every order of
the old graph is an order of the new one, with the parts in the place of the whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from chameleon_ray.graph.graph import ADD, CONCAT, CONV, DEPTHWISE, Graph, Node, bits

Step = Callable[[Graph], Graph]

SPLITS = (CONV, DEPTHWISE, CONCAT)
"""Kinds that can read a concatenation in parts."""


def rewrite(graph: Graph, kernel_wise: bool = True) -> Graph:
    """Applies all steps until none of them changes anything.

    Args:
        graph: Its concatenations are nodes, or nodes read several buffers.
        kernel_wise: Whether depthwise convolutions are split, too.
    """
    steps: tuple[Step, ...] = (dissolve, split_depthwise) if kernel_wise else (dissolve,)
    before = None
    while graph != before:
        before = graph
        for step in (*steps, split, absorb):
            graph = step(graph)
    return graph


def dissolve(graph: Graph) -> Graph:
    """Removes concatenations whose readers can all read the parts instead."""
    for number, node in enumerate(graph.nodes):
        if node.kind == CONCAT and _is_splittable(graph, node.writes):
            rest = [
                replace(n, reads=_replaced(n.reads, node.writes, node.reads)) for n in graph.nodes
            ]
            return dissolve(Graph(graph.sizes, (*rest[:number], *rest[number + 1 :]), graph.kept))
    return graph


def split_depthwise(graph: Graph) -> Graph:
    """Splits kernel-wise: a depthwise convolution of a concatenation becomes one of each part.

    The result is ``y = concat(w_1 * x_1, w_2 * x_2, ...)``; the readers of ``y`` read the parts.
    """
    for number, node in enumerate(graph.nodes):
        sizes = _shares(graph, node)
        if node.kind == DEPTHWISE and len(sizes) > 1 and _is_splittable(graph, node.writes):
            first = len(graph.sizes)
            new = tuple(range(first, first + len(sizes)))
            rest = [replace(n, reads=_replaced(n.reads, node.writes, new)) for n in graph.nodes]
            parts = [
                replace(part, writes=write) for part, write in zip(_parts(node), new, strict=True)
            ]
            nodes = (*rest[:number], *parts, *rest[number + 1 :])
            return split_depthwise(Graph((*graph.sizes, *sizes), nodes, graph.kept))
    return graph


def split(graph: Graph) -> Graph:
    """Splits channel-wise: a convolution of a concatenation becomes a sum of one per part.

    The parts add to one buffer in place: ``y = w_1 * x_1 + w_2 * x_2 + ...``. No summand needs any
    other.
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _parts(node) if node.kind == CONV and len(node.reads) > 1 else [node]
    return replace(graph, nodes=tuple(nodes))


def absorb(graph: Graph) -> Graph:
    """Lets linear convolutions that are summands of a sum add to the sum's buffer themselves."""
    for number, node in enumerate(graph.nodes):
        own = [buffer for buffer in node.reads if _is_summand(graph, buffer, number)]
        if node.kind != ADD or not own:
            continue
        nodes: list[Node] = []
        for one in graph.nodes:
            if one is node:
                others = [part for part in _parts(node) if part.reads[0] not in own]
                nodes += others
            else:
                nodes.append(replace(one, writes=node.writes) if one.writes in own else one)
        return absorb(Graph(graph.sizes, tuple(nodes), graph.kept))
    return graph


def _parts(node: Node) -> Iterator[Node]:
    """Yields a part per buffer that a node reads; all of them write what the node writes."""
    for place, read in enumerate(node.reads):
        yield replace(node, name=f"{node.name}.{place}", reads=(read,), part=place)


def _replaced(reads: tuple[int, ...], old: int, new: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(place for read in reads for place in (new if read == old else (read,)))


def _is_splittable(graph: Graph, buffer: int) -> bool:
    """Returns whether several buffers can replace a buffer of one writer."""
    readers = [graph.nodes[number] for number in bits(graph.readers[buffer])]
    return (
        buffer not in graph.kept
        and graph.writers[buffer].bit_count() == 1
        and bool(readers)
        and all(reader.kind in SPLITS for reader in readers)
    )


def _shares(graph: Graph, node: Node) -> list[int]:
    """Returns the output bytes per input of a depthwise convolution; empty if uneven."""
    read = [graph.sizes[buffer] for buffer in node.reads]
    whole = graph.sizes[node.writes]
    if not all(read) or any(whole * size % sum(read) for size in read):
        return []
    return [whole * size // sum(read) for size in read]


def _is_summand(graph: Graph, buffer: int, number: int) -> bool:
    """Returns whether a buffer's writers can add to a node's output instead."""
    node = graph.nodes[number]
    writers = [graph.nodes[writer] for writer in bits(graph.writers[buffer])]
    return (
        buffer not in graph.kept
        and bool(writers)
        and all(writer.kind == CONV and writer.linear for writer in writers)
        and graph.readers[buffer] == 1 << number
        and node.reads.count(buffer) == 1
        and graph.sizes[buffer] == graph.sizes[node.writes]
    )
