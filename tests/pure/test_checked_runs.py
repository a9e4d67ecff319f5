"""Which runs are compared by ``check``, and that their directories are only read."""

import json
from pathlib import Path

import pytest

from chameleon_ray.api.checking import check
from chameleon_ray.api.same_model import demand_same, known_of_run
from chameleon_ray.errors import UserError
from chameleon_ray.options import Checking
from chameleon_ray.run_files import RunFiles
from tests.pure.kept_runs import changed, kept, under_way

OTHER = r"before cannot be the baseline of .+run: it is a run of resnet-34, and that is resnet-18, "


@pytest.fixture
def run(tmp_path: Path) -> Path:
    kept(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A run of another model with the same layers, the first of which it has once more."""
    path = tmp_path / "before"
    kept(path, "resnet-34")
    changed(path / "run.json", model_digest="1" * 16)
    (first, *rest) = json.loads((path / "summary.json").read_text())["tasks"]
    changed(path / "summary.json", tasks=[{**first, "weight": first["weight"] + 1}, *rest])
    return path


def compared(run: Path, before: Path) -> None:
    check(run, before, 0.05, Checking())


def test_a_run_of_another_model_is_refused(run: Path, before: Path) -> None:
    with pytest.raises(UserError, match=OTHER) as error:
        compared(run, before)
    assert str(error.value).count("\n") == 0


def test_a_model_with_other_layers_is_another_one(run: Path, before: Path) -> None:
    spaces = json.loads((before / "run.json").read_text())["spaces"]
    changed(before / "run.json", spaces=dict(list(spaces.items())[1:]))
    (before / "summary.json").unlink()
    with pytest.raises(UserError, match=OTHER):
        compared(run, before)


@pytest.mark.parametrize("alike", ["digest", "name", "counts", "no counts"])
def test_a_model_may_have_another_name_or_other_layers(run: Path, before: Path, alike: str) -> None:
    if alike == "digest":
        changed(before / "run.json", model_digest="0" * 16)
    elif alike == "name":
        changed(before / "run.json", model="resnet-18", spaces={})
    elif alike == "counts":
        (before / "summary.json").write_text((run / "summary.json").read_text())
    else:
        (before / "summary.json").unlink()
    demand_same(known_of_run(RunFiles(run)), run, known_of_run(RunFiles(before)), before)


def test_several_checks_read_one_baseline_and_leave_no_trace(run: Path, before: Path) -> None:
    with RunFiles(before).unchanged(), RunFiles(run).unchanged():
        with pytest.raises(UserError, match=OTHER):
            compared(run, before)
        assert not RunFiles(before).held
    (before / ".lock").unlink()
    for part in (before / "records").iterdir():
        part.unlink()
    (before / "records").rmdir()
    there = sorted(before.iterdir())
    with pytest.raises(UserError, match=OTHER):
        compared(run, before)
    assert sorted(before.iterdir()) == there


def test_a_baseline_in_which_a_command_works_is_refused(run: Path, tmp_path: Path) -> None:
    with under_way(tmp_path / "live"):
        with pytest.raises(UserError, match=r"A process is working in .+live; wait for it, and"):
            compared(run, tmp_path / "live")
        with pytest.raises(UserError, match="holds no run; check the path"):
            compared(run, tmp_path)
