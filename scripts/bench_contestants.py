"""Times one model in several runtimes in turns, each runtime in a process of its own.

Only the process that is timed runs: the others are stopped meanwhile, as threads of a runtime may
spin for a while after its last execution.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

Call = Callable[[], tuple[np.ndarray, ...]]
"""One execution."""


@dataclass(frozen=True)
class Entry:
    """What is timed.

    Attributes:
        model: Name of the zoo, or ``package.module:factory``.
        seed: Of its weights.
        library: The compiled model.
        onnx: The same network as an ONNX file.
        arrays: The inputs.
        cores: As many threads run on them.
    """

    model: str
    seed: int
    library: Path
    onnx: Path
    arrays: tuple[np.ndarray, ...]
    cores: tuple[int, ...]


class ContestantError(Exception):
    """A runtime that cannot run the model, in words."""


def compiled(entry: Entry) -> Call:
    """This engine's library in TVM's virtual machine."""
    from chameleon_ray.compiler.tvm_process import block_torch

    block_torch()
    import tvm
    from tvm import relax

    library = tvm.runtime.load_module(str(entry.library))
    main = relax.VirtualMachine(library, tvm.cpu())["main"]
    tensors = [tvm.runtime.tensor(array) for array in entry.arrays]

    def call() -> tuple[np.ndarray, ...]:
        return arrays(main(*tensors))

    return call


def arrays(outputs: Any) -> tuple[np.ndarray, ...]:
    """What a model gave: one tensor, or several."""
    return tuple(o.numpy() for o in ([outputs] if hasattr(outputs, "numpy") else outputs))


def onnxruntime(entry: Entry) -> Call:
    """ONNX Runtime's CPU provider with all of its optimisations, which it has by default."""
    session = ort_session(entry)
    feed = fed(session, entry)
    return lambda: tuple(session.run(None, feed))


def fed(session: Any, entry: Entry) -> dict[str, np.ndarray]:
    """The inputs by the names that an ONNX session has for them."""
    names = [one.name for one in session.get_inputs()]
    return dict(zip(names, entry.arrays, strict=True))


def ort_session(entry: Entry, profile: Path | None = None) -> Any:
    """A session; what it does is written to files that begin with ``profile``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = len(entry.cores), 1
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(entry.onnx), options, providers=providers)


def openvino(entry: Entry) -> Call:
    """OpenVINO's CPU plug-in, for the least latency of one request, in float32.

    Left alone, it would compute in bfloat16 where the CPU can.
    """
    import openvino as ov
    from openvino import properties

    core = ov.Core()
    config = {
        properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
        properties.hint.inference_precision: ov.Type.f32,
        properties.inference_num_threads: len(entry.cores),
    }
    request = core.compile_model(core.read_model(entry.onnx), "CPU", config).create_infer_request()
    inputs = dict(enumerate(entry.arrays))

    def call() -> tuple[np.ndarray, ...]:
        found = request.infer(inputs, share_inputs=True)
        return tuple(np.array(array) for array in found.values())

    return call


def eager(entry: Entry) -> Call:
    """PyTorch as it comes."""
    return _torch(entry, lambda module: module)


def inductor(entry: Entry) -> Call:
    """``torch.compile`` as it comes."""
    import torch

    return _torch(entry, torch.compile)


def autotuned(entry: Entry) -> Call:
    """``torch.compile`` that times several kernels of each product before it takes one."""
    import torch

    return _torch(entry, partial(torch.compile, mode="max-autotune"))


def _torch(entry: Entry, prepare: Callable[[Any], Any]) -> Call:
    import torch

    torch.set_num_threads(len(entry.cores))
    module, tensors = network(entry)
    module = prepare(module)

    def call() -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return arrays(module(*tensors))

    return call


def network(entry: Entry) -> tuple[Any, tuple[Any, ...]]:
    """The module as PyTorch has it, and its inputs."""
    import torch

    from chameleon_ray.compiler.frontend import zoo
    from chameleon_ray.compiler.frontend.torch.factory import made

    tensors = tuple(map(torch.from_numpy, entry.arrays))
    if entry.model in zoo.ZOO:
        return zoo.build(entry.model, entry.seed), tensors
    return made(entry.model, entry.seed)[0], tensors


RUNTIMES: dict[str, Callable[[Entry], Call]] = {
    "this engine": compiled,
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "PyTorch eager": eager,
    "torch.compile": inductor,
    "max-autotune": autotuned,
}
"""Runtimes by name; ``max-autotune`` is a mode of ``torch.compile``."""


class Contestant:
    """One runtime in a process of its own; stopped unless it is asked something."""

    def __init__(self, name: str, entry: Entry) -> None:
        """Starts the process and waits until the model has run once.

        Raises:
            ContestantError: It cannot run the model.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=serve, args=(name, entry, there), daemon=True)
        self._process.start()
        there.close()
        self.name, self._handle = name, psutil.Process(self._process.pid)
        self.outputs: tuple[np.ndarray, ...] = self._answer()
        self._handle.suspend()

    def latencies(self, seconds: float) -> list[float]:
        """Seconds of every execution in about so many seconds, of one at least."""
        self._handle.resume()
        self._pipe.send(seconds)
        answer: list[float] = self._answer()
        self._handle.suspend()
        return answer

    def close(self) -> None:
        with suppress(psutil.Error):
            self._handle.kill()
        self._process.join()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = ContestantError("its process died")
        if isinstance(answer, ContestantError):
            self.close()
            raise answer
        return answer


def serve(name: str, entry: Entry, pipe: Connection) -> None:
    """What runs in a contestant's process."""
    os.sched_setaffinity(0, entry.cores)
    try:
        call = RUNTIMES[name](entry)
        pipe.send(call())
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        pipe.send(ContestantError(f"{type(error).__name__}: {lines[0]}"))
        return
    while True:
        pipe.send(timed(call, pipe.recv()))


def timed(call: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds of every execution, after one that only warms caches."""
    call()
    latencies, end = [], time.perf_counter() + seconds
    while not latencies or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        latencies.append(time.perf_counter() - began)
    return latencies


def contest(
    contestants: Sequence[Contestant], rounds: int, seconds: float
) -> Mapping[str, list[float]]:
    """The median latency of each in every round; who begins a round takes turns.

    Args:
        contestants: One at least.
        rounds: Of all contestants.
        seconds: Of each in a round.
    """
    medians: dict[str, list[float]] = {one.name: [] for one in contestants}
    for turn in range(rounds):
        first = turn % len(contestants)
        for one in [*contestants[first:], *contestants[:first]]:
            medians[one.name].append(float(np.median(one.latencies(seconds))))
    return medians


def export(entry: Entry) -> None:
    """Writes the network as an ONNX file, in a process of its own.

    Raises:
        ContestantError: torch cannot export it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_export, args=(entry, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        failure = ours.recv()
    except EOFError:
        failure = "the process died"
    process.join()
    if failure:
        raise ContestantError(f"the network cannot be exported to ONNX: {failure}")


def _export(entry: Entry, pipe: Connection) -> None:
    try:
        import torch

        from chameleon_ray.compiler.quiet import quiet

        module, inputs = network(entry)
        with quiet():
            torch.onnx.export(
                module, inputs, str(entry.onnx), dynamo=True, external_data=False, verbose=False
            )
        pipe.send("")
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        pipe.send(f"{type(error).__name__}: {lines[0]}")
