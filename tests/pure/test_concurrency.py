"""A session that another thread or a signal ends: once, and only as long as it runs."""

import asyncio
import os
import signal
import time
from contextlib import ExitStack

import pytest

from chameleon_ray.api.concurrency import Stop, guarded, interruptible
from chameleon_ray.errors import RayLost, Stopped
from chameleon_ray.signals import POLITE


async def session(stop: Stop, asked: int) -> str:
    with stop.ending():
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
        with stop.ending():
            return "done"

    assert asyncio.run(brief()) == "done"
    stop.ask()


def signalled(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", POLITE)
def test_a_signal_ends_a_session_and_its_handler_is_put_back(number: signal.Signals) -> None:
    before, stop = signal.getsignal(number), Stop()

    async def waits() -> None:
        with stop.ending():
            signalled(number)
            await asyncio.sleep(5)

    with pytest.raises(Stopped), interruptible(stop):
        asyncio.run(waits())
    assert signal.getsignal(number) == before
    with pytest.raises(KeyboardInterrupt), interruptible(Stop()):  # no session, or none any more
        signalled(number)


@pytest.mark.parametrize("number", POLITE)
@pytest.mark.parametrize("last", [False, True])
def test_a_signal_while_lost_workers_are_taken_down_is_kept_for_the_next_session(
    number: signal.Signals, last: bool
) -> None:
    stop = Stop()

    def lost() -> str:
        if not last:
            signalled(number)
        return "its raylet was killed by SIGKILL"

    async def loses() -> None:
        with stop.ending(), ExitStack() as stack:
            if last:
                stack.callback(signalled, number)
            async with guarded(lost):
                await asyncio.sleep(5)

    async def waits() -> None:
        with stop.ending():
            await asyncio.sleep(5)

    with interruptible(stop):
        with pytest.raises((RayLost, Stopped)):
            asyncio.run(loses())
        assert stop.asked
        with pytest.raises(Stopped):
            asyncio.run(waits())
