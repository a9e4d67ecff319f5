"""Contests: a layer's candidates are built again, compared, and timed in turns with its default."""

import asyncio
from dataclasses import dataclass
from statistics import median

from chameleon_ray.measure.measurer import Artifact, Builder, Finalist, Measurer, Runner, Timing
from chameleon_ray.options import Confirming
from chameleon_ray.pool import Lost, PoolError
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config
from chameleon_ray.task import Task


@dataclass(frozen=True)
class Default:
    """What came of a layer's default schedule in a contest.

    Attributes:
        seconds: Median seconds; infinite where it failed.
        right: Whether its outputs are those to expect, as far as is known.
    """

    seconds: float = float("inf")
    right: bool = True


async def contest(
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
        found = await measurer.runners.call(Runner.contest, task, artifacts, options)
    except Lost:
        return await contest(task, configs, measurer, options)
    except PoolError as error:
        found = Timing(status=Status.CRASH, error=str(error))
    if not isinstance(found, Timing):
        first = Default(median(found[0].latencies), found[0].right)
        return first, dict(zip(built, found[1:], strict=True))
    if len(built) == 1:
        return Default(), {}
    alone = [await contest(task, [config], measurer, options) for config in built]
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
