"""Whole models of layers' runners-up: which they are, and which layers take theirs."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray.api.wholes import Wholes, clear, fastest_inside, runners_up
from chameleon_ray.options import Confirming
from chameleon_ray.report.progress import Progress
from chameleon_ray.winners import Winner

FAST = Winner("a", (1,), 1.0, 4.0, others=(((2,), 1.01), ((3,), 1.05)))
SLOW = Winner("b", (1,), 2.0, 4.0, others=(((5,), 2.1),))
ALONE = Winner("c", (), 3.0, 3.0, "nothing to tune")
WINNERS = {"A": FAST, "B": SLOW, "C": ALONE}


def configs(choice):
    return {layer: won.config for layer, won in choice.items()}


def test_runners_up_come_in_their_order_with_their_latencies():
    second, third = runners_up(WINNERS, 4)
    assert configs(second) == {"A": (2,), "B": (5,)}
    assert (second["A"].latency, second["A"].default_latency) == (1.01, 4.0)
    assert configs(third) == {"A": (3,)}
    assert len(runners_up(WINNERS, 1)) == 1


def test_layers_without_runners_up_give_no_other_model():
    assert runners_up({"C": ALONE}, 2) == []


def test_a_runner_up_wins_where_it_is_notably_faster_inside():
    second, third = ({**WINNERS, **other} for other in runners_up(WINNERS, 2))
    first = {"a": 2.0, "b": 3.0, "c": 3.0}
    inside = [first, {"a": 1.9, "b": 2.97, "c": 2.0}, {"a": 1.8, "b": 2.0, "c": 1.0}]
    best = fastest_inside([WINNERS, second, third], inside, clearly=0.02)
    # B's is 1 % faster only, and its third choice is its first; C has no other
    assert configs(best) == {"A": (3,), "B": (1,), "C": ()}


def test_a_layer_that_was_not_seen_inside_keeps_its_winner():
    (second,) = ({**WINNERS, **other} for other in runners_up(WINNERS, 1))
    assert fastest_inside([WINNERS, second], [{}, {"a": 1.0}], 0.02) == WINNERS
    assert fastest_inside([WINNERS, second], [{"a": 1.0, "b": 1.0}, {}], 0.02) == WINNERS


class Process:
    """A process that knows how long layers and whole models take."""

    def __init__(self, faster: float) -> None:
        self.faster, self.compiled = faster, list[str]()

    def holds(self, request: object) -> bool:
        return True

    def compile_tuned(self, chosen: object, library: Path, database: Path) -> None:
        self.compiled.append(library.name)

    def profile(self, libraries: list[Path], *_: object) -> list[dict[str, float]]:
        return [{"a": 1.0 / (1 + n), "b": 1.0} for n in range(len(libraries))]

    def duel(self, pair: list[Path], *_: object) -> list[list[float]]:
        return [[1 - self.faster if path.name == "best.so" else 1.0] * 3 for path in pair]


def wholes_of(process: Any, folder: Path) -> Wholes:
    """Whole models of ``WINNERS`` in a process, whose libraries lie in a folder."""
    place = SimpleNamespace(path=folder, untuned_library=folder / "untuned.so")
    model: Any = SimpleNamespace(folder=place, request=None, called="net")
    tasks = [SimpleNamespace(layer=layer) for layer in WINNERS]
    prepared: Any = SimpleNamespace(tasks=tasks, inputs=())
    return Wholes(model, prepared, process, None, Confirming())


@pytest.mark.parametrize(("faster", "taken"), [(0.05, (3,)), (0.005, (1,)), (-0.05, (1,))])
def test_the_whole_of_the_fastest_layers_is_kept_if_it_is_faster(tmp_path, faster, taken):
    process = Process(faster)
    best = wholes_of(process, tmp_path).best(WINNERS, 2, Progress())
    assert configs(best) == {"A": taken, "B": (1,), "C": ()}
    assert process.compiled == ["0.so", "1.so", "2.so", "best.so"]
    assert list(tmp_path.iterdir()) == []


def test_no_other_model_is_compiled_where_memory_is_too_short(tmp_path):
    untuned = tmp_path / "untuned.so"
    model = SimpleNamespace(folder=SimpleNamespace(untuned_library=untuned))
    wholes = Wholes(model, None, None, None, Confirming())
    assert wholes.room(2) == 2  # who needs the library says that it is missing
    with untuned.open("wb") as file:
        file.truncate(1 << 20)
    assert wholes.room(2) == 2
    os.truncate(untuned, 1 << 43)
    assert wholes.room(2) == 0


def test_what_a_killed_command_left_is_removed(tmp_path):
    left = tmp_path / ".wholes"
    left.mkdir()
    (left / "0.so").write_bytes(b"model")
    clear(tmp_path)
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == []
