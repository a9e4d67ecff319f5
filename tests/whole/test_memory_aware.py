"""``chameleon tune --memory-aware`` and ``chameleon memory``: the whole way, on a small network."""

import json
from pathlib import Path

import pytest

from chameleon_ray.folder import RunFolder
from tests.tvm.test_memory import inception
from tests.whole.command import NET, SERIAL, Command, chameleon, refused


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An ONNX file, which is imported without torch; what its branches compute is joined."""
    path = str(tmp_path_factory.mktemp("models") / "joined.onnx")
    inception(path)
    return path


@pytest.fixture(scope="module")
def run(joined: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "joined"
    options = ("--trials", "40", "--out", str(path), "--memory-aware", *SERIAL)
    tuning = Command("tune", joined, *options)
    out, err = tuning.process.communicate(timeout=240)
    assert tuning.process.returncode == 0, err
    assert "Verified" in out
    assert "Activations take" in err
    return path


def test_a_rewritten_model_is_tuned_and_verified(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["verified"]["ok"]
    assert summary["measurements"]["total"] == 40
    winners = RunFolder(run, existing=True).load_winners()
    assert sum(bool(config) for config, _ in winners.values()) > 0


def test_it_is_applied_as_it_was_tuned(run: Path, joined: str) -> None:
    code, out, err = chameleon("apply", str(run), joined)
    assert code == 0, err
    assert "verified" in out


def test_memory_is_told(joined: str, tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    code, out, err = chameleon("memory", joined, "--figures", str(file))
    assert (code, err) == (0, "")
    body = json.loads(file.read_text())
    peaks = body["peak_bytes"]
    assert peaks["rewritten"] < peaks["scheduled"] <= peaks["model_order"]
    assert body["optimal"]
    assert body["nodes"] == len(body["order"]) == len(body["levels"]["rewritten"])
    assert all(max(levels) == peaks[name] for name, levels in body["levels"].items())
    assert "Live memory after rewriting" in out
    assert "█" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing",), "no model 'nothing'"),
        ((NET, "--layout", "CHWN"), "no layout 'CHWN'"),
        ((NET, "--figures", "/nowhere/memory.json"), "/nowhere/memory.json cannot be written"),
    ],
)
def test_bad_requests_get_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    code, err = refused("memory", *arguments)
    assert code == 1
    assert sentence in err
    assert len(err.splitlines()) == 1
