"""Templates: what they fit computes what it did, and they fit nothing else."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import Expr
from tvm.s_tir import Schedule

from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.relax import constant
from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.tolerance import difference
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.compiler.spaces.templates.cpu_direct import cpu_direct
from chameleon_ray.compiler.spaces.templates.cpu_packed import cpu_packed
from chameleon_ray.compiler.spaces.templates.cpu_winograd import cpu_winograd
from chameleon_ray.compiler.target import vector_registers
from chameleon_ray.space import as_configs
from chameleon_ray.task import Task
from tests.tvm import layers

op = relax.op
RNG = np.random.default_rng(0)
CONFIGS = 5


def weights(*shape: int) -> Expr:
    return constant(RNG.standard_normal(shape) / 4, "float32")


def numbers(*shape: int) -> Expr:
    return constant(RNG.integers(0, 9, shape), "int32")


def conv(x: Expr, inputs: int, outputs: int, size: int = 3, **attributes: Any) -> Expr:
    groups = attributes.get("groups", 1)
    return op.nn.conv2d(x, weights(outputs, inputs // groups, size, size), **attributes)


def emit(x: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(x)


def branching(x: Expr) -> Expr:
    """What the convolution gives is used three times."""
    x = emit(emit(conv(x, 8, 16, padding=1)) + weights(1, 16, 1, 1))
    return op.multiply(x, emit(op.sigmoid(x))) + op.exp(x)


def separable(x: Expr) -> Expr:
    x = emit(op.nn.relu(emit(conv(x, 8, 32, 1))))
    return conv(x, 32, 32, padding=1, groups=32)


def products(x: Expr) -> Expr:
    """Of each matrix and its first rows."""
    return op.matmul(x, emit(op.strided_slice(x, [1], [0], [16])))


IMAGE = (1, 8, 9, 12)
FITTING: dict[str, tuple[tuple[int, ...], Callable[[Expr], Expr]]] = {
    "3x3": (IMAGE, lambda x: conv(x, 8, 32, padding=1)),
    "bias and relu": (IMAGE, lambda x: op.nn.relu(conv(x, 8, 64) + weights(1, 64, 1, 1))),
    "residual": (IMAGE, lambda x: conv(x, 8, 8, padding=1) + x),
    "silu and more": (IMAGE, branching),
    "stride": (IMAGE, lambda x: conv(x, 8, 32, padding=1, strides=2)),
    "lopsided": (
        IMAGE,
        lambda x: conv(x, 8, 16, 5, padding=(0, 1, 2, 3), strides=(1, 2), dilation=(1, 2)),
    ),
    "few inputs": ((1, 3, 15, 14), lambda x: conv(x, 3, 16, 7, padding=3, strides=2)),
    "1x1": (IMAGE, lambda x: conv(x, 8, 48, 1)),
    "1x1 stride": (IMAGE, lambda x: conv(x, 8, 48, 1, strides=2)),
    "batch": ((3, 8, 5, 7), lambda x: op.nn.relu(conv(x, 8, 16, padding=1))),
    "blocks of 8": (IMAGE, lambda x: conv(x, 8, 24, padding=1)),
    "blocks of 4": (IMAGE, lambda x: conv(x, 8, 20, padding=1)),
    "Winograd": ((1, 16, 24, 20), lambda x: conv(x, 16, 32, padding=1)),
    "Winograd, cut tiles": (
        (2, 12, 21, 26),
        lambda x: op.nn.relu(conv(x, 12, 24, padding=(0, 1, 2, 1)) + weights(24, 1, 1)),
    ),
    "Winograd, residual": ((1, 16, 24, 24), lambda x: conv(x, 16, 16, padding=1) + x),
    "Winograd, tiles of 2": ((1, 128, 14, 14), lambda x: op.nn.silu(conv(x, 128, 128, padding=1))),
    "one pixel": ((1, 8, 3, 3), lambda x: conv(x, 8, 64)),
    "depthwise": (IMAGE, lambda x: conv(x, 8, 8, padding=1, groups=8)),
    "depthwise stride": (IMAGE, lambda x: conv(x, 8, 8, 5, padding=2, groups=8, strides=2)),
    "separable": (IMAGE, separable),
    "groups": (IMAGE, lambda x: conv(x, 8, 64, padding=1, groups=2)),
    "groups of 4": (IMAGE, lambda x: conv(x, 8, 8, padding=1, groups=2, strides=2)),
    "odd channels": (IMAGE, lambda x: op.nn.relu(conv(x, 8, 10, padding=1) + weights(10, 1, 1))),
    "1x1, odd channels": (IMAGE, lambda x: conv(x, 8, 21, 1)),
    "max pool": (IMAGE, lambda x: op.nn.max_pool2d(conv(x, 8, 16), (3, 3), 2, padding=1)),
    "dense": ((1, 40), lambda x: op.nn.relu(op.matmul(x, weights(40, 96)) + weights(96))),
    "dense rows": ((12, 40), lambda x: op.matmul(x, weights(40, 64))),
    "dense batch": ((2, 6, 40), lambda x: op.matmul(x, weights(40, 32)) + weights(32)),
    "dense, 19 rows": ((19, 40), lambda x: op.matmul(x, weights(40, 32))),
    "dense, 17 rows": ((2, 17, 40), lambda x: op.nn.gelu(op.matmul(x, weights(40, 32)))),
    "products, 34 rows": ((2, 34, 16), products),
    "1x1, 17 columns": ((1, 8, 3, 17), lambda x: op.nn.relu(conv(x, 8, 16, 1))),
    "3x3, 19 columns": ((1, 8, 5, 37), lambda x: conv(x, 8, 16, padding=1, strides=2)),
}
ALIEN: dict[str, tuple[tuple[int, ...], Callable[[Expr], Expr]]] = {
    "two columns": ((12, 40), lambda x: op.matmul(x, weights(40, 2))),
    "two filters to a group": (IMAGE, lambda x: conv(x, 8, 16, padding=1, groups=8)),
    "pooling": (IMAGE, lambda x: op.nn.max_pool2d(x, (3, 3), 2, padding=1)),
    "softmax": ((8, 64), lambda x: op.nn.softmax(x, 0)),
    "rows summed": ((8, 64), lambda x: op.sum(x, -1)),
    "whole numbers": ((8, 64), lambda x: op.matmul(emit(op.astype(x, "int32")), numbers(64, 64))),
}


MEANS: dict[str, tuple[tuple[int, ...], Callable[[Expr], Expr]]] = {
    "whole picture": ((1, 9, 7, 48), lambda x: op.mean(x, [1, 2], keepdims=True)),
}


@cache
def tasks(name: str, target: str = "") -> list[Task]:
    shape, build = {**FITTING, **ALIEN, **MEANS}[name]
    target = target or layers.target()
    model = layers.graph(shape, build)
    return extract(lower(model, tvm.target.Target(json.loads(target)), LLVM), target, LLVM)


def fitted(name: str) -> list[Task]:
    """The layers that a template makes the space of."""
    modules = [(task, Program.loads(task.program).module) for task in tasks(name)]
    return [
        task
        for task, module in modules
        if any(t(module, TARGET) for t in (cpu_direct, cpu_winograd, cpu_packed))
    ]


TARGET = layers.tvm_target()


def outputs(module: Any, arrays: list[np.ndarray]) -> np.ndarray:
    buffers = [tvm.runtime.tensor(array) for array in arrays]
    tvm.compile(module, target=TARGET).jit()["main"](*buffers)
    return buffers[-1].numpy()


def check(task: Task) -> None:
    """Random configurations against the default."""
    program = Program.loads(task.program)
    rng = np.random.default_rng(1)
    arrays = [random_array(rng, *argument) for argument in program.arguments]
    reference = outputs(program.module, arrays)
    for config in as_configs(task.space.random(rng, CONFIGS)):
        assert program.config(program.trace(config)) == config
        result = outputs(program.schedule(config, LLVM.generator).mod, arrays)
        assert difference(result, reference)[2], (task.name, config)


@pytest.mark.parametrize("name", FITTING)
def test_every_configuration_computes_what_the_default_does(name: str) -> None:
    found = fitted(name)
    assert found
    for task in found:
        check(task)


@pytest.mark.parametrize(("mcpu", "lanes"), [("haswell", 8), ("x86-64", 4)])
@pytest.mark.parametrize("name", ["bias and relu", "Winograd", "depthwise", "dense"])
def test_narrower_vectors(name: str, mcpu: str, lanes: int) -> None:
    target = resolve(json.dumps({"kind": "llvm", "mcpu": mcpu}), 1)
    assert vector_registers(tvm.target.Target(json.loads(target))) == 16
    (task,) = (task for task in tasks(name, target) if task.space.members is not None)
    weights = Program.loads(task.program).arguments[1][0]
    assert weights[-1] == (8 if name == "depthwise" else lanes)
    check(task)


@pytest.mark.parametrize("name", [name for name in FITTING if "Winograd" in name])
def test_several_threads_may_take_one_step_after_the_other(name: str) -> None:
    target = resolve(json.dumps({"kind": "llvm", "mcpu": json.loads(layers.target())["mcpu"]}), 2)
    (task,) = (task for task in tasks(name, target) if "winograd" in task.kind)
    (alone,) = (task for task in tasks(name) if "winograd" in task.kind)
    program, knob = Program.loads(task.program), task.space.knobs[0]
    assert (knob.name, len(knob), len(program.sketches)) == ("sketch", 2, 2)
    assert len(Program.loads(alone.program).sketches) == 1
    whole = as_configs(task.space.enumerate())
    firsts = [next(config for config in whole if config[0] == sketch) for sketch in (0, 1)]
    scripts = [str(program.schedule(config, LLVM.generator).mod) for config in firsts]
    assert [script.count("T.parallel(") for script in scripts] == [2, 4]
    check(task)


@pytest.mark.parametrize("name", FITTING)
def test_convolutions_and_products_are_fitted(name: str) -> None:
    kinds = {task.kind for task in fitted(name)}
    words = ("conv", "matmul", "winograd")
    heavy = {task.kind for task in tasks(name) if any(word in task.kind for word in words)}
    assert ("Winograd" in name) == any("winograd" in kind for kind in heavy)
    assert heavy
    assert heavy <= kinds


@pytest.mark.parametrize("name", ALIEN)
def test_what_it_is_not_made_for_it_does_not_fit(name: str) -> None:
    assert not fitted(name)
    assert any(len(task.space.knobs) > 1 for task in tasks(name))


@pytest.mark.parametrize("name", ["1x1", "depthwise", "dense rows"])
def test_sums_fill_registers_and_fit_into_them(name: str) -> None:
    (task,) = fitted(name)
    program, most = Program.loads(task.program), vector_registers(TARGET) - 4
    for config in as_configs(task.space.enumerate()):
        tilings = [decision for _, decision in program.trace(config)[1]]
        assert most // 4 <= np.prod([tiles[-1] for tiles in tilings]) <= most


def test_means_of_whole_pictures_are_fitted() -> None:
    (task,) = fitted("whole picture")
    assert task.kind == "mean"
    check(task)


def test_weights_are_packed_in_blocks_of_channels() -> None:
    (task,) = fitted("blocks of 8")
    assert Program.loads(task.program).arguments[1][0] == (3, 3, 3, 8, 8)
    (task,) = fitted("dense rows")
    vector = 16 if vector_registers(TARGET) == 32 else 8
    assert Program.loads(task.program).arguments[1][0] == (64 // vector, 40, vector)


def test_a_block_of_packed_weights_is_of_one_group() -> None:
    (task,) = fitted("groups of 4")
    assert Program.loads(task.program).arguments[1][0] == (2, 3, 3, 4, 4)
    (task,) = fitted("groups")
    vector = 16 if vector_registers(TARGET) == 32 else 8
    assert Program.loads(task.program).arguments[1][0] == (64 // vector, 3, 3, 4, vector)


def test_weights_without_blocks_are_not_packed() -> None:
    shapes = [task.shape for task in tasks("odd channels")]
    assert any("3x3x8x10" in shape for shape in shapes)


def test_a_template_that_tvm_refuses_leaves_the_sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(module: Any, target: Any) -> None:
        Schedule(module).get_sblock("nowhere")

    sketches = layers.task_of("pooling").space
    monkeypatch.setitem(TEMPLATES, "llvm", (impossible,))
    assert layers.task(layers.pooling()).space.digest == sketches.digest
