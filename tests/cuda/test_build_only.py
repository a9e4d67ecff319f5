"""Whole commands for GPUs that are not there: what is compiled and said, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray import api
from chameleon_ray.api.build_only import Tally, missed
from chameleon_ray.api.gpu_assignment import demand_same
from chameleon_ray.errors import UserError
from chameleon_ray.layer_names import title
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.options import Request
from chameleon_ray.record import DEFAULT, Record, Status
from chameleon_ray.report.builds import Building, figures, valid
from chameleon_ray.report.progress import Progress
from tests.cuda.kernels import PATIENT, usable_compiler
from tests.pure.toys import task

NET = "tests.whole.net:make"
SERIAL: dict[str, Any] = {
    "explorer": "random",
    "engine": "serial",
    "measuring": PATIENT,
}


def test_every_layer_is_compiled_and_nothing_is_timed(tmp_path: Path) -> None:
    usable_compiler("sm_80")
    said: list[str] = []
    request = Request(NET, target="cuda:sm_80", trials=40, out=str(tmp_path), **SERIAL)
    done = api.build(request, said.append)
    assert len(done.records) == 40
    assert {record.task for record in done.records} == {task.digest for task in done.tasks}
    defaults = [record for record in done.records if record.config == DEFAULT]
    assert [record.status for record in defaults] == [Status.OK] * len(done.tasks)
    assert done.rate > 0
    assert any("compiled" in line for line in said)
    written = json.loads((tmp_path / "build.json").read_text())
    assert written["target"]["arch"] == "sm_80"
    assert sum(written["status"].values()) == 40
    assert all(layer["resources"][0]["threads"] > 0 for layer in written["layers"])


def test_a_plan_that_no_trial_was_left_for_is_silent() -> None:
    one, said = task("tiny-a"), list[str]()
    system = SimpleNamespace(tasks=(one,))
    Tally(system, said.append).planned(SimpleNamespace(task=one, records=[]))
    assert said == []


def test_nothing_compiled_is_an_error(tmp_path: Path) -> None:
    usable_compiler("sm_80")
    request = Request(NET, target="cuda:sm_80", minutes=0.01, out=str(tmp_path), **SERIAL)
    with pytest.raises(UserError, match="No kernel was compiled in the time given; give more"):
        api.build(request, lambda sentence: None)
    assert json.loads((tmp_path / "build.json").read_text())["status"] == {}


def test_layers_of_which_nothing_was_compiled_are_named() -> None:
    one, other = task("tiny-a"), task("tiny-b")
    record = Record(one.digest, "{}", "none", DEFAULT, "{}", Status.OK)
    done = Building("net", '{"kind": "cuda"}', "ppo", 2, 1.0, (one, other), (record,))
    assert missed(done) == (
        f"Of 1 layer nothing was compiled ({title(other)}); give more --trials."
    )
    assert missed(replace(done, tasks=(one,))) == ""


def test_a_directory_that_cannot_be_written_is_told_before_anything_else(tmp_path: Path) -> None:
    usable_compiler("sm_80")
    (tmp_path / "file").touch()
    request = Request("no.such:model", target="cuda:sm_80", out=str(tmp_path / "file"), **SERIAL)
    with pytest.raises(UserError, match=r"Cannot write to .*file: Not a directory; choose another"):
        api.build(request, lambda sentence: None)


def test_a_model_that_is_not_there_leaves_earlier_figures(tmp_path: Path) -> None:
    usable_compiler("sm_80")
    (tmp_path / "build.json").write_text("earlier")
    request = Request("no.such:model", target="cuda:sm_80", out=str(tmp_path), **SERIAL)
    with pytest.raises(UserError, match=r"no\.such"):
        api.build(request, lambda sentence: None)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [
        ("build.json", "earlier")
    ]


def test_shares_are_of_what_was_proposed() -> None:
    one = task("tiny-a")
    ok, bad = Status.OK, Status.INVALID

    def record(config: tuple[int, ...], status: Status, plan: int) -> Record:
        made = Record(one.digest, "{}", "none", config, "{}", status)
        return replace(made, plan=plan, build_seconds=0.5)

    records = [
        record(DEFAULT, ok, 0),
        *(record((0, n), status, 0) for n, status in enumerate((ok, bad, bad, bad))),
        *(record((1, n), status, 2) for n, status in enumerate((ok, ok, bad))),
    ]
    assert valid(records, 0, 0) == 0.25
    assert valid(records, 1, 1) is None
    assert valid(records, 2) == pytest.approx(2 / 3)
    done = Building("net", '{"kind": "cuda"}', "ppo", 2, 1.0, (one,), tuple(records))
    assert figures(done)["valid"] == {"random": 0.25, "first": None, "later": pytest.approx(2 / 3)}
    assert done.rate == pytest.approx(4 / (0.5 * len(records)))


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("cuda", "give it as in cuda:sm_90"),
        ("cuda:sm_42", "'sm_42' is not known"),
        ("gpu", "kind 'gpu' cannot be tuned for"),
    ],
)
def test_a_target_that_names_no_gpu_is_refused(target: str, sentence: str) -> None:
    usable_compiler("sm_80")
    with pytest.raises(api.UserError, match=sentence):
        api.build(Request(NET, target=target, trials=1, **SERIAL), print)


def test_a_gpu_of_another_architecture_is_refused() -> None:
    found = Surveyed('{"kind": "cuda", "arch": "sm_90"}', "NVIDIA H100")
    for target in ("cuda:sm_90", "cuda:sm_90a", found.target):
        demand_same(target, found)
    with pytest.raises(api.UserError, match="is for sm_80, but the GPU that times, NVIDIA H100"):
        demand_same("cuda:sm_80", found)


def test_tuning_without_a_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usable_compiler("sm_80")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    request = Request(NET, target="cuda", trials=1, out=str(tmp_path / "run"), **SERIAL)
    with pytest.raises(api.UserError, match="TVM sees no GPU"):
        api.tune(request, Progress())
