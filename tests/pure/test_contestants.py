"""Contestants that load a model: what ends them, what is said of late ones, and when they begin."""

import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread, Timer
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray.api import contestants
from chameleon_ray.api.contestants import HANDLERS, Contestants, begins, has_room
from chameleon_ray.compiler.frontend.frameworks.source import Source
from chameleon_ray.errors import Stopped
from chameleon_ray.measure import free_memory
from chameleon_ray.measure.cores import available
from chameleon_ray.options import Comparing, Request

CORES = available()[:1]
SOURCE = Source("net", (), (), 0, (), CORES, False, 1)
CPU: Any = SimpleNamespace(environment=lambda threads: (), graphs=None)
GPU: Any = SimpleNamespace(environment=lambda threads: (), graphs="graphs")


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> Contestants:
    monkeypatch.setitem(HANDLERS, False, "tests.pure.framework_toys:named")
    return Contestants(SOURCE, CPU, 30.0)


def started() -> set[int]:
    """Numbers of the processes that this one has started, and that are not over."""
    found: list[str] = []
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended
            found += (task / "children").read_text().split()
    return set(map(int, found))


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0])
def test_a_close_while_they_load_leaves_no_process(some: Contestants, seconds: float) -> None:
    before = started()
    some.start({"slow": None, "late": None}, CORES)
    assert len(started() - before) == 2
    timer = Timer(seconds, some.close)
    timer.start()
    with pytest.raises(Stopped):
        some.loaded(30.0, {})
    timer.join()
    assert started() <= before
    with pytest.raises(Stopped):
        some.start({"steady": None}, CORES)
    assert started() <= before


def test_a_close_while_one_is_started_ends_it_too(
    some: Contestants, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, make, threads = started(), contestants.started, list[Thread]()

    def interrupted(*asked: Any) -> Any:
        one = make(*asked)
        threads.append(Thread(target=some.close))
        threads[-1].start()
        time.sleep(0.1)
        return one

    monkeypatch.setattr(contestants, "started", interrupted)
    with pytest.raises(Stopped):
        some.start({"slow": None, "late": None}, CORES)
    threads[0].join()
    assert len(threads) == 1
    assert started() <= before


def test_they_are_ended_side_by_side(some: Contestants, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2, timeout=10.0)

    class Waiting:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self, seconds: float) -> None: ...

        def close(self) -> None:
            both.wait()

    monkeypatch.setattr(contestants, "started", lambda name, *asked: Waiting(name))
    some.start({"a": None, "b": None}, CORES)
    some.close()
    assert not both.broken


def test_a_late_one_is_told_the_time_since_it_began(some: Contestants) -> None:
    faults: dict[str, str] = {}
    some.start({"slow": None}, CORES)
    time.sleep(0.6)
    assert some.loaded(0.1, faults) == []
    some.close()
    words = faults["slow"].split()
    assert faults["slow"].startswith("it did not load the model within ")
    assert float(words[-2]) >= 0.7


def test_nothing_is_begun_where_something_is_timed_meanwhile() -> None:
    asked = Request("net.onnx", compare=("onnxruntime",))
    assert begins(asked, CPU, elsewhere=False)
    assert not begins(asked, CPU, elsewhere=True)
    assert not begins(asked, GPU, elsewhere=False)
    assert not begins(Request("net.onnx", compare=()), CPU, elsewhere=False)


@pytest.mark.parametrize(("kilobytes", "room"), [(300, False), (500, True)])
def test_nothing_is_begun_where_memory_is_short(
    kilobytes: int, room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "untuned.so").write_bytes(bytes(50 << 10))
    (tmp_path / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {kilobytes} kB\n")
    options = Comparing(process_bytes=50 << 10, copies=3)
    asked = Request("net.onnx", compare=("onnxruntime",), comparing=options)
    monkeypatch.setattr(free_memory, "MEMORY", tmp_path / "meminfo")
    assert has_room(asked, tmp_path / "untuned.so") is room
    monkeypatch.setattr(free_memory, "MEMORY", tmp_path / "none")
    assert has_room(asked, tmp_path / "untuned.so")
