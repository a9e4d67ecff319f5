"""Tells what kernels are made of, from their binaries: no GPU is needed.

    python scripts/measure_binaries.py [--arch sm_80 sm_90] [--kernels 16] [--layer NAME...]
        [--out binaries.json]

For layers of ResNet-50 and BERT-base in float16, random configurations are compiled: of this
project's space of a layer, and of MetaSchedule's sketches of the same layer. Printed are how many
of what was proposed compiled, how many of the kernels have instructions of tensor cores (HMMA) and
asynchronous copies (LDGSTS), and what they take, as medians and interquartile ranges. The
instructions are read by NVIDIA's ``nvdisasm``: on PATH, in a toolkit, or in the wheel
``nvidia-cuda-nvdisasm``.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import tvm
from spread import spread
from tvm import relax

from chameleon_ray.compiler.codegen.cuda_compiler import CompileError
from chameleon_ray.compiler.codegen.cuda_library import CannotLaunch, compile_kernels
from chameleon_ray.compiler.codegen.cuda_resources import Resources
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.nvidia import KIB
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.compiler.tvm_process import nvidia_wheels
from chameleon_ray.errors import UserError
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task

DTYPE = "float16"
SPACES = ("this project", "MetaSchedule")
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)", re.M)
TENSOR = ("HMMA", "HGMMA", "IMMA", "IGMMA")
ASYNCHRONOUS = ("LDGSTS", "UBLKCP", "UTMALDG")
FIGURES = ("registers", "spilled", "shared", "occupancy")


@dataclass(frozen=True)
class Convolution:
    """Channels and width of the input; output channels, width of the kernel, stride."""

    channels: int
    width: int
    filters: int
    size: int
    stride: int = 1


@dataclass(frozen=True)
class Product:
    """Rows of the activations, inputs and outputs."""

    rows: int
    inputs: int
    outputs: int


LAYERS: dict[str, Convolution | Product] = {
    "ResNet-50 7x7": Convolution(3, 224, 64, 7, 2),
    "ResNet-50 1x1 256x56": Convolution(256, 56, 64, 1),
    "ResNet-50 3x3 64x56": Convolution(64, 56, 64, 3),
    "ResNet-50 3x3 256x14": Convolution(256, 14, 256, 3),
    "ResNet-50 1x1 512x7": Convolution(512, 7, 2048, 1),
    "BERT 768x768": Product(128, 768, 768),
    "BERT 768x3072": Product(128, 768, 3072),
    "BERT 3072x768": Product(128, 3072, 768),
}


@dataclass(frozen=True)
class Kernel:
    """What one configuration's kernels have; the resources are those of ``Resources``."""

    tensor: bool
    asynchronous: bool
    registers: int
    spilled: int
    shared: int
    occupancy: float

    @staticmethod
    def of(instructions: Counter[str], taken: Resources) -> "Kernel":
        return Kernel(
            any(instructions[name] for name in TENSOR),
            any(instructions[name] for name in ASYNCHRONOUS),
            *(getattr(taken, name) for name in FIGURES),
        )


