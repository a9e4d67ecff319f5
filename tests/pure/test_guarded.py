"""A session ends at once where its workers are lost, and is told from other errors."""

import asyncio
import threading
import time

import pytest

from chameleon_ray.api.concurrency import guarded, starting
from chameleon_ray.errors import RayLost, UserError

WHY = "its raylet was killed by SIGKILL"


def ends(lost_after: int, error: BaseException | None = None) -> None:
    """Runs a block that waits, or raises, beside workers that are lost after so many looks."""
    looks = 0

    def lost() -> str:
        nonlocal looks
        looks += 1
        return WHY if looks > lost_after else ""

    async def block() -> None:
        async with guarded(lost):
            if error is not None:
                raise error
            await asyncio.sleep(30 if lost_after < 9 else 0)

    asyncio.run(block())


def test_a_block_ends_when_workers_are_lost() -> None:
    with pytest.raises(RayLost):
        ends(0)


def test_an_error_that_came_of_the_loss_is_the_loss() -> None:
    with pytest.raises(RayLost) as told:
        ends(0, UserError("a worker is gone"))
    assert str(told.value.__cause__) == "a worker is gone"
    assert WHY in str(told.value)
    with pytest.raises(RayLost, match="its gcs_server"):  # also where nobody can tell afterwards
        ends(10, RayLost("its gcs_server ended with status 1"))


def test_other_errors_and_ends_stay_what_they_are() -> None:
    with pytest.raises(UserError, match="something else"):
        ends(10, UserError("something else"))
    with pytest.raises(asyncio.CancelledError):
        ends(10, asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):  # the user's stop, though Ray has ended, too
        ends(0, asyncio.CancelledError())
    ends(10)


def starts(lost: bool, error: BaseException | None = None) -> None:
    """Runs a start that waits in Python, or raises, and catches exceptions."""
    with starting(lambda: WHY if lost else ""):
        if error is not None:
            raise error
        for _ in range(3000 if lost else 1):
            try:
                time.sleep(0.01)
            except Exception:
                continue


def test_a_start_ends_when_what_it_starts_is_lost() -> None:
    threads = threading.active_count()
    with pytest.raises(RayLost, match=WHY):
        starts(lost=True)
    starts(lost=False)
    with pytest.raises(UserError, match="something else"):
        starts(lost=False, error=UserError("something else"))
    with pytest.raises(RayLost, match=WHY):  # of which the other error came
        starts(lost=True, error=UserError("a worker is gone"))
    assert threading.active_count() == threads
