"""Vectors of copies on a GPU: how wide they may be, and that what is proposed compiles."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import te, topi

from chameleon_ray.compiler.codegen.cuda_library import compile_layer
from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.sketch import InvalidConfig, Program
from chameleon_ray.compiler.spaces.templates import TEMPLATES
from chameleon_ray.record import Status
from chameleon_ray.space import Config, DesignSpace, as_configs
from tests.cuda.kernels import tvm_target, usable_compiler


def product(transposed: bool, dtype: str = "float16", result: str = "float16") -> Any:
    a = te.placeholder((64, 128), dtype, "a")
    b = te.placeholder((256, 128) if transposed else (128, 256), dtype, "b")
    k = te.reduce_axis((0, 128), "k")

    def sums(m: Any, n: Any) -> Any:
        other = b[n, k] if transposed else b[k, n]
        return te.sum(a[m, k].astype(result) * other.astype(result), axis=k)

    return made(a, b, te.compute((64, 256), sums, name="product"))


def convolution(places: str = "int32") -> Any:
    x = te.placeholder((1, 16, 16, 16), "float16", "x")
    w = te.placeholder((32, 16, 3, 3), "float16", "w")
    y = topi.nn.relu(topi.nn.conv2d(x, w, 1, 1, 1, "NCHW"))
    return tvm.IRModule({"main": te.create_prim_func([x, w, y], index_dtype_override=places)})


def made(*tensors: Any) -> Any:
    return tvm.IRModule({"main": te.create_prim_func(list(tensors))})


def designed(module: Any, arch: str = "sm_90") -> tuple[DesignSpace, Program]:
    return design(module, tvm_target(arch), CUDA)


def widest(space: DesignSpace, sketch: int) -> list[int]:
    """The most elements of each vector in what a sketch's limits allow."""
    drawn = space.random(np.random.default_rng(0), 400)
    rows = drawn[drawn[:, 0] == sketch]
    vectors = [n for n, knob in enumerate(space.knobs) if set(knob.choices) == {1, 2, 4, 8}]
    return [max(int(space.knobs[n].choices[c]) for c in rows[:, n]) for n in vectors]  # type: ignore[call-overload]


@pytest.mark.parametrize(("transposed", "most"), [(True, 8), (False, 4)])
def test_only_neighbours_are_copied_in_vectors_of_eight(transposed: bool, most: int) -> None:
    """The second operand is copied along the sum's axis, along which it lies only if transposed."""
    space, program = designed(product(transposed))
    assert sorted(widest(space, 0)) == sorted([8, 8, most])
    assert len(program.sketches) == 2


def row() -> Any:
    """A product of one row, which is not for tensor cores."""
    a, b = te.placeholder((1, 40), "bfloat16", "a"), te.placeholder((96, 40), "bfloat16", "b")
    k = te.reduce_axis((0, 40), "k")

    def sums(m: Any, n: Any) -> Any:
        return te.sum(a[m, k].astype("float32") * b[n, k].astype("float32"), axis=k)

    return made(a, b, te.compute((1, 96), sums, name="product"))


def test_vectors_of_eight_do_not_go_on_in_the_next_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that would are what TVM or NVIDIA's compiler turns down, and nothing else is refused.

    From ``sm_80`` on copies are asynchronous, and such vectors are copied element by element.
    """
    usable_compiler("sm_75")
    monkeypatch.setitem(TEMPLATES, "cuda", ())
    space, program = designed(row(), "sm_75")
    limits = tuple(limit for limit in space.limits if limit.name != "vectors across rows")
    assert len(limits) < len(space.limits)
    drawn = replace(space, limits=limits).random(np.random.default_rng(1), 60)
    refused, left = (drawn[space.valid(drawn) == kept][:3] for kept in (False, True))
    assert (len(refused), len(left)) == (3, 3)
    for config in as_configs(np.concatenate([refused, left])):
        assert bool(failure(program, config)) == (config in as_configs(refused))


def failure(program: Program, config: Config) -> str:
    """Why a configuration cannot be compiled; empty where it can be."""
    try:
        scheduled = program.schedule(config, CUDA.generator).mod
    except InvalidConfig as reason:
        return str(reason)
    return compile_layer(scheduled, program.target).error


LAYERS: dict[str, Callable[[], Any]] = {
    "product": lambda: product(False),
    "float32 sums": lambda: product(False, result="float32"),
    "bytes": lambda: product(True, "int8", "int32"),
    "convolution": convolution,
    "convolution, 64-bit places": lambda: convolution("int64"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_proposed_for_tensor_cores_compiles(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results of another type than the operands', too; no template takes the layers."""
    usable_compiler("sm_90")
    monkeypatch.setitem(TEMPLATES, "cuda", ())
    space, program = designed(LAYERS[name]())
    assert all("wmma" in str(sketch.instructions) for sketch in program.sketches)
    for config in as_configs(space.random(np.random.default_rng(3), 8)):
        scheduled = program.schedule(config, CUDA.generator).mod
        assert compile_layer(scheduled, program.target).status is Status.OK, config