def main() -> None:
    """Prints a row per layer, architecture and space, and a row for all layers together."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--arch", nargs="*", default=["sm_80", "sm_90"])
    parser.add_argument("--kernels", type=int, default=16)
    parser.add_argument("--layer", nargs="*", default=list(LAYERS), choices=LAYERS)
    parser.add_argument("--out", type=Path, default=Path("binaries.json"))
    arguments = parser.parse_args()
    disassembler, found = nvdisasm(), []
    print("| layer | arch | space | compiled | tensor cores | asynchronous | registers |", end="")
    print(" spilled bytes | shared KiB | occupancy |\n|---|---|---|" + "---:|" * 7)
    for arch in arguments.arch:
        for name in arguments.layer:
            for space in SPACES:
                kernels = measured(task(LAYERS[name], arch, space), arguments.kernels, disassembler)
                found.append({"layer": name, "arch": arch, "space": space, "kernels": kernels})
                print(row(name, arch, space, kernels), flush=True)
        for space in SPACES:
            mine = [one for one in found if (one["arch"], one["space"]) == (arch, space)]
            print(row("all", arch, space, [kernel for one in mine for kernel in one["kernels"]]))
    body = [{**one, "kernels": [k and asdict(k) for k in one["kernels"]]} for one in found]
    arguments.out.write_text(json.dumps(body, indent=1))


def row(name: str, arch: str, space: str, kernels: Sequence[Kernel | None]) -> str:
    """Words a row of the table; None stands for a configuration that did not compile."""
    made = [kernel for kernel in kernels if kernel is not None]
    cells = [name, arch, space, f"{len(made)} of {len(kernels)}"]
    for share in ("tensor", "asynchronous"):
        count = sum(getattr(kernel, share) for kernel in made)
        cells.append(f"{count / len(made):.0%}" if made else "-")
    for figure in FIGURES:
        unit = KIB if figure == "shared" else 1
        values = [getattr(kernel, figure) / unit for kernel in made]
        cells.append("{median:.4g} ± {spread:.3g}".format(**spread(values)) if made else "-")
    return f"| {' | '.join(cells)} |"


def measured(one: Task, count: int, disassembler: str) -> list[Kernel | None]:
    """Compiles random configurations of a layer."""
    program, rng = Program.loads(one.program), np.random.default_rng(0)
    return [
        compiled(program, config, disassembler)
        for config in as_configs(one.space.random(rng, count))
    ]


def compiled(program: Program, config: tuple[int, ...], disassembler: str) -> Kernel | None:
    """What one configuration's kernels have; None where it does not compile."""
    try:
        module = program.schedule(config, CUDA.generator).mod
        library, taken = compile_kernels(module, program.target)
    except (InvalidConfig, CannotLaunch, CompileError, tvm.error.InternalError, RuntimeError):
        return None
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(library.binary)
        file.flush()
        done = subprocess.run(
            [disassembler, "-c", file.name], capture_output=True, text=True, check=True
        )
    return Kernel.of(instructions(done.stdout), taken)


def instructions(disassembly: str) -> Counter[str]:
    """Counts the instructions of a disassembly by their names, without what follows a point."""
    return Counter(INSTRUCTION.findall(disassembly))


def nvdisasm() -> str:
    """Finds the disassembler.

    Raises:
        UserError: There is none.
    """
    roots = [*nvidia_wheels(), Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"))]
    places = os.pathsep.join([os.environ.get("PATH", ""), *(str(root / "bin") for root in roots)])
    found = shutil.which("nvdisasm", path=places)
    if found is None:
        raise UserError(
            "Reading binaries takes nvdisasm, which is not installed; install it with: "
            "pip install nvidia-cuda-nvdisasm."
        )
    return found


def task(layer: Convolution | Product, arch: str, space: str) -> Task:
    """A layer with its bias and ReLU, as a task, in one of the spaces."""
    target = resolve(f"cuda:{arch}", 1)
    with templates(space):
        module = lower(model(layer), tvm.target.Target(json.loads(target)), CUDA)
        return max(extract(module, target, CUDA), key=lambda found: found.flop)


@contextmanager
def templates(space: str) -> Iterator[None]:
    """Leaves this project's templates out where MetaSchedule's space is wanted."""
    kept = TEMPLATES["cuda"]
    try:
        TEMPLATES["cuda"] = kept if space == SPACES[0] else ()
        yield
    finally:
        TEMPLATES["cuda"] = kept


def model(layer: Convolution | Product) -> Any:
    """A Relax module of the layer."""
    shape: tuple[int, ...]
    if isinstance(layer, Convolution):
        shape = (1, layer.channels, layer.width, layer.width)
    else:
        shape = (layer.rows, layer.inputs)
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, DTYPE))
    with builder.function("main", [x]):
        with builder.dataflow():
            if isinstance(layer, Convolution):
                kernel = ones(layer.filters, layer.channels, layer.size, layer.size)
                strided = {"strides": layer.stride, "padding": layer.size // 2}
                y, bias = relax.op.nn.conv2d(x, kernel, **strided), ones(1, layer.filters, 1, 1)
            else:
                y = relax.op.matmul(x, ones(layer.inputs, layer.outputs))
                bias = ones(layer.outputs)
            y = builder.emit(relax.op.add(builder.emit(y), bias))
            y = builder.emit_output(builder.emit(relax.op.nn.relu(y)))
        builder.emit_func_output(y)
    return builder.get()


def ones(*shape: int) -> relax.Expr:
    """A constant of ones."""
    return relax.const(np.ones(shape, dtype=DTYPE))


if __name__ == "__main__":
    main()
