"""Models in 16-bit floats and TF32 on GPUs: right values, one kernel per layer, the right forms.

The lowered loops are run on a CPU, where they compute the same.
"""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from chameleon_ray.compiler.frontend.model import Model
from chameleon_ray.compiler.kinds import CUDA, LLVM, resolve
from chameleon_ray.compiler.passes.lower import lower, lower_plainly, precisions_of
from chameleon_ray.compiler.relax import bindings_of
from chameleon_ray.compiler.runtime.layer_precision import function_precision
from chameleon_ray.compiler.spaces.extract import layer_digest
from chameleon_ray.compiler.target import TargetError
from chameleon_ray.measure.precision import PRECISION
from tests.tvm import layers
from tests.tvm.short_floats import kept, run
from tests.tvm.torch_modules import Calling, imported

op = relax.op
GPU = tvm.target.Target(json.loads(resolve("cuda:sm_90", 1)))
ALLOWED = {"float16": 2e-3, "bfloat16": 1.5e-2, "tf32": 1e-5}
"""Largest error over the largest magnitude; what TF32 rounds, it rounds on a GPU only."""
TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class Residual(nn.Module):
    """A block of ResNet with a stride, a stem before it, and a dense layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.one, self.two = nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, padding=1)
        self.down, self.dense = nn.Conv2d(8, 16, 1, 2), nn.Linear(16, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.two(torch.relu(self.one(x))) + self.down(x))
        return self.dense(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    """Attention with a norm before it, and a dense layer with GELU after it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.all, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.all(self.norm(x)).view(-1, 3, 2, 8).permute(1, 2, 0, 3)
        weights = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1)
        return nn.functional.gelu(self.out((weights @ v).transpose(0, 1).reshape(-1, 16) + x))


