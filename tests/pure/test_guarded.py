"""A session ends at once where its workers are lost, and is told from other errors."""

import asyncio
import time

import pytest

from chameleon_ray.api.concurrency import RayLost, guarded, starting
from chameleon_ray.errors import UserError


def ends(lost_after: int, error: BaseException | None = None) -> None:
    """Runs a block that waits, or raises, beside workers that are lost after so many looks."""
    looks = 0

    def lost() -> bool:
        nonlocal looks
        looks += 1
        return looks > lost_after

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


def test_other_errors_and_ends_stay_what_they_are() -> None:
    with pytest.raises(UserError, match="something else"):
        ends(10, UserError("something else"))
    with pytest.raises(asyncio.CancelledError):
        ends(10, asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):  # the user's stop, though Ray has ended, too
        ends(0, asyncio.CancelledError())
    ends(10)


def starts(lost: bool, error: BaseException | None = None) -> float:
    """Runs a start that waits in Python, or raises, and catches exceptions; returns its seconds."""
    began = time.perf_counter()
    with starting(lambda: lost):
        if error is not None:
            raise error
        for _ in range(3000 if lost else 1):
            try:
                time.sleep(0.01)
            except Exception:
                continue
    return time.perf_counter() - began


def test_a_start_ends_when_what_it_starts_is_lost() -> None:
    with pytest.raises(RayLost):
        starts(lost=True)
    assert starts(lost=False) < 10
    with pytest.raises(UserError, match="something else"):
        starts(lost=False, error=UserError("something else"))
