"""A run directory that somebody else has written to: nothing is followed, all is told."""

import fcntl
import json
import os
import threading
import time
import zipfile
from math import inf
from pathlib import Path

import pytest

from chameleon_ray.agents import Agents
from chameleon_ray.api.imported import demand_own
from chameleon_ray.errors import UserError
from chameleon_ray.folder import RunFolder
from chameleon_ray.record import DEFAULT
from chameleon_ray.run_files import FolderError, RunFiles
from chameleon_ray.vendor import LIBRARIES, vendor_config
from tests.pure.fake_result import record, task

IDENTITY = {
    **dict.fromkeys(("model", "model_digest", "target", "device", "precision", "layout"), "x"),
    "spaces": {},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run", existing=False)
    folder.identify(IDENTITY)
    folder.save_winners({"a": ((1, 2), 3e-3), "b": ((), inf)})
    folder.close()
    return tmp_path / "run"


def test_what_is_kept_comes_back(run: Path) -> None:
    folder = RunFolder(run, existing=True)
    assert folder.load_winners() == {"a": ((1, 2), 3e-3), "b": ((), inf)}
    assert (folder.identity() or {}).items() >= IDENTITY.items()
    folder.close()


def test_a_run_of_another_version_is_known(run: Path) -> None:
    for versions, upgraded in (({}, True), (None, False)):
        folder = RunFolder(run, existing=True)
        folder.identify(
            {**IDENTITY, **({"circumstances": versions} if versions is not None else {})}
        )
        assert folder.upgraded == upgraded
        folder.close()


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda lock: lock.symlink_to("precious")])
def test_a_lock_that_is_no_file_is_told(tmp_path: Path, put) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run").mkdir()
    put(tmp_path / "run" / ".lock")
    with pytest.raises(FolderError, match=r"its \.lock is a link, or no file; remove it\."):
        RunFolder(tmp_path / "run", existing=False)
    assert (tmp_path / "precious").read_text() == "kept"


def test_whoever_looks_at_a_run_does_not_keep_its_command_away(run: Path) -> None:
    glance = os.open(run / ".lock", os.O_RDONLY)
    fcntl.flock(glance, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, (glance,)).start()
    folder = RunFolder(run, existing=True)
    assert RunFiles(run).held
    with pytest.raises(FolderError, match="Another process is working in"):
        RunFolder(run, existing=True)
    folder.close()
    assert not RunFiles(run).held


def test_who_waited_for_a_directory_that_was_removed_holds_the_new_one(tmp_path: Path) -> None:
    path, taken = tmp_path / "run", list[RunFolder]()
    first = RunFolder(path, existing=False)
    waiting = threading.Thread(target=lambda: taken.append(RunFolder(path, existing=False)))
    waiting.start()
    time.sleep(0.05)
    first.close()
    waiting.join()
    assert RunFiles(path).held
    with pytest.raises(FolderError, match="Another process is working in"):
        RunFolder(path, existing=False)
    taken[0].identify(IDENTITY)
    taken[0].close()
    assert RunFiles(path).begun


def test_a_run_that_was_begun_by_who_had_the_lock_is_not_begun_again(run: Path) -> None:
    path, told = run.with_name("new"), list[str]()

    def begin() -> None:
        with pytest.raises(FolderError) as error:
            RunFolder(path, existing=False)
        told.append(str(error.value))

    first = RunFolder(path, existing=False)
    waiting = threading.Thread(target=begin)
    waiting.start()
    time.sleep(0.05)
    first.identify(IDENTITY)
    first.close()
    waiting.join()
    assert told == [f"{path} holds a run; add --resume, or choose another --out."]
    assert not RunFiles(path).held


def test_a_run_is_read_without_a_trace(run: Path) -> None:
    before = {path: path.stat() for path in (run, *run.iterdir())}
    files = RunFiles(run)
    assert not files.held
    assert files.load_winners()["a"] == ((1, 2), 3e-3)
    assert (files.identity() or {}).items() >= IDENTITY.items()
    assert {path: path.stat().st_mtime_ns for path in (run, *run.iterdir())} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }


def test_links_in_the_place_of_files_are_not_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (run / ".winners.json.new").symlink_to(tmp_path / "precious")
    folder = RunFolder(run, existing=True)
    folder.save_winners({})
    assert (tmp_path / "precious").read_text() == "kept"
    assert folder.load_winners() == {}
    folder.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "[]",
        '{"a": 1}',
        '{"a": [["x"], 1]}',
        '{"a": [[1], "x"]}',
        '{"a": [[1.5], 1]}',
    ],
)
def test_tampered_winners_are_told(run: Path, text: str) -> None:
    (run / "winners.json").write_text(text)
    folder = RunFolder(run, existing=True)
    with pytest.raises(FolderError, match=r"winners\.json is damaged \(.+\)"):
        folder.load_winners()
    folder.close()


@pytest.mark.parametrize("key", ["model", "target", "spaces", "layout"])
def test_an_identity_of_other_types_is_told(run: Path, key: str) -> None:
    known = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(known | {key: 7}))
    folder = RunFolder(run, existing=True)
    with pytest.raises(FolderError, match=rf"run\.json is damaged \('{key}' is wrong\)"):
        folder.identity()
    folder.close()


def test_an_identity_that_is_nested_too_deep_is_told(run: Path) -> None:
    (run / "run.json").write_text("[" * 100_000)
    folder = RunFolder(run, existing=True)
    with pytest.raises(FolderError, match=r"run\.json is damaged"):
        folder.identity()
    folder.close()


def test_an_agent_that_is_a_bomb_is_none(run: Path) -> None:
    path = run / "agents" / "random" / "a.npz"
    path.parent.mkdir(parents=True)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117) + b"\n")
    assert Agents(run / "agents").load("random", "a") == {}


def test_records_of_other_spaces_are_told() -> None:
    layer = task("a")
    right = [record(layer, 1.0, DEFAULT), record(layer, 1.0), record(task("b"), 1.0, (99,))]
    demand_own(
        [*right, record(layer, 1.0, vendor_config(LIBRARIES[0], 3))], [layer], Path("records")
    )
    for config in ((1,), (1, 1, 1), (10**6, 1), (1, -1)):
        with pytest.raises(UserError, match="records holds measurements of configurations that"):
            demand_own([record(layer, 1.0, config)], [layer], Path("records"))
