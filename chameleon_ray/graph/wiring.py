"""Wirings: the operations of an irregular network, and which of them each operation reads."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chameleon_ray.graph.graph import ADD, CONCAT, CONV, DEPTHWISE, Graph, Node


@dataclass(frozen=True)
class Op:
    """One operation of a network.

    Attributes:
        name: Unique in its wiring.
        kind: A key of ``KINDS``.
        reads: Names of operations or of the network's inputs. Several are concatenated by a
            convolution, added by a sum.
        channels: Channels of its output.
        side: Side of its square output, in pixels.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: int
    side: int


KINDS: dict[str, tuple[str, bool]] = {
    "conv": (CONV, False),
    "linear": (CONV, True),
    "relu-conv": (CONV, True),
    "depthwise": (DEPTHWISE, False),
    "relu-depthwise": (DEPTHWISE, True),
    "relu-dilated": (DEPTHWISE, True),
    "add": (ADD, True),
    "concat": (CONCAT, True),
    "pool": ("pool", True),
    "separable": ("separable", True),
}
"""The graph's kind of each operation, and whether the operation is linear in its summands."""


def parse(cell: str) -> list[tuple[str, tuple[str, ...]]]:
    """Parses ``name(read,read) name(read)`` into names and what each of them reads."""
    calls = re.findall(r"(\w+)\(([\w,]+)\)", cell)
    return [(name, tuple(reads.split(","))) for name, reads in calls]


def prefixed(ops: Iterable[Op], prefix: str, inputs: Mapping[str, str]) -> list[Op]:
    """Copies a wiring with a prefix to every name, and with its inputs replaced by other names."""
    return [
        replace(
            op,
            name=prefix + op.name,
            reads=tuple(inputs.get(name, prefix + name) for name in op.reads),
        )
        for op in ops
    ]


def graph_of(
    ops: Sequence[Op], itemsize: int = 1, copies: bool = False, kept: Iterable[str] = ()
) -> Graph:
    """Makes the plain graph of a wiring: a node and a buffer per operation.

    Args:
        ops: Operations in the model's order; names that they read but do not compute are inputs.
        itemsize: Bytes of an element.
        copies: Whether a concatenation is an operation that copies. Otherwise it is none, and its
            readers read its parts.
        kept: Names of operations whose outputs are never freed, besides those nothing reads.
    """
    builder = _Builder(itemsize)
    read = {name for op in ops for name in op.reads}
    for op in ops:
        places = tuple(place for name in op.reads for place in builder.places(name))
        if op.kind == "concat" and not copies:
            builder.buffers[op.name] = places
            continue
        if copies and len(places) > 1 and op.kind in ("conv", "linear", "depthwise"):
            size = sum(builder.sizes[place] for place in places)
            places = (builder.node(f"{op.name}.concat", CONCAT, True, places, size),)
        size = op.channels * op.side**2 * itemsize
        kind, linear = KINDS[op.kind]
        builder.buffers[op.name] = (builder.node(op.name, kind, linear, places, size),)
    outputs = {*kept, *(op.name for op in ops if op.name not in read)}
    held = {place for name in outputs for place in builder.buffers[name]}
    return Graph(tuple(builder.sizes), tuple(builder.nodes), frozenset(held))


class _Builder:
    def __init__(self, itemsize: int) -> None:
        self.itemsize = itemsize
        self.sizes: list[int] = []
        self.nodes: list[Node] = []
        self.buffers: dict[str, tuple[int, ...]] = {}

    def places(self, name: str) -> tuple[int, ...]:
        """Returns the buffers of an operation's output; those of an input cost nothing."""
        if name not in self.buffers:
            self.buffers[name] = (len(self.sizes),)
            self.sizes.append(0)
        return self.buffers[name]

    def node(self, name: str, kind: str, linear: bool, reads: tuple[int, ...], size: int) -> int:
        self.nodes.append(Node(name, reads, len(self.sizes), kind, linear, of=name))
        self.sizes.append(size)
        return len(self.sizes) - 1
