"""Layers of small integers: the sums are exact, whatever instruction makes them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax, te
from tvm.relax import Expr

from chameleon_ray.compiler.apply import schedule_layers
from chameleon_ray.compiler.dot_products import DotProduct, dot_product
from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.options import Scheduling
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

op = relax.op
CONFIGS = 2
"""Random configurations that are compared per layer."""


@dataclass(frozen=True)
class Case:
    """One layer.

    Attributes:
        data: Shape of the data, NCHW or rows by columns.
        weights: Shape of the weights, OIHW or rows by columns.
        zeros: Zero points of uint8 and of int8 data.
        window: Attributes of a convolution.
        factor: What weights of a byte are multiplied by.
    """

    data: tuple[int, ...]
    weights: tuple[int, ...]
    zeros: tuple[int, int] = (0, 0)
    window: dict[str, Any] = field(default_factory=dict)
    factor: int = 1


CASES = {
    "3x3": Case((1, 8, 9, 7), (16, 8, 3, 3), (7, -3), {"padding": 1}),
    "3x3, no zero point": Case((1, 8, 9, 7), (16, 8, 3, 3), window={"padding": 1}),
    "1x1": Case((1, 16, 6, 7), (32, 16, 1, 1)),
    "1x1, rounded columns": Case((2, 16, 3, 17), (16, 16, 1, 1), (255, 127)),
    "three channels": Case(
        (1, 3, 15, 13), (16, 3, 7, 7), (114, -128), {"padding": 3, "strides": 2}
    ),
    "odd channels": Case((1, 9, 6, 6), (24, 9, 1, 1), (1, 1)),
    "lopsided": Case(
        (1, 6, 9, 11),
        (20, 6, 3, 2),
        (200, 100),
        {"strides": (2, 1), "padding": (1, 0, 2, 3), "dilation": (1, 2)},
    ),
    "depthwise": Case((1, 16, 9, 9), (16, 1, 3, 3), (128, -1), {"padding": 1, "groups": 16}),
    "depthwise, no padding": Case((1, 8, 9, 9), (8, 1, 3, 3), (0, 5), {"groups": 8, "strides": 2}),
    "groups": Case((1, 16, 6, 6), (16, 4, 3, 3), (3, 3), {"padding": 1, "groups": 4}),
    "wide groups": Case((1, 16, 6, 6), (64, 8, 3, 3), (3, 3), {"padding": 1, "groups": 2}),
    "narrow groups": Case((1, 6, 6, 6), (12, 1, 3, 3), (3, 3), {"groups": 6}),
    "no vectors": Case((1, 8, 6, 6), (5, 8, 3, 3), (3, 3), {"padding": 1}),
    "wide weights": Case((1, 8, 6, 6), (16, 8, 3, 3), (3, 3), {"padding": 1}, 2),
    "Winograd": Case((1, 64, 28, 27), (64, 64, 3, 3), (255, 127), {"padding": (1, 1, 0, 1)}),
    "product": Case((34, 24), (24, 48), (7, -7)),
    "batch of products": Case((2, 3, 5, 22), (22, 8), (255, 127)),
    "one row": Case((1, 64), (64, 24)),
    "wide product": Case((6, 10), (10, 16), (9, 9), factor=-2),
}
TYPES = ("uint8", "int8")
RIGHT_ONLY = ("narrow groups", "no vectors")
"""Layers that no template is made for."""


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Random numbers, the least and the greatest ones frequent."""
    limits = np.iinfo(dtype)
    drawn = rng.integers(limits.min, limits.max + 1, shape)
    extreme = rng.choice([limits.min, limits.max], shape)
    return np.where(rng.random(shape) < 0.3, extreme, drawn).astype(dtype)


