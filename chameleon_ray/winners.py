"""Chooses each layer's winner: the candidate that holds up against the default schedule.

The fastest candidates are built again, compared with the reference on the same inputs and timed in
turns with the default schedule. So the winner is neither wrong nor merely lucky. The reference is
the default schedule's output, or where a runner has a more exact one, that; a default that differs
from it loses to any candidate that does not.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median
from types import MappingProxyType

from chameleon_ray.contest import contest
from chameleon_ray.lowerings import contenders, preferred
from chameleon_ray.measure.measurer import Finalist, Measurer
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task

UNTIMED = "no candidate could be timed"
LEFT_OUT = "left out by --only"
"""Why a layer was neither searched nor timed."""


@dataclass(frozen=True)
class Winner:
    """The configuration that a layer will be compiled with.

    Attributes:
        task: The layer's digest.
        config: The chosen configuration; empty for the default schedule.
        latency: Median seconds of the candidate in the final timing; ``default_latency`` where the
            default schedule was kept.
        default_latency: Least seconds of the default schedule, in the final timing and the records;
            of a layer with several lowerings, that of the first one.
        reason: Reason for keeping the default schedule; empty where a candidate was chosen.
        wrong: Candidates whose output was wrong.
        disturbed: Share of the final timing in which other processes had its cores.
        confirmed: Whether there was time for a final timing.
        others: The other right candidates of the final timing that are nearly as fast, and their
            median seconds, the fastest first.
    """

    task: str
    config: Config
    latency: float
    default_latency: float
    reason: str = ""
    wrong: tuple[Config, ...] = ()
    disturbed: float = 0.0
    confirmed: bool = True
    others: tuple[tuple[Config, float], ...] = ()


@dataclass(frozen=True)
class Earlier:
    """The winner of an earlier run, which stays unless another one is notably faster.

    Attributes:
        config: Its configuration; empty for the default schedule.
        settled: Whether it is timed beside the default schedule alone, as nothing new was found of
            any lowering of the layer.
    """

    config: Config
    settled: bool = False


async def choose(
    task: Task,
    records: Sequence[Record],
    measurer: Measurer,
    options: Confirming,
    earlier: Earlier | None = None,
) -> Winner:
    """Chooses the fastest right candidate of one layer, or its default schedule."""
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    tried = sorted((r for r in records if r.latencies and r.config != DEFAULT), key=_latency)
    if not task.space.knobs:
        return Winner(task.digest, DEFAULT, default, default, "nothing to tune")
    if not tried:
        return Winner(task.digest, DEFAULT, default, default, UNTIMED)
    if earlier == Earlier(DEFAULT, settled=True) and isfinite(default):
        return Winner(task.digest, DEFAULT, default, default, "it won before")
    wrong: list[Config] = []
    kept = earlier.config if earlier else None
    tried.sort(key=lambda record: record.config != kept)
    finalists_now = 1 if earlier and earlier.settled else options.finalists
    while tried:
        final, tried = tried[:finalists_now], tried[finalists_now:]
        finalists_now = options.finalists
        configs = [record.config for record in final]
        again, finalists = await contest(task, configs, measurer, options)
        default = min(again.seconds, default) if again.right else float("inf")
        wrong += [c for c, f in finalists.items() if not f.right]
        right = {config: f for config, f in finalists.items() if f.right}
        if right:
            return _winner(task, default, right, tuple(wrong), kept, options)
    return Winner(
        task.digest, DEFAULT, default, default, "no candidate passed the final", tuple(wrong)
    )


async def choose_lowering(
    tasks: Sequence[Task],
    records: Mapping[str, Sequence[Record]],
    measurer: Measurer,
    options: Confirming,
    earlier: Mapping[str, Earlier] = MappingProxyType({}),
) -> list[Winner]:
    """Chooses the lowering of one layer, and its configuration.

    Lowerings that are nearly the fastest are compared. Others follow where all candidates of these
    turn out wrong.

    Args:
        tasks: Lowerings of the layer, that of the compiler's rules first.
        records: Records by task digest.
        measurer: Builds and times candidates.
        options: Settings of the choice.
        earlier: Winners of earlier runs, by task digest; at most one of the layer.

    Returns:
        The winner of the layer, and after it those of the other lowerings that were compared.
    """
    before = next((task for task in tasks if task.digest in earlier), None)
    if before and (known := earlier[before.digest]).settled:
        again = await choose(before, records[before.digest], measurer, options, known)
        if again.config == known.config:
            return [_preferred(tasks, {again.task: again}, records, options)]
    left = {task.digest: min(map(_latency, records[task.digest]), default=inf) for task in tasks}
    compared: dict[str, Winner] = {}
    while left and all(winner.config == DEFAULT for winner in compared.values()):
        final = contenders(left, options)
        left = {digest: best for digest, best in left.items() if digest not in final}
        contests = [task for task in tasks if task.digest in final]
        choosing = [
            choose(task, records[task.digest], measurer, options, earlier.get(task.digest))
            for task in contests
        ]
        compared |= {winner.task: winner for winner in await asyncio.gather(*choosing)}
    chosen = _preferred(tasks, compared, records, options, before.digest if before else "")
    return [chosen, *(winner for winner in compared.values() if winner.task != chosen.task)]


def _preferred(
    tasks: Sequence[Task],
    winners: Mapping[str, Winner],
    records: Mapping[str, Sequence[Record]],
    options: Confirming,
    kept: str = "",
) -> Winner:
    """Returns a layer's winner among those of its lowerings, with the first one's default."""
    first, latencies = tasks[0].digest, {d: winner.latency for d, winner in winners.items()}
    winner = winners[preferred(latencies, first, options, kept)]
    if winner.task == first:
        return winner
    default = min((r.latency for r in records[first] if r.config == DEFAULT), default=inf)
    default = min(default, winners[first].default_latency) if first in winners else default
    return replace(winner, default_latency=default)


def fastest(
    tasks: Sequence[Task],
    records: Mapping[str, Sequence[Record]],
    options: Confirming,
    earlier: Mapping[str, Earlier] = MappingProxyType({}),
) -> Winner:
    """Returns the winner of a layer as the search timed its lowerings, where time is up.

    The winner of an earlier run stays as it does in a final timing.
    """
    winners = {
        task.digest: unconfirmed(task, records[task.digest], options, earlier.get(task.digest))
        for task in tasks
    }
    before = next((task.digest for task in tasks if task.digest in earlier), "")
    return _preferred(tasks, winners, records, options, before)


def unconfirmed(
    task: Task, records: Sequence[Record], options: Confirming, earlier: Earlier | None = None
) -> Winner:
    """Returns the layer's fastest configuration as the search timed it, where time is up."""
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    tried = [r for r in records if r.latencies and r.config != DEFAULT]
    factor = _handicap(earlier.config if earlier else None, options)
    best = min(tried, key=lambda one: factor(one.config) * one.latency, default=None)
    if best is None or factor(best.config) * best.latency >= factor(DEFAULT) * default:
        reason = "no candidate was faster than the default schedule"
        return Winner(task.digest, DEFAULT, default, default, reason, confirmed=False)
    return Winner(task.digest, best.config, best.latency, default, confirmed=False)


