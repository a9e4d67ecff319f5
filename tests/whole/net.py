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
