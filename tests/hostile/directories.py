"""Run directories that are not as they were left, or never were one."""

import json
import os
import resource
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.stage import TRIALS, Ended, Stage, attempt
from tests.whole.command import records

RUN = "a run directory"
RESUME = "--resume"


def part(run: Path) -> Path:
    """Returns one part of a run's records."""
    return sorted((run / "records").glob("*.parquet"))[0]


def unmounted() -> str:
    return "" if os.geteuid() == 0 else "it needs root"


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Has a small file system in a folder's place."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@attempt(RUN, "has a torn part of its records")
def torn(stage: Stage) -> Ended:
    one = part(stage.copy())
    one.write_bytes(one.read_bytes()[:-100])
    ended = stage.tune("dense.onnx", RESUME)
    assert len(records(stage.folder / "run")) == int(TRIALS)
    return ended


@attempt(RUN, "has a folder where a part should be", 0)
def part_is_folder(stage: Stage) -> Ended:
    (stage.copy() / "records" / "part-000000099.parquet").mkdir()
    return stage.tune("dense.onnx", RESUME)


@attempt(RUN, "has records of configurations that its spaces have not", 1, "is damaged")
def foreign_records(stage: Stage) -> Ended:
    for one in (stage.copy() / "records").glob("*.parquet"):
        table = pq.read_table(one).to_pylist()
        for row in table:
            row["config"] = [10**6] * len(row["config"])  # the default has none
        pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(one)), one)
    return stage.tune("dense.onnx", RESUME)


@attempt(RUN, "has latencies of records that are negative or no numbers", 0)
def impossible(stage: Stage) -> Ended:
    run = stage.copy()
    table = pq.read_table(part(run)).to_pylist()
    for row, value in zip(table, (-1.0, float("nan"), 0.0, float("inf")), strict=False):
        row["latencies"] = [value] * 3
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(part(run))), part(run))
    return stage.tune("dense.onnx", RESUME)


@attempt(RUN, "has a run.json that is nested 100,000 deep", 1, "run.json", torn=True, quick=True)
def run_json_deep(stage: Stage) -> Ended:
    (stage.copy() / "run.json").write_text("[" * 100_000)
    return stage.run("apply", "run", "dense.onnx")


@attempt(RUN, "has a run.json of other types", 1, "run.json", torn=True)
def run_json_types(stage: Stage) -> Ended:
    run = stage.copy()
    known = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(
        json.dumps({name: 7 for name in known} | {"schema": known["schema"]})
    )
    return stage.run("apply", "run", "dense.onnx")


@attempt(RUN, "has a winners.json of other types", 1, "winners.json", torn=True, quick=True)
def winners_types(stage: Stage) -> Ended:
    (stage.copy() / "winners.json").write_text('{"a": 1, "b": [["x"], "y"]}')
    return stage.run("apply", "run", "dense.onnx")


@attempt(RUN, "has a winners.json cut short", 1, "winners.json", torn=True)
def winners_cut(stage: Stage) -> Ended:
    file = stage.copy() / "winners.json"
    file.write_text(file.read_text()[:20])
    return stage.run("apply", "run", "dense.onnx")


@attempt(RUN, "has a winner that its space has not", 1, "winners.json", torn=True, quick=True)
def winners_outside(stage: Stage) -> Ended:
    file = stage.copy() / "winners.json"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({task: [[10**9], 1e-6] for task in known}))
    return stage.run("apply", "run", "dense.onnx")


@attempt(RUN, "has noise for a library", 1, "model.so")
def noise_library(stage: Stage) -> Ended:
    (stage.copy() / "model.so").write_bytes(bytes(range(256)) * 64)
    return stage.run("bench", "run", "--repeats", "3")


@attempt(RUN, "has a library of another program", 1, "model.so", quick=True)
def other_library(stage: Stage) -> Ended:
    import ctypes.util

    run = stage.copy()
    (run / "model.so").unlink()
    found = next(Path("/lib").rglob("libz.so*"), None) or Path("/lib64/libm.so.6")
    assert ctypes.util.find_library("c")
    (run / "model.so").write_bytes(found.read_bytes())
    return stage.run("bench", "run", "--repeats", "3")


