"""Runners that are not quite alike, as actors: what they time agrees once they were compared."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
import pytest

from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.measure.calibrated import Calibrated
from chameleon_ray.measure.calibration import References
from chameleon_ray.measure.measurer import Artifact, Measurer, Timing
from chameleon_ray.options import Calibrating, Placing
from chameleon_ray.pool import InProcessPool, NoWorkers, Unfit
from chameleon_ray.task import Task
from tests.pure import toys

pytestmark = pytest.mark.usefixtures("local_ray")
TASKS = [toys.task(name) for name in ("convolution-a", "sketched-a", "sketched-b")]


@dataclass
class Worn(toys.ToyRunner):
    """A device that takes so many times as long."""

    slowness: float = 1.0

    def run(self, one: Task, artifact: Artifact, best: float) -> Timing:
        timing = super().run(one, artifact, best)
        return replace(timing, latencies=tuple(self.slowness * own for own in timing.latencies))


def numbered(tally: str) -> int:
    """How many processes came here before this one."""
    file = os.open(tally, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"x")
    try:
        return os.lseek(file, 0, os.SEEK_CUR) - 1
    finally:
        os.close(file)


def worn(slowness: tuple[float, ...], folder: str) -> Calibrated:
    """The next of these devices; a line in the file ``fatal`` kills one that is at work."""
    number, fatal = numbered(f"{folder}/tally"), f"{folder}/fatal"
    runner = Worn(fatal=fatal if os.path.exists(fatal) else "", pause=0.03)
    runner.slowness = slowness[number]
    return Calibrated(runner, str(number))


def started(slowness: Sequence[float], folder: Path, said: list[str], **more: object) -> ActorPool:
    factory = partial(worn, tuple(slowness), str(folder))
    began = time.perf_counter()
    return ActorPool("runner", factory, {}, began, tell=said.append, **more)  # type: ignore[arg-type]


class Work:
    """Measures random configurations of three layers with a pool."""

    def __init__(self, runners: ActorPool) -> None:
        builder = InProcessPool("builder", toys.ToyBuilder, {}, time.perf_counter())
        self.measurer = Measurer(builder, runners, References(Calibrating()))
        self.scales: set[float] = set()
        self._rng = np.random.default_rng(0)

    async def do(self, count: int, tasks: Sequence[Task] = TASKS) -> list[Timing]:
        """So many timings of each layer; keeps how many times too long the latencies are."""
        jobs = [
            (task, tuple(map(int, config)))
            for task in tasks
            for config in task.space.random(self._rng, count)
        ]
        work = [self.measurer.measure(task, config, lambda: inf) for task, config in jobs]
        done = [one.timing for one in await asyncio.gather(*work)]
        for (task, config), timing in zip(jobs, done, strict=True):
            true = toys.ToyRunner.latency(task, config)
            self.scales.add(round(timing.latencies[0] / true, 6))
        return done


async def until(there: object) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(60):
        while not await there():  # type: ignore[operator]
            await asyncio.sleep(0.1)


def factors(done: list[Timing]) -> dict[str, set[float]]:
    """By what each device's latencies were multiplied."""
    found: dict[str, set[float]] = {}
    for timing in done:
        factor = json.loads(timing.conditions or '{"calibration": 1.0}')["calibration"]
        found.setdefault(timing.place, set()).add(factor)
    return found


def test_a_runner_that_is_a_tenth_slower_agrees_with_the_other(tmp_path: Path) -> None:
    said: list[str] = []

    async def body() -> tuple[Work, dict[str, set[float]]]:
        pool = started((1.0, 1.1), tmp_path, said, count=2)
        await pool.ready()
        work = Work(pool)
        found = factors(await work.do(10))
        pool.close()
        return work, found

    work, found = asyncio.run(body())
    assert len(work.scales) == 1
    assert len(found) == 2
    assert sorted(found.values(), key=str) in (
        [{round(1 / 1.1, 6)}, {1.0}],
        [{1.0}, {1.1}],
    )
    (sentence,) = said
    assert "times as long as the first one that timed, for which" in sentence


