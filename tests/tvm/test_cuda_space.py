"""Design spaces on CUDA: what they are, that what is proposed is valid, and that it is right."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.kinds import CUDA, LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower_plainly, lowerings
from chameleon_ray.compiler.spaces import design
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.compiler.spaces.lowerings import extract_all
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.knob import Knob
from chameleon_ray.limit import Box, Limit, Product
from chameleon_ray.space import DesignSpace, as_configs
from chameleon_ray.task import Task
from tests.tvm.layers import tvm_target
from tests.tvm.test_template import conv, op, weights

ARCHS = ("sm_75", "sm_80", "sm_90")
IMAGE = (1, 8, 9, 12)
LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Expr], Expr]]] = {
    "3x3": (IMAGE, lambda x: conv(x, 8, 32, padding=1)),
    "bias and relu": (IMAGE, lambda x: op.nn.relu(conv(x, 8, 64) + weights(1, 64, 1, 1))),
    "residual": (IMAGE, lambda x: conv(x, 8, 8, padding=1) + x),
    "stride": (IMAGE, lambda x: conv(x, 8, 32, padding=1, strides=2)),
    "1x1 stride": (IMAGE, lambda x: conv(x, 8, 48, 1, strides=2)),
    "odd": ((3, 5, 7, 11), lambda x: conv(x, 5, 10, 5, padding=(0, 1, 2, 3), dilation=(1, 2))),
    "depthwise": (IMAGE, lambda x: conv(x, 8, 8, padding=1, groups=8)),
    "groups": (IMAGE, lambda x: conv(x, 8, 16, padding=1, groups=2)),
    "Winograd": ((1, 64, 8, 8), lambda x: conv(x, 64, 32, padding=1)),
    "Winograd, cut tiles": (
        (2, 64, 5, 7),
        lambda x: op.nn.relu(conv(x, 64, 16, padding=(0, 1, 2, 1)) + weights(1, 16, 1, 1)),
    ),
    "Winograd, residual": ((1, 64, 6, 6), lambda x: conv(x, 64, 64, padding=1) + x),
    "dense": ((1, 40), lambda x: op.nn.relu(op.matmul(x, weights(40, 96)) + weights(96))),
    "dense rows": ((12, 40), lambda x: op.matmul(x, weights(40, 64))),
    "dense, long sums": (
        (2, 12, 96),
        lambda x: op.nn.gelu(op.matmul(x, weights(96, 40)) + weights(40)),
    ),
    "batched products": ((3, 16, 72), lambda x: op.matmul(x, turned(x))),
    "pooling": (IMAGE, lambda x: op.nn.max_pool2d(x, (3, 3), 2, padding=1)),
    "softmax": ((8, 64), lambda x: op.nn.softmax(x, -1)),
}
HALF: dict[str, tuple[tuple[int, ...], Callable[[Expr], Expr]]] = {
    "half convolution": ((1, 16, 16, 16), lambda x: conv16(x, 16, 32)),
    "half depthwise": ((1, 16, 16, 16), lambda x: conv16(x, 1, 16, groups=16)),
    "half product": ((32, 64), lambda x: op.matmul(x, halved(64, 64))),
}
UNCHECKED = {"registers per thread", "registers per block", "threadIdx.z", "slices"}
"""Limits that TVM's check does not know."""
CONFIGS = 2
DRAWN = 12


def halved(*shape: int) -> Expr:
    return relax.const(weights(*shape).value.numpy().astype("float16"))


def turned(x: Expr) -> Expr:
    return relax.BlockBuilder.current().emit(op.permute_dims(x, [0, 2, 1]))


def conv16(x: Expr, inputs: int, outputs: int, groups: int = 1) -> Expr:
    return op.nn.conv2d(x, halved(outputs, inputs, 3, 3), padding=1, groups=groups)


