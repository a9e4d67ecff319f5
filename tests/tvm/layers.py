"""Tiny layers of every kind that the compiler meets: TIR modules, tasks, small Relax models."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, topi
from tvm.s_tir import Schedule

from chameleon_ray.compiler.kinds import LLVM, resolve
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.extract import extract, layer_digest
from chameleon_ray.task import Task


@cache
def target() -> str:
    """This machine's CPU, kernels on one core."""
    return resolve("llvm", 1)


def tvm_target() -> Any:
    return tvm.target.Target(json.loads(target()))


@cache
def unoptimised() -> Any:
    """The same CPU; what is compiled for it computes the same, and is compiled much faster."""
    return tvm.target.Target(json.loads(target()) | {"opt-level": 0})


def module(*tensors: Any) -> Any:
    """A layer as a module of its own, from its inputs and outputs."""
    return tvm.IRModule({"main": te.create_prim_func(list(tensors))})


def graph(
    shape: tuple[Any, ...], build: Callable[[relax.Expr], relax.Expr], dtype: str = "float32"
) -> Any:
    """A Relax module: what ``build`` does to one input."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(builder.emit(build(x)))
        builder.emit_func_output(out)
    return builder.get()


def _input(name: str, *shape: int, dtype: str = "float32") -> Any:
    return te.placeholder(shape, dtype, name)


def conv(data: str = "data", filters: int = 16) -> Any:
    """3x3 convolution of 8x14x14, then ReLU."""
    x, w = _input(data, 1, 8, 14, 14), _input("weight", filters, 8, 3, 3)
    return module(x, w, topi.nn.relu(topi.nn.conv2d(x, w, 1, 1, 1, "NCHW")))


def depthwise() -> Any:
    x, w = _input("x", 1, 8, 8, 8), _input("w", 8, 1, 3, 3)
    return module(x, w, topi.nn.depthwise_conv2d_nchw(x, w, 1, 1, 1))


def dense(left: str = "left", rows: int = 32) -> Any:
    a, b = _input(left, rows, 64), _input("right", 64, 64)
    return module(a, b, topi.nn.matmul(a, b))


def dense_of(dtype: str, out: str) -> Any:
    """The same product of another type, summed in ``out``."""
    a, b = _input("a", 16, 64, dtype=dtype), _input("b", 64, 32, dtype=dtype)
    k = te.reduce_axis((0, 64), "k")
    total = te.compute(
        (16, 32), lambda i, j: te.sum(a[i, k].astype(out) * b[k, j].astype(out), axis=k), "c"
    )
    return module(a, b, total)


def half() -> Any:
    return dense_of("float16", "float16")


def integer() -> Any:
    return dense_of("int8", "int32")


def pooling() -> Any:
    x = _input("x", 1, 8, 8, 8)
    return module(x, topi.nn.pool2d(x, [2, 2], [2, 2], [1, 1], [0, 0, 0, 0], "max"))


def softmax() -> Any:
    x = _input("x", 8, 100)
    return module(x, topi.nn.softmax(x))


def mean() -> Any:
    x = _input("x", 8, 96)
    return module(x, topi.sum(x, axis=1) / 96.0)


def add(rows: int = 32) -> Any:
    a, b = _input("a", rows, 64), _input("b", rows, 64)
    return module(a, b, topi.add(a, b))


def minus() -> Any:
    """Has the signature of ``add``."""
    a, b = _input("a", 32, 64), _input("b", 32, 64)
    return module(a, b, topi.subtract(a, b))


def brain() -> Any:
    x = _input("x", 8, 64, dtype="bfloat16")
    return module(x, te.compute((8, 64), lambda i, j: te.max(x[i, j], x[7 - i, j]), "y"))


def boolean() -> Any:
    x = _input("x", 8, 64, dtype="bool")
    return module(x, te.compute((8, 64), lambda i, j: tvm.tirx.Not(x[i, j]), "y"))


def unrolled(statements: int) -> Any:
    """A layer that takes for ever to compile."""
    x = _input("x", statements)
    schedule = Schedule(module(x, te.compute((statements,), lambda i: x[i] + 1.0, "y")))
    schedule.unroll(schedule.get_loops(schedule.get_sblock("y"))[0])
    return schedule.mod


def reshape() -> Any:
    x = _input("x", 8, 100)
    return module(x, topi.reshape(x, (10, 80)))


def opaque() -> Any:
    """A loop nest that TVM did not derive from tensor expressions: it has no sketch."""
    x = _input("x", 8, 100)
    return module(x, topi.argsort(x))


KINDS: dict[str, Callable[[], Any]] = {
    "conv": conv,
    "depthwise": depthwise,
    "dense": dense,
    "half": half,
    "integer": integer,
    "pooling": pooling,
    "softmax": softmax,
    "mean": mean,
    "add": add,
    "reshape": reshape,
}


def task(layer: Any, name: str = "layer") -> Task:
    """A layer as the extraction makes it."""
    space, program = design(layer, tvm_target(), LLVM)
    digest = layer_digest(layer["main"], target())
    return Task(name, digest, target(), 1, 0.0, space, program.dumps())


def flop_of(function: Any) -> float:
    """What the extraction counts for a layer of several inputs."""
    builder = relax.BlockBuilder()
    infos = [relax.TensorType(p.ty.shape, p.ty.dtype) for p in function.params]
    inputs = [relax.Var(f"x{number}", info) for number, info in enumerate(infos[:-1])]
    with builder.function("main", inputs):
        variable = builder.add_func(function.with_attr("global_symbol", "layer"), "layer")
        builder.emit_func_output(builder.emit(relax.call_tir(variable, inputs, infos[-1])))
    (task,) = extract(builder.get(), target(), LLVM)
    return task.flop


@cache
def task_of(kind: str) -> Task:
    """A layer by its name, designed once."""
    return task(globals()[kind](), kind)


def model(functions: list[Any], shape: tuple[Any, ...] = (8, 64)) -> Any:
    """A Relax model that calls layers of one input after each other, every one by its own name."""
    builder = relax.BlockBuilder()
    value = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [value]):
        with builder.dataflow():
            for number, function in enumerate(functions):
                function = function.with_attr("global_symbol", f"layer{number}")
                variable = builder.add_func(function, f"layer{number}")
                out = function.params[-1].ty
                info = relax.TensorType(out.shape, out.dtype)
                value = builder.emit(relax.call_tir(variable, (value,), info))
            value = builder.emit_output(value)
        builder.emit_func_output(value)
    return builder.get()


def square(data: str, rows: int = 8) -> Any:
    """A layer of one input: its product with fixed weights."""
    x = _input(data, rows, 64)
    weights = te.compute((64, 64), lambda i, j: te.if_then_else(i == j, 2.0, 1.0), "w")
    return te.create_prim_func([x, topi.nn.matmul(x, weights)])


def relu() -> Any:
    x = _input("x", 8, 64)
    return te.create_prim_func([x, topi.nn.relu(x)])


def open_relu() -> tuple[Any, tuple[Any, ...]]:
    """A layer whose first dimension is open, and its shape."""
    rows = tvm.tirx.Var("rows", "int64")
    x = te.placeholder((rows, 64), "float32", "x")
    return te.create_prim_func([x, topi.nn.relu(x)]), (rows, 64)


def network() -> Any:
    """An imported model: convolution, ReLU, the same again, pooling, dense; weights inside."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return relax.const(rng.uniform(-0.5, 0.5, shape).astype("float32"))

    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 8, 12, 12), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for _ in range(2):
                value = builder.emit(relax.op.nn.conv2d(value, weights(8, 8, 3, 3), padding=1))
                value = builder.emit(relax.op.nn.relu(value))
            value = builder.emit(relax.op.nn.max_pool2d(value, (2, 2), (2, 2)))
            value = builder.emit(relax.op.reshape(value, (1, 8 * 6 * 6)))
            value = builder.emit(relax.op.matmul(value, weights(8 * 6 * 6, 10)))
            value = builder.emit_output(value)
        builder.emit_func_output(value)
    return builder.get()
