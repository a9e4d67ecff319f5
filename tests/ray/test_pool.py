"""Pools of actors: the engine's checks once more, and actors that die."""

import asyncio
import time
from functools import partial

import pytest

from chameleon_ray.cluster.actor_pool import ActorPool
from chameleon_ray.measure.isolate import IsolateError
from chameleon_ray.options import Placing
from chameleon_ray.pool import NoWorkers, PoolError, Unfit
from tests.pure import toys
from tests.pure.engine_checks import CHECKS, run

pytestmark = pytest.mark.usefixtures("local_ray")


class Counter:
    """Counts its calls; refuses on demand."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self, pause: float) -> int:
        time.sleep(pause)
        self.calls += 1
        return self.calls

    def now(self) -> int:
        return self.count(0)

    def refuse(self) -> None:
        raise ValueError("not today")


def start_pool(name, factory, count=1, **more):
    return ActorPool(name, factory, {}, time.perf_counter(), count, **more)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine(check):
    check(start_pool)


def test_calls_are_shared_and_accounted():
    async def body():
        pool = start_pool("counter", Counter, 2)
        await pool.ready()
        counts = await asyncio.gather(*(pool.call(Counter.count, 0.2) for _ in range(6)))
        accounts = await pool.accounts()
        pool.close()
        return counts, accounts

    began = time.perf_counter()
    counts, accounts = asyncio.run(body())
    wall = time.perf_counter() - began
    assert max(counts) < 6
    assert sum(account.busy["count"] for account in accounts) >= 6 * 0.2
    for account in accounts:
        assert account.total == pytest.approx(wall, rel=0.05, abs=0.2)


class Seen(Counter):
    """Is seen to be there."""

    def __init__(self, mark) -> None:
        super().__init__()
        mark.touch()


def test_a_driver_that_looks_away_books_no_time_twice(tmp_path):
    mark = tmp_path / "there"

    async def body():
        pool = start_pool("counter", partial(Seen, mark))
        for _ in range(600):  # the actor becomes ready meanwhile
            if mark.exists():
                break
            time.sleep(0.1)
        time.sleep(1)
        await pool.ready()
        accounts = await pool.accounts()
        pool.close()
        return accounts

    began = time.perf_counter()
    (account,) = asyncio.run(body())
    assert account.total == pytest.approx(time.perf_counter() - began, rel=0.05, abs=0.2)


def test_a_methods_own_exception_is_raised_and_the_actor_lives():
    async def body():
        pool = start_pool("counter", Counter)
        assert await pool.call(Counter.count, 0) == 1
        with pytest.raises(ValueError, match="not today"):
            await pool.call(Counter.refuse)
        assert await pool.call(Counter.count, 0) == 2
        pool.close()

    asyncio.run(body())


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no such device")

    def run(self) -> None: ...


def test_workers_that_cannot_be_set_up_end_the_run():
    said = []

    async def body():
        pool = start_pool("runner", Broken, 2, tell=said.append, options=Placing(strikes=2))
        await pool.ready()
        with pytest.raises(NoWorkers, match=r"the last there was.*no such device"):
            await pool.call(Broken.run)
        pool.close()

    asyncio.run(body())
    assert sum("is given up" in sentence for sentence in said) == 2
    assert sum("was lost and is replaced" in sentence for sentence in said) == 1


class Choosy:
    """Works in one process only: that which makes the file first."""

    def __init__(self, mine: str) -> None:
        try:
            open(mine, "x").close()
        except FileExistsError:
            raise Unfit("it has another device") from None

    def run(self) -> str:
        return "done"


def test_a_place_that_is_unfit_is_given_up_at_once(tmp_path):
    said = []

    async def body():
        pool = start_pool("runner", partial(Choosy, str(tmp_path / "mine")), 2, tell=said.append)
        await pool.ready()
        assert await asyncio.gather(*(pool.call(Choosy.run) for _ in range(4))) == ["done"] * 4
        pool.close()

    asyncio.run(body())
    (sentence,) = said
    assert sentence.endswith("is given up, which leaves 1 runner: it has another device.")


class Barren(Counter):
    """Its child processes do not start."""

    def now(self) -> int:
        raise IsolateError("the process for x:y did not start: no module z")


def test_a_worker_whose_processes_do_not_start_is_given_up():
    async def body():
        pool = start_pool("counter", Barren, options=Placing(attempts=1, strikes=2))
        try:
            await pool.call(Counter.now)
        finally:
            pool.close()

    with pytest.raises(NoWorkers, match=r"failed 2 times in a row and is given up.*no module z"):
        asyncio.run(body())


def test_a_worker_that_does_not_answer_is_replaced(tmp_path):
    async def body():
        pool = start_pool("counter", Counter, options=Placing(attempts=2, call_seconds=2.0))
        await pool.ready()
        with pytest.raises(PoolError, match="died one after the other"):
            await pool.call(Counter.count, 60.0)
        assert await pool.call(Counter.count, 0.0) == 1
        pool.close()

    asyncio.run(body())


def test_an_actor_is_given_its_next_call_early_but_idle_ones_first():
    async def body():
        pool = start_pool("counter", Counter, 2, ahead=1)
        await pool.ready()
        counts = await asyncio.gather(*(pool.call(Counter.count, 0.2) for _ in range(4)))
        pool.close()
        return counts

    assert sorted(asyncio.run(body())) == [1, 1, 2, 2]


def test_who_no_longer_waits_leaves_no_gap():
    async def body():
        pool = start_pool("counter", Counter, ahead=1)
        await pool.ready()
        calls = [asyncio.create_task(pool.call(Counter.count, 0.2)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for call in calls[1:4]:  # one that was given to the actor, two that wait in line
            call.cancel()
        counts = await asyncio.gather(*calls, return_exceptions=True)
        counts.append(await pool.call(Counter.count, 0))
        pool.close()
        return counts

    first, *cancelled, fifth, last = asyncio.run(body())
    assert all(isinstance(one, asyncio.CancelledError) for one in cancelled)
    assert (first, fifth, last) == (1, 3, 4)


def test_a_result_in_the_store_is_what_other_pools_are_given():
    async def body():
        maker = start_pool("counter", Counter, stored=(Counter.count,))
        other = start_pool("counter", Counter)
        kept = await maker.call(Counter.count, 0.1)
        with pytest.raises(ValueError, match="not today"):
            await maker.call(Counter.refuse)
        (account,) = await maker.accounts()
        maker.close()  # whoever made it may be gone
        counted = await other.call(Counter.count, kept)
        assert await other.call(Counter.count, pause=kept) == 2
        other.close()
        return kept, counted, account

    kept, counted, account = asyncio.run(body())
    assert not isinstance(kept, int)
    assert counted == 1
    assert account.busy["count"] >= 0.1


def test_a_dead_runner_costs_nothing_but_time(tmp_path):
    fatal = tmp_path / "fatal"
    fatal.write_text("xx")
    runner = partial(toys.ToyRunner, fatal=str(fatal))
    notes, _ = run(start_pool, ("convolution-a",), trials=40, runner=runner)
    assert fatal.read_text() == ""
    assert len({record.config for record in notes.records}) == 40
    assert all(record.status == "ok" for record in notes.records)


def test_layers_are_in_flight_at_the_same_time():
    names = ("convolution-a", "sketched-a", "sketched-b")
    notes, _ = run(
        start_pool, names, trials=100, layers=3, runner=partial(toys.ToyRunner, pause=0.005)
    )
    assert notes.most_layers >= 2
