"""Tests of kinds of target: how one is found, and that a file and an entry make another one."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from chameleon_ray import api
from chameleon_ray.compiler.kinds import CUDA, KINDS, LLVM, kind_of
from chameleon_ray.compiler.kinds.devices import devices
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.database import Database
from chameleon_ray.folder import RunFolder
from chameleon_ray.options import Measuring, Request
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.report.progress import Progress
from tests.tvm import toy_kind
from tests.tvm.toy_kind import TOY

PATIENT = Measuring(build_timeout=30.0, default_timeout=60.0, run_timeout=30.0, load_timeout=30.0)
"""Time limits for machines that are busy with other things."""
TRIALS = 6


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("llvm", "llvm"),
        (' {"kind": "llvm", "mcpu": "skylake"}', "llvm"),
        ("cuda", "cuda"),
        ("cuda:sm_90", "cuda"),
        ('{"kind": "cuda", "arch": "sm_90", "host": {"kind": "llvm"}}', "cuda"),
    ],
)
def test_a_target_is_of_a_kind(text: str, name: str) -> None:
    assert kind_of(text) is KINDS[name]


@pytest.mark.parametrize(
    "text", ["", "llvm:sm_90", "cuda:", "c", '{"arch": "sm_90"}', '{"kind": 1}']
)
def test_or_of_none(text: str) -> None:
    with pytest.raises(TargetError, match=r"cannot be tuned for; use one of: llvm, cuda\."):
        kind_of(text)


@pytest.mark.parametrize("kind", [LLVM, CUDA, TOY], ids=lambda kind: kind.name)
def test_a_kind_crosses_processes(kind: object) -> None:
    assert pickle.loads(pickle.dumps(kind)) == kind


def test_the_layout_that_is_asked_for_goes_first() -> None:
    assert [kind.layout_of("auto") for kind in (LLVM, CUDA)] == ["NHWC", "NCHW"]
    assert [kind.layout_of("NCHW") for kind in (LLVM, CUDA)] == ["NCHW", "NCHW"]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    if toy_kind.compiler() is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setitem(KINDS, TOY.name, TOY)


@pytest.mark.usefixtures("toy")
def test_a_third_kind_is_tuned_for(tmp_path: Path) -> None:
    out = tmp_path / "run"
    serial = {"engine": "serial", "explorer": "random", "sampler": "greedy"}
    request = Request(
        "tests.whole.net:dense",
        target=TOY.name,
        trials=TRIALS,
        out=str(out),
        compare=(),
        measuring=PATIENT,
        **serial,  # type: ignore[arg-type]
    )
    result = api.tune(request, Progress())
    assert result.verified.ok
    assert result.tuned.seconds > 0
    assert result.device == toy_kind.DEVICE
    assert json.loads(result.target)["kind"] == TOY.name
    (task,) = result.tasks
    assert [knob.name.rstrip("0123456789.") for knob in task.space.knobs] == ["tile"]
    records = Database(out / "records").read()
    assert len({record.config for record in records}) == len(records) == TRIALS
    assert [record.status for record in records] == [Status.OK] * TRIALS
    assert {record.conditions for record in records} == {toy_kind.CONDITIONS}
    folder = RunFolder(out, existing=True)
    assert (folder.identity() or {})["layout"] == TOY.layout
    folder.close()
    applied = api.apply(out, "tests.whole.net:dense")
    assert applied.verified.ok
    assert applied.applied == (result.outcomes[0].config != DEFAULT)


@pytest.mark.usefixtures("toy")
def test_a_third_kind_is_listed_and_what_goes_wrong_is_a_record(tmp_path: Path) -> None:
    listed = devices()
    assert (listed[0].target, listed[-1].target) == ("llvm", TOY.name)
    assert listed[-1].usable
    hasty = replace(PATIENT, build_timeout=1e-6)
    request = Request(
        "tests.whole.net:dense",
        target=TOY.name,
        trials=3,
        engine="serial",
        explorer="random",
        measuring=hasty,
    )
    done = api.build(request, lambda line: None)
    statuses = {record.config == DEFAULT: record.status for record in done.records}
    assert statuses == {True: Status.OK, False: Status.BUILD_TIMEOUT}