def cuda(arch: str = "sm_80") -> Any:
    return tvm.target.Target(json.loads(resolve(f"cuda:{arch}", 1)))


def model(name: str) -> Any:
    shape, build = {**LAYERS, **HALF}[name]
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float16" if name in HALF else "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(builder.emit(build(x)))
        builder.emit_func_output(out)
    return builder.get()


@cache
def tasks(name: str, arch: str = "sm_80", precision: str = "float32") -> list[Task]:
    """The tasks of a model, by Winograd's algorithm where the model is named after it."""
    *_, last = lowerings(model(name), cuda(arch), CUDA, precision=precision)
    return extract(last, str(cuda(arch)), CUDA)


def drawn(task: Task, count: int, seed: int = 1) -> list[tuple[int, ...]]:
    return as_configs(task.space.random(np.random.default_rng(seed), count))


def varied(task: Task, count: int) -> list[tuple[int, ...]]:
    """Configurations of all sketches, in turns."""
    found = drawn(task, 40)
    kinds = range(len(Program.loads(task.program).sketches))
    each = [[c for c in found if len(kinds) == 1 or c[0] == kind][:count] for kind in kinds]
    return [config for turn in zip(*each, strict=False) for config in turn]


def sizes(task: Task) -> list[int]:
    """Choices of every knob but the sketch."""
    return [len(knob) for knob in task.space.knobs if knob.name != "sketch"]


