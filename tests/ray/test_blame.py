"""Calls that kill their workers: which call is to blame, and which only waited there."""

import asyncio
import os
import time
from functools import partial

import pytest

from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.options import Placing
from chameleon_ray.pool import PoolError

pytestmark = pytest.mark.usefixtures("local_ray")


class Mortal:
    def live(self) -> str:
        return "alive"

    def die(self) -> None:
        os._exit(1)


def start_pool(factory, **more):
    return ActorPool("mortal", factory, {}, time.perf_counter(), **more)


def test_a_call_that_kills_every_actor_is_given_up():
    async def body():
        pool = start_pool(Mortal)
        with pytest.raises(PoolError, match=f"{Placing.attempts} mortal workers died"):
            await pool.call(Mortal.die)
        assert await pool.call(Mortal.live) == "alive"
        pool.close()

    asyncio.run(body())


def test_who_only_waited_for_a_dead_actor_is_not_blamed():
    async def body():
        pool = start_pool(Mortal, ahead=1)
        await pool.ready()
        die, live = Mortal.die, Mortal.live
        calls = [pool.call(what) for what in (die, live, live, die)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        pool.close()
        return [isinstance(outcome, PoolError) for outcome in outcomes]

    assert asyncio.run(body()) == [True, False, False, True]


class Mourned:
    """Dies of a call, and is received meanwhile."""

    def __init__(self, deaths) -> None:
        self._deaths = deaths

    def die(self) -> None:
        time.sleep(0.5)
        with self._deaths.open("a") as file:
            file.write("x")
        os._exit(1)

    def broadcast(self) -> str:
        return ""


def test_a_call_that_kills_a_worker_that_has_a_broadcast_to_come_is_blamed(tmp_path):
    deaths = tmp_path / "deaths"

    async def body():
        pool = start_pool(partial(Mourned, deaths), options=Placing(attempts=1))
        await pool.ready()
        dying = asyncio.create_task(pool.call(Mourned.die))
        await asyncio.sleep(0.1)
        await pool.broadcast(Mourned.broadcast)
        try:
            await dying
        finally:
            pool.close()

    with pytest.raises(PoolError, match="died one after the other"):
        asyncio.run(body())
    assert deaths.read_text() == "x"
