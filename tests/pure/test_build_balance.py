"""The balance of builds: whether a builder or a runner builds what comes next."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from chameleon_ray.measure.build_balance import BuildBalance
from chameleon_ray.measure.measurer import Artifact, Builder, Measurer, Timing
from chameleon_ray.pool import Method
from chameleon_ray.space import Config
from tests.pure.fake_result import task


async def begun(coroutine: Any) -> asyncio.Task:
    """A task that has come as far as it can."""
    task = asyncio.create_task(coroutine)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


async def held(
    balance: BuildBalance, over: asyncio.Event, who: list[str], kind: str = "build"
) -> None:
    """A build, or a run, that lasts until told."""
    async with balance.build() if kind == "build" else balance.run() as helps:
        who.append({True: "runner", False: "builder", None: "run"}[helps])
        await over.wait()


def test_runners_help_only_where_builders_have_enough_and_they_have_nothing() -> None:
    async def scene() -> list[str]:
        balance, over, who = BuildBalance(2), asyncio.Event(), list[str]()
        tasks = [await begun(held(balance, over, who)) for _ in range(5)]
        assert who == ["builder", "builder", "runner"]
        over.set()
        await asyncio.gather(*tasks)
        return who

    who = asyncio.run(scene())
    assert len(who) == 5


def test_a_runner_that_times_does_not_build() -> None:
    async def scene() -> None:
        balance, who = BuildBalance(1), list[str]()
        timing, building = asyncio.Event(), asyncio.Event()
        run = await begun(held(balance, timing, who, "run"))
        first = await begun(held(balance, building, who))
        second = await begun(held(balance, building, who))
        assert who == ["run", "builder"]
        timing.set()
        await run
        await begun(asyncio.sleep(0))
        assert who == ["run", "builder", "runner"]
        building.set()
        await asyncio.gather(first, second)

    asyncio.run(scene())


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_cancelled_leaves_its_place_to_the_next(place: int) -> None:
    """The second is at the runner, the third waits."""

    async def scene() -> None:
        balance, over, who = BuildBalance(1), asyncio.Event(), list[str]()
        tasks = [await begun(held(balance, over, who)) for _ in range(4)]
        assert who == ["builder", "runner"]
        tasks[place].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[place]
        await begun(asyncio.sleep(0))
        assert who == ["builder", "runner"] + ["runner"] * (place == 1)
        over.set()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)

    asyncio.run(scene())


class Pool:
    """Does one thing at a time, and writes down what."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._one = asyncio.Lock()

    async def call(self, method: Method, *_: Any) -> Artifact | Timing:
        async with self._one:
            self.done.append(method.__name__)
            await asyncio.sleep(0.01)
        return Artifact(b"code") if method is Builder.build else Timing((1.0,))


@pytest.mark.parametrize(("balance", "helped"), [(BuildBalance(2), True), (None, False)])
def test_all_that_is_measured_was_built_once(balance: BuildBalance | None, helped: bool) -> None:
    async def scene() -> tuple[Pool, Pool]:
        builders, runners = Pool(), Pool()
        measurer = Measurer(builders, runners, balance=balance)  # type: ignore[arg-type]
        configs: list[Config] = [(n,) for n in range(20)]
        found = await asyncio.gather(
            *(measurer.measure(task("a"), c, lambda: 1.0) for c in configs)
        )
        assert len(found) == 20
        return builders, runners

    builders, runners = asyncio.run(scene())
    assert runners.done.count("run") == 20
    assert builders.done.count("build") + runners.done.count("build") == 20
    assert ("build" in runners.done) == helped
