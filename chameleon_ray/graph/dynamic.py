"""Dynamic programming for the order of least peak memory (SERENITY, algorithm 1)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from chameleon_ray.graph.graph import Graph, bits

CHECK = 64
"""Number of partial schedules between two looks at the clock."""


@dataclass(frozen=True)
class Part:
    """A part of a graph that is ordered by itself.

    Attributes:
        start: The nodes that have run when the part begins, as a set of bits.
        end: The nodes that have run when the part ends, as a set of bits.
        floor: Bytes; a lower peak is of no use, as the graph reaches this one elsewhere.
    """

    start: int
    end: int
    floor: int = 0


@dataclass(frozen=True)
class Limits:
    """The limits of a search.

    Attributes:
        width: Most partial schedules kept after any number of nodes.
        budget: Most bytes at any time; any order within it is good, and everything else is pruned.
            Where None, the best ``width`` schedules are kept after every node.
        deadline: ``time.perf_counter()`` at which the search ends.
    """

    width: int
    budget: int | None = None
    deadline: float = float("inf")


@dataclass
class Found:
    """The result of a search.

    Attributes:
        order: The part's nodes in order; None where no order is within the limits.
        pruned: The least level above the budget that was met, if any. No budget below it has an
            order.
        too_wide: Whether the search was ended by ``width``.
        late: Whether the search was ended by ``deadline``.
        states: Number of partial schedules looked at.
    """

    order: tuple[int, ...] | None = None
    pruned: int | None = None
    too_wide: bool = False
    late: bool = False
    states: int = 0


State = tuple[int, int, int]
"""A partial schedule: its peak so far, its level now, and the nodes that can run next."""
Move = tuple[int, int, int]
"""A node, with the peak and the level after it."""


class BudgetedSearch:
    """One run of the dynamic programme over one part of a graph.

    After ``i`` nodes one partial schedule is kept per set of nodes that have run: that of least
    peak. What may follow, and what it costs, depends on the set only. The set takes the place of
    the paper's signature, the nodes that can run next: either determines the other.
    """

    def __init__(self, graph: Graph, part: Part, limits: Limits) -> None:
        self.graph, self.part, self.limits = graph, part, limits
        self.found = Found()
        users = [w | r for w, r in zip(graph.writers, graph.readers, strict=True)]
        self._allocates = [(graph.writers[n.writes], graph.sizes[n.writes]) for n in graph.nodes]
        self._frees = [
            [
                (users[buffer], graph.sizes[buffer])
                for buffer in {*node.reads, node.writes}
                if graph.writers[buffer] and buffer not in graph.kept
            ]
            for node in graph.nodes
        ]
        """Users and sizes of the buffers that each node may be the last user of."""

    def run(self) -> Found:
        """Searches for an order within the limits."""
        graph, part, found = self.graph, self.part, self.found
        peak = part.floor if self.limits.budget is None else self.limits.budget
        first = (peak, graph.level(part.start), graph.ready(part.start) & part.end)
        layer: dict[int, State] = {part.start: first}
        last: list[dict[int, int]] = []
        while layer and part.end not in layer:
            layer, steps = self._extend(layer)
            last.append(steps)
            if found.late or found.too_wide:
                return found
        if layer:
            found.order = tuple(self._walk_back(last))
        return found

    def _extend(self, layer: dict[int, State]) -> tuple[dict[int, State], dict[int, int]]:
        """Extends all schedules by one node; returns them, and the node that each ends with."""
        found, limits = self.found, self.limits
        following: dict[int, State] = {}
        steps: dict[int, int] = {}
        for done, state in layer.items():
            for node, peak, level in self._moves(done, state):
                now = done | 1 << node
                known = following.get(now)
                if known is None or peak < known[0]:
                    ready = known[2] if known else self._ready(state[2], now, node)
                    following[now] = (peak, level, ready)
                    steps[now] = node
            found.states += 1
            found.late = found.states % CHECK == 0 and time.perf_counter() > limits.deadline
            found.too_wide = limits.budget is not None and len(following) > limits.width
            if found.late or found.too_wide:
                break
        if limits.budget is None and len(following) > limits.width:
            best = sorted(following, key=lambda done: (following[done][:2], done))
            following = {done: following[done] for done in best[: limits.width]}
        return following, steps

    def _moves(self, done: int, state: State) -> Sequence[Move]:
        """Returns the nodes worth running next.

        A node is the only one worth running where it raises no peak and leaves no more allocated
        than before: without it, nothing that is still to come costs less. (The level is a
        submodular function of the set of nodes that have run: what a node adds to it only shrinks
        as the set grows.)
        """
        peak, level, ready = state
        budget, found = self.limits.budget, self.found
        moves = []
        for node in bits(ready):
            now = done | 1 << node
            writers, size = self._allocates[node]
            high = level if writers & done else level + size
            after = high - sum(size for users, size in self._frees[node] if not users & ~now)
            if high <= peak:
                if after <= level:
                    return ((node, peak, after),)
                moves.append((node, peak, after))
            elif budget is None:
                moves.append((node, high, after))
            elif found.pruned is None or high < found.pruned:
                found.pruned = high
        return moves

    def _ready(self, ready: int, done: int, node: int) -> int:
        """Returns the nodes that can run once ``node`` has, as a set of bits."""
        ready &= ~(1 << node)
        needs = self.graph.needs
        for follower in self.graph.followers[node]:
            if not needs[follower] & ~done:
                ready |= 1 << follower
        return ready & self.part.end

    def _walk_back(self, last: list[dict[int, int]]) -> list[int]:
        done, order = self.part.end, []
        for steps in reversed(last):
            order.append(steps[done])
            done &= ~(1 << order[-1])
        return order[::-1]
