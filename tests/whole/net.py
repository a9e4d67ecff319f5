"""The smallest networks worth tuning."""

import time

import torch
from torch import nn


def make() -> tuple[nn.Module, torch.Tensor]:
    """One convolution, one dense layer."""
    net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
    return net, torch.ones(1, 4, 8, 8)


def dense() -> tuple[nn.Module, torch.Tensor]:
    """One dense layer."""
    return nn.Linear(64, 192), torch.ones(48, 64)


def slow() -> tuple[nn.Module, torch.Tensor]:
    """The same, after time enough to be interrupted in."""
    time.sleep(100)
    return dense()


def ones() -> tuple[nn.Module, torch.Tensor]:
    """The layer of ``dense`` with other weights."""
    net, inputs = dense()
    nn.init.ones_(net.weight)
    return net, inputs


def large() -> tuple[nn.Module, torch.Tensor]:
    """Dense layers with values between them that float16 has not."""
    net = nn.Sequential(nn.Linear(16, 16, bias=False), nn.ReLU(), nn.Linear(16, 16, bias=False))
    nn.init.constant_(net[0].weight, 1e5)
    nn.init.constant_(net[2].weight, 1e-4)
    return net, torch.ones(16, 16)


class TwoFaced(nn.Module):
    """A dense layer that is another one where it is exported, as if an importer were wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 192)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + (1 if torch.compiler.is_exporting() else 0)


def two_faced() -> tuple[nn.Module, torch.Tensor]:
    return TwoFaced(), torch.ones(48, 64)


class Dice(nn.Module):
    """Noise, which is never the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn(x.shape)


def dice() -> tuple[nn.Module, torch.Tensor]:
    return Dice(), torch.ones(48, 64)
