"""The precision that models and layers compute in, read off imported modules and loop nests."""

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.ir import IRModule

from chameleon_ray.compiler.frontend.precision import precision_of
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.runtime.layer_precision import function_precision
from chameleon_ray.measure.precision import Precision
from tests.tvm.test_models import TARGET

op = relax.op


def module(dtype: str, *steps) -> IRModule:  # type: ignore[no-untyped-def]
    """A function of one input, and of constants that the steps have."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((4, 8), dtype))
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for step in steps:
                value = builder.emit(step(value))
            output = builder.emit_output(value)
        builder.emit_func_output(output)
    return builder.get()


def quantize(value: relax.Expr) -> relax.Expr:
    return op.quantize(value, relax.const(0.5), relax.const(3, "uint8"), -1, "uint8")


def dequantize(value: relax.Expr) -> relax.Expr:
    return op.dequantize(value, relax.const(0.5), relax.const(3, "uint8"), -1, "float32")


def half(value: relax.Expr) -> relax.Expr:
    return op.astype(value, "float16")


def single(value: relax.Expr) -> relax.Expr:
    return op.astype(value, "float32")


def weights(dtype: str) -> relax.Expr:
    return relax.const(np.ones((8, 8), dtype))


@pytest.mark.parametrize(
    ("dtype", "steps", "expected"),
    [
        ("float32", [op.nn.relu], Precision("float32")),
        ("float64", [op.nn.relu], Precision("float64")),
        ("float64", [single], Precision("float32")),
        ("float32", [half, op.nn.relu, single], Precision("float16")),
        (
            "float32",
            [lambda x: op.matmul(x, single(weights("float16")))],
            Precision("float16"),
        ),
        ("float32", [quantize, dequantize], Precision("float32", 1, (0.5,))),
        ("float32", [quantize, dequantize, op.nn.relu], Precision("float32", 1, (0.5,))),
        ("float32", [quantize, dequantize, op.exp], Precision("float32", 1, (0.0,))),
        ("float32", [quantize], Precision("float32", 1, (0.0,))),
        (
            "float32",
            [quantize, dequantize, quantize, dequantize],
            Precision("float32", 2, (0.5,)),
        ),
        ("float32", [lambda x: op.astype(x, "uint8")], Precision("float32", 1, (0.0,))),
        ("uint8", [single, op.nn.relu], Precision("float32")),
        ("uint8", [dequantize], Precision("float32")),
        ("int64", [op.abs], Precision("float32")),
    ],
)
def test_models(dtype: str, steps: list, expected: Precision) -> None:
    assert precision_of(module(dtype, *steps)) == expected


def test_names_are_for_people() -> None:
    assert Precision("bfloat16").name == "bfloat16"
    assert Precision("float32", 3).name == "quantized"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([op.exp], Precision("float32")),
        ([half, op.exp, single], Precision("float16")),
        ([quantize], Precision("float32", 1)),
    ],
)
def test_layers(steps: list, expected: Precision) -> None:
    lowered = lower(module("float32", *steps), TARGET, LLVM, "NHWC")
    (layer,) = (f for f in lowered.functions.values() if isinstance(f, tvm.tirx.PrimFunc))
    assert function_precision(layer) == expected