def conv_tasks(shape: tuple[int, ...], outputs: int, size: int, **attributes: Any) -> list[Task]:
    """A convolution's lowerings."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            kernel = relax.const(np.ones((outputs, shape[1], size, size), dtype="float32"))
            out = builder.emit_output(builder.emit(op.nn.conv2d(x, kernel, **attributes)))
        builder.emit_func_output(out)
    first, *others = lowerings(builder.get(), cuda(), CUDA)
    return extract_all(first, others, str(cuda()), CUDA)


@pytest.mark.parametrize(
    ("shape", "outputs", "size", "attributes", "dims"),
    [
        ((1, 64, 56, 56), 64, 3, {"padding": 1}, [84, 100, 7, 3, 2]),
        ((1, 128, 28, 28), 128, 3, {"padding": 1}, [120, 100, 8, 3, 2]),
        ((1, 256, 14, 14), 256, 3, {"padding": 1}, [165, 10, 9, 3, 2]),
        ((1, 512, 7, 7), 512, 3, {"padding": 1}, [220, 35, 10, 3, 2, 55]),
        ((1, 64, 56, 56), 64, 1, {}, [84, 80, 80, 7, 3, 2]),
        ((1, 64, 56, 56), 128, 3, {"padding": 1, "strides": 2}, [120, 40, 40, 7, 2, 2, 3, 2, 28]),
        ((1, 3, 224, 224), 64, 7, {"padding": 3, "strides": 2}, [84, 140, 140, 2, 2, 2, 3, 2]),
    ],
)
def test_convolutions_of_resnet_have_the_knobs_of_the_paper(
    shape: tuple[int, ...], outputs: int, size: int, attributes: dict[str, Any], dims: list[int]
) -> None:
    """AutoTVM's spaces, and last the slices of sums where results are few.

    Of its Winograd template a knob with one choice is left out.
    """
    assert sizes(conv_tasks(shape, outputs, size, **attributes)[-1]) == dims


def test_a_convolution_is_direct_until_winograds_is_faster() -> None:
    """So one that no search reaches is what it is untuned, and libraries may compute it."""
    direct, winograd = conv_tasks((1, 64, 56, 56), 64, 3, padding=1)
    assert sizes(direct) == [84, 80, 80, 7, 2, 2, 3, 2]
    assert (direct.lowering, direct.vendor, direct.has_default) == ("direct", ("cuDNN",), True)
    assert (winograd.lowering, winograd.instead) == ("Winograd 4x4", direct.digest)
    assert winograd.vendor == ()
    (small,) = conv_tasks((1, 32, 56, 56), 64, 3, padding=1)
    assert small.lowering == ""


@pytest.mark.parametrize("name", [name for name in LAYERS if "Winograd" in name])
def test_winograd_computes_what_the_convolution_does(name: str) -> None:
    def output(module: Any) -> np.ndarray:
        machine = relax.VirtualMachine(tvm.compile(module, tvm_target()), tvm.cpu())
        return machine["main"](tvm.runtime.tensor(data)).numpy()

    data = np.random.default_rng(0).standard_normal(LAYERS[name][0]).astype("float32")
    module = model(name)
    *_, loops = lowerings(module, cuda(), CUDA)
    assert any("winograd" in str(variable) for variable in loops.functions)
    plain = output(lower_plainly(module, tvm_target(), LLVM))
    np.testing.assert_allclose(output(loops), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", [*LAYERS, *HALF])
def test_what_is_proposed_is_valid(name: str, arch: str) -> None:
    valid = []
    for task in tasks(name, arch):
        program = Program.loads(task.program)
        for config in drawn(task, DRAWN):
            try:
                program.schedule(config, CUDA.generator)
                valid.append(True)
            except InvalidConfig:
                valid.append(False)
    assert all(valid)


@pytest.mark.parametrize("name", ["3x3", "depthwise", "Winograd", "dense rows"])
def test_what_is_beyond_limits_is_turned_down(name: str) -> None:
    (task,) = tasks(name)
    program, space = Program.loads(task.program), task.space
    everything = replace(space, limits=())
    checked = 0
    for config in as_configs(everything.random(np.random.default_rng(2), 40)):
        row = np.array([config])
        broken = {limit.name for limit in space.limits if not limit.allows(row)[0]}
        if broken - UNCHECKED:
            checked += 1
            with pytest.raises(InvalidConfig):
                program.schedule(config, CUDA.generator)
    assert checked > 5


@pytest.mark.parametrize("name", ["3x3", "dense rows"])
def test_the_same_layer_has_the_same_space(name: str) -> None:
    tasks.cache_clear()
    (first,) = tasks(name)
    tasks.cache_clear()
    (second,) = tasks(name)
    assert first.space.digest == second.space.digest
    assert first.program == second.program
    assert drawn(first, DRAWN) == drawn(second, DRAWN)
    assert drawn(first, DRAWN) != drawn(first, DRAWN, seed=2)


def test_a_space_travels_with_its_limits() -> None:
    (task,) = tasks("3x3")
    space = pickle.loads(pickle.dumps(task.space))
    assert space.limits == task.space.limits
    assert space.digest == task.space.digest
    assert space.digest != replace(space, limits=()).digest


def test_tensor_cores_are_for_half_precision_of_what_has_them() -> None:
    def names(arch: str, name: str) -> bool:
        (task,) = (t for t in tasks(name, arch) if t.space.size > 1000)
        traces = [str(s.instructions) for s in Program.loads(task.program).sketches]
        return any(word in trace for trace in traces for word in ("wmma", "chameleon_mma"))

    assert names("sm_80", "half product")
    assert names("sm_90", "half convolution")
    assert not names("sm_70", "half product")
    assert not names("sm_80", "dense rows")
    assert not names("sm_80", "half depthwise")


def test_limits_that_nothing_keeps_leave_a_small_space_whole() -> None:
    rows = Knob.tiling("rows", 8, 2, 8)
    tiles = Product(1, ((0, tuple(choice[1] for choice in rows.choices)),))  # type: ignore[index]
    space = DesignSpace((rows,))
    assert design._limited(space, (Limit("threads", (Box.of(tiles),), 100, 200),)) is space
    members = design._limited(space, (Limit("threads", (Box.of(tiles),), 4, 200),)).enumerate()
    assert {rows.choices[choice][1] for (choice,) in members} == {4, 8}  # type: ignore[index]
