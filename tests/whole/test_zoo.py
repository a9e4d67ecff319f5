"""A whole zoo: killed, gone on with, and every model of it in a directory that can be used."""

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from chameleon_ray.record import Record
from tests.whole.command import (
    DENSE,
    SERIAL,
    SLOW,
    Command,
    chameleon,
    measured_twice,
    records,
    until,
)
from tests.whole.onnx_net import dense_layers
from tests.whole.test_command import here, sentence  # noqa: F401
from tests.whole.test_faults import PATIENCE, assert_goes_on, reaches

TRIALS = 44
ZOO = f"""
# Two networks with a layer in common, and one that is none.
models:
  - model: {{dense}}
    name: dense
  - model: tests.whole.net:nothing
    name: nothing
  - model: {{deep}}
    name: deep
    weight: 2
explorer: random
trials: {TRIALS}
"""
NAMES = ("dense", "deep")
FILES = ("run.json", "winners.json", "model.so", "untuned.so", "summary.json", "report.html")


@pytest.fixture(scope="module")
def listed(dense: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The zoo's file; its deep network is that layer twice, and another one between."""
    folder = tmp_path_factory.mktemp("listed")
    deep = dense_layers(folder / "deep.onnx", 64, 192, 64, 192)
    (folder / "zoo.yaml").write_text(ZOO.format(dense=dense, deep=deep))
    return str(folder / "zoo.yaml")


@pytest.fixture(scope="module")
def told(
    listed: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Record], str, str]:
    """A zoo that was killed and then gone on with; what was recorded before, what it said."""
    path = tmp_path_factory.mktemp("zoos") / "zoo"
    first = Command("zoo", listed, *SERIAL[:2], "--out", str(path))
    reaches(first, path, 4)
    os.kill(first.process.pid, signal.SIGKILL)
    first.wait()
    assert first.orphans() == {}
    before = records(path)
    second = Command("zoo", listed, "--out", str(path), "--resume")
    code, out, err = second.wait(600)
    assert code == 1, err
    assert second.orphans() == {}
    return path, before, out, err


@pytest.fixture
def zoo(told: tuple[Path, list[Record], str, str]) -> Path:
    return told[0]


@pytest.fixture
def summary(zoo: Path) -> dict:
    body: dict = json.loads((zoo / "summary.json").read_text())
    return body


def test_a_model_that_fails_is_a_sentence_and_leaves_the_others(
    told: tuple[Path, list[Record], str, str], summary: dict
) -> None:
    zoo, _, out, err = told
    assert err.startswith("Error: nothing: ")
    assert "tests.whole.net has no function nothing" in err
    assert len(err.splitlines()) == 1
    assert "3 layers, 2 after merging" in out
    assert [model["error"] is None for model in summary["models"]] == [True, False, True]
    assert not (zoo / "models" / "nothing").exists()


def test_it_went_on_where_it_was(told: tuple[Path, list[Record], str, str]) -> None:
    zoo, before, _, _ = told
    assert len(before) >= 4
    assert_goes_on(before, zoo)
    assert len(records(zoo)) == TRIALS


def test_equal_layers_are_tuned_once(zoo: Path, summary: dict) -> None:
    assert summary["tasks"]["before_merging"] == 3
    assert summary["tasks"]["after_merging"] == 2
    layers = [json.loads((zoo / "models" / n / "run.json").read_text())["layers"] for n in NAMES]
    (shared,) = set(layers[0]) & set(layers[1])
    counts = Counter(record.task for record in records(zoo))
    assert summary["measurements"]["saved_by_merging"] == counts[shared] > 0
    assert measured_twice(zoo) == 0
    winners = [json.loads((zoo / "models" / n / "winners.json").read_text()) for n in NAMES]
    assert winners[0][shared] == winners[1][shared]


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_a_run_directory(zoo: Path, summary: dict, name: str) -> None:
    run = zoo / "models" / name
    for file in FILES:
        assert (run / file).stat().st_size > 0, file
    body = json.loads((run / "summary.json").read_text())
    assert body["verified"]["ok"] is True
    (entry,) = (model for model in summary["models"] if model["name"] == name)
    assert entry["latency_ms"] == body["latency_ms"]
    own = {task["digest"] for task in body["tasks"]}
    assert {record.task for record in records(run)} == own
    assert records(run) == [record for record in records(zoo) if record.task in own]


def test_a_model_s_directory_can_be_used(zoo: Path, dense: str) -> None:
    run = str(zoo / "models" / "dense")
    code, out, err = chameleon("apply", run, dense)
    assert code == 0, err
    assert "1 of 1 layers" in out
    code, out, err = chameleon("bench", run, "--no-compare", "--repeats", "2")
    assert code == 0, err
    assert re.search(r"; untuned TVM [\d.]+", out), out


def test_interrupted_while_models_are_imported(tmp_path: Path) -> None:
    listed = tmp_path / "slow.yaml"
    listed.write_text(ZOO.format(dense=SLOW, deep=DENSE))
    command = Command("zoo", str(listed), *SERIAL[:2], "--out", str(tmp_path / "zoo"))
    assert until((tmp_path / "zoo" / "records").exists, PATIENCE)  # which are made last
    os.killpg(command.process.pid, signal.SIGINT)
    code, out, err = command.wait()
    assert (code, out, err) == (130, "", "Stopped. Nothing was measured yet.")
    assert command.orphans() == {}
    assert not (tmp_path / "zoo").exists()


def test_layers_are_counted_without_tuning(listed: str) -> None:
    code, out, err = chameleon("zoo", listed, "--layers")
    assert code == 1, err
    assert "3 layers, 2 after merging" in out
    *imports, failure = err.splitlines()
    assert imports == ["importing dense", "importing nothing", "importing deep"]
    assert failure.startswith("Error: nothing: ")


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (None, (), ("zoo.yaml cannot be read",)),
        ("models: [", (), ("not YAML",)),
        ("models: [a]\npreset: psychic", (), ("no preset 'psychic'",)),
        ("models: [a]\nthreads: 1000", (), ("--threads 1000",)),
        ("models: [a]\nthreads: 1000", ("--layers",), ("--threads 1000",)),
        ("models: [a]", ("--resume",), ("--resume needs --out",)),
        ("models: [a]", ("--resume", "--out", "none"), ("none holds no zoo",)),
        ("models: [a]", ("--out", "run"), ("run holds a run", "--resume")),
        ("models: [a]", ("--resume", "--out", "run"), ("holds no zoo, but a run",)),
        ("models: [a]\nexplorer: random", ("--engine", "serial"), ("a: There is no model 'a'",)),
    ],
)
def test_what_cannot_be_a_zoo(
    here: Path,  # noqa: F811
    text: str | None,
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    (here / "run").mkdir()
    (here / "run" / "run.json").write_text("{}")
    if text is not None:
        (here / "zoo.yaml").write_text(text)
    said = sentence("zoo", "zoo.yaml", *arguments)
    assert all(word in said for word in words), said
    assert not list(here.glob("runs/*"))
