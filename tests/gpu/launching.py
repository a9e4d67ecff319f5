"""Launches kernels written in CUDA on a simulated GPU, past TVM, in a child process."""

import ctypes
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for

CUDART, DRIVER = "libcudart.so.13", "libcuda.so.1"
SHARED = 8
"""Number of the attribute of a function that is its most dynamic shared memory."""


@dataclass(frozen=True)
class Launch:
    """A kernel named ``kernel`` and what it is launched with; its parameters are the arrays."""

    source: str
    arrays: Sequence[np.ndarray]
    grid: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (32, 1, 1)
    shared: int = 0
    asked: int = 0
    arch: str = "sm_90"


@dataclass(frozen=True)
class Outcome:
    """What came of a launch: CUDA's first error, 0 for none, and the arrays afterwards.

    Attributes:
        then: What CUDA answers to an allocation after that.
        seconds: Time between events around the launch.
    """

    error: int
    arrays: list[np.ndarray] = field(default_factory=list)
    then: int = 0
    seconds: float = 0.0


def launch(environment: dict[str, str], *launches: Launch) -> list[Outcome]:
    """Launches kernels one after the other in one child."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.launching"],
        input=pickle.dumps(launches),
        capture_output=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr.decode()
    outcomes: list[Outcome] = pickle.loads(done.stdout)
    return outcomes


class LaunchConfig(ctypes.Structure):
    """CUlaunchConfig of the driver."""

    _fields_ = (
        ("sizes", ctypes.c_uint * 7),  # of the grid, of a block, and of dynamic shared memory
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("count", ctypes.c_uint),
    )


class Gpu:
    """CUDA in this process, whose libraries are loaded for themselves, as by other programs."""

    def __init__(self) -> None:
        self.runtime, self.driver = ctypes.CDLL(CUDART), ctypes.CDLL(DRIVER)

    def run(self, one: Launch) -> Outcome:
        """Does one launch."""
        try:
            arrays, seconds = self._run(one)
        except Failed as failed:
            return Outcome(failed.error, then=self.runtime.cudaFree(None))
        return Outcome(0, arrays, 0, seconds)

    def _run(self, one: Launch) -> tuple[list[np.ndarray], float]:
        function = self._function(one)
        pointers = [self._uploaded(array) for array in one.arrays]
        addresses = [ctypes.addressof(pointer) for pointer in pointers]
        config = LaunchConfig((ctypes.c_uint * 7)(*one.grid, *one.block, one.shared))
        given = (ctypes.c_void_p * len(addresses))(*addresses)
        start, end = self._event(), self._event()
        do(self.runtime.cudaEventRecord(start, None))
        do(self.driver.cuLaunchKernelEx(ctypes.byref(config), function, given, None))
        do(self.runtime.cudaEventRecord(end, None))
        do(self.runtime.cudaStreamSynchronize(None))
        milliseconds = ctypes.c_float()
        do(self.runtime.cudaEventElapsedTime(ctypes.byref(milliseconds), start, end))
        found = [self._read(*pair) for pair in zip(pointers, one.arrays, strict=True)]
        return found, milliseconds.value / 1e3

    def _function(self, one: Launch) -> ctypes.c_void_p:
        code = compiler_for(one.arch).compile(one.source).code
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        do(self.driver.cuModuleLoadData(ctypes.byref(module), code))
        do(self.driver.cuModuleGetFunction(ctypes.byref(function), module, b"kernel"))
        if one.asked:
            do(self.driver.cuFuncSetAttribute(function, SHARED, one.asked))
        return function

    def _event(self) -> ctypes.c_void_p:
        event = ctypes.c_void_p()
        do(self.runtime.cudaEventCreate(ctypes.byref(event)))
        return event

    def _uploaded(self, array: np.ndarray) -> ctypes.c_void_p:
        pointer, size = ctypes.c_void_p(), ctypes.c_size_t(array.nbytes)
        do(self.runtime.cudaMalloc(ctypes.byref(pointer), size))
        do(self.runtime.cudaMemcpyAsync(pointer, address(array), size, 1, None))
        return pointer

    def _read(self, pointer: ctypes.c_void_p, array: np.ndarray) -> np.ndarray:
        found = np.empty_like(array)
        size = ctypes.c_size_t(array.nbytes)
        do(self.runtime.cudaMemcpyAsync(address(found), pointer, size, 2, None))
        return found


class Failed(Exception):
    """CUDA answered with an error."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


def do(error: int) -> None:
    """Demands that CUDA answers without an error."""
    if error:
        raise Failed(error)


def address(array: np.ndarray) -> Any:
    """Where an array lies."""
    return array.ctypes.data_as(ctypes.c_void_p)


def main() -> None:
    gpu = Gpu()
    outcomes = [gpu.run(one) for one in pickle.loads(sys.stdin.buffer.read())]
    sys.stdout.buffer.write(pickle.dumps(outcomes))


if __name__ == "__main__":
    from tests.gpu import launching

    launching.main()
