"""Calls that kill who does them: who is to blame, and who only waited there."""

import asyncio
import os
import time
from functools import partial

import pytest

from chameleon_ray.cluster.pool import ActorCrew
from chameleon_ray.crew import CrewError
from chameleon_ray.options import Placing

pytestmark = pytest.mark.usefixtures("local_ray")


class Mortal:
    def live(self) -> str:
        return "alive"

    def die(self) -> None:
        os._exit(1)


def hire(factory, **more):
    return ActorCrew("mortal", factory, {}, time.perf_counter(), **more)


def test_a_call_that_kills_every_actor_is_given_up():
    async def body():
        crew = hire(Mortal)
        with pytest.raises(CrewError, match=f"{Placing.attempts} mortal workers died"):
            await crew.do("die")
        assert await crew.do("live") == "alive"
        crew.close()

    asyncio.run(body())


def test_who_only_waited_for_a_dead_actor_is_not_blamed():
    async def body():
        crew = hire(Mortal, ahead=1)
        await crew.ready()
        calls = [crew.do(what) for what in ("die", "live", "live", "die")]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        crew.close()
        return [isinstance(outcome, CrewError) for outcome in outcomes]

    assert asyncio.run(body()) == [True, False, False, True]


class Mourned:
    """Dies of a call, and is briefed meanwhile."""

    def __init__(self, deaths) -> None:
        self._deaths = deaths

    def die(self) -> None:
        time.sleep(0.5)
        with self._deaths.open("a") as file:
            file.write("x")
        os._exit(1)

    def brief(self) -> str:
        return ""


def test_a_call_that_kills_a_worker_that_is_to_be_briefed_is_blamed(tmp_path):
    deaths = tmp_path / "deaths"

    async def body():
        crew = hire(partial(Mourned, deaths), options=Placing(attempts=1))
        await crew.ready()
        dying = asyncio.create_task(crew.do("die"))
        await asyncio.sleep(0.1)
        await crew.brief("brief")
        try:
            await dying
        finally:
            crew.close()

    with pytest.raises(CrewError, match="died one after the other"):
        asyncio.run(body())
    assert deaths.read_text() == "x"
