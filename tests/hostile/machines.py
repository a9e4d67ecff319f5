"""Machines that lack what others have."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.hostile.stage import PATIENCE, Ended, Stage, attempt
from tests.whole.command import SERIAL, until

MACHINE = "a machine"
RAY = ("tune", "dense.onnx", "--explorer", "random", "--trials", "8", "--out", "run")
GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
"""Where groups with quotas are made: by the first version of control groups, and by the second."""
JUMPING = """
import os, time
own = time.time

def now():
    with open(os.environ["CHAMELEON_TEST_CLOCK"]) as file:
        return own() + float(file.read() or 0)

time.time, time.time_ns = now, lambda: int(1e9 * now())
"""
"""A module that every Python of a command imports first: its clock is set by a file."""
STRANGER = """
import sys, ray
from ray._private import ray_constants
ray_constants.ENABLE_RAY_CLUSTER = False  # it listens on the loopback interface only
ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
print("there", flush=True)
sys.stdin.readline()
print(ray.get(ray.remote(lambda: "alive").remote()))
"""


def limited(limit: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(limit, (value, value))


def one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@attempt(MACHINE, "has one core")
def one(stage: Stage) -> Ended:
    return stage.tune(preexec_fn=one_core)


@attempt(MACHINE, "has one core, for Ray")
def one_for_ray(stage: Stage) -> Ended:
    return stage.run(*RAY, preexec_fn=one_core)


@contextmanager
def group(quota: int, period: int) -> Iterator[Path]:
    """Makes a control group that may use so many microseconds of every period."""
    root = next((root for root in GROUPS if root.is_dir()), GROUPS[-1])
    own = Path(tempfile.mkdtemp(prefix="hostile-", dir=root))  # attempts go on side by side
    try:
        if (own / "cpu.max").exists():
            (own / "cpu.max").write_text(f"{quota} {period}")
        else:
            (own / "cpu.cfs_period_us").write_text(str(period))
            (own / "cpu.cfs_quota_us").write_text(str(quota))
        yield own
    finally:
        until(lambda: not (own / "cgroup.procs").read_text(), 20)
        own.rmdir()


def unlimited() -> str:
    """Returns why no quota can be given here; empty where it can."""
    try:
        with group(50_000, 100_000):
            return ""
    except OSError:
        return "no control groups can be made"


@attempt(MACHINE, "has a quota of half a core", able=unlimited)
def half_a_core(stage: Stage) -> Ended:
    with group(50_000, 100_000) as own:
        return stage.tune(
            preexec_fn=lambda: (own / "cgroup.procs").write_text(str(os.getpid())) and None
        )


@attempt(MACHINE, "has a quota of half a core, for Ray", able=unlimited)
def half_a_core_for_ray(stage: Stage) -> Ended:
    with group(50_000, 100_000) as own:
        return stage.run(
            *RAY, preexec_fn=lambda: (own / "cgroup.procs").write_text(str(os.getpid())) and None
        )


def jumping(stage: Stage, *words: str) -> Ended:
    """Runs a command whose clock is set an hour forth, and then two back, in the search."""
    now = stage.folder / "clock"
    now.write_text("0")
    (stage.folder / "sitecustomize.py").write_text(JUMPING)
    variables = {"PYTHONPATH": str(stage.folder), "CHAMELEON_TEST_CLOCK": str(now)}
    command = stage.start(*words, environment=variables)
    records = stage.folder / "run" / "records"
    for offset in ("3600", "-7200"):
        until(lambda: any(records.glob("*.parquet")) or command.process.poll() is not None, 120)
        now.write_text(offset)
        time.sleep(1)
    return Ended(*command.wait(PATIENCE))


@attempt(MACHINE, "has a clock that jumps")
def jumps(stage: Stage) -> Ended:
    return jumping(stage, *stage.words("dense.onnx", "--trials", "40"))


@attempt(MACHINE, "has a clock that jumps, for Ray")
def jumps_for_ray(stage: Stage) -> Ended:
    return jumping(stage, *RAY[:-3], "60", *RAY[-2:])


@attempt(MACHINE, "has another Ray running, which lives on")
def another_ray(stage: Stage) -> Ended:
    with subprocess.Popen(
        [sys.executable, "-c", STRANGER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdin is not None
        try:
            assert stranger.stdout.readline() == "there\n"
            ended = stage.run(*RAY)
            stranger.stdin.write("\n")
            stranger.stdin.flush()
            assert stranger.stdout.readline() == "alive\n", "the other Ray is gone"
            stranger.wait(PATIENCE)
        finally:
            if stranger.poll() is None:
                os.killpg(stranger.pid, signal.SIGKILL)
    return ended


@attempt(MACHINE, "lets a process have 256 descriptors")
def descriptors(stage: Stage) -> Ended:
    return stage.tune(preexec_fn=limited(resource.RLIMIT_NOFILE, 256))


@attempt(MACHINE, "lets a process have 256 descriptors, for Ray")
def descriptors_for_ray(stage: Stage) -> Ended:
    return stage.run(*RAY, preexec_fn=limited(resource.RLIMIT_NOFILE, 256))


@attempt(MACHINE, "has no home")
def homeless(stage: Stage) -> Ended:
    return stage.tune(environment={"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"})


@attempt(MACHINE, "has a temporary directory that is not there")
def no_temporary(stage: Stage) -> Ended:
    return stage.tune(environment={"TMPDIR": "/nonexistent"})


@attempt(MACHINE, "has a temporary directory of a long name, for Ray")
def long_temporary(stage: Stage) -> Ended:
    place = stage.temporary / ("long" * 40)
    place.mkdir()
    ended = stage.run(*RAY, environment={"TMPDIR": str(place)})
    with suppress(OSError):  # something is left in it, which is told
        place.rmdir()
    return ended


@attempt(MACHINE, "speaks C only, and the model's name is from elsewhere")
def plain(stage: Stage) -> Ended:
    shutil.copy(stage.folder / "dense.onnx", stage.folder / "größe-☃.onnx")
    variables = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return stage.tune("größe-☃.onnx", environment=variables)


@attempt(MACHINE, "names a Ray that is not ours", 0)
def other_ray(stage: Stage) -> Ended:
    variables = {"RAY_ADDRESS": "10.255.255.1:6379", "RAY_NAMESPACE": "other"}
    return stage.run(*RAY, environment=variables)


@attempt(MACHINE, "has no linker", 1, "linker", quick=True)
def no_linker(stage: Stage) -> Ended:
    return stage.tune(environment={"PATH": "/nonexistent"})


@attempt(MACHINE, "closes standard input, output and error", 0)
def closed(stage: Stage) -> Ended:
    def close() -> None:
        for number in (0, 1, 2):
            os.close(number)

    ended = stage.tune(preexec_fn=close)
    assert (stage.folder / "run" / "model.so").is_file()
    return ended


@attempt(MACHINE, "ignores SIGPIPE and blocks all signals", 0)
def blocked(stage: Stage) -> Ended:
    def block() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    return stage.tune(preexec_fn=block)


def shadowed(stage: Stage) -> None:
    for name in ("numpy", "torch", "tvm", "onnx", "yaml", "scipy", "socket", "z3"):
        (stage.folder / f"{name}.py").write_text("raise SystemExit('shadowed')\n")


@attempt(MACHINE, "has modules of libraries' names in the working directory")
def modules(stage: Stage) -> Ended:
    shadowed(stage)
    return stage.tune()


@attempt(MACHINE, "has modules of libraries' names in the working directory, for Ray")
def modules_for_ray(stage: Stage) -> Ended:
    shadowed(stage)
    return stage.run(*RAY)


@attempt(MACHINE, "has folders of libraries' names beside a factory", quick=True)
def folders(stage: Stage) -> Ended:
    """Packages there are not taken for libraries, nor an empty folder for one that is missing."""
    (stage.folder / "z3").mkdir()
    for name in ("numpy", "torch", "yaml", "sympy", "networkx", "tvm"):
        (stage.folder / name).mkdir()
        (stage.folder / name / "__init__.py").write_text("raise SystemExit('it stands in')\n")
    (stage.folder / "own").mkdir()
    (stage.folder / "own" / "net.py").write_text(
        "import torch\nmake = lambda: (torch.nn.Linear(64, 8), torch.rand(4, 64))\n"
    )
    return stage.tune("own.net:make")


@attempt(MACHINE, "lets a process have 1 GiB of addresses", 1, "1.0 GiB", "ulimit", quick=True)
def memory(stage: Stage) -> Ended:
    return stage.tune(preexec_fn=limited(resource.RLIMIT_AS, 1 << 30))


@attempt(MACHINE, "shows one column, and no colours", 0)
def narrow(stage: Stage) -> Ended:
    return stage.tune(environment={"COLUMNS": "1", "LINES": "1", "TERM": "dumb"})


@attempt(MACHINE, "forces colours into files", 0)
def coloured(stage: Stage) -> Ended:
    words = ("tune", "dense.onnx", *SERIAL, "--trials", "4", "--out", "run")
    ended = stage.run(*words, environment={"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"})
    assert "\x1b[2K" not in ended.err + ended.out, "a live table was drawn into a file"
    return Ended(ended.code)