class Groups(nn.Module):
    """Depthwise and grouped convolutions with activations that have bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 16, 1)
        self.deep, self.group = (nn.Conv2d(16, 16, 3, padding=1, groups=n) for n in (16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.silu(self.deep(nn.functional.hardtanh(self.first(x), 0, 6)))
        return torch.cat([self.group(x) * torch.sigmoid(x), x], 1)


SHAPES: dict[type[nn.Module], tuple[int, ...]] = {
    Residual: (1, 3, 10, 10),
    Attention: (12, 16),
    Groups: (1, 4, 6, 6),
}


@cache
def of(kind: type[nn.Module], dtype: torch.dtype = torch.float32) -> Model:
    torch.manual_seed(0)
    return imported(kind().to(dtype), torch.ones(SHAPES[kind], dtype=dtype))


def errors(model: Model, lowered: Any) -> float:
    """The largest error over the largest magnitude, of all examples."""
    found = []
    for example in model.examples:
        output, (wanted,) = run(lowered, *example.inputs), example.outputs or ()
        output = output if isinstance(output, np.ndarray) else output[0]
        assert (output.dtype, output.shape) == (wanted.dtype, wanted.shape)
        exact = wanted.astype("f8")
        found.append(np.abs(output.astype("f8") - exact).max() / np.abs(exact).max())
    return float(max(found))


def called(lowered: Any) -> list[Any]:
    """The loops that the model calls, in order."""
    return [lowered[binding.value.args[0]] for binding in bindings_of(lowered)]


def types(function: Any) -> list[tuple[list[int], str]]:
    return [([int(size) for size in p.ty.shape], str(p.ty.dtype)) for p in function.params]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("precision", ALLOWED)
def test_a_model_of_float32_computes_the_same_in_less(kind: Any, precision: str) -> None:
    model = of(kind)
    lowered = lower(model.module, GPU, CUDA, precision=precision)
    error = errors(model, lowered)
    assert error < ALLOWED[precision]
    assert precision == "tf32" or error > 1e-6  # it did round
    assert errors(model, lower_plainly(model.module, GPU, CUDA, precision)) < ALLOWED[precision]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_model_of_16_bits_keeps_its_types(kind: Any, dtype: str) -> None:
    model = of(kind, TYPES[dtype])
    assert errors(model, lower(model.module, GPU, CUDA)) < 2 * ALLOWED[dtype]


@pytest.mark.parametrize("layout", ["auto", "NCHW"])
def test_every_layer_is_one_kernel(layout: str) -> None:
    lowered = lower(of(Residual).module, GPU, CUDA, layout, precision="float16")
    products = [f for f in called(lowered) if "conv2d" in f.script() or "matmul" in f.script()]
    assert len(products) == 5
    # conversion of the input, its stem's layout, the mean, and a reshape
    assert len(called(lowered)) <= 8
    inner = products[:-1]
    assert {str(f.params[-1].ty.dtype) for f in inner} == {"float16"}
    assert {str(f.params[0].ty.dtype) for f in products} == {"float16"}
    assert str(products[-1].params[-1].ty.dtype) == "float32"


def test_convolutions_have_the_channels_innermost_and_weights_are_constants() -> None:
    lowered = lower(of(Residual).module, GPU, CUDA, precision="float16")
    (second,) = [f for f in called(lowered) if f.script().count("T_add") and len(f.params) == 5]
    assert types(second) == [
        ([1, 5, 5, 16], "float16"),
        ([16, 3, 3, 16], "float16"),
        ([1, 1, 1, 16], "float32"),
        ([1, 5, 5, 16], "float16"),
        ([1, 5, 5, 16], "float16"),
    ]
    moved = [f for f in called(lowered) if "T_transpose" in f.script() and "conv" not in f.script()]
    assert len(moved) <= 2  # at the model's edges


def test_constant_matrices_are_stored_by_columns() -> None:
    lowered = lower(of(Attention).module, GPU, CUDA, precision="float16")
    shapes = [types(f)[1][0] for f in called(lowered) if "matmul" in f.script()]
    assert [48, 16] in shapes
    assert [32, 16] in shapes


@pytest.mark.parametrize("precision", ["float16", "tf32"])
def test_what_follows_a_product_in_another_shape_joins_its_kernel(precision: str) -> None:
    """The importer reshapes each product's result before it divides, adds or applies GELU."""
    lowered = lower(of(Attention).module, GPU, CUDA, precision=precision)
    products = [f.script() for f in called(lowered) if "matmul" in f.script()]
    assert ["T_divide" in text for text in products] == [False, True, False, False]
    assert ["erf" in text for text in products] == [False, False, False, True]
    others = [f.script() for f in called(lowered) if "matmul" not in f.script()]
    assert not any("erf" in text or "broadcast" in text for text in others)


def test_only_products_of_tf32_say_so() -> None:
    lowered = lower(of(Residual).module, GPU, CUDA, precision="tf32")
    marked = [f for f in called(lowered) if PRECISION in (f.attrs or {})]
    assert len(marked) == 5
    assert {function_precision(f).dtype for f in marked} == {"tf32"}
    assert {function_precision(f).dtype for f in called(lowered) if f not in marked} == {"float32"}
    plain = lower(of(Residual).module, GPU, CUDA, "NHWC")
    assert not any(PRECISION in (f.attrs or {}) for f in called(plain))


def test_long_sums_of_halves_are_exact() -> None:
    """4608 products, as the last 3x3 convolutions of ResNet-18 have."""
    rng = np.random.default_rng(0)
    x, w = (rng.uniform(-1, 1, shape).astype("float16") for shape in ((16, 4608), (4608, 32)))
    model = layers.graph(x.shape, lambda x: op.matmul(x, kept(w)), "float16")
    exact = x.astype("f8") @ w.astype("f8")
    for lowered in (lower(model, GPU, CUDA), lower_plainly(model, GPU, CUDA)):
        output = run(lowered, x)
        assert output.dtype == "float16"
        assert np.abs(output - exact).max() < 1e-3 * np.abs(exact).max()