def saving(
    tasks: Sequence[Task], records: Mapping[str, Sequence[Record]], options: Confirming
) -> float:
    """Returns the seconds that a layer's best configuration seems to save the whole model."""
    winner = fastest(tasks, records, options)
    seconds = winner.default_latency - winner.latency
    return tasks[0].weight * seconds if isfinite(seconds) else inf


def corrected(records: Sequence[Record], winners: Sequence[Winner]) -> list[Record]:
    """Returns corrected records of the candidates that turned out wrong, to be appended."""
    wrong = {(winner.task, config) for winner in winners for config in winner.wrong}
    found = [record for record in records if (record.task, record.config) in wrong]
    return [
        replace(
            record,
            status=Status.WRONG_ANSWER,
            origin="",
            latencies=(),
            sequence=records[-1].sequence + 1 + number,
            error="its output differs from the reference's",
        )
        for number, record in enumerate(found)
    ]


def left_out(winner: Winner) -> Winner:
    """Returns the winner of a layer that is left out; one that was not timed says so."""
    return replace(winner, reason=LEFT_OUT) if winner.reason == UNTIMED else winner


def _handicap(kept: Config | None, options: Confirming) -> Callable[[Config], float]:
    """Returns the factor of each configuration's latency: less for the one that won before."""
    return lambda config: 1 / (1 + options.tie) if config == kept else 1.0


def _winner(
    task: Task,
    default: float,
    right: dict[Config, Finalist],
    wrong: tuple[Config, ...],
    kept: Config | None,
    options: Confirming,
) -> Winner:
    factor, latencies = _handicap(kept, options), {c: median(right[c].latencies) for c in right}
    config = min(right, key=lambda c: factor(c) * latencies[c])
    latency, disturbed = latencies.pop(config), right[config].disturbed
    if factor(config) * latency >= factor(DEFAULT) * default:
        reason = "no candidate was faster than the default schedule"
        return Winner(task.digest, DEFAULT, default, default, reason, wrong, disturbed)
    near = [one for one in latencies.items() if one[1] <= options.near * latency]
    others = tuple(sorted(near, key=lambda one: one[1]))
    return Winner(task.digest, config, latency, default, "", wrong, disturbed, others=others)


def _latency(record: Record) -> float:
    return record.latency