@attempt(RUN, "has agents that are bombs", 0)
def agents(stage: Stage) -> Ended:
    run = stage.copy()
    (digest,) = json.loads((run / "winners.json").read_text())
    for explorer in ("random", "ppo"):
        path = run / "agents" / explorer / f"{digest}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
        head = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.npy", head + header.ljust(117).encode() + b"\n")
    return stage.tune("dense.onnx", RESUME, "--trials", "8")


@attempt(RUN, "has a lock that is a link to another file", 1, ".lock", torn=True, quick=True)
def linked_lock(stage: Stage) -> Ended:
    run, victim = stage.folder / "run", stage.folder / "victim"
    run.mkdir()
    victim.write_text("precious")
    (run / ".lock").symlink_to(victim)
    ended = stage.tune()
    assert victim.read_text() == "precious", "a link was followed"
    return ended


@attempt(RUN, "has a lock that is a pipe", 1, ".lock", torn=True, quick=True)
def piped_lock(stage: Stage) -> Ended:
    (stage.folder / "run").mkdir()
    os.mkfifo(stage.folder / "run" / ".lock")
    return stage.tune()


@attempt(RUN, "has links where files will be written", 0, torn=True)
def linked_files(stage: Stage) -> Ended:
    run, victim = stage.folder / "run", stage.folder / "victim"
    run.mkdir()
    victim.write_text("precious")
    for name in (".run.json.new", ".winners.json.new", "summary.json", "report.html", "model.so"):
        (run / name).symlink_to(victim)
    ended = stage.tune()
    assert victim.read_text() == "precious", "a link was followed"
    return ended


@attempt(RUN, "is a file", 1, "run", quick=True)
def is_file(stage: Stage) -> Ended:
    (stage.folder / "run").write_text("")
    return stage.tune()


@attempt(RUN, "is below a device", 1, "/dev/null/run")
def below_device(stage: Stage) -> Ended:
    return stage.run(*stage.words(out="/dev/null/run"))


@attempt(RUN, "is on a file system that is read-only", 1, "Read-only", able=unmounted)
def read_only(stage: Stage) -> Ended:
    with mounted(stage.folder / "disk", "-o", "ro,size=1m"):
        return stage.run(*stage.words(out="disk/run"))


@attempt(RUN, "is on a full disk", 1, "No space left on device", able=unmounted)
def full(stage: Stage) -> Ended:
    with mounted(stage.folder / "disk", "-o", "size=112k"):
        return stage.run(*stage.words("dense.onnx", "--trials", "28", out="disk/run"))


@attempt(RUN, "is on a disk without room for any library", 1, "no space left", able=unmounted)
def full_at_once(stage: Stage) -> Ended:
    with mounted(stage.folder / "disk", "-o", "size=16k"):
        return stage.run(*stage.words(out="disk/run"))


@attempt(RUN, "may have files of 64 KiB only", 1, "File size limit exceeded")
def small_files(stage: Stage) -> Ended:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    return stage.tune(preexec_fn=limited)


@attempt(RUN, "has a name of spaces, quotes, line ends and letters of everywhere", 0)
def odd_name(stage: Stage) -> Ended:
    return stage.run(*stage.words(out="run 'é\n\"☃ [b]$(x)"))


@attempt(RUN, "is another model's", 1, "another model")
def of_another(stage: Stage) -> Ended:
    from tests.whole.onnx_net import dense_layers

    stage.copy()
    dense_layers(stage.folder / "other.onnx", 32, 64)
    return stage.tune("other.onnx", RESUME)


@attempt(RUN, "has a folder for the untuned library", 1, "untuned.so")
def library_is_folder(stage: Stage) -> Ended:
    (stage.folder / "run" / "untuned.so").mkdir(parents=True)
    return stage.tune()
