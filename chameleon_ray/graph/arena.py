"""Offsets of an order's buffers in one block of memory, as an embedded runtime assigns them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chameleon_ray.graph.graph import Graph

ALIGNMENT = 64
"""Alignment of every buffer's offset in bytes, that of TensorFlow Lite."""


@dataclass(frozen=True)
class Arena:
    """Placement of every buffer in the block.

    Attributes:
        offsets: Bytes from the beginning, by buffer; buffers without a writer are left out.
        bytes: Size of the whole block.
        spans: First and last step at which a buffer is allocated, by buffer.
    """

    offsets: Mapping[int, int]
    bytes: int
    spans: Mapping[int, tuple[int, int]]

    def alive(self, step: int) -> list[int]:
        """Returns the buffers that are allocated while a step of the order runs."""
        return [buffer for buffer, (first, last) in self.spans.items() if first <= step <= last]


def place(graph: Graph, order: Sequence[int], alignment: int = ALIGNMENT) -> Arena:
    """Gives each buffer, in the order of allocation, the lowest gap that it fits into.

    TensorFlow Lite had this rule (its simple memory arena) before it sorted buffers by size.
    """
    spans = lifetimes(graph, order)
    offsets: dict[int, int] = {}
    for buffer in sorted(spans, key=lambda one: spans[one][0]):
        adjacent = sorted(
            (offsets[other], offsets[other] + graph.sizes[other])
            for other in offsets
            if spans[other][1] >= spans[buffer][0]
        )
        offset = 0
        for begin, end in adjacent:
            if offset + graph.sizes[buffer] <= begin:
                break
            offset = max(offset, -(-end // alignment) * alignment)
        offsets[buffer] = offset
    ends = [offset + graph.sizes[buffer] for buffer, offset in offsets.items()]
    return Arena(offsets, max(ends, default=0), spans)


def lifetimes(graph: Graph, order: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Returns the first and the last step of an order at which each buffer is allocated."""
    spans: dict[int, tuple[int, int]] = {}
    for step, number in enumerate(order):
        node = graph.nodes[number]
        for buffer in (node.writes, *node.reads):
            if graph.writers[buffer]:
                spans[buffer] = (spans.get(buffer, (step, step))[0], step)
    last = len(order) - 1
    return {b: (first, last if b in graph.kept else end) for b, (first, end) in spans.items()}
