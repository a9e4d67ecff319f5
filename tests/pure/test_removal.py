"""Runs are removed, and nothing else is, whatever lies in their directories."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chameleon_ray.commands.app import app
from chameleon_ray.folder import ZooFolder
from tests.pure.kept_runs import kept, under_way


def rm(*paths: Path, yes: bool = True) -> Result:
    return CliRunner().invoke(app, ["rm", *map(str, paths), *(["--yes"] if yes else [])])


def test_a_run_goes_and_what_it_takes_is_told(tmp_path: Path) -> None:
    kept(tmp_path / "one")
    kept(tmp_path / "two", outcome=None)
    taken = sum(path.stat().st_size for path in (tmp_path / "one").rglob("*") if path.is_file())
    paths = [str(tmp_path / name) for name in ("one", "two")]
    done = CliRunner().invoke(app, ["rm", *paths, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["run"] for one in told] == paths
    assert told[0] == {"run": paths[0], "bytes": taken, "kept": []}
    assert list(tmp_path.iterdir()) == []


def test_what_no_run_has_made_stays(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    (tmp_path / "run" / ".summary.json.123").write_text("half")
    done = rm(tmp_path / "run")
    assert "kept, as no run made it: notes.txt" in done.stdout
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    assert "holds no run" in rm(tmp_path / "run").stderr


def test_links_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "records").mkdir(parents=True)
    (precious / "file").write_text("kept")
    kept(tmp_path / "run")
    (tmp_path / "run" / "model.so").symlink_to(precious / "file")
    (tmp_path / "run" / "agents").symlink_to(precious)
    (tmp_path / "run" / "applied").mkdir()
    (tmp_path / "run" / "applied" / "out").symlink_to(precious)
    (tmp_path / "run" / "models").symlink_to(precious)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    refused = rm(tmp_path / "link")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "is a link" in refused.stderr
    assert rm(tmp_path / "run").exit_code == 0
    assert (precious / "file").read_text() == "kept"
    assert (precious / "records").is_dir()


def test_a_live_run_is_refused_and_so_are_those_beside_it(tmp_path: Path) -> None:
    kept(tmp_path / "over")
    with under_way(tmp_path / "live"):
        done = rm(tmp_path / "over", tmp_path / "live")
        assert done.exit_code == 1
        assert "is live: a process works in it" in done.stderr
    assert (tmp_path / "over" / "run.json").exists()
    assert rm(tmp_path / "live").exit_code == 0


def test_a_zoo_goes_as_a_whole(tmp_path: Path) -> None:
    zoo = ZooFolder(tmp_path / "zoo", existing=False)
    zoo.identify({"device": "cpu", "layout": "NHWC"})
    zoo.close()
    kept(zoo.model("small"))
    assert "is a part of the zoo in" in rm(zoo.model("small")).stderr
    assert rm(tmp_path / "zoo").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("yes", [False, True])
def test_nothing_goes_unless_somebody_agrees(tmp_path: Path, yes: bool) -> None:
    kept(tmp_path / "run")
    done = rm(tmp_path / "run", yes=yes)
    assert (tmp_path / "run").exists() != yes
    assert done.exit_code == (0 if yes else 1)
    if not yes:
        assert "add --yes" in done.stderr


def test_what_cannot_be_locked_is_not_removed(tmp_path: Path) -> None:
    kept(tmp_path / "run")
    (tmp_path / "run" / ".lock").unlink()
    (tmp_path / "run" / ".lock").mkdir()
    done = rm(tmp_path / "run")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert (tmp_path / "run" / "run.json").exists()
