"""Graphs of operations and the buffers they write, and the memory that an order of them takes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_

CONV, DEPTHWISE, ADD, CONCAT = "conv", "depthwise", "add", "concat"
"""Kinds of operations that rewriting knows; it leaves any other word alone."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: Unique in its graph.
        reads: Numbers of the buffers it reads; several are concatenated, or added by ``ADD``.
        writes: Number of the buffer it writes, or adds to where the buffer has other writers, too.
        kind: ``CONV``, ``DEPTHWISE``, ``ADD``, ``CONCAT``, or anything else.
        linear: Whether nothing but a constant is added to what it computes: no activation.
        of: Name of the original graph's node that it is a part of; its own name where it is whole.
        part: The place of its input among the inputs of the whole node; None where it is whole.
        after: Numbers of nodes that it waits for besides the writers of its inputs.
    """

    name: str
    reads: tuple[int, ...]
    writes: int
    kind: str = ""
    linear: bool = False
    of: str = ""
    part: int | None = None
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Operations in the model's order, and the buffers they read and write.

    A buffer is allocated by whichever of its writers runs first, and freed when all of its writers
    and readers have run. Its readers wait for all of its writers. Its writers wait only for what
    they read. A buffer without a writer belongs to somebody else and costs nothing.

    Attributes:
        sizes: Bytes of every buffer.
        nodes: Operations, in an order in which they can run.
        kept: Buffers that are never freed, such as the network's outputs.

    Raises:
        ValueError: The nodes cannot run in this order, or two have the same name.
    """

    sizes: tuple[int, ...]
    nodes: tuple[Node, ...]
    kept: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len({node.name for node in self.nodes}) < len(self.nodes):
            raise ValueError("Two nodes of the graph have the same name.")
        done = 0
        for number, node in enumerate(self.nodes):
            if self.needs[number] & ~done or node.writes in node.reads:
                raise ValueError(f"The node {node.name!r} comes before what it reads is complete.")
            done |= 1 << number

    @cached_property
    def writers(self) -> tuple[int, ...]:
        """Writers of every buffer, as a set of bits: bit ``n`` is node ``n``."""
        return self._having(lambda node: (node.writes,))

    @cached_property
    def readers(self) -> tuple[int, ...]:
        """Readers of every buffer, as a set of bits: bit ``n`` is node ``n``."""
        return self._having(lambda node: node.reads)

    @cached_property
    def needs(self) -> tuple[int, ...]:
        """The nodes that must have run before each node can, as a set of bits."""
        return tuple(
            union(self.writers[b] for b in node.reads) | union(1 << n for n in node.after)
            for node in self.nodes
        )

    @cached_property
    def followers(self) -> tuple[tuple[int, ...], ...]:
        """The nodes that wait for each node."""
        later = [self.readers[node.writes] for node in self.nodes]
        for number, node in enumerate(self.nodes):
            for earlier in node.after:
                later[earlier] |= 1 << number
        return tuple(tuple(bits(numbers)) for numbers in later)

    @property
    def everything(self) -> int:
        """All nodes, as a set of bits."""
        return (1 << len(self.nodes)) - 1

    def ready(self, done: int) -> int:
        """Returns the nodes that can run next (the paper's zero-indegree set), as a set of bits."""
        free = (n for n, need in enumerate(self.needs) if not need & ~done)
        return union(1 << n for n in free) & ~done

    def level(self, done: int) -> int:
        """Returns the bytes allocated once exactly the nodes of ``done`` have run."""
        return sum(size for buffer, size in enumerate(self.sizes) if self._is_live(buffer, done))

    def least(self, number: int) -> int:
        """Returns the bytes allocated while a node runs, whatever the order."""
        node = self.nodes[number]
        own = [b for b in {*node.reads, node.writes} if self.writers[b]]
        return sum(self.sizes[buffer] for buffer in own)

    def profile(self, order: Sequence[int], start: int = 0) -> list[int]:
        """Returns the bytes allocated while each node of an order runs, inputs and output included.

        Args:
            order: Numbers of nodes.
            start: The nodes that have run before, as a set of bits.

        Raises:
            ValueError: A node is to run twice, or before what it reads is complete.
        """
        done, levels = start, []
        for number in order:
            node = self.nodes[number]
            if self.needs[number] & ~done or done >> number & 1:
                raise ValueError(f"The node {node.name!r} cannot run at its place in the order.")
            new = not self.writers[node.writes] & done
            levels.append(self.level(done) + (self.sizes[node.writes] if new else 0))
            done |= 1 << number
        return levels

    def peak(self, order: Sequence[int]) -> int:
        """Returns the most bytes allocated at any time of an order of all nodes.

        Raises:
            ValueError: It is no order of all nodes in which they can run.
        """
        if len(order) != len(self.nodes):
            raise ValueError(f"The order has {len(order)} of {len(self.nodes)} nodes.")
        return max(self.profile(order), default=0)

    def _is_live(self, buffer: int, done: int) -> bool:
        writers = self.writers[buffer]
        users = writers | self.readers[buffer]
        return bool(writers & done) and (buffer in self.kept or bool(users & ~done))

    def _having(self, buffers: Callable[[Node], Iterable[int]]) -> tuple[int, ...]:
        sets = [0] * len(self.sizes)
        for number, node in enumerate(self.nodes):
            for buffer in buffers(node):
                sets[buffer] |= 1 << number
        return tuple(sets)


def bits(numbers: int) -> Iterator[int]:
    """Yields the members of a set of bits, ascending."""
    while numbers:
        lowest = numbers & -numbers
        yield lowest.bit_length() - 1
        numbers ^= lowest


def union(sets: Iterable[int]) -> int:
    """Returns the union of some sets of bits."""
    return reduce(or_, sets, 0)
