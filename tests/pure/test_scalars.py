"""Scalars for TensorBoard: those of the run, by the number of its measurements."""

import struct
import sys
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from chameleon_ray.errors import UserError
from chameleon_ray.record import DEFAULT
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.scalars import demand, scalars
from tests.pure.fake_result import record, task


class Planned:
    """What is asked of a tuner."""

    def __init__(self, of) -> None:
        self.task = of


def written(folder: Path) -> list[tuple[int, str, float]]:
    """Step, name and value of all scalars in a folder's only file."""
    (file,) = folder.iterdir()
    content, found, at = file.read_bytes(), [], 0
    while at < len(content):
        (length,) = struct.unpack("<Q", content[at : at + 8])
        event = Event.FromString(content[at + 12 : at + 12 + length])
        found += [(event.step, one.tag, one.simple_value) for one in event.summary.value]
        at += 16 + length
    return found


def test_they_are_written_as_plans_end(tmp_path: Path) -> None:
    conv, other, progress = task("conv", weight=2), task("other"), Progress()
    progress.began([conv, other], None, None)
    with scalars(str(tmp_path), "run", progress) as watcher:
        progress.measured(record(conv, 4.0, DEFAULT))
        progress.measured(record(conv, None))
        watcher.planned(Planned(conv))  # type: ignore[arg-type]
        progress.measured(record(other, 1.0, DEFAULT))
        watcher.planned(Planned(other))  # type: ignore[arg-type]
    found = [one for one in written(tmp_path / "run") if "second" not in one[1]]
    assert found == [
        (2, "search/failed", 1.0),
        (2, "layers_ms/conv", pytest.approx(4.0)),
        (3, "search/failed", 1.0),
        (3, "layers_ms/other", pytest.approx(1.0)),
        (3, "model/layers_ms", pytest.approx(9.0)),
    ]


def test_what_is_missing_is_told_before_anything_begins(tmp_path: Path, monkeypatch) -> None:
    demand(None)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--tensorboard cannot write to .+; name another folder\."):
        demand(str(tmp_path / "file" / "below"))
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match="pip install tensorboardX"):
        demand(str(tmp_path))
