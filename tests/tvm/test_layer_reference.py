"""The reference of layers of 16-bit floats and TF32: exact sums, where it is worth the time."""

from typing import Any

import numpy as np
import pytest
import tvm
from tvm import te

from chameleon_ray.compiler.runtime.layer_inputs import random_array
from chameleon_ray.compiler.runtime.layer_reference import LayerReference
from chameleon_ray.compiler.spaces.sketch import Program
from chameleon_ray.measure.precision import PRECISION, TF32
from tests.tvm import layers

MOST = 1e9


def dense(dtype: str, depth: int = 4608) -> Any:
    """A product with sums of float32, rounded at the end."""
    x, w = te.placeholder((4, depth), dtype, "x"), te.placeholder((8, depth), dtype, "w")
    k = te.reduce_axis((0, depth), "k")
    wide = ("float32",)
    total = te.compute(
        (4, 8), lambda i, j: te.sum(x[i, k].astype(*wide) * w[j, k].astype(*wide), axis=k), "dense"
    )
    return layers.module(x, w, te.compute((4, 8), lambda i, j: total[i, j].astype(dtype), "end"))


def program(module: Any) -> bytes:
    return Program(tvm.ir.save_json(module), layers.target(), (), 0).dumps()


def arrays(body: bytes) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [random_array(rng, *one) for one in Program.loads(body).arguments]


@pytest.mark.parametrize(("dtype", "allowed"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_long_sums_are_exact(dtype: str, allowed: float) -> None:
    body = program(dense(dtype))
    x, w, before = arrays(body)
    first, second, output = LayerReference().outputs(body, [x, w, before], MOST)
    assert (first == x).all()
    assert (second == w).all()
    exact = x.astype("f8") @ w.astype("f8").T
    assert output.dtype == before.dtype
    assert np.abs(output.astype("f8") - exact).max() < allowed * np.abs(exact).max()


def test_tf32_has_one_and_float32_needs_none() -> None:
    plain = dense("float32", 64)
    marked = tvm.IRModule({"main": plain["main"].with_attr(PRECISION, TF32)})
    reference = LayerReference()
    assert reference.outputs(program(plain), arrays(program(plain)), MOST) == []
    assert len(reference.outputs(program(marked), arrays(program(marked)), MOST)) == 3


def test_large_layers_have_none() -> None:
    body = program(dense("float16"))
    assert LayerReference().outputs(body, arrays(body), most_flop=1e5) == []


def test_layers_that_llvm_cannot_compile_have_none() -> None:
    x = te.placeholder((8,), "float16", "x")
    mine = te.compute((8,), lambda i: tvm.tirx.call_intrin("float16", "tirx.ptx_mma", x[i]), "mine")
    body = program(layers.module(x, mine))
    assert LayerReference().outputs(body, arrays(body), MOST) == []


def test_a_layer_s_outputs_are_computed_once_and_another_s_anew() -> None:
    one, other = program(dense("float16", 64)), program(dense("float16", 32))
    reference = LayerReference()
    first = reference.outputs(one, arrays(one), MOST)
    assert reference.outputs(one, [], MOST) is first
    assert reference.outputs(other, arrays(other), MOST)[0].shape == (4, 32)
    assert reference.outputs(one, arrays(one), MOST) is not first
