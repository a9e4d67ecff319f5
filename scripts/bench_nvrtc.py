"""Compiling kernels by NVRTC in a warm process beside one nvcc per kernel.

    python scripts/bench_nvrtc.py [--arch sm_90] [--configurations N] [--json FILE]

The kernels are those of the layers below: their default schedules, and random configurations of
their design spaces as far as they are valid. Both compilers get the same source in turns, with the
same options. Seconds are medians, wall time and CPU time of all processes; on a machine that does
other things only the latter means much. NVRTC gets the source as builders hand it over, without the
C++ library's headers.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from chameleon_ray.compiler.codegen.cuda_compiler import (
    Binary,
    CudaCompiler,
    Nvcc,
    Nvrtc,
    compiler_for,
)
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.compiler.tvm_process import block_torch

CONVS = ((64, 56, 64, 3, 1), (128, 28, 256, 3, 2), (256, 14, 256, 3, 1), (512, 7, 512, 3, 1))
"""Channels, pixels, filters, kernel and stride of ResNet-18's convolutions."""
DRAWN = 512
"""Configurations of a layer that are looked at for valid ones."""


@dataclass(frozen=True)
class Spent:
    """Seconds of one compilation: by the clock, and of all processors."""

    wall: float
    cpu: float


class Keeper:
    """Keeps the source that it compiles."""

    def __init__(self, compiler: CudaCompiler) -> None:
        self.name, self._compiler = compiler.name, compiler
        self.sources: list[str] = []

    def compile(self, source: str) -> Binary:
        """See ``CudaCompiler``."""
        binary = self._compiler.compile(source)
        self.sources.append(source)
        return binary


def main() -> None:
    """Collects sources, compiles them both ways, prints and writes medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--configurations", type=int, default=2, help="of each layer")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    block_torch()
    nvcc = shutil.which("nvcc")
    try:
        nvrtc = compiler_for(arguments.arch)
    except TargetError as error:
        sys.exit(f"Error: {error}")
    if nvcc is None or not isinstance(nvrtc, Nvrtc):
        missing = "nvcc" if nvcc is None else "NVRTC"
        sys.exit(f"Error: {missing} is missing; this compares NVRTC with nvcc.")
    sources = collected(nvrtc, arguments.arch, arguments.configurations)
    pairs = [compared(source, nvrtc, Nvcc(nvcc, arguments.arch)) for source in sources]
    figures = summed(pairs, arguments.arch)
    for name, value in figures.items():
        print(f"{name:22} {value}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def collected(nvrtc: CudaCompiler, arch: str, count: int) -> list[str]:
    """CUDA source of the layers' default schedules and of ``count`` configurations of each."""
    import tvm

    from chameleon_ray.compiler.codegen.cuda_library import compile_kernels
    from chameleon_ray.compiler.codegen.default_schedule import default
    from chameleon_ray.compiler.spaces.design import design

    target = tvm.target.Target(json.loads(resolve(f"cuda:{arch}", 1)))
    keeper, rng = Keeper(nvrtc), np.random.default_rng(0)
    for layer in layers():
        space, program = design(layer, target, CUDA)
        modules = [default(layer, target), *valid(space, program, rng, count)]
        for module in modules:
            compile_kernels(module, target, keeper)
    return keeper.sources


def layers() -> list[Any]:
    """Convolutions with ReLU, a matrix product and a softmax, as TVM's modules."""
    import tvm
    from tvm import te, topi

    def module(*tensors: Any) -> Any:
        return tvm.IRModule({"main": te.create_prim_func(list(tensors))})

    found = []
    for channels, size, filters, kernel, stride in CONVS:
        x = te.placeholder((1, channels, size, size), "float32", "x")
        w = te.placeholder((filters, channels, kernel, kernel), "float32", "w")
        y = topi.nn.relu(topi.nn.conv2d(x, w, stride, kernel // 2, 1, "NCHW"))
        found.append(module(x, w, y))
    a, b = te.placeholder((128, 512), "float32", "a"), te.placeholder((512, 1000), "float32", "b")
    s = te.placeholder((8, 1000), "float32", "s")
    return [*found, module(a, b, topi.nn.matmul(a, b)), module(s, topi.nn.softmax(s))]


def valid(space: Any, program: Any, rng: np.random.Generator, count: int) -> list[Any]:
    """At most ``count`` scheduled modules of random configurations that are valid."""
    from chameleon_ray.compiler.spaces.sketch import InvalidConfig
    from chameleon_ray.space import as_configs

    found: list[Any] = []
    for config in as_configs(space.random(rng, DRAWN)):
        if len(found) == count:
            break
        try:
            found.append(program.schedule(config, CUDA.generator).mod)
        except InvalidConfig:
            continue
    return found


def compared(source: str, nvrtc: CudaCompiler, nvcc: CudaCompiler) -> tuple[Spent, Spent]:
    """What either takes for the same source, NVRTC first."""
    return timed(lambda: nvrtc.compile(source)), timed(lambda: nvcc.compile(source))


def timed(work: Callable[[], Any]) -> Spent:
    """What some work takes, its child processes' included."""
    began, before = time.perf_counter(), processor()
    work()
    return Spent(time.perf_counter() - began, processor() - before)


def processor() -> float:
    """CPU seconds of this process and of its children that have ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    spent = [resource.getrusage(who) for who in whose]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def summed(pairs: list[tuple[Spent, Spent]], arch: str) -> dict[str, Any]:
    """Medians over the kernels, and of the ratios."""
    figures: dict[str, Any] = {"arch": arch, "kernels": len(pairs)}
    for number, name in enumerate(("nvrtc", "nvcc")):
        figures[f"{name} seconds"] = round(median(pair[number].wall for pair in pairs), 4)
        figures[f"{name} CPU seconds"] = round(median(pair[number].cpu for pair in pairs), 4)
    figures["times as fast"] = round(median(b.wall / a.wall for a, b in pairs), 2)
    figures["times as fast (CPU)"] = round(median(b.cpu / a.cpu for a, b in pairs), 2)
    total = [sum(pair[n].cpu for pair in pairs) for n in (0, 1)]
    figures["all kernels (CPU)"] = round(total[1] / total[0], 2)
    return figures


if __name__ == "__main__":
    main()