def test_powers_that_float16_has_not_are_kept_in_float32() -> None:
    """The powers are 160000 and more, where the largest float16 is 65504."""

    def normed(x: torch.Tensor) -> torch.Tensor:
        x = 3 * (x @ torch.eye(16))
        powers = torch.exp(x)
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True)) + powers / powers.sum(-1, True)

    model = imported(Calling(normed), 4 + torch.arange(64.0).reshape(4, 16) / 100)
    assert errors(model, lower(model.module, GPU, CUDA, precision="float16")) < 5e-3


def test_what_has_nothing_to_do_with_products_is_left_alone() -> None:
    model = imported(Calling(lambda x: torch.exp(x) * 3), torch.ones(4, 8))
    assert errors(model, lower(model.module, GPU, CUDA, precision="float16")) < 1e-6


def test_float32_keeps_its_layers() -> None:
    """Records of earlier runs are found by these names."""
    lowered = lower(layers.network(), GPU, CUDA)
    target = resolve("cuda:sm_90", 1)
    assert [layer_digest(f, target) for f in called(lowered)] == [
        "12b2a1d2ed7eb795",
        "12b2a1d2ed7eb795",
        "6f7c67f694730b02",
        "c23071885d26bab8",
        "b8409bb2f0c6cced",
    ]
    assert types(called(lowered)[0])[1] == ([8, 8, 3, 3], "float32")


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_cpu_keeps_weights_in_16_bits(precision: str) -> None:
    model = of(Residual)
    lowered = lower(model.module, layers.tvm_target(), LLVM, precision=precision)
    kinds = [dtype for f in called(lowered) for shape, dtype in types(f) if len(shape) > 4]
    assert set(kinds) == {precision}
    assert 1e-6 < errors(model, lowered) < ALLOWED[precision]


def test_a_cpu_keeps_weights_that_float16_has_not() -> None:
    huge = np.full((8, 16), 1e6, "float32")
    model = layers.graph((4, 8), lambda x: op.matmul(x, kept(huge)))
    output = run(lower(model, layers.tvm_target(), LLVM, precision="float16"), huge[:4, :8] / 1e6)
    np.testing.assert_allclose(output, np.full((4, 16), 8e6), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "target", "precision"),
    [(CUDA, GPU, "tf32"), (LLVM, layers.tvm_target(), "bfloat16")],
    ids=["cuda", "llvm"],
)
def test_what_needs_nhwc_stays_in_float32_without_it_and_is_said(
    kind: Any, target: Any, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    module = of(Residual).module
    plain = called(lower(module, target, kind, "NCHW"))
    assert not caplog.messages
    asked = called(lower(module, target, kind, "NCHW", precision=precision))
    assert [layer_digest(f, "") for f in asked] == [layer_digest(f, "") for f in plain]
    assert caplog.messages == [
        f"The model stays in float32: {precision} needs the layout NHWC here."
    ]
    assert precisions_of(kind, "NCHW", precision) == ("float32", "float32")
    assert precisions_of(kind, "NHWC", precision) == (precision, "float32")


def test_gpus_have_16_bits_in_any_layout_tuned_or_not() -> None:
    assert precisions_of(CUDA, "NCHW", "float16") == ("float16", "float16")


@pytest.mark.parametrize(
    ("target", "precision", "words"),
    [
        ("cuda:sm_75", "bfloat16", "sm_75 has no bfloat16.*--precision float16"),
        ("cuda:sm_75", "tf32", "sm_75 has no tf32"),
        ("llvm", "tf32", "the target is a CPU"),
        ('{"kind": "llvm", "mcpu": "nehalem"}', "float16", "'nehalem'.*--precision bfloat16"),
    ],
)
def test_a_device_without_the_precision_is_named(target: str, precision: str, words: str) -> None:
    kind = CUDA if "cuda" in target else LLVM
    with pytest.raises(TargetError, match=words):
        kind.demand_precision(resolve(target, 1), precision)
    kind.demand_precision(resolve("cuda:sm_75" if kind is CUDA else "llvm", 1), "float16")
