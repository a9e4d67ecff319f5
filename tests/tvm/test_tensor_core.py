"""The template for tensor cores: which layers it fits, and as what."""

from collections.abc import Callable
from typing import Any

import pytest
from tvm import te, topi

from chameleon_ray.compiler.kinds import CUDA
from chameleon_ray.compiler.spaces.design import design
from chameleon_ray.compiler.spaces.templates.cuda_tensor_core import cuda_tensor_core
from chameleon_ray.compiler.spaces.templates.matrix_product import (
    BATCH,
    COLUMNS,
    DEPTH,
    ROWS,
    find_product,
)
from chameleon_ray.compiler.spaces.templates.reduction import find_reduction
from tests.cuda.kernels import tvm_target
from tests.tvm import layers, products

GROUPS = BATCH, ROWS, COLUMNS, DEPTH


def depthwise() -> Any:
    """Every channel of the output is of one channel of the input, so there is no product."""
    x = te.placeholder((1, 8, 8, 32), "float16", "x")
    w = te.placeholder((3, 3, 32, 1), "float16", "w")
    made = topi.nn.depthwise_conv2d_nhwc(x, w, 1, 1, 1, out_dtype="float32")
    return layers.module(x, w, made)


@pytest.mark.parametrize(
    ("layer", "extents", "transposed", "runs"),
    [
        (products.dense, (1, 49, 72, 64), True, (64, 64)),
        (lambda: products.dense(kn=True), (1, 49, 72, 64), False, (64, 72)),
        (products.batched, (3, 32, 48, 64), True, (64, 64)),
        (products.conv, (1, 2 * 7 * 7, 32, 9 * 32), True, (32, 32)),
        (lambda: products.conv(stride=2), (1, 2 * 4 * 4, 32, 9 * 32), True, (32, 32)),
        (lambda: products.conv(inputs=64, size=1), (1, 98, 32, 64), True, (64, 64)),
        (lambda: products.conv(inputs=3, size=7), (1, 98, 32, 147), True, (3, 3)),
    ],
)
def test_a_layer_is_a_product_of_matrices(
    layer: Callable[[], Any], extents: tuple[int, ...], transposed: bool, runs: tuple[int, int]
) -> None:
    module = layer()
    reduction = find_reduction(module)
    assert reduction is not None
    product = find_product(module, reduction)
    assert product is not None
    assert tuple(product.extent(group) for group in GROUPS) == extents
    assert (product.transposed, product.runs) == (transposed, runs)


@pytest.mark.parametrize(
    ("layer", "arch"),
    [
        (products.dense, "sm_75"),
        (lambda: products.dense(rows=1), "sm_80"),
        (lambda: products.dense(columns=4), "sm_80"),
        (lambda: products.dense("float32", kn=True), "sm_80"),
        (lambda: products.dense(depth=16), "sm_80"),
        (lambda: layers.dense_of("float16", "float16"), "sm_80"),
        (lambda: layers.dense_of("int8", "int32"), "sm_80"),
        (layers.dense, "sm_80"),
        (layers.softmax, "sm_80"),
        (depthwise, "sm_80"),
    ],
    ids=[
        *("no such instructions", "one row", "few columns", "TF32 by rows of sums"),
        *("one step", "sums of float16", "integers", "no TF32", "no product", "depthwise"),
    ],
)
def test_it_fits_nothing_else(layer: Callable[[], Any], arch: str) -> None:
    assert cuda_tensor_core(layer(), tvm_target(arch)) is None


@pytest.mark.parametrize(
    ("layer", "sketches"),
    [
        (products.dense, 1),
        (lambda: products.dense(depth=256), 2),
        (lambda: products.dense(rows=196), 2),
        (lambda: products.conv(), 4),
    ],
    ids=["plain", "long sums are split", "rows are padded more", "both"],
)
def test_sketches_differ_in_padding_and_in_parts(layer: Callable[[], Any], sketches: int) -> None:
    _, program = design(layer(), tvm_target("sm_90"), CUDA)
    assert len(program.sketches) == sketches
