"""Compiles random configurations of the template for tensor cores, for GPUs that need not be there.

    python scripts/measure_tensor_core.py [--arch sm_80 sm_90] [--count N] [--precision float16]
        [--layer NAME...]

Layers are the products of ResNet-50 at 224 x 224 and of BERT-base with 128 tokens, batch 1, with
what is fused with them. A row is a layer and an architecture: rows, columns and depth of the
product, the space's size, how many configurations its limits leave (estimated by draws), how many
of those drawn compile, and the reasons of those that do not.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.codegen.cuda_compiler import CompileError
from chameleon_ray.compiler.codegen.cuda_library import CannotLaunch, compile_kernels
from chameleon_ray.compiler.kinds import CUDA, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.compiler.spaces.templates.matrix_product import (
    COLUMNS,
    DEPTH,
    ROWS,
    find_product,
)
from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task

DRAWN = 20_000
"""Number of combinations drawn to estimate how many the limits leave."""
TOKENS, HEADS, WIDTH = 128, 12, 64
"""Tokens, heads, and width of a head of BERT-base."""
Build = Callable[[Expr], Expr]
"""Makes a layer's output of its input, in a dataflow block."""


def emit(x: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(x)


def weights(*shape: int) -> Expr:
    return relax.const(np.full(shape, 0.01, dtype="float32"))


def convolution(outputs: int, size: int, stride: int, residual: bool = False) -> Build:
    """A convolution with its bias and ReLU, and with what is added before that."""

    def build(x: Expr) -> Expr:
        inputs = int(x.ty.shape[1])
        filters = weights(outputs, inputs, size, size)
        y = emit(relax.op.nn.conv2d(x, filters, strides=stride, padding=size // 2))
        y = emit(y + weights(1, outputs, 1, 1))
        y = emit(y + x) if residual else y
        return emit(relax.op.nn.relu(y))

    return build


def dense(outputs: int, gelu: bool = False) -> Build:
    """A product with weights, its bias, and GELU."""

    def build(x: Expr) -> Expr:
        filters = weights(int(x.ty.shape[-1]), outputs)
        y = emit(emit(relax.op.matmul(x, filters)) + weights(outputs))
        return emit(relax.op.nn.gelu(y)) if gelu else y

    return build


def scores(x: Expr) -> Expr:
    """Products of all tokens' queries with all keys, here both the input."""
    keys = emit(relax.op.permute_dims(x, [0, 1, 3, 2]))
    return emit(relax.op.matmul(emit(relax.op.nn.relu(x)), keys))


def mixing(x: Expr) -> Expr:
    """Sums of values by weights, which are the input."""
    return emit(relax.op.matmul(x, emit(relax.op.strided_slice(x, [3], [0], [WIDTH]))))


def square(channels: int, side: int) -> tuple[int, ...]:
    return (1, channels, side, side)


LAYERS: dict[str, tuple[tuple[int, ...], Build]] = {
    "7x7 3 to 64, 224 /2": (square(3, 224), convolution(64, 7, 2)),
    "1x1 64 to 64, 56": (square(64, 56), convolution(64, 1, 1)),
    "3x3 64 to 64, 56": (square(64, 56), convolution(64, 3, 1)),
    "1x1 64 to 256, 56": (square(64, 56), convolution(256, 1, 1)),
    "1x1 256 to 64, 56": (square(256, 56), convolution(64, 1, 1)),
    "1x1 256 to 128, 56": (square(256, 56), convolution(128, 1, 1)),
    "3x3 128 to 128, 56 /2": (square(128, 56), convolution(128, 3, 2)),
    "1x1 256 to 512, 56 /2": (square(256, 56), convolution(512, 1, 2)),
    "1x1 128 to 512, 28": (square(128, 28), convolution(512, 1, 1)),
    "1x1 512 to 128, 28": (square(512, 28), convolution(128, 1, 1)),
    "3x3 128 to 128, 28": (square(128, 28), convolution(128, 3, 1, residual=True)),
    "1x1 512 to 256, 28": (square(512, 28), convolution(256, 1, 1)),
    "3x3 256 to 256, 28 /2": (square(256, 28), convolution(256, 3, 2)),
    "1x1 512 to 1024, 28 /2": (square(512, 28), convolution(1024, 1, 2)),
    "1x1 256 to 1024, 14": (square(256, 14), convolution(1024, 1, 1)),
    "1x1 1024 to 256, 14": (square(1024, 14), convolution(256, 1, 1)),
    "3x3 256 to 256, 14": (square(256, 14), convolution(256, 3, 1)),
    "1x1 1024 to 512, 14": (square(1024, 14), convolution(512, 1, 1)),
    "3x3 512 to 512, 14 /2": (square(512, 14), convolution(512, 3, 2)),
    "1x1 1024 to 2048, 14 /2": (square(1024, 14), convolution(2048, 1, 2)),
    "1x1 512 to 2048, 7": (square(512, 7), convolution(2048, 1, 1)),
    "1x1 2048 to 512, 7": (square(2048, 7), convolution(512, 1, 1)),
    "3x3 512 to 512, 7": (square(512, 7), convolution(512, 3, 1)),
    "BERT 768 to 768": ((1, TOKENS, 768), dense(768)),
    "BERT 768 to 3072, GELU": ((1, TOKENS, 768), dense(3072, gelu=True)),
    "BERT 3072 to 768": ((1, TOKENS, 3072), dense(768)),
    "BERT scores": ((1, HEADS, TOKENS, WIDTH), scores),
    "BERT mixing": ((1, HEADS, TOKENS, TOKENS), mixing),
}
"""Shapes of the inputs, in NCHW where they are pictures, and how the layers are made."""


def main() -> None:
    """Prints a row per layer and architecture, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--arch", nargs="*", default=["sm_80", "sm_90"])
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--precision", default="float16")
    parser.add_argument("--layer", nargs="*", default=list(LAYERS), choices=LAYERS)
    arguments = parser.parse_args()
    CUDA.warm()
    print("| layer | GPU | M x N x K | size | left by limits | compile | else |")
    print("|---|---|---|---:|---:|---:|---|")
    total: Counter[str] = Counter()
    for name in arguments.layer:
        for arch in arguments.arch:
            task = task_of(name, arch, arguments.precision)
            found = tried(task, arguments.count)
            total += found
            print(f"| {name} | {arch} | {described(task)} | {verdict(found)} |", flush=True)
    print(f"{total.total()} configurations: {dict(total)}")


def task_of(name: str, arch: str, precision: str) -> Task:
    """Makes a layer's task: the one with the most products."""
    shape, build = LAYERS[name]
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(build(x))
        builder.emit_func_output(output)
    target = resolve(f"cuda:{arch}", 1)
    made = tvm.target.Target(json.loads(target))
    lowered = lower(builder.get(), made, CUDA, precision=precision)
    return max(extract(lowered, target, CUDA), key=lambda task: task.flop)


def described(task: Task) -> str:
    """Writes a layer's extents, its space's size, and the part that its limits leave."""
    module = Program.loads(task.program).module
    layer = find_reduction(module)
    product = find_product(module, layer) if layer is not None else None
    extents = [product.extent(group) for group in (ROWS, COLUMNS, DEPTH)] if product else []
    whole = task.space.members is None
    drawn: Any = np.random.default_rng(0).integers(
        0, task.space.dims, size=(DRAWN, len(task.space.knobs))
    )
    share = task.space.valid(task.space.canonical(drawn)).mean() if whole else 1.0
    left = int(share * task.space.size)
    return f"{' x '.join(map(str, extents))} | {task.space.size} | {left}"


def tried(task: Task, count: int) -> Counter[str]:
    """Compiles random configurations; counts them by what came of it."""
    program, found = Program.loads(task.program), Counter[str]()
    for config in as_configs(task.space.random(np.random.default_rng(0), count)):
        found[compiled(program, config)] += 1
    return found


def compiled(program: Program, config: tuple[int, ...]) -> str:
    """Compiles a configuration; says what came of it."""
    try:
        module = program.schedule(config, CUDA.generator).mod
        compile_kernels(module, program.target)
    except InvalidConfig as reason:
        return f"invalid: {reason}"
    except CannotLaunch:
        return "cannot be launched"
    except CompileError as reason:
        return f"NVIDIA's compiler: {str(reason).splitlines()[0]}"
    except Exception as reason:
        return f"TVM: {str(reason).strip().splitlines()[-1][:80]}"
    return "ok"


def verdict(found: Counter[str]) -> str:
    """Writes the share that compiles, and the other reasons."""
    others = ", ".join(f"{n} {reason}" for reason, n in found.items() if reason != "ok")
    return f"{found['ok']} of {found.total()} | {others}"


if __name__ == "__main__":
    main()
