"""Transposes: they move behind what is computed element by element, and vanish where they meet."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import tvm
from tvm import relax
from tvm.relax import Expr

from chameleon_ray.compiler.frontend.torch.arguments import of_examples
from chameleon_ray.compiler.frontend.torch.torch_module import load_module
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.late_transposes import with_late_transposes
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.relax import bindings_of, constant, operator

op = relax.op
TARGET = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
RNG = np.random.default_rng(0)
SHAPE = (2, 3, 4, 5)
TURNED, BACK = [0, 2, 3, 1], [0, 3, 1, 2]


def numbers(*shape: int) -> Expr:
    return constant(RNG.standard_normal(shape), "float32")


def turned(x: Expr) -> Expr:
    return op.permute_dims(x, TURNED)


def back(x: Expr) -> Expr:
    return op.permute_dims(x, BACK)


MEETING: dict[str, tuple[int, Callable[[Expr], Expr]]] = {
    "pair": (0, lambda x: back(turned(x))),
    "reversed": (0, lambda x: op.permute_dims(op.permute_dims(x))),
    "negative axes": (0, lambda x: back(op.permute_dims(x, [0, -2, -1, 1]))),
    "two turns": (1, lambda x: turned(turned(x))),
    "three turns": (0, lambda x: turned(turned(turned(x)))),
    "chain": (0, lambda x: back(op.nn.relu(op.exp(turned(x))))),
    "channels": (0, lambda x: back(turned(x) * numbers(3))),
    "rows": (0, lambda x: back(turned(x) + numbers(4, 1, 1))),
    "number": (0, lambda x: back(constant(np.array(2.0), "float32") - turned(x))),
    "whole": (0, lambda x: back(numbers(2, 4, 5, 3) / turned(x))),
    "clip": (0, lambda x: back(op.clip(turned(x), -0.5, 0.5))),
    "sum": (1, lambda x: turned(op.exp(x)) + turned(op.tanh(x))),
    "residual": (0, lambda x: back(turned(op.exp(x)) + turned(x) * numbers(3))),
    "broadcast": (0, lambda x: back(turned(op.mean(x, [2, 3], keepdims=True)) * turned(x))),
    "choice": (
        0,
        lambda x: back(
            op.where(
                turned(op.greater(x, constant(np.array(0.0), "float32"))), turned(x), turned(x)
            )
        ),
    ),
    "unlike": (2, lambda x: turned(x) + op.permute_dims(op.reshape(x, (2, 5, 3, 4)), [0, 3, 1, 2])),
    "one only": (1, lambda x: op.permute_dims(x, [0, 1, 2, 3]) + back(op.reshape(x, (2, 4, 5, 3)))),
    "fewer axes": (1, lambda x: numbers(6, 2, 4, 5, 3) + turned(x)),
    "slope": (2, lambda x: back(op.nn.prelu(turned(x), numbers(3), 3))),
}
"""Transposes that are left, and the computation."""


def module(make: Callable[[Expr], Expr], shape: tuple[int, ...] = SHAPE) -> tvm.IRModule:
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(builder.emit(make(x)))
        builder.emit_func_output(output)
    return relax.transform.CanonicalizeBindings()(relax.transform.Normalize()(builder.get()))


def run(mod: tvm.IRModule, x: np.ndarray) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(mod, TARGET), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x)).numpy()


@pytest.mark.parametrize("name", MEETING)
def test_transposes_that_meet_vanish_and_all_is_computed_as_before(name: str) -> None:
    left, make = MEETING[name]
    before = module(make)
    after = with_late_transposes(before)
    calls = [operator(binding.value) for binding in bindings_of(after)]
    assert calls.count("relax.permute_dims") == left
    x = RNG.standard_normal(SHAPE).astype("float32")
    np.testing.assert_array_equal(run(after, x), run(before, x))


def test_blocks_with_products_over_channels_have_no_transposes_between_them() -> None:
    """Blocks as ConvNeXt has them, between convolutions and transposed around their products."""

    def conv(x: Expr, groups: int) -> Expr:
        return op.nn.conv2d(x, numbers(8, 8 // groups, 3, 3), padding=1, groups=groups)

    def block(x: Expr) -> Expr:
        rows = turned(conv(x, 8))
        normal = op.nn.layer_norm(rows, numbers(8), numbers(8), [-1])
        hidden = op.nn.gelu(op.matmul(normal, numbers(8, 16)) + numbers(16))
        scaled = numbers(8) * (op.matmul(hidden, numbers(16, 8)) + numbers(8))
        return back(scaled) + x

    mod = module(lambda x: conv(block(block(conv(x, 1))), 1), (1, 8, 6, 6))
    lowered = lower(mod, TARGET, LLVM, "NHWC")
    names = [var.name_hint for var in lowered.get_global_vars()]
    assert sum("transpose" in name for name in names) == 2  # of the input and of the output
    residuals = [name for name in names if "matmul" in name and "gelu" not in name]
    assert all(name.count("add") == 2 and "multiply" in name for name in residuals)
    x = RNG.standard_normal((1, 8, 6, 6)).astype("float32")
    expected = run(lower(mod, TARGET, LLVM, "NCHW"), x)
    np.testing.assert_allclose(run(lowered, x), expected, rtol=1e-3, atol=1e-2)


class Counted(torch.nn.Module):
    """Convolutions beside a shape that is known at run time only, so bindings are of two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.second = torch.nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.first(x))
        row = x[0, 0].flatten()
        total = row[row > 0].sum()
        return torch.relu(self.second(features)), total


def test_what_an_earlier_block_bound_for_itself_is_not_read_in_another() -> None:
    model, x = Counted().eval(), torch.randn(1, 3, 6, 6)
    arguments = of_examples("counted", (x,))
    imported = load_module("counted", model, arguments, [arguments.arrays()])
    lowered = lower(imported.module, TARGET, LLVM, "NHWC")
    assert "conv2d_nhwc" in str(lowered)
    assert len(lowered["main"].body.blocks) > 1
    found = relax.VirtualMachine(tvm.compile(lowered, TARGET), tvm.cpu())["main"](
        tvm.runtime.tensor(x.numpy())
    )
    with torch.no_grad():
        for ours, theirs in zip(found, model(x), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_a_transpose_that_others_read_too_is_left_where_it_is() -> None:
    def readers(x: Expr) -> Expr:
        block = relax.BlockBuilder.current()
        turned_once = block.emit(turned(x))
        parts = [block.emit(f(turned_once)) for f in (op.sigmoid, op.tanh, op.nn.relu)]
        return op.concat([block.emit(op.nn.softmax(turned_once, -1)), *parts], 1)

    before = module(readers)
    assert with_late_transposes(before).same_as(before)
