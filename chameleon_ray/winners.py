"""Choosing winners: a layer's records in, the candidate that holds up against the default out.

The fastest candidates are built again, compared with the default schedule's output on the same
inputs and timed in turns with it, so that the winner is neither wrong nor merely lucky.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from chameleon_ray.measure.measurer import Artifact, Finalist, Measurer, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Winner:
    """What a layer will be compiled with.

    Attributes:
        task: The layer's digest.
        config: The default where that is empty.
        latency: Seconds, median of the final timing; of the records where there was none.
        default_latency: Seconds of the default schedule in the same timing.
        reason: Why the default was kept; empty where it was not.
        wrong: Candidates whose output was wrong.
    """

    task: str
    config: Config
    latency: float
    default_latency: float
    reason: str = ""
    wrong: tuple[Config, ...] = ()


async def choose(
    task: Task, records: Sequence[Record], measurer: Measurer, options: Confirming
) -> Winner:
    """The fastest right candidate of one layer, or its default schedule."""
    default = min((r.latency for r in records if r.config == DEFAULT), default=float("inf"))
    tried = sorted((r for r in records if r.latencies and r.config != DEFAULT), key=_latency)
    if not task.space.knobs:
        return Winner(task.digest, DEFAULT, default, default, "nothing to tune")
    if not tried:
        return Winner(task.digest, DEFAULT, default, default, "no candidate could be timed")
    wrong: list[Config] = []
    while tried:
        final, tried = tried[: options.finalists], tried[options.finalists :]
        contest = await _contest(task, [r.config for r in final], measurer, options)
        if isinstance(contest, Timing):
            return Winner(task.digest, DEFAULT, default, default, f"final timing: {contest.error}")
        reference, rivals = contest[0], contest[1:]
        right = [(f, r.config) for f, r in zip(rivals, final, strict=True) if f.right]
        wrong += [r.config for f, r in zip(rivals, final, strict=True) if not f.right]
        if right:
            return _winner(task, reference, right, tuple(wrong))
    return Winner(task.digest, DEFAULT, default, default, "every candidate was wrong", tuple(wrong))


def _winner(
    task: Task, reference: Finalist, right: list[tuple[Finalist, Config]], wrong: tuple[Config, ...]
) -> Winner:
    default = median(reference.latencies)
    best, config = min(right, key=lambda pair: median(pair[0].latencies))
    latency = median(best.latencies)
    if latency >= default:
        reason = "no candidate was faster than the default schedule"
        return Winner(task.digest, DEFAULT, default, default, reason, wrong)
    return Winner(task.digest, config, latency, default, "", wrong)


async def _contest(
    task: Task, configs: list[Config], measurer: Measurer, options: Confirming
) -> tuple[Finalist, ...] | Timing:
    """The default schedule and the candidates, compared and timed in turns."""
    builds = [measurer.builders.do("build", task, config) for config in (DEFAULT, *configs)]
    artifacts: list[Artifact] = await asyncio.gather(*builds)
    if artifacts[0].status is not Status.OK:
        return Timing(status=artifacts[0].status, error=artifacts[0].error)
    good = [artifact for artifact in artifacts if artifact.status is Status.OK]
    contest = await measurer.runners.do("contest", task, tuple(good), options)
    if isinstance(contest, Timing):
        return contest
    finalists = iter(contest)
    failed = Finalist((float("inf"),), float("inf"), float("inf"), False)
    return tuple(next(finalists) if a.status is Status.OK else failed for a in artifacts)


def _latency(record: Record) -> float:
    return record.latency
