"""A session that another thread ends: once, and only as long as it runs."""

import asyncio

import pytest

from chameleon_ray.api.concurrency import Stop, interruptible
from chameleon_ray.errors import Stopped


async def session(stop: Stop, asked: int) -> str:
    stop.arm()
    with interruptible():
        try:
            for _ in range(asked):
                stop.ask()
            await asyncio.sleep(5)
        finally:
            for _ in range(asked):
                stop.ask()
            await asyncio.sleep(0.01)  # what a session ends with
            ended.append("cleanly")
    return "not stopped"


ended = list[str]()


@pytest.mark.parametrize("early", [False, True])
def test_the_first_request_counts(early: bool) -> None:
    stop = Stop()
    ended.clear()
    if early:
        stop.ask()
    with pytest.raises(Stopped):
        asyncio.run(session(stop, 2))
    assert ended == ["cleanly"]


def test_a_request_after_the_end_does_nothing() -> None:
    stop = Stop()

    async def brief() -> str:
        stop.arm()
        return "done"

    assert asyncio.run(brief()) == "done"
    stop.ask()