def test_a_runner_that_joins_is_compared_before_it_counts(tmp_path: Path) -> None:
    said: list[str] = []
    wanted = [1]

    async def body() -> tuple[Work, dict[str, set[float]], dict[str, set[float]]]:
        options = Placing(look_seconds=0.2)
        pool = started((1.0, 1.1), tmp_path, said, spread=lambda node: wanted[0], options=options)
        await pool.ready()
        work = Work(pool)
        alone = factors(await work.do(2))
        wanted[0] = 2

        async def joined() -> bool:
            return len(await pool.accounts()) == 2

        await until(joined)
        both = factors(await work.do(10))
        pool.close()
        return work, alone, both

    work, alone, both = asyncio.run(body())
    assert work.scales == {1.0}
    assert alone == {"0": {1.0}}
    assert both == {"0": {1.0}, "1": {round(1 / 1.1, 6)}}
    assert sum("takes about 1.10 times as long" in sentence for sentence in said) == 1


def test_a_runner_that_is_replaced_is_compared_again(tmp_path: Path) -> None:
    said: list[str] = []
    fatal = tmp_path / "fatal"
    fatal.touch()

    async def body() -> tuple[Work, dict[str, set[float]]]:
        pool = started((1.0, 1.1, 0.9), tmp_path, said, count=2)
        await pool.ready()
        work = Work(pool)
        await work.do(4)
        fatal.write_text("x")
        await work.do(1, TASKS[:1])

        async def replaced() -> bool:
            return len(await pool.accounts()) == 2

        await until(replaced)
        found = factors(await work.do(10))
        pool.close()
        return work, found

    work, found = asyncio.run(body())
    assert fatal.read_text() == ""
    assert len(work.scales) == 1
    assert len(found) == 2
    assert len(found["2"]) == 1
    assert found["2"] != {1.0}


class Pupil:
    """Says what it was taught; the process that makes the file first cannot learn."""

    def __init__(self, dull: str = "") -> None:
        self.lessons: list[int] = []
        self.dull = bool(dull) and numbered(dull) == 0

    def learn(self, lesson: int) -> str:
        time.sleep(0.1)
        if self.dull:
            raise ValueError("it is beyond me")
        self.lessons.append(lesson)
        return "learns slowly"

    def refuse(self) -> str:
        raise Unfit("it will not learn")

    def recite(self, pause: float) -> list[int]:
        time.sleep(pause)
        return self.lessons

    def die(self) -> None:
        os._exit(1)


def taught(body: object, said: list[str], dull: str = "", **options: int) -> list[list[int]]:
    """What comes of something done with two pupils."""

    async def whole() -> list[list[int]]:
        factory = partial(Pupil, dull)
        began, placing = time.perf_counter(), Placing(attempts=1, **options)  # type: ignore[arg-type]
        pool = ActorPool("pupil", factory, {}, began, 2, ahead=1, options=placing, tell=said.append)
        await pool.ready()
        try:
            await body(pool)  # type: ignore[operator]
            return await asyncio.gather(*(pool.call(Pupil.recite, 0.1) for _ in range(6)))
        finally:
            pool.close()

    return asyncio.run(whole())


def test_broadcasts_come_before_calls_and_in_order_to_replacements_too() -> None:
    said: list[str] = []

    async def body(pool: ActorPool) -> None:
        await pool.broadcast(Pupil.learn, 1)
        assert await asyncio.gather(*(pool.call(Pupil.recite, 0.05) for _ in range(4))) == [[1]] * 4
        await pool.broadcast(Pupil.learn, 2)
        await asyncio.gather(*(pool.call(Pupil.die) for _ in range(2)), return_exceptions=True)
        await pool.broadcast(Pupil.learn, 3)

    assert taught(body, said) == [[1, 2, 3]] * 6
    assert sum("learns slowly" in sentence for sentence in said) == 2


def test_who_fails_in_a_broadcast_is_replaced(tmp_path: Path) -> None:
    said: list[str] = []

    async def body(pool: ActorPool) -> None:
        await pool.broadcast(Pupil.learn, 1)

    assert taught(body, said, str(tmp_path / "dull")) == [[1]] * 6
    assert sum("was lost and is replaced" in one and "it is beyond me" in one for one in said) == 1


def test_who_is_unfit_is_given_up_and_calls_do_not_wait_for_them() -> None:
    said: list[str] = []

    async def body(pool: ActorPool) -> None:
        await pool.broadcast(Pupil.refuse)

    with pytest.raises(NoWorkers, match="the last there was: it will not learn"):
        taught(body, said)
    assert [sentence.endswith(": it will not learn.") for sentence in said] == [True, True]
