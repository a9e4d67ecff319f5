"""Copies run beside what is timed, each on its own cores, and end with it."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from chameleon_ray.measure import cores as measure_cores
from chameleon_ray.measure.copies import Copies
from chameleon_ray.measure.cores import available


def apart(work: Callable[[], object]) -> object:
    """Does some work in a thread of its own, as its cores are changed."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@pytest.mark.parametrize(
    ("cores", "count", "own", "others"),
    [
        ((0, 1, 2, 3), 2, (0, 1), [(2, 3)]),
        ((0, 1, 2), 3, (0,), [(1,), (2,)]),
        ((0, 1, 2), 2, (0,), [(1,)]),
        ((4, 5), 1, (4, 5), []),
    ],
)
def test_cores_are_divided(monkeypatch, tmp_path, cores, count, own, others) -> None:
    monkeypatch.setattr(measure_cores, "CPU", tmp_path)  # none is a hyper-thread of another
    bound = list[tuple[int, ...]]()
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: bound.append(tuple(cores)))
    copies = Copies(cores, count)
    assert (copies.own, copies.others) == (own, others)
    assert bound == ([own] if others else [])


def test_hyper_threads_of_a_core_belong_to_one_copy(tmp_path, monkeypatch) -> None:
    for core, siblings in {2: "2,10", 3: "3,11", 10: "2,10", 11: "3,11"}.items():
        folder = tmp_path / f"cpu{core}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(measure_cores, "CPU", tmp_path)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: None)
    for order in ((2, 10, 3, 11), (2, 3, 10, 11)):
        copies = Copies(order, 2)
        assert (copies.own, copies.others) == ((2, 10), [(3, 11)])


def test_the_other_copies_run_on_their_cores_until_the_block_ends() -> None:
    every = available()
    if len(every) < 2:
        pytest.skip("two copies need two cores")
    seen = list[tuple[int, set[int]]]()

    def work() -> int:
        copies = Copies(every[:2], 2)
        ident = threading.get_ident()
        assert os.sched_getaffinity(0) == {every[0]}
        with copies.running(
            [lambda: seen.append((threading.get_ident(), os.sched_getaffinity(0)))]
        ):
            assert seen, "it has run before the block begins"
        return ident

    ident = apart(work)
    count = len(seen)
    assert all(one != ident and cores == {every[1]} for one, cores in seen)
    assert len(seen) == count, "it has ended with the block"
    assert os.sched_getaffinity(0) == set(every), "the process keeps its cores"


def test_a_copy_that_fails_is_told() -> None:
    if len(available()) < 2:
        pytest.skip("two copies need two cores")

    def work() -> None:
        def fail() -> None:
            raise ValueError("broken")

        with Copies(available()[:2], 2).running([fail]):
            pass

    with pytest.raises(ValueError, match="broken"):
        apart(work)


def test_without_other_copies_nothing_runs_beside() -> None:
    before = threading.active_count()
    with Copies(available()[:1], 1).running([]):
        assert threading.active_count() == before
