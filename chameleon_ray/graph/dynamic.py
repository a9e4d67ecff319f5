"""The order of least peak by dynamic programming over what can run next (SERENITY, algorithm 1)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from chameleon_ray.graph.graph import Graph, bits

CHECK = 64
"""Partial schedules after which the clock is looked at."""


@dataclass(frozen=True)
class Part:
    """A part of a graph that is ordered by itself.

    Attributes:
        start: The nodes that have run before it, as a set of bits.
        end: Those that have run after it.
        floor: Bytes; a peak below it is of no use, as it is reached elsewhere.
    """

    start: int
    end: int
    floor: int = 0


@dataclass(frozen=True)
class Limits:
    """What a search may do.

    Attributes:
        width: Most partial schedules kept after any number of nodes.
        budget: Most bytes at any time: any order within is good, whatever else is pruned. Where
            None, the best ``width`` schedules are kept after every node.
        deadline: ``time.perf_counter()`` at which the search ends.
    """

    width: int
    budget: int | None = None
    deadline: float = float("inf")


@dataclass
class Found:
    """What a search came to.

    Attributes:
        order: Of the part's nodes; None where there is none within the limits.
        pruned: The least level above the budget that was met, if any: with no budget below it is
            there an order.
        too_wide: Whether the search was ended by ``width``.
        late: Whether it was ended by ``deadline``.
        states: Partial schedules looked at.
    """

    order: tuple[int, ...] | None = None
    pruned: int | None = None
    too_wide: bool = False
    late: bool = False
    states: int = 0


State = tuple[int, int, int]
"""Peak so far, level now, and what can run next."""
Move = tuple[int, int, int]
"""A node, the peak and the level after it."""


class Search:
    """One run of the dynamic programme over one part of a graph.

    After ``i`` nodes there is one partial schedule per set of nodes that have run, the one of least
    peak: what may follow, and what it will cost, depends on the set only. The set is the paper's
    signature in other words: what can run next determines it.
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
        """Per node, the buffers it may be the last user of: their users and sizes."""

    def run(self) -> Found:
        """An order within the limits."""
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
        """All schedules of one node more, and the node that each of them ends with."""
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
        """The nodes worth running next.

        A node that leaves no more allocated than there was, and raises no peak, is the only one:
        whatever else is to come costs no less without it. (The level is a submodular function of
        the set of nodes that have run: what a node adds to it only shrinks as the set grows.)
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
        """What can run once a node has."""
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
