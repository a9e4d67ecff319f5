"""The part of ``gpu_check.py`` for whole models: this engine, stock MetaSchedule and PyTorch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import Any

import bench_metaschedule
from torch import nn

from chameleon_ray.compiler.codegen.cuda_compiler import header_folders
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.measure.bench import Duel
from chameleon_ray.measure.isolate import Ending, Isolate, Setting
from chameleon_ray.options import Confirming

HERE = Path(__file__).parent
ROUNDS, WARM = 200, 50
"""Timed executions of PyTorch's models, and those before."""
GRACE = 600
"""Seconds that a tuner may take on top of what it was given."""


def resnet_18() -> tuple[nn.Module, Any]:
    """The zoo's, with its example input."""
    import torch

    from chameleon_ray.compiler.frontend.zoo import IMAGE, build

    return build("resnet-18", 0).eval(), torch.rand(IMAGE)


def resnet_18_half() -> tuple[nn.Module, Any]:
    """The same in float16."""
    model, picture = resnet_18()
    return model.half(), picture.half()


MODELS = {"float32": "resnet_18", "float16": "resnet_18_half"}
"""The factory of each precision."""


def contestants(
    precision: str, target: str, minutes: float, out: Path
) -> dict[str, Callable[[], Any]]:
    """What tunes with either engine for the same time, what times PyTorch, and last what times in
    turns all that came of the tuning."""
    spec, folder = f"gpu_models:{MODELS[precision]}", out / precision
    libraries = {
        "chameleon": folder / "chameleon" / "model.so",
        "untuned": folder / "chameleon" / "untuned.so",
        "metaschedule": folder / "metaschedule" / "model.so",
    }
    return {
        "chameleon": partial(ours, spec, target, minutes, folder / "chameleon"),
        "metaschedule": partial(theirs, spec, target, minutes, folder / "metaschedule"),
        "torch eager": partial(eager, precision),
        "torch max-autotune": partial(autotuned, precision),
        "latency_ms": partial(duel, libraries, precision),
    }


def ours(spec: str, target: str, minutes: float, folder: Path) -> dict[str, Any]:
    """``chameleon tune``: its summary, or what went wrong."""
    command = [sys.executable, "-m", "chameleon_ray", "tune", spec, "--target", target]
    command += ["--minutes", str(minutes), "--out", str(folder)]
    done = run(command, minutes)
    summary = folder / "summary.json"
    return json.loads(summary.read_text()) if summary.exists() else {"error": done}


def theirs(spec: str, target: str, minutes: float, folder: Path) -> dict[str, Any]:
    """Stock MetaSchedule: the seconds it took, or what went wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    job = bench_metaschedule.Job(
        model=spec,
        target=target,
        folder=str(folder),
        trials=bench_metaschedule.MANY,
        batch=64,
        minutes=minutes,
        seed=0,
        short_imports=True,
        cores=tuple(os.sched_getaffinity(0)),
        began=time.time(),
    )
    command = [sys.executable, str(HERE / "bench_metaschedule.py"), str(job.write())]
    said = run(command, minutes, toolkit())
    done = folder / "done.json"
    return json.loads(done.read_text()) if done.exists() else {"error": said}


def run(command: list[str], minutes: float, more: dict[str, str] | None = None) -> str:
    """Runs a command in this folder, where the factories are, for ten minutes more than it tunes;
    the last line of its errors. All that it has started ends with it."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **(more or {})}
    with TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command,
            cwd=HERE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        try:
            status = child.wait(60 * minutes + GRACE)
        except subprocess.TimeoutExpired:
            return f"it had not ended {GRACE} s after its time was up"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"


def toolkit() -> dict[str, str]:
    """Where TVM's own compilation finds CUDA's headers and libraries: also in NVIDIA's wheels."""
    headers = header_folders()
    if not headers:
        return {}
    root = Path(headers[0]).parent
    libraries = [str(root / "lib"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {
        "CUDA_PATH": str(root),
        "TVM_CUDA_NVRTC_EXTRA_OPTS": f"--include-path={root / 'include' / 'cccl'}",
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
    }


def duel(libraries: dict[str, Path], precision: str) -> dict[str, float] | str:
    """Median milliseconds of the compiled models that there are, timed in turns in a process of
    their own."""
    libraries = {name: path for name, path in libraries.items() if path.exists()}
    if not libraries:
        return {}
    _, picture = globals()[MODELS[precision]]()
    child = Isolate(Setting("chameleon_ray.compiler.runtime.model_bench:bench", CUDA))
    options = Confirming(model_repeats=100, model_seconds=30.0)
    paths = tuple(str(path) for path in libraries.values())
    try:
        outcome = child.call(Duel(paths, (picture.numpy(),), options), 600)
    finally:
        child.close()
    if outcome.ending is not Ending.OK:
        return outcome.error
    return {name: 1e3 * median(times) for name, times in zip(libraries, outcome.value, strict=True)}


def eager(precision: str) -> dict[str, Any]:
    """PyTorch's eager mode, with cuDNN."""
    return torch_time(precision, lambda model: model)


def autotuned(precision: str) -> dict[str, Any]:
    """PyTorch's compiler, which needs a C compiler and Triton."""
    import torch

    return torch_time(precision, lambda model: torch.compile(model, mode="max-autotune"))


def torch_time(precision: str, prepared: Callable[[nn.Module], Any]) -> dict[str, Any]:
    """Median milliseconds of a model in PyTorch, if it has CUDA."""
    import torch

    if not torch.cuda.is_available():
        return {"missing": f"PyTorch {torch.__version__} sees no GPU"}
    model, picture = globals()[MODELS[precision]]()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    run, picture = prepared(model.cuda()), picture.cuda()
    with torch.inference_mode():
        latency = timed(lambda: run(picture))
    return {"version": torch.__version__, "tf32": False, "latency_ms": latency}


def timed(work: Callable[[], Any]) -> float:
    """Median milliseconds of one execution by CUDA's events, as the host launches it."""
    import torch

    for _ in range(WARM):
        work()
    events = [[torch.cuda.Event(enable_timing=True) for _ in "ab"] for _ in range(ROUNDS)]
    for begin, end in events:
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return median(begin.elapsed_time(end) for begin, end in events)
