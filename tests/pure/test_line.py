"""The line of a crew's calls: nobody waits for a worker that may never come."""

import asyncio

from chameleon_ray.cluster.line import Line
from chameleon_ray.cluster.seat import Call, Seat


def served(*seats: Seat, failed: Seat) -> list[Seat]:
    """Where a doubted call and the one after it are done."""

    async def body() -> list[Seat]:
        line = Line(1)
        line.seats += seats
        doubted, next_one = Call(failed=failed), Call()
        async with asyncio.timeout(1):
            found = [await line.seat(doubted)]
            line.leave(doubted)
            return [*found, await line.seat(next_one)]

    return asyncio.run(body())


def test_a_second_opinion_is_anothers() -> None:
    one, two = Seat("one", None, ready=True, failures=1), Seat("two", None, ready=True)
    assert served(one, two, failed=one)[0] is two


def test_a_second_opinion_does_not_wait_for_who_is_not_set_up() -> None:
    one, two = Seat("one", None, ready=True, failures=1), Seat("two", None)
    assert served(one, two, failed=one) == [one, one]
