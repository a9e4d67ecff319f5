"""Device groups: how trials are shared out, and whose failure it is where devices are lost."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chameleon_ray.api.device_group import DeviceGroup, device_groups, portions, wanted
from chameleon_ray.api.session_model import SessionModel
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.folder import RunFolder
from chameleon_ray.measure.calibrated import Surveyed
from chameleon_ray.measure.measurer import Measurer
from chameleon_ray.options import Request
from chameleon_ray.pool import NoWorkers
from chameleon_ray.report.progress import Progress

H100 = Surveyed(
    '{"kind": "cuda", "arch": "sm_90"}',
    "NVIDIA H100",
    versions=(("driver", "1.2"), ("cuDNN", "3.4")),
)


class Runners:
    """A pool that answers a survey so, or of which nobody is left."""

    def __init__(self, found: Surveyed | None) -> None:
        self.found = found

    async def call(self, method: Any, *_: Any) -> Any:
        if self.found is None:
            raise NoWorkers("Runner 1 is given up, the last there was: it fell silent")
        return self.found


def model(target: str, name: str = "net") -> SessionModel:
    return SessionModel(Request("net", target=target), None, name=name)  # type: ignore[arg-type]


def group(found: Surveyed | None, *models: SessionModel) -> DeviceGroup:
    return DeviceGroup(Measurer(Runners(None), Runners(found)), list(models))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trials", "layers", "expected"),
    [
        (None, [3, 4], [None, None]),
        (100, [20], [100]),
        (100, [20, 20], [50, 50]),
        (10, [1, 1, 1], [3, 3, 4]),
        (7, [3, 0, 1], [5, 0, 2]),
        (5, [0], [0]),
        (0, [1, 2], [0, 0]),
    ],
)
def test_trials_are_shared_out_to_the_last_one(
    trials: int | None, layers: list[int], expected: list[int | None]
) -> None:
    assert portions(trials, layers) == expected


def test_a_survey_completes_targets_and_finds_out_those_that_do_not_fit() -> None:
    models = [model("cuda"), model("cuda:sm_90"), model("cuda:sm_80")]
    one = group(H100, *models)
    asyncio.run(one.survey(CUDA, Progress()))
    assert [one.request.target for one in models] == [H100.target, "cuda:sm_90", "cuda:sm_80"]
    assert "the target is for sm_80" in models[2].failure.lower()
    assert one.left == models[:2]
    assert one.device == H100.device
    known = models[0].circumstances(H100.target).versions
    assert (known["driver"], known["cuDNN"], known.get("cuBLASLt")) == ("1.2", "3.4", None)


def test_devices_that_are_lost_are_the_failure_of_their_models_alone() -> None:
    lost, there = model("cuda:sm_80", "a"), model("cuda:sm_90", "b")
    groups = [group(None, lost), group(H100, there)]

    async def surveyed() -> None:
        await asyncio.gather(*(one.survey(CUDA, Progress()) for one in groups))

    asyncio.run(surveyed())
    assert lost.told == "a: Runner 1 is given up, the last there was: it fell silent"
    assert there.failure == ""


def test_a_search_that_nobody_can_go_on_with_leaves_its_groups_winners_empty() -> None:
    async def run() -> None:
        raise NoWorkers("nobody is left")

    one = group(H100, model("cuda"))
    asyncio.run(one.explore(SimpleNamespace(run=run), Progress()))  # type: ignore[arg-type]
    assert [m.failure for m in one.models] == ["nobody is left"]
    chosen = one.choose([], {}, Request("net").confirming, Progress())
    assert (asyncio.run(chosen), one.digests({})) == ([], set())


def test_a_target_without_a_device_fails_and_the_others_have_theirs() -> None:
    models = [model("cuda:sm_80", "a"), model("cuda:sm_75", "b"), model("cuda:sm_90", "c")]
    measurers = {
        ("cuda:sm_80",): Measurer(Runners(None), Runners(None)),  # type: ignore[arg-type]
        ("cuda:sm_90",): Measurer(Runners(None), Runners(H100)),  # type: ignore[arg-type]
    }

    async def made() -> list[DeviceGroup]:
        return device_groups(measurers, models, Request("net"), Progress())

    found = asyncio.run(made())
    assert [one.models for one in found] == [[models[0]], [models[2]]]
    assert all(one.bench is not None for one in found)  # this process has no GPU of both types
    assert models[1].failure.startswith("There is no GPU of sm_75")


def test_what_an_earlier_session_timed_on_is_known_by_target(tmp_path: Path) -> None:
    models = [model("cuda:sm_80"), model("cuda:sm_90"), model("cuda:sm_80")]
    for number, one in enumerate(models):
        one.folder = RunFolder(tmp_path / str(number), existing=False)
        if number:
            one.folder.write("run.json", f'{{"schema": 2, "device": "GPU {number}"}}')
    assert wanted(models) == {"cuda:sm_80": ("", "GPU 2"), "cuda:sm_90": ("GPU 1",)}
