"""Chooses each layer's winner: the candidate that holds up against the default schedule.

The fastest candidates are built again, compared with the reference on the same inputs and timed in
turns with the default schedule. So the winner is neither wrong nor merely lucky. The reference is
the default schedule's output, or where a runner has a more exact one, that; a default that differs
from it loses to any candidate that does not.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from statistics import median

from chameleon_ray.measure.measurer import Artifact, Builder, Finalist, Measurer, Runner, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.pool import Lost, PoolError
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Winner:
    """The configuration that a layer will be compiled with.

    Attributes:
        task: The layer's digest.
        config: The chosen configuration; empty for the default schedule.
        latency: Median seconds of the candidate in the final timing; ``default_latency`` where the
            default schedule was kept.
        default_latency: Least seconds of the default schedule, in the final timing and the records.
        reason: Reason for keeping the default schedule; empty where a candidate was chosen.
        wrong: Candidates whose output was wrong.
        disturbed: Share of the final timing in which other processes had its cores.
        confirmed: Whether there was time for a final timing.
    """

    task: str
    config: Config
    latency: float
    default_latency: float
    reason: str = ""
    wrong: tuple[Config, ...] = ()
    disturbed: float = 0.0
    confirmed: bool = True


@dataclass(frozen=True)
class Earlier:
    """The winner of an earlier run, which stays unless another one is notably faster.

    Attributes:
        config: Its configuration; empty for the default schedule.
        settled: Whether it is timed beside the default schedule alone, as nothing new was found.
    """

    config: Config
    settled: bool = False


@dataclass(frozen=True)
class Default:
    """What came of a layer's default schedule in a contest.

    Attributes:
        seconds: Median seconds; infinite where it failed.
        right: Whether its outputs are those to expect, as far as is known.
    """

    seconds: float = float("inf")
    right: bool = True


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
        return Winner(task.digest, DEFAULT, default, default, "no candidate could be timed")
    if earlier == Earlier(DEFAULT, settled=True):
        return Winner(task.digest, DEFAULT, default, default, "it won before")
    wrong: list[Config] = []
    kept = earlier.config if earlier else None
    tried.sort(key=lambda record: record.config != kept)
    finalists_now = 1 if earlier and earlier.settled else options.finalists
    while tried:
        final, tried = tried[:finalists_now], tried[finalists_now:]
        finalists_now = options.finalists
        configs = [record.config for record in final]
        again, finalists = await _contest(task, configs, measurer, options)
        default = min(again.seconds, default) if again.right else float("inf")
        wrong += [c for c, f in finalists.items() if not f.right]
        right = {config: f for config, f in finalists.items() if f.right}
        if right:
            return _winner(task, default, right, tuple(wrong), _handicap(kept, options))
    return Winner(
        task.digest, DEFAULT, default, default, "no candidate passed the final", tuple(wrong)
    )


def unconfirmed(task: Task, records: Sequence[Record]) -> Winner:
    """Returns the layer's fastest configuration as the search timed it, where time is up."""
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    tried = [r for r in records if r.latencies and r.config != DEFAULT]
    best = min(tried, key=_latency, default=None)
    if best is None or best.latency >= default:
        reason = "no candidate was faster than the default schedule"
        return Winner(task.digest, DEFAULT, default, default, reason, confirmed=False)
    return Winner(task.digest, best.config, best.latency, default, confirmed=False)


def saving(task: Task, records: Sequence[Record]) -> float:
    """Returns the seconds that a layer's best configuration seems to save the whole model."""
    winner = unconfirmed(task, records)
    seconds = winner.default_latency - winner.latency
    return task.weight * seconds if isfinite(seconds) else inf


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


def _handicap(kept: Config | None, options: Confirming) -> Callable[[Config], float]:
    """Returns the factor of each configuration's latency: less for the one that won before."""
    return lambda config: 1 / (1 + options.tie) if config == kept else 1.0


def _winner(
    task: Task,
    default: float,
    right: dict[Config, Finalist],
    wrong: tuple[Config, ...],
    factor: Callable[[Config], float],
) -> Winner:
    config = min(right, key=lambda c: factor(c) * median(right[c].latencies))
    latency, disturbed = median(right[config].latencies), right[config].disturbed
    if factor(config) * latency >= factor(DEFAULT) * default:
        reason = "no candidate was faster than the default schedule"
        return Winner(task.digest, DEFAULT, default, default, reason, wrong, disturbed)
    return Winner(task.digest, config, latency, default, "", wrong, disturbed)


async def _contest(
    task: Task, configs: list[Config], measurer: Measurer, options: Confirming
) -> tuple[Default, dict[Config, Finalist]]:
    """Compares candidates with the reference and times them in turns with the default.

    Where a candidate breaks the contest, each is compared with the default alone. Those that break
    it again are left out.

    Returns:
        What came of the default, and the result of each candidate that could be built and run.
    """
    builds = [_built(task, config, measurer) for config in (DEFAULT, *configs)]
    default, *rivals = await asyncio.gather(*builds)
    built = {c: a for c, a in zip(configs, rivals, strict=True) if a.status is Status.OK}
    if default.status is not Status.OK or not built:
        return Default(), {}
    try:
        artifacts = (default, *built.values())
        contest = await measurer.runners.call(Runner.contest, task, artifacts, options)
    except Lost:
        return await _contest(task, configs, measurer, options)
    except PoolError as error:
        contest = Timing(status=Status.CRASH, error=str(error))
    if not isinstance(contest, Timing):
        first = Default(median(contest[0].latencies), contest[0].right)
        return first, dict(zip(built, contest[1:], strict=True))
    if len(built) == 1:
        return Default(), {}
    alone = [await _contest(task, [config], measurer, options) for config in built]
    finalists = {config: finalist for _, one in alone for config, finalist in one.items()}
    return min((one for one, _ in alone), key=lambda one: (one.right, one.seconds)), finalists


async def _built(task: Task, config: Config, measurer: Measurer) -> Artifact:
    """Builds a configuration, unless its build was kept; one that kills builders is a crash."""
    if (kept := measurer.kept.get(task.digest, config)) is not None:
        return kept
    try:
        return await measurer.builders.call(Builder.build, task, config)
    except PoolError as error:
        return Artifact(status=Status.CRASH, error=str(error))


def _latency(record: Record) -> float:
    return record.latency
