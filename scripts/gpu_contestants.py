"""Whatever ``gpu_check.py`` times: a compiled model or PyTorch, each in a child of its own.

All answer the same two questions in the same way: what their outputs are, and how long they take by
the clock of ``gpu_clock.py``.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gpu_clock
import numpy as np

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.tvm_process import CUDART, block_torch

RELAXED = 2
"""CUDA's mode of capturing in which memory may be allocated meanwhile."""
WARM = 3
"""Executions before anything is captured or timed."""


@dataclass(frozen=True)
class Library:
    """A compiled model as a contestant; with ``graph``, as one graph that is launched at once."""

    path: str
    inputs: tuple[np.ndarray, ...]
    graph: bool


@dataclass(frozen=True)
class Torch:
    """A model in PyTorch as a contestant.

    Attributes:
        factory: Of ``gpu_zoo``.
        mode: ``eager``, ``graph``, ``graph channels-last`` or ``reduce-overhead``.
        tf32: Whether matrix products and convolutions of float32 may be computed in TF32.
        device: PyTorch's name of the device.
    """

    factory: str
    mode: str
    tf32: bool = False
    device: str = "cuda"


@dataclass(frozen=True)
class Ready:
    """A contestant on its GPU.

    Attributes:
        call: Launches it once.
        wait: Waits until the GPU is done.
        outputs: Returns what the last call came to.
        kept: What has to live as long: a graph has only the addresses of inputs and weights.
    """

    call: Callable[[], Any]
    wait: Callable[[], Any]
    outputs: Callable[[], np.ndarray]
    kept: Any


class Contestant:
    """What answers in the child: prepared when it is first asked, on the child's GPU."""

    def __init__(self, prepare: Callable[[], Ready]) -> None:
        self._prepare = prepare
        self._ready: Ready | None = None

    def __call__(self, seconds: float | None) -> Any:
        """Outputs where there are no seconds; else a sample of about so many."""
        self._ready = self._ready or self._prepare()
        ready = self._ready
        if seconds is not None:
            return gpu_clock.sample(ready.call, ready.wait, seconds)
        ready.call()
        ready.wait()
        return ready.outputs()


def library(which: Library) -> Contestant:
    """Makes the handler of a compiled model; the process must not have met the GPU yet."""
    block_torch()
    CUDA.preload()
    from tvm import relax  # noqa: F401  warms the zygote

    return Contestant(lambda: _library(which))


def torch_model(which: Torch) -> Contestant:
    """Makes the handler of a model in PyTorch."""
    import torch  # noqa: F401  warms the zygote

    return Contestant(lambda: _torch(which))


def _library(which: Library) -> Ready:
    import tvm
    from tvm import relax

    device = CUDA.device()
    main = relax.VirtualMachine(tvm.runtime.load_module(which.path), device)["main"]
    inputs = [tvm.runtime.tensor(array, device) for array in which.inputs]
    stream = device.create_raw_stream()
    device.sync()
    device.set_raw_stream(stream)
    kept: list[Any] = [None]

    def call() -> None:
        kept[0] = main(*inputs)

    def wait() -> None:
        device.sync(stream)

    def outputs() -> np.ndarray:
        value = kept[0]
        return np.asarray((value if hasattr(value, "numpy") else value[0]).numpy())

    for _ in range(WARM):
        call()
    wait()
    launch = captured(call, _address(stream)) if which.graph else call
    return Ready(launch, wait, outputs, (main, inputs, stream))


def captured(call: Callable[[], Any], stream: int) -> Callable[[], Any]:
    """Captures what a call launches into a CUDA graph; returns what launches that graph.

    Raises:
        RuntimeError: CUDA cannot capture it.
    """
    cuda, graph, ready = ctypes.CDLL(CUDART), ctypes.c_void_p(), ctypes.c_void_p()
    at = ctypes.c_void_p(stream)
    _succeed(cuda.cudaStreamBeginCapture(at, RELAXED), "begin a capture")
    try:
        call()
    finally:
        ended = cuda.cudaStreamEndCapture(at, ctypes.byref(graph))
    _succeed(ended, "capture the model")
    none = ctypes.c_ulonglong(0)
    _succeed(cuda.cudaGraphInstantiate(ctypes.byref(ready), graph, none), "make a graph")

    def launch() -> None:
        _succeed(cuda.cudaGraphLaunch(ready, at), "launch a graph")

    return launch


def _succeed(status: int, what: str) -> None:
    if status:
        raise RuntimeError(f"CUDA cannot {what}: error {status}")


def _address(stream: Any) -> int:
    """The address of one of TVM's streams."""
    return int(getattr(stream, "value", stream) or 0)


def _torch(which: Torch) -> Ready:
    import torch
    from gpu_zoo import made

    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = which.tf32
    module, inputs = made(which.factory)
    module, inputs = module.to(which.device), inputs.to(which.device)
    if which.mode.endswith("channels-last"):
        module, inputs = (x.to(memory_format=torch.channels_last) for x in (module, inputs))
    if which.mode == "reduce-overhead":
        module = torch.compile(module, mode="reduce-overhead")
    kept: list[Any] = [None]

    def call() -> None:
        with torch.inference_mode():
            kept[0] = module(inputs)

    def wait() -> None:
        if which.device == "cuda":
            torch.cuda.synchronize()

    def outputs() -> np.ndarray:
        return np.asarray(kept[0].float().cpu().numpy())

    for _ in range(WARM):
        call()
    wait()
    launch = _torch_graph(call) if which.mode.startswith("graph") else call
    return Ready(launch, wait, outputs, (module, inputs))


def _torch_graph(call: Callable[[], Any]) -> Callable[[], Any]:
    """Captures what a call launches into a CUDA graph, as PyTorch says that it is done."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay
