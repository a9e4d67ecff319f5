"""The cores that a request or a finished run means on this machine."""

from dataclasses import replace
from typing import Any

import pytest

from chameleon_ray.api import timing_cores
from chameleon_ray.api.timing_cores import TimingCores, cores_asked_for, cores_like
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.errors import UserError
from chameleon_ray.options import Request


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight cores."""
    monkeypatch.setattr(timing_cores, "available", lambda: tuple(range(8)))


def identity(threads: int | None, **more: Any) -> dict[str, Any]:
    return {"target": "llvm", "options": {"threads": threads, **more}}


@pytest.mark.parametrize(
    ("options", "cores", "copies"),
    [
        ({}, (4, 5, 6, 7), 1),
        ({"threads": 3}, (5, 6, 7), 1),
        ({"instances": 2}, (6, 7), 2),
        ({"instances": 2, "threads": 3}, (2, 3, 4, 5, 6, 7), 2),
    ],
)
def test_a_request_s_cores(
    eight: None, options: dict[str, int], cores: tuple[int, ...], copies: int
) -> None:
    found = cores_asked_for(Request("m", **options))  # type: ignore[arg-type]
    assert (found.kind, found.cores, found.copies) == (LLVM, cores, copies)


def test_more_cores_than_there_are_get_a_sentence(eight: None) -> None:
    with pytest.raises(UserError, match="--instances 3 take 9 cores"):
        cores_asked_for(Request("m", instances=3, threads=3))


@pytest.mark.parametrize(
    ("known", "cores", "copies"),
    [
        (identity(3), (5, 6, 7), 1),
        (identity(2, instances=2), (4, 5, 6, 7), 2),
        (identity(16), tuple(range(8)), 1),  # of a larger machine
        (identity(None) | {"target": '{"kind": "llvm", "num-cores": 2}'}, (6, 7), 1),
        (identity(None, instances=16), tuple(range(8)), 8),
    ],
)
def test_a_finished_run_s_cores(
    eight: None, known: dict[str, Any], cores: tuple[int, ...], copies: int
) -> None:
    found = cores_like(known)
    assert (found.kind, found.cores, found.copies) == (LLVM, cores, copies)


def test_a_copy_s_share_names_its_target() -> None:
    told = []
    kind = replace(
        LLVM,
        device_name=lambda *counts: f"device of {counts}",
        resolve=lambda target, threads: told.append((target, threads)) or "complete",
    )
    own = TimingCores(kind, (2, 3, 4, 5), 2)
    assert own.device == "device of (4, 2)"
    assert own.target("llvm") == "complete"
    assert told == [("llvm", 2)]
