"""The budget: decides which layer gets the next plan.

A layer's claim is its weight times the latency it is expected to lose in one more plan. This is
Ansor's gradient (Zheng et al., OSDI 2020, section 6), over plans instead of seconds. Ansor believes
that a layer may come down to no time at all; here it may come down to the time that its operations
take at the machine's peak rate, where that is known. Where a layer has several lowerings, each has
a claim, which is what it is expected to gain for the layer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from chameleon_ray.lowerings import by_layer, is_behind
from chameleon_ray.options import Budgeting
from chameleon_ray.record import Record
from chameleon_ray.search.posterior import rivals
from chameleon_ray.store.merging import AS_BEFORE
from chameleon_ray.tuner import Tuner
from chameleon_ray.vendor import is_searched

WHOLE = "its whole space was measured"
STALE = "no improvement in"
FASTER = "as fast"


def lasts(reason: str) -> bool:
    """Whether a reason for the end of a search is one for later commands, too.

    It is not where the search failed, or found what its command asked for.
    """
    return reason == WHOLE or reason.startswith(STALE) or reason.endswith(FASTER)


@dataclass
class Layer:
    """The progress of one tuner, as the budget sees it: a layer, or one lowering of it.

    Attributes:
        history: Best latency in seconds after each plan.
        gained: Number of the last plan with an improvement that counted.
        mark: The latency that improvement reached.
        busy: Whether a plan of it is in flight.
        finished: Why it gets no more plans; empty while it may.
    """

    tuner: Tuner
    history: list[float] = field(default_factory=list)
    gained: int = 0
    mark: float = math.inf
    busy: bool = False
    finished: str = ""

    @property
    def latency(self) -> float:
        """Best latency in seconds so far; infinite before the first success."""
        return self.history[-1] if self.history else math.inf

    def finish(self, reason: str) -> None:
        """Gives it no more plans, unless something of it is still to be timed again."""
        if not self.tuner.again:
            self.finished = reason


class Budget:
    """Shares ``trials`` measurements, and the time until ``deadline``, between tuners.

    A layer is finished once its best latency is believed to be within the share ``until`` of the
    least one of its space, and its last plans did not improve it. Of larger spaces than are judged
    whole, too little is known for that.

    Attributes:
        peak: Most floating-point operations a second of the devices that time the layers; infinite
            where it is not known.
    """

    def __init__(
        self,
        tuners: Sequence[Tuner],
        options: Budgeting,
        trials: int | None,
        deadline: float | None,
        clock: Callable[[], float],
        until: float | None = None,
    ) -> None:
        self.options, self.deadline, self.clock, self.until = options, deadline, clock, until
        self.peak = math.inf
        self._rates: dict[str, float] = {}
        self.remaining = math.inf if trials is None else trials
        self.layers = {tuner.task.digest: Layer(tuner) for tuner in tuners}
        self._lowerings = by_layer(self.layers.values(), lambda layer: layer.tuner.task)
        for layer in self.layers.values():
            if not layer.tuner.task.space.knobs:
                layer.finished = "nothing to tune"
            records = sorted(layer.tuner.records, key=lambda record: record.plan)
            for _, plan in groupby(records, lambda record: record.plan):
                self._learn(layer, list(plan))
        for layer in self.layers.values():
            self._judge(layer)
            self._race(layer)
            self._compare(layer)

    def next(self) -> Tuner | None:
        """Hands out the tuner with the greatest claim; None where none is free or wanted."""
        if self.over:
            return None
        free = [layer for layer in self.layers.values() if not layer.busy and not layer.finished]
        free = [layer for layer in free if self._is_open(layer)]
        if not free:
            return None
        layer = max(free, key=lambda one: (self.claim(one), not one.history))
        layer.busy = True
        return layer.tuner

    def is_pressed(self, tuner: Tuner) -> bool:
        """Whether another layer than a tuner's waits for its first plan."""
        return any(
            name != tuner.task.layer
            and not any(one.busy or one.history or one.finished for one in lowerings)
            for name, lowerings in self._lowerings.items()
        )

    def grant(self, wanted: int) -> int:
        """Grants as many of ``wanted`` measurements as remain; returns their number."""
        granted = int(min(wanted, self.remaining))
        self.remaining -= granted
        return granted

    def settle(self, tuner: Tuner, records: Sequence[Record]) -> dict[str, str]:
        """Takes back a tuner whose plan is measured; returns what is finished by that, and why.

        Returns:
            Reasons by digest of the task: the tuner's own, and other lowerings of its layer.
        """
        layer, rivals = self.layers[tuner.task.digest], self._lowerings[tuner.task.layer]
        open_before = [rival for rival in rivals if not rival.finished]
        layer.busy = False
        self._learn(layer, records)
        self._judge(layer)
        if tuner.exhausted:
            layer.finished = WHOLE
        self._race(layer)
        self._compare(layer)
        return {one.tuner.task.digest: one.finished for one in open_before if one.finished}

    def retire(self, tuner: Tuner, reason: str) -> str:
        """Gives a tuner no more plans; returns the reason."""
        layer = self.layers[tuner.task.digest]
        layer.busy, layer.finished = False, reason
        return reason

    @property
    def over(self) -> bool:
        """Whether nothing more may be begun."""
        return self.remaining <= 0 or self.late

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock() >= self.deadline

    @property
    def open(self) -> bool:
        """Whether some layer may still get a plan."""
        return not self.over and any(not layer.finished for layer in self.layers.values())

    def _is_open(self, layer: Layer) -> bool:
        """Whether a lowering may be searched: the first one, and others once that has begun.

        As long as the layer is timed again, all that have something to time may.
        """
        lowerings = self._lowerings[layer.tuner.task.layer]
        if _timed_again(lowerings):
            return bool(layer.tuner.again)
        first = lowerings[0]
        return layer is first or bool(first.finished) or len(first.history) >= self.options.opening

    def _leader(self, layer: Layer) -> Layer:
        """Returns the fastest lowering of a layer; the first one before any success."""
        return min(self._lowerings[layer.tuner.task.layer], key=lambda one: one.latency)

    def claim(self, layer: Layer) -> float:
        """Returns the seconds that one more plan is expected to save its layer.

        It is infinite before the layer's first success. Another lowering that has had no success
        may save all.
        """
        fastest = self._leader(layer).latency
        if math.isinf(layer.latency):
            return layer.tuner.task.weight * fastest
        return layer.tuner.task.weight * max(self._gain(layer) - (layer.latency - fastest), 0.0)

    def _gain(self, layer: Layer) -> float:
        """Returns the seconds that a plan is expected to take from the layer's own latency."""
        plans, latency = len(layer.history), layer.history[-1]
        window = min(self.options.window, plans - 1)
        past = layer.history[-1 - window]
        backward = (past - latency) / window if window and math.isfinite(past) else 0.0
        least = layer.tuner.task.flop / self._most()
        possible = max(latency - least, self.options.improvement * latency)
        forward = max(possible / plans, latency - self._reachable(layer))
        alpha = self.options.backward
        return alpha * backward + (1 - alpha) * forward

    def _reachable(self, layer: Layer) -> float:
        """Returns the latency at the best throughput of the same kind of layer over ``similar``."""
        task = layer.tuner.task
        fastest = self._rates.get(task.kind, 0.0)
        return self.options.similar * task.flop / fastest if fastest > 0 else math.inf

    def _most(self) -> float:
        """Returns the most operations a second that any layer is believed to reach.

        A layer that is much faster than the peak shows that this was measured on a busy machine, or
        that there is other arithmetic than it is of, such as that of integers.
        """
        fastest = max(self._rates.values(), default=0.0)
        return math.inf if fastest > self.options.credible * self.peak else max(self.peak, fastest)

    def _learn(self, layer: Layer, records: Sequence[Record]) -> None:
        """Updates a layer's history, and whether it is finished, with one plan's records."""
        if not records:
            return
        for record in records:
            if record.latency < layer.mark * (1 - self.options.improvement):
                layer.mark, layer.gained = record.latency, record.plan
        stale = max(record.plan for record in records) - layer.gained
        layer.history.append(min(layer.latency, *(record.latency for record in records)))
        task = layer.tuner.task
        self._rates[task.kind] = max(self._rates.get(task.kind, 0.0), task.flop / layer.latency)
        tried = [record for record in layer.tuner.records if is_searched(record.config)]
        if stale >= self.options.patience:
            layer.finish(f"{STALE} {stale} plans")
        elif len(tried) >= layer.tuner.task.space.size:
            layer.finish(WHOLE)

    def _judge(self, layer: Layer) -> None:
        """Finishes a layer that is near enough to the best of its space.

        Enough must have been tried for that, and the last of it in vain.
        """
        if self.until is None or layer.finished:
            return
        records, options = layer.tuner.records, self.options
        tried = sum(is_searched(record.config) for record in records)
        stale = max((record.plan for record in records), default=0) - layer.gained
        if tried < options.soonest or stale < options.settled:
            return
        left = rivals(layer.tuner.task.space, records, options.bounding)
        confidence = options.bounding.confidence
        if left is not None and left.whole and left.within(confidence) <= self.until:
            layer.finish(f"{left.told(confidence)}, as asked for")

    def _compare(self, layer: Layer) -> None:
        """Finishes a layer that was timed again and is as fast as in the earlier run."""
        lowerings = self._lowerings[layer.tuner.task.layer]
        before = layer.tuner.before
        if before is None or _timed_again(lowerings):
            return
        best = min((r for one in lowerings for r in one.tuner.records), key=_latency, default=None)
        if best is None or best.latency > before * (1 + max(self.options.worse, best.spread)):
            return
        for one in lowerings:
            one.finished = one.finished or AS_BEFORE

    def _race(self, layer: Layer) -> None:
        """Gives up the lowerings of a layer that are too far behind its fastest one."""
        leader = self._leader(layer)
        for rival in self._lowerings[layer.tuner.task.layer]:
            late = rival is not leader and is_behind(rival.history, leader.history, self.options)
            if late and not rival.finished:
                times = rival.latency / leader.latency
                much = f"{times:.1f} times" if math.isfinite(times) else "infinitely"
                rival.finish(f"{leader.tuner.task.lowering} is {much} {FASTER}")


def _timed_again(lowerings: Sequence[Layer]) -> bool:
    """Whether it is still to be found out if a layer is as fast as in an earlier run."""
    return any(one.tuner.again for one in lowerings if not one.finished)


def _latency(record: Record) -> float:
    return record.latency
