"""The part of ``gpu_check.py`` that runs single kernels: every kind of layer against a CPU's
outputs, a kernel that hangs and one that writes where it may not."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.measure.measurer import Artifact, Timing
from chameleon_ray.options import Confirming, Measuring
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.space import Config, as_configs
from chameleon_ray.task import Task

MEASURING = Measuring(gpu_build_timeout=60.0, run_timeout=10.0, default_timeout=120.0)
DRAWN, KEPT = 256, 3
"""Random configurations of a layer that are looked at, and valid ones that are run."""
FAULTS = {
    "hangs": "volatile int* word = (volatile int*)a; while (*word != 0x12345678) { }",
    "writes out of bounds": "a[(1ull << 40) + threadIdx.x] = 1.0f;",
    "traps": 'asm volatile("trap;");',
}
"""What is put in place of a right kernel's statements."""
KERNEL = 'extern "C" __global__ void {name}(float* a, float* b, float* c) {{ {body} }}'


def layers() -> dict[str, Any]:
    """A module of every kind."""
    import tvm
    from tvm import te, topi

    def made(*tensors: Any) -> Any:
        return tvm.IRModule({"main": te.create_prim_func(list(tensors))})

    def conv(dtype: str) -> Any:
        x = te.placeholder((1, 64, 56, 56), dtype, "x")
        w = te.placeholder((64, 64, 3, 3), dtype, "w")
        return made(x, w, topi.nn.relu(topi.nn.conv2d(x, w, 1, 1, 1, "NCHW")))

    def dense(dtype: str) -> Any:
        a, b = te.placeholder((64, 512), dtype, "a"), te.placeholder((512, 256), dtype, "b")
        return made(a, b, topi.nn.matmul(a, b))

    x = te.placeholder((1, 32, 56, 56), "float32", "x")
    k = te.placeholder((32, 1, 3, 3), "float32", "k")
    rows = te.placeholder((64, 1000), "float32", "rows")
    pooled = topi.nn.pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1, 1, 1], "max")
    return {
        "conv2d float32": conv("float32"),
        "conv2d float16": conv("float16"),
        "depthwise": made(x, k, topi.nn.depthwise_conv2d_nchw(x, k, 1, 1, 1)),
        "dense float32": dense("float32"),
        "dense float16": dense("float16"),
        "max pooling": made(x, pooled),
        "softmax": made(rows, topi.nn.softmax(rows)),
        "mean": made(rows, topi.sum(rows, axis=1) / 1000.0),
        "add": made(rows, topi.add(rows, rows)),
    }


class Bench:
    """A builder and a runner of the GPU with this target."""

    def __init__(self, target: str, runner: CudaRunner) -> None:
        self.target, self.runner = target, runner
        self.builder = ChildBuilder(CUDA, MEASURING)

    def close(self) -> None:
        self.builder.close()

    def task(self, name: str, layer: Any) -> Task:
        import tvm

        from chameleon_ray.compiler.spaces.design import design
        from chameleon_ray.compiler.spaces.extract import layer_digest

        space, program = design(layer, tvm.target.Target(json.loads(self.target)), CUDA)
        digest = layer_digest(layer["main"], self.target)
        return Task(name, digest, self.target, 1, 0.0, space, program.dumps())

    def kernels(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """What runs the kernels of each kind."""
        return {name: partial(self.kernel, name, layer) for name, layer in layers().items()}

    def kernel(self, name: str, layer: Any) -> dict[str, Any]:
        """One kind: the default against the CPU, then valid configurations against the default."""
        task = self.task(name, layer)
        default = self.builder.build(task, DEFAULT)
        if default.status is not Status.OK:
            return {"error": default.error}
        outputs = self.runner.outputs(task, default)
        if isinstance(outputs, Timing):
            return {"error": outputs.error}
        errors = [difference(*pair) for pair in zip(outputs, on_cpu(layer), strict=True)]
        found, tried = self.valid(task)
        timings = [self.timed(task, one) for one in (default, *found)]
        contest = self.runner.contest(task, (default, *found), Confirming(repeats=3))
        failed = isinstance(contest, Timing)
        return {
            "right": all(one.right for one in errors),
            "max_rel_err": max(one.relative for one in errors),
            "tried": tried,
            "timings": timings,
            "contest": contest.error if failed else [asdict(one) for one in contest],
        }

    def valid(self, task: Task) -> tuple[list[Artifact], int]:
        """Some configurations that compile, and how many had to be tried."""
        found: list[Artifact] = []
        drawn: list[Config] = as_configs(task.space.random(np.random.default_rng(0), DRAWN))
        for tried, config in enumerate(drawn, 1):
            artifact = self.builder.build(task, config)
            found += [artifact] * (artifact.status is Status.OK)
            if len(found) == KEPT:
                return found, tried
        return found, len(drawn)

    def timed(self, task: Task, artifact: Artifact) -> dict[str, Any]:
        timing = self.runner.run(task, artifact, float("inf"))
        return {**asdict(timing), "resources": json.loads(artifact.resources)}

    def faults(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """What runs the kernels that go wrong."""
        return {name: partial(self.fault, body) for name, body in FAULTS.items()}

    def fault(self, body: str) -> dict[str, Any]:
        """What came of a kernel that goes wrong, and of a right one after it."""
        task = self.task("dense float32", layers()["dense float32"])
        good = self.builder.build(task, DEFAULT)
        timing = self.runner.run(task, broken(good, self.target, body), float("inf"))
        began = time.perf_counter()
        after = self.runner.run(task, good, float("inf"))
        return {
            "status": timing.status,
            "error": timing.error,
            "after": after.status,
            "survived": timing.status is not Status.OK and after.status is Status.OK,
            "recovery_seconds": time.perf_counter() - began,
        }


def broken(artifact: Artifact, target: str, body: str) -> Artifact:
    """A library whose kernel does something else."""
    import tvm

    from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for
    from chameleon_ray.compiler.codegen.cuda_library import Library

    library = Library.loads(artifact.code)
    (name,) = tvm.ir.load_json(library.functions)
    source = KERNEL.format(name=name, body=body)
    binary = compiler_for(json.loads(target)["arch"]).compile(source)
    code = replace(library, binary=binary.code).dumps()
    return replace(artifact, code=code, default=False)  # which would get more patience


def on_cpu(layer: Any) -> list[np.ndarray]:
    """All buffers after one execution on this machine's CPU, from the inputs that runners make."""
    import tvm

    library = tvm.compile(layer, target=tvm.target.Target(json.loads(resolve("llvm", 1)))).jit()
    rng, params = np.random.default_rng(0), [param.ty for param in layer["main"].params]
    shapes = [(tuple(int(d) for d in p.shape), str(p.dtype)) for p in params]
    buffers = [tvm.runtime.tensor(random_array(rng, *shape)) for shape in shapes]
    library["main"](*buffers)
    return [buffer.numpy() for buffer in buffers]
