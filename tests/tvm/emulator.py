"""CUDA on a CPU: a scheduled layer's CUDA source, compiled by a C++ compiler, thread by thread.

A block's threads are coroutines that stop at ``__syncthreads``; blocks run one after the other.
That shows whether kernels compute what they should, barriers included, but for what threads of one
warp may do in any order between barriers: here each goes on as far as it can.
"""

import ctypes
import re
import shutil
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi

from chameleon_ray.compiler.codegen.cuda_library import CREATE
from tests.tvm.overriding import overriding

PRELUDE = r"""
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <vector>
#include <ucontext.h>
#define __global__
#define __device__
#define __forceinline__
#define __launch_bounds__(n)
#define __restrict__
using std::max; using std::min;
struct Index { int x, y, z; };
struct float2 { float x, y; };
struct float3 { float x, y, z; };
struct float4 { float x, y, z, w; };
struct int2 { int x, y; };
struct int3 { int x, y, z; };
struct int4 { int x, y, z, w; };
static float2 make_float2(float x, float y) { return {x, y}; }
static float3 make_float3(float x, float y, float z) { return {x, y, z}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static int2 make_int2(int x, int y) { return {x, y}; }
static int3 make_int3(int x, int y, int z) { return {x, y, z}; }
static int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static Index blockIdx, threadIdx;
static ucontext_t home;
static std::vector<ucontext_t> threads;
static size_t running;
static std::function<void()> kernel;
static void __syncthreads() { swapcontext(&threads[running], &home); }
static std::vector<char> over;
static void enter() { kernel(); over[running] = 1; swapcontext(&threads[running], &home); }
static void launch(Index grid, Index block, std::function<void()> body) {
  const size_t stack = 1 << 16, count = (size_t)block.x * block.y * block.z;
  std::vector<char> memory(stack * count);
  threads.resize(count);
  kernel = body;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
  for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
  for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
    over.assign(count, 0);
    for (size_t n = 0; n < count; ++n) {
      getcontext(&threads[n]);
      threads[n].uc_stack.ss_sp = &memory[n * stack];
      threads[n].uc_stack.ss_size = stack;
      threads[n].uc_link = &home;
      makecontext(&threads[n], enter, 0);
    }
    for (bool busy = true; busy;) {
      busy = false;
      for (running = 0; running < count; ++running) {
        if (over[running]) continue;
        threadIdx = {(int)(running % block.x), (int)(running / block.x % block.y),
                     (int)(running / block.x / block.y)};
        swapcontext(&home, &threads[running]);
        busy = true;
      }
    }
  }
}
"""
ARGUMENT = re.compile(r"^ *(\w+) = T\.decl_buffer\(.*\b\w+_handle\b", re.M)
SPACE = re.compile(r"^ *(\w+) = T\.alloc_buffer\(\((\d+),?\)", re.M)
VIEW = re.compile(r"^ *(\w+) = (?:T\.decl_buffer\(.*data=)?(\w+)\.(?:data\)|view\()", re.M)
SHARED = "__shared__ alignas(64)"
WAIT = re.compile(r"\w+cp_async_(wait|commit)_group\w*\(\);")
"""Of copies that are made at once here."""
PLACE = TemporaryDirectory(prefix="emulator-")
KERNEL = re.compile(r'call_ffi_kernel\("(\w+)", (.*?), launch_params=\[(.*?)\]')


class NotEmulated(Exception):
    """A kernel whose threads exchange registers, or that uses tensor cores."""


def emulate(module: Any, target: Any, arrays: list[np.ndarray]) -> np.ndarray:
    """What a scheduled layer with float32 buffers writes to the last of them.

    Args:
        module: IRModule with one PrimFunc ``main``.
        target: A CUDA target.
        arrays: Its arguments, which stay as they are.

    Raises:
        NotEmulated: It needs more than barriers.
    """
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    host, source = generated(module, target)
    if "__shfl" in source or "wmma" in source:
        raise NotEmulated
    copies = [np.ascontiguousarray(array, dtype=np.float32).copy() for array in arrays]
    with TemporaryDirectory() as folder:
        code, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        kernels = source[source.index('extern "C"') :].replace(SHARED, "alignas(64) static")
        code.write_text(f'#include "{prelude()}"\n' + WAIT.sub("", kernels) + driver(host))
        compiled("-shared", "-o", library, code)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in copies]
        ctypes.CDLL(str(library)).run((ctypes.c_void_p * len(copies))(*pointers))
    return copies[-1]


@cache
def prelude() -> Path:
    """A file with what every kernel needs, which is compiled once."""
    header = Path(PLACE.name, "prelude.h")
    header.write_text(PRELUDE)
    compiled("-x", "c++-header", "-o", f"{header}.gch", header)
    return header


def compiled(*arguments: str | Path) -> None:
    """Runs the compiler."""
    command = ["g++", "-std=c++17", "-O1", "-w", "-fPIC", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


def generated(module: Any, target: Any) -> tuple[str, str]:
    """The script of the host's function, and the CUDA source."""
    build = import_module("tvm.tirx.build")
    target = target.with_host(tvm.target.Target("llvm"))
    module = tvm.tirx.transform.BindTarget(target)(module)
    pipeline, _, finalize = tvm.tirx.get_default_tir_pipeline(target)
    host, devices = build.split_host_device_mods(pipeline(module))
    ((device_target, device),) = devices.items()
    sources = []

    def create(code: Any, *_: Any) -> Any:
        sources.append(bytes(code).decode())
        return tvm_ffi.get_global_func("runtime.CSourceModuleCreate")("//", "c", [], [])

    with overriding(CREATE, create):
        build.codegen_build(finalize()(device), device_target)
    (source,) = sources
    script = re.sub(r"T\.int64\((\d+)\)", r"\1", host.script())
    return script, source


def driver(host: str) -> str:
    """What the host's function does, in C++."""
    lines = [f"float* {name} = args[{n}];" for n, name in enumerate(ARGUMENT.findall(host))]
    for name, size in SPACE.findall(host):
        lines.append(f"std::vector<float> {name}_space({size}); float* {name} = &{name}_space[0];")
    lines += [f"float* {view} = {name};" for view, name in VIEW.findall(host)]
    for name, arguments, axes in KERNEL.findall(host):
        values = arguments.split(", ")
        order = [axis.strip('" ') for axis in axes.split(",")]
        sizes = dict(zip(order, values[-len(order) :], strict=True))
        grid, block = (
            ", ".join(sizes.get(f"{kind}.{axis}", "1") for axis in "xyz")
            for kind in ("blockIdx", "threadIdx")
        )
        given = ", ".join(value.removesuffix(".data") for value in values[: -len(order)])
        lines.append(f"launch({{{grid}}}, {{{block}}}, [&] {{ {name}({given}); }});")
    return 'extern "C" void run(float** args) {\n' + "\n".join(lines) + "\n}\n"
