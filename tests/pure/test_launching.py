"""The choice between launching kernels one by one and as graphs, with made-up libraries."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chameleon_ray.api.failed_step import StepError
from chameleon_ray.api.launching import Libraries, TunedLibrary, settled, timed
from chameleon_ray.compiler.prepared import Prepared
from chameleon_ray.measure.bench import MAIN
from chameleon_ray.measure.example import Example
from chameleon_ray.options import Confirming
from chameleon_ray.report.launching import sentence
from chameleon_ray.report.result import Latency, Launching, Verified

PREPARED = Prepared("net", "", "", (), (Example(()),), "torch")
RIGHT, WRONG = Verified(True, 0.0, 0.0, "torch"), Verified(False, 1.0, 1.0, "torch", fault="y is 1")


@dataclass
class Process:
    """A model's process with libraries that are known: their verdicts and seconds by file name.

    A word in place of either is the reason why the library cannot be run, or timed.
    """

    graphs: Any = RIGHT
    seconds: dict[str, Any] = field(default_factory=dict)
    plain: Verified = RIGHT
    recorded: bool = True
    duels: list[list[str]] = field(default_factory=list)

    def compile_graphs(self, path: Path) -> bool:
        if self.recorded:
            path.write_text("graphs")
        return self.recorded

    def check(
        self, library: Path, *_: object, replayed: bool = False, entry: str = MAIN
    ) -> Verified:
        assert entry == MAIN
        assert replayed == (library.name == "graphs.so")
        if not replayed:
            return self.plain
        if isinstance(self.graphs, str):
            raise StepError("Check", self.graphs)
        return self.graphs

    def duel(self, libraries: tuple[Path, ...], *_: object) -> list[tuple[float, ...]]:
        self.duels.append([library.name for library in libraries])
        assert all(library.exists() for library in libraries)
        found = [self.seconds[library.name] for library in libraries]
        for one in found:
            if isinstance(one, str):
                raise StepError("Duel", one)
        return [(seconds,) for seconds in found]


@pytest.fixture
def choose(tmp_path: Path) -> Callable[[Process], tuple[TunedLibrary, str]]:
    """What is chosen, and what is in ``model.so`` then."""
    files = Libraries(*(tmp_path / name for name in ("model.so", "graphs.so", "untuned.so")))
    files.tuned.write_text("plain")
    files.untuned.write_text("untuned")

    def chosen(process: Process) -> tuple[TunedLibrary, str]:
        about = (files, PREPARED, process, None)
        found = timed(settled(*about, Confirming), *about, Confirming())  # type: ignore[arg-type]
        assert sorted(tmp_path.iterdir()) == [files.tuned, files.untuned]
        return found, files.tuned.read_text()

    return chosen


Choose = Callable[[Process], tuple[TunedLibrary, str]]


def test_graphs_that_are_faster_are_kept(choose: Choose) -> None:
    checked = Verified(True, 0.5, 0.5, "torch")
    times = {"model.so": 2.0, "graphs.so": 1.0, "untuned.so": 3.0}
    process = Process(checked, times)
    found, content = choose(process)
    assert content == "graphs"
    launching = Launching(graphs=True, ratio=2.0)
    assert found == TunedLibrary(checked, Latency(1.0), Latency(3.0), launching)
    assert process.duels == [["graphs.so", "model.so", "untuned.so"]], "all in turns"
    assert "as CUDA graphs; one by one the tuned model takes 2.00 times as long." in sentence(
        launching
    )
    assert "without graphs" in sentence(launching)


@pytest.mark.parametrize("seconds", [1.0, 1.5])
def test_and_others_are_not(choose: Choose, seconds: float) -> None:
    times = {"model.so": 1.0, "graphs.so": seconds, "untuned.so": 3.0}
    found, content = choose(Process(RIGHT, times))
    assert content == "plain"
    assert found.tuned == Latency(1.0)
    assert found.launching == Launching(graphs=False, ratio=seconds)
    assert "one by one; with CUDA graphs" in sentence(found.launching)


@pytest.mark.parametrize(
    ("graphs", "seconds", "fault"),
    [
        ("CUDA: no capture", 1.0, "they failed (CUDA: no capture)"),
        (WRONG, 1.0, "they are wrong (y is 1)"),
        (RIGHT, "out of memory", "they failed (out of memory)"),
    ],
)
def test_graphs_of_no_use_are_left_out(
    choose: Choose, graphs: Any, seconds: Any, fault: str
) -> None:
    times = {"model.so": 2.0, "graphs.so": seconds, "untuned.so": 3.0}
    process = Process(graphs, times)
    found, content = choose(process)
    assert content == "plain"
    assert found == TunedLibrary(
        RIGHT, Latency(2.0), Latency(3.0), Launching(graphs=False, fault=fault)
    )
    assert process.duels[-1] == ["model.so", "untuned.so"]
    assert found.launching is not None
    assert f"CUDA graphs are left out: {fault}." in sentence(found.launching)


def test_there_is_nothing_to_record(choose: Choose) -> None:
    found, _ = choose(Process(recorded=False, seconds={"model.so": 1.0, "untuned.so": 3.0}))
    assert found == TunedLibrary(RIGHT, Latency(1.0), Latency(3.0))


def test_a_wrong_model_is_not_tried_with_graphs(choose: Choose) -> None:
    times = {"model.so": 1.0, "untuned.so": 3.0}
    found, content = choose(Process("is not to be run", times, plain=WRONG))
    assert content == "plain"
    assert (found.verified, found.launching) == (WRONG, None)


def test_a_tuned_model_that_cannot_be_timed_is_an_error(choose: Choose) -> None:
    times = {"model.so": "it hangs", "graphs.so": 1.0, "untuned.so": 3.0}
    with pytest.raises(StepError, match="it hangs"):
        choose(Process(RIGHT, times))
