"""Machines that lack what others have."""

import os
import resource
import shutil
from collections.abc import Callable

from tests.hostile.stage import Ended, Stage, attempt
from tests.whole.command import SERIAL

MACHINE = "a machine"


def limited(limit: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(limit, (value, value))


def one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@attempt(MACHINE, "has one core")
def one(stage: Stage) -> Ended:
    return stage.tune(preexec_fn=one_core)


@attempt(MACHINE, "has one core, for Ray")
def one_for_ray(stage: Stage) -> Ended:
    words = ("tune", "dense.onnx", "--explorer", "random", "--trials", "8", "--out", "run")
    return stage.run(*words, preexec_fn=one_core)


@attempt(MACHINE, "lets a process have 256 descriptors")
def descriptors(stage: Stage) -> Ended:
    return stage.tune(preexec_fn=limited(resource.RLIMIT_NOFILE, 256))


@attempt(MACHINE, "lets a process have 256 descriptors, for Ray")
def descriptors_for_ray(stage: Stage) -> Ended:
    words = ("tune", "dense.onnx", "--explorer", "random", "--trials", "8", "--out", "run")
    return stage.run(*words, preexec_fn=limited(resource.RLIMIT_NOFILE, 256))


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
    words = ("tune", "dense.onnx", "--explorer", "random", "--trials", "8", "--out", "run")
    return stage.run(*words, environment={"TMPDIR": str(place)})


@attempt(MACHINE, "speaks C only, and the model's name is from elsewhere")
def plain(stage: Stage) -> Ended:
    shutil.copy(stage.folder / "dense.onnx", stage.folder / "größe-☃.onnx")
    variables = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return stage.tune("größe-☃.onnx", environment=variables)


@attempt(MACHINE, "names a Ray that is not ours", 0)
def other_ray(stage: Stage) -> Ended:
    variables = {"RAY_ADDRESS": "10.255.255.1:6379", "RAY_NAMESPACE": "other"}
    words = ("tune", "dense.onnx", "--explorer", "random", "--trials", "8", "--out", "run")
    return stage.run(*words, environment=variables)


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
    import signal

    def block() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    return stage.tune(preexec_fn=block)


@attempt(MACHINE, "has modules of Python's names in the working directory", 0)
def shadowed(stage: Stage) -> Ended:
    for name in ("numpy", "torch", "tvm", "onnx", "yaml"):
        (stage.folder / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    return stage.tune(environment={"PYTHONSAFEPATH": "1"})


@attempt(MACHINE, "may use 1 GiB of memory", 1, "memory", torn=True)
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
