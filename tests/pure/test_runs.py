"""Runs at hand: found, told apart, listed, shown and compared, whatever state they are in."""

import json
import os
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from chameleon_ray.commands.app import app
from chameleon_ray.folder import ZooFolder
from chameleon_ray.runs.finding import found
from chameleon_ray.runs.kept_run import State, kept_run
from chameleon_ray.runs.listing import lines, listed
from chameleon_ray.runs.repeating import going_on
from tests.pure.kept_runs import UNKNOWN, WRONG, changed, kept, under_way
from tests.pure.test_docs import misfit

NASTY = "\x1b[2J<b>net</b>\u202e\n[red]"


def chameleon(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def traces(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all that is in a folder."""
    stats = {str(path): path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, State.VERIFIED),
        ({"verified": UNKNOWN}, State.DONE),
        ({"verified": None}, State.DONE),
        ({"verified": WRONG}, State.FAILED),
        ({"outcome": "error"}, State.FAILED),
        ({"outcome": "stopped"}, State.INTERRUPTED),
        ({"outcome": None}, State.INTERRUPTED),
    ],
)
def test_states_are_told_apart(tmp_path: Path, options, state) -> None:
    kept(tmp_path / "run", **options)
    assert kept_run(tmp_path / "run").state is state


def test_a_run_that_is_gone_on_with_is_judged_by_its_last_command(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    log.write_text(log.read_text() + '{"event": "phase", "time": 9e9, "seconds": 1, "name": "x"}\n')
    os.utime(log, (9e9, 9e9))
    assert kept_run(tmp_path / "run").state is State.INTERRUPTED
    with log.open("a") as torn:
        torn.write('{"event": "ended", "time": 9e9, "secon')
    assert kept_run(tmp_path / "run").state is State.INTERRUPTED


def test_what_is_under_way_is_live(tmp_path: Path) -> None:
    with under_way(tmp_path / "run"):
        assert kept_run(tmp_path / "run").state is State.LIVE
    assert kept_run(tmp_path / "run").state is State.INTERRUPTED
    (tmp_path / "begun" / "records").mkdir(parents=True)
    (tmp_path / "begun" / ".lock").touch()
    assert found(tmp_path) == [tmp_path / "run"]


def test_runs_are_found_below_a_folder_and_no_link_is_followed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    kept(runs / "one")
    kept(runs / "group" / "two" / "deep")
    kept(tmp_path / "elsewhere")
    (runs / "link").symlink_to(tmp_path / "elsewhere")
    (runs / "group" / "loop").symlink_to(runs)
    (runs / ".hidden").mkdir()
    assert found(runs) == [runs / "group" / "two" / "deep", runs / "one"]
    assert found(runs / "one") == [runs / "one"]


def test_the_list_has_the_newest_first_and_everything_in_it(tmp_path: Path) -> None:
    first = kept(tmp_path / "first", "alexnet")
    kept(tmp_path / "second", "vgg", outcome="stopped", measured=7)
    changed(
        tmp_path / "first" / "summary.json", comparison=[{"name": "ONNX Runtime", "latency": 4}]
    )
    before = traces(tmp_path)
    done = chameleon("runs", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    second, one = json.loads(done.stdout)
    assert (second["model"], second["state"], second["measurements"]) == ("vgg", "interrupted", 7)
    assert (second["latency_ms"], second["comparison"]) == (None, [])
    assert first.tuned is not None
    assert one["latency_ms"] == pytest.approx(1e3 * first.tuned.seconds)
    assert one["comparison"] == [{"name": "ONNX Runtime", "ms": 4000.0, "fault": ""}]
    assert (one["threads"], one["device"]) == (2, "Made-up CPU, 8 cores")
    assert one["bytes"] == sum(
        size for path, (size, _) in before.items() if Path(path).is_file() and "/first/" in path
    )
    table = chameleon("runs", tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["run", "second", "first"]
    assert "ONNX Runtime 4000" in table[2]
    assert traces(tmp_path) == before


@pytest.mark.parametrize("width", [60, 80, 100, 300])
def test_the_list_fits_a_terminal(tmp_path: Path, width: int) -> None:
    for number in range(3):
        kept(tmp_path / f"resnet-18-20260101-12000{number}", measured=0)
    table = lines(listed(tmp_path), tmp_path, width)
    assert max(map(cell_len, table)) <= max(width, 80)
    assert ("vs untuned" in table[0]) == (width == 300)
    assert "state" in table[0]


@pytest.mark.parametrize("command", ["show", "watch", "rm", "runs"])
def test_what_is_no_run_is_told_in_one_sentence(tmp_path: Path, command: str) -> None:
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file\x1b[2J"):
        if "file" in path.name:
            path.write_text("x")
        done = chameleon(command, path, *(["--yes"] if command == "rm" else []))
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        assert "\x1b" not in done.output


@pytest.mark.parametrize("file", ["run.json", "summary.json"])
@pytest.mark.parametrize("content", ['{"schema": 99}', '{"schema": 2', "[]", None])
def test_runs_that_cannot_be_read_are_told(tmp_path: Path, file: str, content) -> None:
    kept(tmp_path / "run")
    (tmp_path / "run" / file).unlink()
    if content is None:
        os.mkfifo(tmp_path / "run" / file)
    else:
        (tmp_path / "run" / file).write_text(content)
    done = chameleon("show", tmp_path / "run")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    reasons = ("another version", "cannot be read", "is damaged", "holds no run")
    assert any(why in done.stderr for why in reasons)
    if (file, content) != ("run.json", None):
        assert "unreadable" in chameleon("runs", tmp_path).stdout


def test_values_of_other_types_are_unknown(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    odd = {"latency_ms": "fast", "tasks": [1, {"name": 3, "best_ms": "x"}], "comparison": {"a": 1}}
    changed(tmp_path / "run" / "summary.json", **odd, measurements=None, verified=7, remaining=[1])
    run = kept_run(tmp_path / "run")
    assert (run.seconds, run.rivals, run.measurements) == (None, (), 10)
    assert chameleon("show", tmp_path / "run").exit_code == 0
    assert json.loads(chameleon("show", tmp_path / "run", "--json").stdout)["latency_ms"] is None


def test_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31m"
    kept(folder / os.fsdecode(b"run\xff"), NASTY)
    for command in (["runs", folder], ["show", *folder.iterdir()]):
        done = chameleon(*command)
        assert done.exit_code == 0, done.output
        assert r"\x1b[2J<b>net</b>\u202e [red]" in done.stdout
        assert not {"\x1b", "\u202e", "\udcff"} & set(done.stdout)


def test_a_run_is_shown(tmp_path: Path) -> None:
    result = kept(tmp_path / "run")
    done = chameleon("show", tmp_path / "run")
    assert done.exit_code == 0, done.output
    said = done.stdout
    assert said.startswith("resnet-18: ")
    assert "verified, same outputs as torch; 10" not in said.splitlines()[0]
    assert "llvm znver4, 2 threads" in said
    assert "... and 8 more; --all shows them" in said
    assert "chameleon tune 'nets/a b.onnx' --input x:1x3 --minutes 3 --store none" in said
    assert str(tmp_path / "run" / "report.html") in said
    shown = json.loads(chameleon("show", tmp_path / "run", "--json").stdout)
    assert len(shown["layers"]) == len(result.layers)
    shares = [row["share"] or 0.0 for row in shown["layers"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


def test_a_run_without_a_summary_shows_what_it_has(tmp_path: Path) -> None:
    kept(tmp_path / "run", outcome=None, measured=40)
    done = chameleon("show", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "not timed as a whole" in done.stdout
    assert "40 of 1000 measured" in done.stdout
    line = going_on(kept_run(tmp_path / "run"))
    assert line in done.stdout
    assert misfit(shlex.split(line)[1:]) == ""
    (tmp_path / "run" / "log.jsonl").write_bytes(b"\xff\x00{}\n[1]\n" + b"{" * 9999)
    assert chameleon("show", tmp_path / "run").exit_code == 0


def test_runs_are_compared(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for seed, path in enumerate((one, two, three)):
        kept(path, seed=seed)
    changed(two / "run.json", versions={"ray": "9.9"})
    for command in ("compare", "diff"):
        done = chameleon(command, one, two)
        assert done.exit_code == 0, done.output
        assert "ray: 2.60.0 -> 9.9" in done.stdout
        assert "configuration" in done.stdout
    page = tmp_path / "page.html"
    told = json.loads(chameleon("compare", one, two, three, "--json", "--html", page).stdout)
    assert [len(row["ms"]) for row in told["layers"]] == [3] * 18
    assert page.read_text().startswith("<!doctype html>")
    lost = chameleon("compare", one, two, "--html", tmp_path / "none" / "page.html")
    assert (lost.exit_code, lost.stderr.count("\n")) == (1, 1)
    (two / "winners.json").unlink()
    assert "has no winners yet" in chameleon("compare", one, two).stderr


def test_a_zoo_is_one_run_with_models(tmp_path: Path) -> None:
    zoo = ZooFolder(tmp_path / "zoo", existing=False)
    zoo.identify({"device": "cpu", "layout": "NHWC"})
    zoo.close()
    kept(zoo.model("small"), "small")
    models = [{"name": "small", "verified": {"outcome": "verified"}, "error": None}]
    body = {"schema": 1, "models": models, "weighted_ms": {"tuned": 2.0, "untuned": 4.0}}
    zoo.summary.write_text(json.dumps(body))
    assert found(tmp_path) == [tmp_path / "zoo"]
    run = kept_run(tmp_path / "zoo")
    assert (run.model, run.state, run.seconds) == ("small", State.VERIFIED, 2e-3)
    summary = zoo.model("small") / "summary.json"
    fault = {"name": "PyTorch", "fault": "the time was up"}
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"comparison": [fault]}))
    broken = {"name": "broken", "error": "There is no such file."}
    zoo.summary.write_text(json.dumps(body | {"models": [*body["models"], broken]}))
    said = chameleon("show", tmp_path / "zoo").stdout
    assert "Not compared with PyTorch: small (the time was up)." in said
    assert "failed (broken: There is no such file.)" in said
    assert "compare the runs in" in chameleon("compare", tmp_path / "zoo", tmp_path / "zoo").stderr
