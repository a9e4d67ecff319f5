"""Kernels that go wrong, for ``gpu_check.py``: each is followed by a right one."""

import json
import pickle
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu_kernels import tasks

from chameleon_ray.compiler.codegen.builder import ChildBuilder
from chameleon_ray.compiler.runtime.cuda_runner import CudaRunner
from chameleon_ray.measure.measurer import Artifact
from chameleon_ray.record import DEFAULT, Status
from chameleon_ray.task import Task

FAULTS = {
    "hangs": (
        "long long began = clock64(); volatile unsigned n = 0;"
        "while (clock64() - began < 30000000000ll && ++n != 0xffffffffu) { }"
    ),
    "writes out of bounds": "a[(1ull << 40) + threadIdx.x] = 1.0f;",
    "traps": 'asm volatile("trap;");',
}
"""What is put in place of a right kernel's statements.

What hangs ends by itself after 3e10 cycles, some 15 s, in case that ending its process does not
stop it; and after 2^32 turns, in case that the clock stands still.
"""
EXPECTED = {
    "hangs": Status.RUN_TIMEOUT,
    "writes out of bounds": Status.RUN_ERROR,
    "traps": Status.RUN_ERROR,
}
PATIENCE = 3.0
"""Seconds after which a kernel that hangs is stopped."""
FILE = "faults"


@dataclass(frozen=True)
class Faulty:
    """A right kernel, and the same broken in every way, by name."""

    task: Task
    good: Artifact
    broken: dict[str, Artifact]


def build(builder: ChildBuilder, target: str, folder: Path) -> dict[str, str]:
    """Compiles the kernels that go wrong for a complete target, given as JSON."""
    task = next(task for _, task in tasks(target, "add", "float32"))
    good = builder.build(task, DEFAULT)
    made = {name: broken(good, target, body) for name, body in FAULTS.items()}
    (folder / FILE).write_bytes(pickle.dumps(Faulty(task, good, made)))
    return {name: one.status for name, one in made.items()}


def broken(artifact: Artifact, target: str, body: str) -> Artifact:
    """A library whose one kernel does something else with its parameters, the first called a."""
    import tvm

    from chameleon_ray.compiler.codegen.cuda_compiler import compiler_for
    from chameleon_ray.compiler.codegen.cuda_library import Library

    library = Library.loads(artifact.code)
    described = tvm.ir.load_json(library.functions)
    (name,) = described
    count = len(described[name].arg_types)
    params = ", ".join(f"float* {chr(ord('a') + number)}" for number in range(count))
    source = f'extern "C" __global__ void {name}({params}) {{ {body} }}'
    binary = compiler_for(json.loads(target)["arch"]).compile(source)
    code = replace(library, binary=binary.code).dumps()
    return replace(artifact, code=code, default=False)  # which would get more patience


def check(runner: CudaRunner, faulty: Faulty, name: str) -> dict[str, Any]:
    """What came of a kernel that goes wrong, and of a right one after it."""
    timing = runner.run(faulty.task, faulty.broken[name], float("inf"))
    began = time.perf_counter()
    after = runner.run(faulty.task, faulty.good, float("inf"))
    right = timing.status is EXPECTED[name] and after.status is Status.OK
    fault = f"ended as {timing.status}, and what came after as {after.status}: {after.error}"
    return {
        "right": right,
        "fault": "" if right else fault,
        "status": timing.status,
        "said": timing.error,
        "seconds_until_well": round(time.perf_counter() - began, 3),
    }


def read(folder: Path) -> Faulty:
    """Reads what ``prebuild`` has written."""
    found: Faulty = pickle.loads((folder / FILE).read_bytes())
    return found
