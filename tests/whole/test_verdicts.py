"""The first verdict, before anything is tuned, and the outcomes at the end."""

import json
from pathlib import Path

import pytest

from tests.whole.command import SERIAL, chameleon
from tests.whole.onnx_net import dense_layers, unknown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two_faced", ("imported wrongly", "torch", "the output differs by 1, where", "export")),
        ("dice", ("change from run to run", "inference mode")),
    ],
)
def test_wrong_models_end_before_anything_is_tuned(
    tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    code, said, err = chameleon("tune", f"tests.whole.net:{name}", "--out", str(out), *SERIAL)
    assert code == 1
    assert said == ""
    assert err.startswith("Error: ")
    assert "\n" not in err
    assert all(word in err for word in words), err
    assert not out.exists()


def test_without_an_independent_reference_nothing_is_verified(tmp_path: Path) -> None:
    out = tmp_path / "run"
    model = unknown(tmp_path / "unknown.onnx")
    arguments = ("--out", str(out), *SERIAL, "--trials", "4")
    code, said, err = chameleon("tune", model, *arguments)
    assert (code, err) == (3, "")
    assert "Not verified: compared with untuned TVM only" in said
    verified = json.loads((out / "summary.json").read_text())["verified"]
    assert verified["outcome"] == "unverified"
    assert verified["against"] == "untuned TVM"
    assert verified["ok"] is None
    assert verified["max_rel_err"] == pytest.approx(0, abs=1e-4)
    assert (
        '<b class="bad">Not verified</b>: compared with untuned TVM only'
        in (out / "report.html").read_text()
    )
    code, said, err = chameleon("apply", str(out), model)
    assert (code, err) == (3, "")
    assert "not verified, compared with untuned TVM only" in said


def test_a_zoo_goes_on_with_what_is_right(tmp_path: Path) -> None:
    right = dense_layers(tmp_path / "dense.onnx", 64, 32)
    (tmp_path / "zoo.yaml").write_text(
        f"models:\n  - {{model: {right}}}\n  - {{model: {unknown(tmp_path / 'unknown.onnx')}}}\n"
        "  - {model: 'tests.whole.net:two_faced', name: wrong}\n"
        "explorer: annealing\n"
    )
    out = tmp_path / "out"
    arguments = ("--out", str(out), "--engine", "serial", "--trials", "24")
    code, said, err = chameleon("zoo", str(tmp_path / "zoo.yaml"), *arguments)
    assert code == 1
    assert err.startswith("Error: wrong: ")
    assert "imported wrongly" in err
    models = {m["name"]: m for m in json.loads((out / "summary.json").read_text())["models"]}
    assert models["dense"]["verified"]["outcome"] == "verified"
    assert models["dense"]["verified"]["against"] == "ONNX Runtime"
    assert models["dense"]["verified"]["examples"] == 3
    assert models["unknown"]["verified"]["outcome"] == "unverified"
    assert models["wrong"]["verified"]["outcome"] is None
    assert "not verified" in said
    assert not (out / "models" / "wrong").exists()


def test_it_says_when_a_model_is_verified_untuned(serial: Path) -> None:
    log = [json.loads(line) for line in (serial / "log.jsonl").read_text().splitlines()]
    notes = [line["text"] for line in log if line["event"] == "note"]
    phases = [line["name"] for line in log if line["event"] == "phase"]
    assert any(note.startswith("Imported and verified untuned in ") for note in notes)
    assert "same outputs as ONNX Runtime for 3 examples" in notes[0]
    assert phases.index("verifying the model untuned") < phases.index("searching")
    assert phases.count("compiling the model untuned") == 1
