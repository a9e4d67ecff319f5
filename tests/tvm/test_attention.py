"""Attention becomes one layer, which computes what torch and numpy do, however it is scheduled."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch.nn.functional import scaled_dot_product_attention
from tvm import relax

from chameleon_ray.compiler.apply import schedule_layers
from chameleon_ray.compiler.frontend.torch.arguments import of_examples
from chameleon_ray.compiler.frontend.torch.torch_module import load_module
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.attention_loops import Operand
from chameleon_ray.compiler.passes.lower import lower
from chameleon_ray.compiler.passes.moves import Moves, without_idle_moves
from chameleon_ray.compiler.relax import bindings_of, operator
from chameleon_ray.compiler.spaces.extract import extract
from chameleon_ray.space import as_configs
from tests.tvm import layers

TARGET = layers.tvm_target()
Forward = Callable[..., torch.Tensor]


def packed(x: torch.Tensor) -> torch.Tensor:
    """Queries, keys and values of two heads in one tensor, as vision transformers have them."""
    q, k, v = x.reshape(1, x.shape[1], 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
    return scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, x.shape[1], 16)


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """As it is written by hand, and exported to ONNX; three axes."""
    return torch.softmax(q @ k.transpose(1, 2) / math.sqrt(8), -1) @ v


def masked(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    return scaled_dot_product_attention(q, k, v, attn_mask=m)


def causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return scaled_dot_product_attention(q, k, v, is_causal=True)


def grouped(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Two heads of queries to one of keys."""
    return scaled_dot_product_attention(q, k, v, enable_gqa=True)


def gathered(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Keys out of their order are no regular part of anything."""
    return scaled_dot_product_attention(q, k[:, :, torch.arange(16).flip(0) ** 2 % 16], v)


def scaled_after(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (torch.softmax(q @ k.transpose(2, 3), -1) * 2) @ v


def across(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The softmax is over the queries."""
    return torch.softmax(q @ k.transpose(2, 3), -2) @ v


def hidden_row() -> torch.Tensor:
    """A mask of which one row lets nothing pass."""
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 3, :] = -torch.inf
    mask[..., 5, 2:] = -torch.inf
    return mask


def heads(*rows: int, batch: int = 1, depth: int = 8) -> tuple[torch.Tensor, ...]:
    """Tensors of two heads, with so many rows each."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(batch, 2, n, depth, generator=generator) for n in rows)


CASES: dict[str, tuple[Forward, tuple[torch.Tensor, ...]]] = {
    "packed": (packed, (torch.randn(1, 15, 48, generator=torch.Generator().manual_seed(1)),)),
    "plain": (plain, tuple(t[0] for t in heads(16, 17, 17))),
    "masked": (masked, (*heads(16, 16, 16), hidden_row())),
    "causal": (causal, heads(32, 32, 32)),
    "grouped": (grouped, (heads(16)[0], *(t[:, :1] for t in heads(16, 16)))),
    "gathered": (gathered, heads(16, 16, 16)),
    "batch": (masked, (*heads(29, 18, 18, batch=2), torch.randn(2, 1, 1, 18))),
}
APART: dict[str, tuple[Forward, tuple[torch.Tensor, ...]]] = {
    "scaled after": (scaled_after, heads(16, 16, 16)),
    "across": (across, heads(16, 16, 16)),
    "too few rows": (causal, heads(1, 16, 16)),
}
"""What is left to its parts."""


class Of(torch.nn.Module):
    """A function as a module."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.function = forward

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.function(*args)


def lowered(forward: Forward, inputs: tuple[torch.Tensor, ...]) -> Any:
    arguments = of_examples("attention", inputs)
    model = load_module("attention", Of(forward).eval(), arguments, [arguments.arrays()])
    return lower(model.module, TARGET, LLVM)


def outputs(module: Any, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
    machine = relax.VirtualMachine(tvm.compile(module, layers.unoptimised()), tvm.cpu())
    found = machine["main"](*(tvm.runtime.tensor(one.numpy()) for one in inputs))
    return (found if hasattr(found, "numpy") else found[0]).numpy()


@pytest.mark.parametrize("name", CASES)
def test_attention_is_one_layer_that_computes_what_torch_does(name: str) -> None:
    forward, inputs = CASES[name]
    module = lowered(forward, inputs)
    tasks = {task.digest: task for task in extract(module, json.dumps(layers.target()), LLVM)}
    (digest,) = [task.digest for task in tasks.values() if task.name == "attention"]
    assert not any("softmax" in task.name or "matmul" in task.name for task in tasks.values())
    want = forward(*inputs).numpy()
    assert outputs(module, inputs) == pytest.approx(want, rel=1e-4, abs=1e-5)
    space = tasks[digest].space
    assert space.size > 1
    for config in as_configs(space.random(np.random.default_rng(0), 2)):
        scheduled, applied = schedule_layers(module, tasks, {digest: config}, LLVM)
        assert applied == {digest}
        assert outputs(scheduled, inputs) == pytest.approx(want, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", APART)
def test_what_is_no_attention_stays_apart_and_right(name: str) -> None:
    forward, inputs = APART[name]
    module = lowered(forward, inputs)
    names = [variable.name_hint for variable in module.get_global_vars()]
    assert not any(one.startswith("attention") for one in names)
    assert outputs(module, inputs) == pytest.approx(forward(*inputs).numpy(), rel=1e-4, abs=1e-5)


def test_places_that_grow_regularly_are_found_and_others_are_not() -> None:
    x = relax.Var("x", relax.TensorType([24], "float32"))
    places = np.arange(24).reshape(2, 3, 4)
    found = Operand.of(x, places.transpose(2, 0, 1)[1:], 2.0)
    assert found is not None
    assert (found.shape, found.first, found.steps, found.factor) == ((3, 2, 3), 1, (1, 12, 4), 2.0)
    assert found.transposed().steps == (1, 4, 12)
    assert Operand.of(x, places[:, [0, 2, 1]], 1.0) is None


def moved(make: Callable[[Any], Any]) -> Any:
    """A module that moves ``x`` of 2 x 3 x 4."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType([2, 3, 4], "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(builder.emit(make(x)))
        builder.emit_func_output(out)
    return relax.transform.CanonicalizeBindings()(relax.transform.Normalize()(builder.get()))


def chain(x: Any) -> Any:
    halves = relax.op.multiply(relax.op.permute_dims(x, [1, 0, 2]), relax.const(0.5, "float32"))
    cut = relax.op.strided_slice(halves, [0], [1], [3], [1])
    return relax.op.squeeze(relax.op.expand_dims(cut, 0), [0])


def test_chains_of_moves_come_to_places_and_a_factor() -> None:
    module = moved(chain)
    found = Moves(module).of(bindings_of(module)[-1].var)
    assert found.source.same_as(module["main"].params[0])
    assert np.array_equal(found.places, np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)[1:3])
    assert found.factor == 0.5


def test_moves_that_undo_each_other_become_a_reshape() -> None:
    def there_and_back(x: Any) -> Any:
        return relax.op.reshape(
            relax.op.permute_dims(relax.op.permute_dims(x, [2, 0, 1]), [1, 2, 0]), [6, 4]
        )

    values = [binding.value for binding in bindings_of(without_idle_moves(moved(there_and_back)))]
    assert [operator(value) for value in values if operator(value)] == ["relax.reshape"]
    kept = moved(lambda x: relax.op.permute_dims(x, [2, 0, 1]))
    assert "relax.permute_dims" in map(
        operator, [b.value for b in bindings_of(without_idle_moves(kept))]
    )
