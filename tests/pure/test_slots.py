"""The slots of a pool's calls: nobody waits for a worker that may never come."""

import asyncio

from chameleon_ray.cluster.slots import Call, Slot, Slots


def served(*places: Slot, failed: Slot) -> list[Slot]:
    """Where a doubted call and the one after it are done."""

    async def body() -> list[Slot]:
        slots = Slots(1)
        slots.all += places
        doubted, next_one = Call(failed=failed), Call()
        async with asyncio.timeout(1):
            found = [await slots.acquire(doubted)]
            slots.release(doubted)
            return [*found, await slots.acquire(next_one)]

    return asyncio.run(body())


def test_a_second_opinion_is_anothers() -> None:
    one, two = Slot("one", None, ready=True, failures=1), Slot("two", None, ready=True)
    assert served(one, two, failed=one)[0] is two


def test_a_second_opinion_does_not_wait_for_who_is_not_set_up() -> None:
    one, two = Slot("one", None, ready=True, failures=1), Slot("two", None)
    assert served(one, two, failed=one) == [one, one]
