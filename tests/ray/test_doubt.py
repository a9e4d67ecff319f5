"""Results in doubt: a runner whose failures no other one confirms is given up."""

import asyncio
import time
from functools import partial

import pytest

from chameleon_ray.cluster.actor_pool import ActorPool

pytestmark = pytest.mark.usefixtures("local_ray")


def start_pool(name, factory, count=1, **more):
    return ActorPool(name, factory, {}, time.perf_counter(), count, **more)


class Flaky:
    """Fails every call in the process that made the file first, as a broken device does."""

    def __init__(self, mine: str) -> None:
        try:
            with open(mine, "x"):
                self.broken = True
        except FileExistsError:
            self.broken = False
        self.calls = 0

    def run(self, hopeless: bool) -> str:
        self.calls += 1
        time.sleep(0.01)
        return "bad" if self.broken or hopeless else "good"


def bad(result, before):
    return result == "bad"


def test_a_worker_that_fails_alone_is_given_up_and_believed_in_nothing(tmp_path):
    said = []

    async def body(count, calls):
        factory = partial(Flaky, str(tmp_path / f"{count}"))
        pool = start_pool("runner", factory, count, doubt=bad, tell=said.append)
        await pool.ready()
        asked = (pool.call(Flaky.run, number % 7 == 0) for number in range(calls))
        results = await asyncio.gather(*asked)
        left = len(await pool.accounts())
        pool.close()
        return results, left

    results, left = asyncio.run(body(3, 70))
    assert results == ["bad" if number % 7 == 0 else "good" for number in range(70)]
    assert left == 2
    (sentence,) = said
    assert "failed 5 times in a row and is given up, which leaves 2 runners" in sentence
    results, left = asyncio.run(body(1, 7))
    assert (set(results), left) == ({"bad"}, 1)  # nobody could have done better


class Hanging(Flaky):
    """Answers ``slow``, as for a run that was stopped, in the process that made the file first."""

    def run(self, hopeless: bool) -> str:
        return {"bad": "slow", "good": "good"}[super().run(hopeless)]


def slow_again(result, before):
    return result == "slow" and before > 0


def test_a_worker_that_is_always_too_slow_is_given_up_though_one_time_out_is_believed(tmp_path):
    said = []

    async def body():
        factory = partial(Hanging, str(tmp_path / "mine"))
        pool = start_pool("runner", factory, 2, doubt=slow_again, tell=said.append)
        await pool.ready()
        results = await asyncio.gather(*(pool.call(Hanging.run, False) for _ in range(30)))
        pool.close()
        return results

    results = asyncio.run(body())
    assert results.count("slow") == 1  # the first; nobody would repeat it
    (sentence,) = said
    assert "is given up, which leaves 1 runner" in sentence
