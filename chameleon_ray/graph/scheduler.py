"""Finds a graph's order of least peak memory: divide and conquer, adaptive soft budgeting."""

import time
from dataclasses import dataclass, replace
from math import gcd

from chameleon_ray.graph.dynamic import BudgetedSearch, Found, Limits, Part
from chameleon_ray.graph.graph import Graph, bits
from chameleon_ray.options import Scheduling


@dataclass(frozen=True)
class Schedule:
    """An order, with its peak and its optimality.

    Attributes:
        order: Numbers of the graph's nodes.
        peak: Most bytes allocated at any time.
        optimal: Whether no order has a lower peak; False where time was up before that was certain.
        states: Number of partial schedules looked at.
    """

    order: tuple[int, ...]
    peak: int
    optimal: bool
    states: int


def schedule(graph: Graph, options: Scheduling | None = None) -> Schedule:
    """Finds the order of least peak memory; the same graph always has the same one.

    Where the time of ``options`` does not suffice, it returns the best order found until then.
    """
    options = options or Scheduling()
    deadline = time.perf_counter() + options.seconds
    parts = cut(graph) if options.divide else [Part(0, graph.everything)]
    floor = max((graph.least(number) for number in range(len(graph.nodes))), default=0)
    order: list[int] = []
    optimal, states = True, 0
    for part in parts:
        budgeting = SoftBudgeting(graph, replace(part, floor=floor), options, deadline)
        budgeting.run()
        floor = max(floor, budgeting.peak)
        order += budgeting.order
        optimal, states = optimal and budgeting.optimal, states + budgeting.states
    return Schedule(tuple(order), graph.peak(order), optimal, states)


def cut(graph: Graph) -> list[Part]:
    """Cuts a graph at the nodes that are before or after every other node.

    The set of nodes that have run at such a node is the same in every order. So the parts between
    them can be ordered one by one, whichever buffers live across the cuts. (The paper cuts where a
    single tensor is alive.)
    """
    before: list[int] = []
    for need in graph.needs:
        before.append(need)
        for earlier in bits(need):
            before[-1] |= before[earlier]
    after = [0] * len(graph.nodes)
    for number, earlier in enumerate(before):
        for one in bits(earlier):
            after[one] |= 1 << number
    upto = [earlier | 1 << number for number, earlier in enumerate(before)]
    ends = [one for one, later in zip(upto, after, strict=True) if one | later == graph.everything]
    ends = sorted({*ends, graph.everything} - {0}, key=int.bit_count)
    return [Part(start, end) for start, end in zip([0, *ends], ends, strict=False)]


@dataclass
class SoftBudgeting:
    """Finds the order of least peak of one part, with budgets that keep the search small.

    A budget below the optimum has no order. With a generous budget, too many partial schedules are
    alive. In between the search is short.

    ``low`` is the largest budget known to have no order; it only rises. ``high`` is the least
    budget that was too wide, or the peak of the best order known; it only falls. When they meet and
    no order is known that good, the width grows. So nothing is ever tried twice.
    """

    graph: Graph
    part: Part
    options: Scheduling
    deadline: float
    order: tuple[int, ...] = ()
    peak: int = 0
    optimal: bool = False
    states: int = 0

    def run(self) -> None:
        """Finds ``order`` and ``peak``, which is the part's floor at least."""
        self._keep(tuple(bits(self.part.end & ~self.part.start)))
        step, width = gcd(*self.graph.sizes) or 1, self.options.width
        low = self.part.floor - step
        beam = Limits(self.options.beam, deadline=self.deadline)
        if low + step < self.peak and self._search(beam).late:
            return
        high = self.peak
        while low + step < self.peak:
            if high - low <= step:
                width *= self.options.growth
                self._search(Limits(width // self.options.growth, deadline=self.deadline))
                high = self.peak
            budget = low + max((high - low) // (2 * step), 1) * step
            found = self._search(Limits(width, budget, self.deadline))
            if found.late:
                return
            if found.too_wide:
                high = budget
            elif found.order is not None:
                high = self.peak
            else:
                low = max(budget, (found.pruned or 0) - step)
        self.optimal = True

    def _search(self, limits: Limits) -> Found:
        found = BudgetedSearch(self.graph, self.part, limits).run()
        self.states += found.states
        if found.order is not None:
            self._keep(found.order)
        return found

    def _keep(self, order: tuple[int, ...]) -> None:
        """Remembers an order of the part if it is the best so far."""
        peak = max(self.graph.profile(order, self.part.start), default=0)
        if not self.order or peak < self.peak:
            self.order, self.peak = order, max(peak, self.part.floor)
