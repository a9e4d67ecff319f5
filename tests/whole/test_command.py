"""The command line: every bad input is one sentence on stderr and a status that is not 0."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from chameleon_ray import __version__
from chameleon_ray.commands.app import app
from tests.whole.command import (
    NET,
    PROGRESS,
    ROOT,
    SEARCHED,
    SERIAL,
    Command,
    chameleon,
    records,
)

Words = tuple[str, ...]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; a command must leave the cores as it found them."""
    cores = os.sched_getaffinity(0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path
    assert os.sched_getaffinity(0) == cores


def sentence(*arguments: str) -> str:
    """What a command that fails says, having checked that it is one sentence."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code not in (0, None), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = [line for line in result.stderr.splitlines() if not PROGRESS.match(line)]
    assert len(said) == 1, said
    assert said[0].startswith("Error: ")
    assert said[0].endswith((".", ")")) or ": " in said[0]
    assert result.stdout == ""
    return said[0].removeprefix("Error: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--explorer", "psychic"), ("no explorer 'psychic'", "ppo, annealing, random")),
        (("--sampler", "psychic"), ("no sampler 'psychic'", "adaptive, greedy")),
        (("--preset", "psychic"), ("no preset 'psychic'", "chameleon")),
        (("--engine", "psychic"), ("no engine 'psychic'", "ray, serial")),
        (("--layout", "WHCN"), ("no layout 'WHCN'", "NHWC, NCHW")),
        (("--engine", "serial"), ("ppo needs Ray", "--engine serial")),
        (("--threads", "1000"), ("--threads 1000", "cores")),
        (("--minutes", "inf"), ("--minutes inf is no number",)),
        (("--seed", str(2**64)), ("is too large",)),
        (("--resume",), ("--resume needs --out",)),
        (("--resume", "--out", "empty"), ("empty holds no run",)),
        (("--resume", "--out", "missing"), ("missing holds no run",)),
        (("--out", "full"), ("full holds a run", "--resume", "--out")),
        (("--out", "file"), ("Cannot write to file",)),
        (("--out", "file/below"), ("Cannot write to file/below",)),
        (("--out", "/proc/run"), ("Cannot write to /proc/run",)),
    ],
)
def test_what_cannot_be_chosen(here: Path, arguments: Words, words: Words) -> None:
    (here / "empty").mkdir()
    (here / "full").mkdir()
    (here / "full" / "run.json").write_text("{}")
    (here / "file").write_text("")
    said = sentence("tune", NET, *arguments)
    assert all(word in said for word in words), said
    assert sorted(path.name for path in here.iterdir()) == ["empty", "file", "full"]
    assert list((here / "empty").iterdir()) == []


def model(node: str, first: int | str = 1) -> onnx.ModelProto:
    """One operator on 4 columns."""
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (first, 4)) for name in ("x", "y")
    ]
    domain = "" if node == "Relu" else "nowhere"
    graph = helper.make_graph(
        [helper.make_node(node, ["x"], ["y"], domain=domain)], "graph", shapes[:1], shapes[1:]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no-such-net",), ("no model 'no-such-net'", "resnet-18")),
        (("missing.onnx",), ("missing.onnx does not exist",)),
        (("garbage.onnx",), ("garbage.onnx is not a valid ONNX model",)),
        (("strange.onnx",), ("strange.onnx", "Psychic")),
        (("open.onnx",), ("'x'", "open dimensions", "--input")),
        (("open.onnx", "--input", "x:three"), ("x:three",)),
        (("no.such.module:make",), ("no.such.module",)),
        (("closed.onnx", "--target", '{"kind": "llvm"'), ("target is not JSON", "llvm")),
        (("closed.onnx", "--target", "cuda:7"), ("'7'", "sm_90")),
        (("closed.onnx", "--target", '{"kind": "llvm", "colour": 1}'), ("'colour'",)),
        (("closed.onnx", "--build-only", "--resume"), ("times none", "leave out --resume")),
        (("closed.onnx", "--build-only", "--instances", "2"), ("leave out --instances",)),
    ],
)
def test_what_cannot_be_tuned(here: Path, arguments: Words, words: Words) -> None:
    (here / "garbage.onnx").write_bytes(b"not a model at all")
    onnx.save(model("Psychic"), here / "strange.onnx")
    onnx.save(model("Relu", "batch"), here / "open.onnx")
    onnx.save(model("Relu"), here / "closed.onnx")
    said = sentence("tune", *arguments, *SERIAL)
    assert all(word in said for word in words), said
    assert not list(here.glob("runs/*")), "a run that never began leaves no directory"


def test_no_linker(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(here))
    assert "no linker" in sentence("tune", NET)


@pytest.mark.parametrize("engine", [(), SERIAL])
def test_another_version_than_pinned(
    here: Path, monkeypatch: pytest.MonkeyPatch, engine: Words
) -> None:
    fake = here / "site" / "apache_tvm_ffi-0.1.15.dist-info"
    fake.mkdir(parents=True)
    fields = ("Metadata-Version: 2.1", "Name: apache-tvm-ffi", "Version: 0.1.15")
    (fake / "METADATA").write_text("\n".join(fields) + "\n")
    monkeypatch.syspath_prepend(str(here / "site"))
    said = sentence("tune", NET, *engine)
    assert "apache-tvm-ffi is 0.1.15 on this machine, but has to be 0.1.14.post1" in said


def test_a_cluster_that_is_not_there(here: Path) -> None:
    assert "no Ray at 127.0.0.1:1" in sentence("tune", NET, "--address", "127.0.0.1:1")


@pytest.mark.parametrize("command", [("bench",), ("apply", NET)])
def test_a_run_that_is_none(here: Path, command: Words) -> None:
    assert "holds no run" in sentence(command[0], "missing", *command[1:])


@pytest.fixture(scope="module")
def begun(serial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of this file's own."""
    return Path(shutil.copytree(serial, tmp_path_factory.mktemp("runs") / "begun"))


@pytest.mark.parametrize(
    ("other", "arguments", "words"),
    [
        (NET, (), ("another model", "make", "choose another --out")),
        ("", ("--target", '{"kind": "llvm", "num-cores": 77}'), ("another target",)),
        ("", ("--layout", "NCHW"), ("another layout", "NHWC")),
        ("", ("--precision", "bfloat16"), ("another precision (float32, now bfloat16)",)),
    ],
)
def test_another_run_is_not_gone_on_with(
    here: Path, begun: Path, dense: str, other: str, arguments: Words, words: Words
) -> None:
    before = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    again = ("--out", str(begun), "--resume", *SEARCHED)
    said = sentence("tune", other or dense, *arguments, *again)
    assert all(word in said for word in (str(begun), *words)), said
    assert {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()} == before


def test_a_damaged_run_is_named(here: Path, begun: Path, dense: str) -> None:
    whole = (begun / "run.json").read_bytes()
    (begun / "run.json").write_bytes(b"{")
    said = sentence("tune", dense, "--out", str(begun), "--resume", *SEARCHED)
    (begun / "run.json").write_bytes(whole)
    assert "run.json" in said


def test_damaged_records_are_set_aside_and_the_run_goes_on(
    here: Path, serial: Path, dense: str
) -> None:
    run = Path(shutil.copytree(serial, here / "torn"))
    before, torn = records(run), sorted((run / "records").iterdir())[0]
    torn.write_bytes(torn.read_bytes()[:-9])
    identity = json.loads((run / "run.json").read_text())
    identity["circumstances"]["versions"]["sources"] = "earlier"
    (run / "run.json").write_text(json.dumps(identity))
    command = Command("tune", dense, "--out", str(run), "--resume", *SEARCHED)
    out, err = command.process.communicate(timeout=180)
    assert command.process.returncode == 0, err
    assert f"{torn} cannot be read" in err
    assert "begun with another version" in " ".join((out + err).split())
    assert "Verified" in out
    assert [record for record in records(run) if record in before]
    assert len(records(run)) == len(before)
    assert (run / "records" / f"{torn.name}-0.damaged").exists()


def test_a_finished_run_measures_nothing_again(begun: Path, dense: str) -> None:
    arguments = ("--out", str(begun), "--resume", *SEARCHED)
    parts = sorted((begun / "records").iterdir())
    code, out, err = chameleon("tune", dense, *arguments)
    assert (code, err) == (0, "")
    assert "Verified" in out
    assert sorted((begun / "records").iterdir()) == parts
    assert json.loads((begun / "summary.json").read_text())["measurements"]["total"] == 24


def test_debug_shows_the_traceback(here: Path) -> None:
    result = CliRunner().invoke(app, ["tune", NET, "--explorer", "psychic", "--debug"])
    assert result.exit_code != 0
    assert type(result.exception).__name__ == "UserError"


def test_devices_and_version() -> None:
    result = CliRunner().invoke(app, ["devices"])
    assert result.exit_code == 0, result.output
    assert "llvm" in result.stdout
    assert "ready" in result.stdout
    assert CliRunner().invoke(app, ["version"]).stdout.strip() == __version__


def test_the_command_itself_fails_with_a_status(here: Path) -> None:
    code, out, err = chameleon("tune", NET, "--explorer", "psychic")
    assert code == 1
    assert out == ""
    assert err == ("Error: There is no explorer 'psychic'; choose one of: ppo, annealing, random.")