def reference(x: np.ndarray, w: np.ndarray, window: dict[str, Any]) -> np.ndarray:
    """The sums by numpy, in 64 bits."""
    if w.ndim == 2:
        return x @ w
    pairs = {key: np.broadcast_to(window.get(key, 1), 2) for key in ("strides", "dilation")}
    top, left, bottom, right = np.broadcast_to(window.get("padding", 0), 4)
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    spread = pairs["dilation"] * (np.array(w.shape[2:]) - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(x, spread, (2, 3))
    (down, across), (i, j) = pairs["strides"], pairs["dilation"]
    windows = windows[:, :, ::down, ::across, ::i, ::j]
    groups = window.get("groups", 1)
    parts = zip(np.split(windows, groups, 1), np.split(w, groups), strict=True)
    return np.concatenate([np.einsum("nchwij,fcij->nfhw", d, k) for d, k in parts], 1)


@dataclass(frozen=True)
class Layer:
    """A case with its numbers, lowered for a target."""

    module: Any
    lowered: Any
    tasks: list[Task]
    data: np.ndarray
    expected: np.ndarray


def zero_of(case: Case, dtype: str) -> int:
    return case.zeros[TYPES.index(dtype)]


@cache
def layer(name: str, dtype: str, target: str, follow: bool = False) -> Layer:
    """The sums, or, to ``follow`` them, what is quantised from them to 8 bits."""
    case, rng = CASES[name], np.random.default_rng(0)
    x = numbers(rng, case.data, dtype)
    w = numbers(rng, case.weights, "int8").astype("int64") * case.factor
    zero = zero_of(case, dtype)
    sums = reference(x.astype("int64") - zero, w, case.window)
    scale = np.float32(100 / (1 + np.abs(sums).max()))

    def build(x: Expr) -> Expr:
        weights = constant(w, "int8" if case.factor == 1 else "int16")
        y = emit(summed(less(x, zero), weights, case.window))
        return quantised(y, scale) if follow else y

    module = layers.graph(case.data, build, dtype)
    lowered = lower(module, tvm.target.Target(json.loads(target)), LLVM)
    tasks = [task for task in extract(lowered, target, LLVM) if "transpose" not in task.kind]
    wanted = sums.astype("int32")
    if follow:
        wanted = (np.rint(np.maximum(wanted, 0).astype("float32") * scale) - 7).astype("int8")
    return Layer(module, lowered, tasks, x, wanted)


def emit(value: Expr) -> relax.Var:
    return relax.BlockBuilder.current().emit(value)


def less(x: Expr, zero: int) -> Expr:
    return emit(emit(op.astype(x, "int16")) - relax.const(zero, "int16")) if zero else x


def summed(data: Expr, weights: Expr, window: dict[str, Any]) -> Expr:
    if weights.ty.ndim == 2:
        return op.matmul(data, weights, out_dtype="int32")
    return op.nn.conv2d(data, weights, **window, out_dtype="int32")


def quantised(y: Expr, scale: np.float32) -> Expr:
    positive = emit(op.maximum(y, relax.const(0, "int32")))
    scaled = emit(emit(op.astype(positive, "float32")) * relax.const(scale))
    return op.astype(emit(emit(op.round(scaled)) - relax.const(7.0, "float32")), "int8")


def run(module: Any, target: str, x: np.ndarray) -> np.ndarray:
    library = tvm.compile(module, tvm.target.Target(json.loads(target)))
    machine = relax.VirtualMachine(library, tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()


def of(mcpu: str) -> str:
    return resolve(json.dumps({"kind": "llvm", "mcpu": mcpu}), 1)


def check(found: Layer, target: str, configs: int = CONFIGS) -> None:
    """The default schedule and random configurations against numpy."""
    assert np.array_equal(run(found.lowered, target, found.data), found.expected)
    rng, tasks = np.random.default_rng(1), {task.digest: task for task in found.tasks}
    for _ in range(configs):
        winners = {key: as_configs(task.space.random(rng, 1))[0] for key, task in tasks.items()}
        scheduled, applied = schedule_layers(found.lowered, tasks, winners, LLVM)
        assert applied == set(tasks)
        assert np.array_equal(run(scheduled, target, found.data), found.expected), winners


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", [name for name in CASES if name not in RIGHT_ONLY])
def test_sums_are_exact(name: str, dtype: str) -> None:
    found = layer(name, dtype, layers.target())
    (task,) = found.tasks
    assert task.space.members is not None
    check(found, layers.target())


@pytest.mark.parametrize("name", RIGHT_ONLY)
def test_other_layers_are_exact_without_a_template(name: str) -> None:
    found = layer(name, "int8", layers.target())
    assert np.array_equal(run(found.lowered, layers.target(), found.data), found.expected)


@pytest.mark.parametrize("mcpu", ["haswell", "x86-64"])
@pytest.mark.parametrize(
    "name", ["3x3", "odd channels", "depthwise", "Winograd", "product", "wide product"]
)
def test_older_instructions_are_exact(name: str, mcpu: str) -> None:
    found = layer(name, "uint8", of(mcpu))
    assert ("winograd" in found.tasks[0].kind) == (name == "Winograd")
    assert found.tasks[0].space.members is not None
    check(found, of(mcpu), 1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["3x3", "depthwise", "product", "lopsided"])
def test_what_follows_is_fused_into_the_same_loops(name: str, dtype: str) -> None:
    found = layer(name, dtype, layers.target(), follow=True)
    assert len(found.tasks) == 1
    check(found, layers.target(), 1)


ASSEMBLY: dict[str, tuple[str, str]] = {
    "cascadelake": ("vpdpbusd", "%zmm"),
    "sapphirerapids": ("vpdpbusd", "%zmm"),
    "alderlake": ("vpdpbusd", "%ymm"),
    "skylake-avx512": ("vpmaddwd", "%zmm"),
    "haswell": ("vpmaddwd", "%ymm"),
    "x86-64": ("pmaddwd", "%xmm"),
}
"""Instruction and registers that sums of products are made with."""


@pytest.mark.parametrize("mcpu", ASSEMBLY)
def test_the_instruction_is_the_one_that_the_cpu_has(mcpu: str) -> None:
    found = layer("3x3", "uint8", of(mcpu), follow=True)
    (task,) = found.tasks
    config = as_configs(task.space.random(np.random.default_rng(0), 1))[0]
    scheduled, _ = schedule_layers(found.lowered, {task.digest: task}, {task.digest: config}, LLVM)
    library = tvm.compile(scheduled, tvm.target.Target(json.loads(of(mcpu))))
    name, registers = ASSEMBLY[mcpu]
    lines = [line.replace("{vex}", "").split() for line in assembly(library)]
    own = [line for line in lines if line[:1] == [name]]
    assert own
    assert all(line[-1].startswith(registers) for line in own)
    assert not any("maddub" in word for line in lines for word in line[:1])


def assembly(library: Any) -> list[str]:
    """The machine code of a model's kernels, for people."""
    modules, lines = [library.mod], []
    while modules:
        module = modules.pop()
        modules += list(module.imports)
        lines += module.inspect_source("asm").splitlines() if module.kind == "llvm" else []
    return lines


def test_where_memory_is_to_be_saved_there_is_no_workspace_of_winograds() -> None:
    found, target = layer("Winograd", "uint8", of("haswell")), of("haswell")
    machine = tvm.target.Target(json.loads(target))
    lowered = lower(found.module, machine, LLVM, rewriting=Scheduling())
    assert "winograd" not in str(lowered)
    assert "chameleon_dot_8x2" in str(lowered)


def test_products_of_two_inputs_have_no_instructions_of_tvms() -> None:
    left, right = (te.placeholder((64, 64), dtype, dtype) for dtype in TYPES)
    k = te.reduce_axis((0, 64), "k")
    total = te.compute(
        (64, 64),
        lambda i, j: te.sum(left[i, k].astype("int32") * right[k, j].astype("int32"), axis=k),
    )
    for mcpu in ("cascadelake", "skylake-avx512"):
        machine = tvm.target.Target(json.loads(of(mcpu)))
        space, program = design(layers.module(left, right, total), machine, LLVM)
        assert len(space.knobs) > 1
        assert "dot_16x4" not in program.dumps().decode()


def dots(mcpu: str, channels: int, wide: bool = False) -> Callable[..., Any] | DotProduct | None:
    return dot_product(tvm.target.Target(json.loads(of(mcpu))), channels, wide)


def test_instructions_are_chosen_by_cpu_channels_and_width() -> None:
    assert dots("cascadelake", 64) == DotProduct(16, 4)
    assert dots("cascadelake", 24) == DotProduct(8, 4)
    assert dots("alderlake", 64) == DotProduct(8, 4)
    assert dots("alderlake", 64, wide=True) == DotProduct(8, 2)
    assert dots("skylake-avx512", 64) == DotProduct(16, 2)
    assert dots("sandybridge", 64) == DotProduct(4, 2)
    assert dots("cascadelake", 6) is None


def test_other_processors_keep_tvms_loops() -> None:
    arm = tvm.target.Target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "neoverse-n1"})
    assert dot_product(arm, 64, wide=False) is None
