"""Locks: the same winners give the same text, and what does not fit is refused in a sentence."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.api.locked import kept, lock_of, locked_winners
from chameleon_ray.lockfile import Lock, LockedLayer, LockError
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.result import Latency, Launching
from chameleon_ray.winners import Winner
from tests.pure import toys
from tests.pure.fake_result import fake_result

TASKS = [toys.task("convolution-1"), toys.task("sketched-1"), toys.task("tiny-1")]


def lock(**fields: object) -> Lock:
    layers = {
        task.digest: LockedLayer(
            task.name, task.space.digest, (0,) * len(task.space.knobs), 1e-3, inf
        )
        for task in TASKS
    }
    layers[TASKS[1].digest] = LockedLayer("default", TASKS[1].space.digest, DEFAULT, 2e-3, 2e-3)
    known = {"model": "net", "target": TASKS[0].target, "device": "toy", "versions": {"tvm": "1"}}
    return Lock(**(known | {"layers": layers} | fields))  # type: ignore[arg-type]


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "chameleon.lock"
    path.write_text(text)
    return path


def test_a_lock_is_strict_json_and_read_back(tmp_path: Path) -> None:
    text = lock().dumps()
    assert Lock.read(file(tmp_path, text)) == lock()
    assert Lock.read(file(tmp_path, text)).dumps() == text
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word))["schema"] == 1


def test_a_lock_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    body = json.loads(lock(tuned=1.0).dumps())
    del body["options"], body["seconds"]
    assert Lock.read(file(tmp_path, json.dumps(body))) == lock()


def test_a_lock_tells_what_decides_the_layers_and_how_fast_the_model_was(tmp_path: Path) -> None:
    result = replace(
        fake_result(tmp_path),
        settings={"layout": "NHWC", "template": ("mine",), "threads": None, "minutes": 6.0},
        untuned=Latency(4e-3, 0.0),
        tuned=Latency(1e-3, 0.0),
    )
    made = lock_of(result)
    assert made == Lock.read(file(tmp_path, made.dumps()))
    assert made.options == {"layout": "NHWC", "template": ["mine"], "threads": None}
    assert (made.untuned, made.tuned) == (4e-3, 1e-3)
    graphs = replace(result, launching=Launching(graphs=True, ratio=2.0))
    assert lock_of(graphs).tuned == 2e-3
    path = file(tmp_path, made.dumps())
    given = {"locked": str(path)}
    again = replace(result, settings=given, tuned=Latency(3e-3, 0.0), device="another")
    assert (lock_of(again).tuned, lock_of(again).device) == (1e-3, result.device)


def test_a_run_s_lock_has_its_winners(tmp_path: Path) -> None:
    result = fake_result(tmp_path)
    made = Lock.read(file(tmp_path, lock_of(result).dumps()))
    assert {digest: layer.config for digest, layer in made.layers.items()} == {
        outcome.task: outcome.config for outcome in result.outcomes
    }


def test_a_lock_has_every_layer_s_winner(tmp_path: Path) -> None:
    winners = locked_winners(file(tmp_path, lock().dumps()), TASKS)
    assert winners[TASKS[0].digest] == Winner(
        TASKS[0].digest, (0,) * len(TASKS[0].space.knobs), 1e-3, inf
    )
    assert winners[TASKS[1].digest].reason == "the lock has the default schedule"
    assert winners.keys() == {task.digest for task in TASKS}


@pytest.mark.parametrize(
    ("made", "tasks", "words"),
    [
        (lock(), [*TASKS, toys.task("tiny-2")], "has no layer tiny-2"),
        (lock(), TASKS[:2], "is a lock of another model"),
        (lock(), [toys.task("tiny-3")], "is a lock of another model"),
        (
            lock(options={"inputs": ["x:1,3"], "precision": "bfloat16", "threads": None}),
            TASKS[:2],
            "or of other options (net, inputs x:1,3, precision bfloat16), as the layers are others",
        ),
        (lock(target="llvm"), TASKS, "is a lock for the target llvm, and this is"),
        (
            lock(layers={t.digest: LockedLayer(t.name, "0" * 16, (), 1.0, 1.0) for t in TASKS}),
            TASKS,
            "has another design space for the layer convolution-1",
        ),
        (
            lock(
                layers={
                    t.digest: LockedLayer(t.name, t.space.digest, (9999,), 1.0, 1.0) for t in TASKS
                }
            ),
            TASKS,
            "has a configuration, [9999], that is not in the space of the layer convolution-1",
        ),
    ],
)
def test_a_lock_that_does_not_fit_is_refused(
    made: Lock, tasks: list, words: str, tmp_path: Path
) -> None:
    with pytest.raises(LockError) as error:
        locked_winners(file(tmp_path, made.dumps()), tasks)
    assert words in str(error.value)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"schema": 2}', "[" * 100_000),
        lock().dumps().replace("0.001", '"1"'),
        lock().dumps().replace("0.001", "-1"),
        lock().dumps().replace('"net"', "7"),
        lock(options={"layout": 7}).dumps(),
        lock(options={"template": [7]}).dumps(),
        lock(untuned=1.0).dumps().replace('"untuned": 1.0', '"untuned": true'),
        lock().dumps().replace("0,", "1.5,", 1),
    ],
)
def test_a_file_that_is_no_lock_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"give the chameleon\.lock of a run") as error:
        Lock.read(file(tmp_path, text))
    assert "Error" not in str(error.value)


def test_a_text_that_is_not_json_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"lock is no lock, as it is not JSON; give the"):
        Lock.read(file(tmp_path, "hello"))


def test_a_resumed_run_keeps_what_its_lock_has(tmp_path: Path) -> None:
    path = file(tmp_path, lock().dumps())
    known = {digest: layer.config for digest, layer in lock().layers.items()}
    assert kept(path, TASKS) == known
    assert kept(path, TASKS[:1]) == {TASKS[0].digest: known[TASKS[0].digest]}
    assert kept(tmp_path / "no", TASKS) == kept(file(tmp_path, "["), TASKS) == {}


def test_a_lock_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot be read"):
        Lock.read(tmp_path / "no")
