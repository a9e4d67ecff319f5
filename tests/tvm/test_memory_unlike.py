"""Memory-aware lowering leaves alone what only looks like something to rewrite."""

from functools import partial

import pytest
import torch
from torch import nn
from tvm import relax

from chameleon_ray.compiler.frontend.load import load
from chameleon_ray.compiler.kinds import LLVM
from chameleon_ray.compiler.passes.memory.lower_aware import compare
from tests.tvm.layers import tvm_target
from tests.tvm.test_memory import OPTIONS, assert_same_outputs


class Unlike(nn.Module):
    """Concatenations and sums that rewriting must leave alone, beside one that it pays to split."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.same = nn.Conv2d(3, 32, 1), nn.Conv2d(3, 4, 1, bias=False)
        self.again = nn.Conv2d(4, 4, 1, bias=False)
        self.parts = nn.ModuleList(nn.Conv2d(3, 32, 1) for _ in range(4))
        self.few, self.many = nn.Conv2d(128, 4, 1), nn.Conv2d(130, 4, 1)
        self.depthwise = nn.Conv2d(130, 130, 3, padding=1, groups=130)
        self.constant: torch.Tensor
        self.register_buffer("constant", torch.randn(1, 2, 16, 16))


def chunks(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    parts = [torch.relu(part(x)) for part in self.parts[:3]]
    first, second = torch.relu(self.stem(x)).chunk(2, 1)
    return self.few(torch.cat([*parts, second, first], 1))


def added_chunk(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    parts = [torch.relu(part(x)) for part in self.parts]
    first, second = torch.sigmoid(self.few(torch.cat(parts, 1)).repeat(1, 2, 1, 1)).chunk(2, 1)
    return second * (self.few(torch.cat(parts[::-1], 1)) + first)


def constant_between(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    first, *others = [torch.relu(part(x)) for part in self.parts]
    return self.many(torch.cat([first, self.constant, *others], 1))


def constant_depthwise(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    parts = [torch.relu(part(x)) for part in self.parts]
    return self.many(torch.relu(self.depthwise(torch.cat([*parts, self.constant], 1))))


def constant_output(self: Unlike, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    parts = [torch.relu(part(x)) for part in self.parts]
    return self.few(torch.cat(parts, 1)), torch.cat([parts[0], self.constant, parts[1]], 1)


def self_dependent_sum(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    same = self.same(x)
    same = torch.relu(same + self.again(torch.relu(same)))
    parts = [torch.relu(part(x)) for part in self.parts]
    return self.few(torch.cat(parts, 1)) + same


def nothing(self: Unlike, x: torch.Tensor) -> torch.Tensor:
    return x


UNLIKE = (
    chunks,
    added_chunk,
    constant_between,
    constant_depthwise,
    constant_output,
    self_dependent_sum,
    nothing,
)


def unlike(number: int) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    made = type("Made", (Unlike,), {"forward": UNLIKE[number]})
    return made().eval(), torch.randn(1, 3, 16, 16)


for _number, _forward in enumerate(UNLIKE):
    globals()[f"unlike_{_forward.__name__}"] = partial(unlike, _number)


@pytest.mark.parametrize("forward", [forward.__name__ for forward in UNLIKE])
def test_what_looks_like_something_to_rewrite_computes_the_same(forward: str) -> None:
    model = load(f"{__name__}:unlike_{forward}")
    _, modules = compare(model.name, model.module, tvm_target(), LLVM, "NHWC", OPTIONS)
    for module in modules.values():
        relax.analysis.well_formed(module)  # raises
        assert_same_outputs(model, module)
