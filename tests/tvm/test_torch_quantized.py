"""Programs of torch's PT2E quantisation: computed in integers, with torch's own results."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chameleon_ray.compiler.frontend.load import load
from tests.tvm.quantized_graphs import computed, products, rewritten

OPS = torch.ops.quantized_decomposed
STEP = 0.05


def both(x: Tensor, scale: float, zero: int, low: int = 0, high: int = 255) -> Tensor:
    """Quantises a tensor and dequantises it."""
    rest = (scale, zero, low, high, torch.uint8 if low >= 0 else torch.int8)
    found: Tensor = OPS.dequantize_per_tensor(OPS.quantize_per_tensor(x, *rest), *rest)
    return found


class Block(nn.Module):
    """A convolution with a scale per channel, a residual sum and a dense layer."""

    def __init__(self, low: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.low = low
        weights = torch.randint(-127, 128, (8, 8, 3, 3), generator=generator)
        self.register_buffer("kernel", weights.to(torch.int8))
        self.register_buffer("scales", torch.linspace(0.001, 0.002, 8))
        self.register_buffer("zeros", torch.zeros(8, dtype=torch.int64))
        self.dense = nn.Parameter(torch.randn(5, 8, generator=generator) / 3)
        self.bias = nn.Parameter(torch.randn(8, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        x = both(x, 0.03, 120 if self.low >= 0 else 0, self.low, self.low + 255)
        rest = (self.scales, self.zeros, 0, -128, 127, torch.int8)
        kernel = OPS.dequantize_per_channel(self.kernel, *rest)
        y = torch.relu(nn.functional.conv2d(x, kernel, self.bias, padding=1) + x)
        y = both(nn.functional.max_pool2d(both(y, STEP, 0), 2).mean((2, 3)), 0.02, 0, 0, 127)
        return nn.functional.linear(y, both(self.dense, 0.01, 0, -127, 127))


def unsigned() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Block(0), (torch.randn(1, 8, 10, 10),)


def signed() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Block(-128), (torch.randn(1, 8, 10, 10),)


@pytest.mark.parametrize("factory", ["unsigned", "signed"])
def test_quantised_programs_are_computed_in_integers(factory: str) -> None:
    model = load(f"tests.tvm.test_torch_quantized:{factory}")
    inputs = {
        spec.name: array for spec, array in zip(model.inputs, model.examples[0].inputs, strict=True)
    }
    assert products(rewritten(model.module)) == {"int32": 2}
    for plainly in (False, True):
        (ours,) = computed(model.module, inputs, plainly)
        (theirs,) = model.examples[0].outputs
        assert ours.dtype == theirs.dtype
        assert np.abs(ours - theirs).max() <= 0.02, "several sums may be a step of 0.02 / 16 off"
