"""Torch modules of well-known networks, with random, well-scaled weights.

The classifiers' parameters are declared as in torchvision and counted the same; only the weights
are not trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from chameleon_ray.compiler.frontend import irregular

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE = (1, 3, 224, 224)
"""Input shape of every classifier here: one ImageNet picture, NCHW, float32."""

CLASSES = 1000


def resnet_18() -> nn.Module:
    """ResNet-18 (He et al., 2016, table 1)."""
    return _resnet((2, 2, 2, 2))


def resnet_34() -> nn.Module:
    """ResNet-34 (He et al., 2016, table 1)."""
    return _resnet((3, 4, 6, 3))


def vgg_16() -> nn.Module:
    """VGG-16 without batch norm (Simonyan and Zisserman, 2015, configuration D)."""
    from torch import nn

    layers: list[nn.Module] = []
    width = 3
    for wider, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(width, wider, 3, padding=1), nn.ReLU()]
            width = wider
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), *_classifier(512 * 49, dropout_first=False)
    )


def alexnet() -> nn.Module:
    """AlexNet in one tower (Krizhevsky, 2014, figure 2), as in torchvision."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *_classifier(256 * 36, dropout_first=True),
    )


def mobilenet_v2() -> nn.Module:
    """MobileNet-V2, width 1.0 (Sandler et al., 2018, table 2)."""
    from torch import nn

    layers = _conv(3, 32, 3, stride=2, act=nn.ReLU6)
    width = 32
    for expansion, wider, depth, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for index in range(depth):
            layers.append(_inverted_residual(width, wider, expansion, 1 if index else stride))
            width = wider
    layers += _conv(width, 1280, 1, act=nn.ReLU6)
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, CLASSES)
    )


ZOO: dict[str, Callable[[], nn.Module]] = {
    "resnet-18": resnet_18,
    "resnet-34": resnet_34,
    "vgg-16": vgg_16,
    "alexnet": alexnet,
    "mobilenet-v2": mobilenet_v2,
}
"""Builders of the classifiers by name; each network takes an ``IMAGE``, or any other size."""

NAMES = (*ZOO, *irregular.NETWORKS, "randwire:SEED")
"""Names of all networks; SEED stands for a number."""


def inputs(name: str) -> Mapping[str, tuple[int, ...]] | None:
    """Returns a network's input shapes by name, in order; None where there is no such network."""
    found = irregular.find(name)
    return {"input": IMAGE} if name in ZOO else found.inputs if found else None


def build(name: str, seed: int) -> nn.Module:
    """Builds the named network in inference mode; the same seed gives the same weights.

    Raises:
        KeyError: There is no such network.
    """
    import torch

    # Made without storage at first: torch's own initialisation of VGG-16 takes seconds.
    with torch.device("meta"):
        found = irregular.find(name)
        module = found.build() if found else ZOO[name]()
    module.to_empty(device="cpu").eval()
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(seed)
        for layer in module.modules():
            _randomise(layer)
    return module


def _randomise(layer: nn.Module) -> None:
    """Draws one layer's weights so that a unit signal leaves it with about unit power.

    Batch norms get statistics and scales well off (0, 1), so that folding them wrongly shows.
    """
    from torch import nn

    if isinstance(layer, nn.Conv2d | nn.Linear):
        fan_in = layer.weight[0].numel()
        layer.weight.normal_(std=math.sqrt(2 / fan_in))  # He et al. (2015), eq. 10
        if layer.bias is not None:
            layer.bias.normal_(std=0.1)
    elif isinstance(layer, nn.BatchNorm2d):
        layer.weight.uniform_(0.6, 1.2)
        layer.bias.normal_(std=0.2)
        layer.running_mean.normal_(std=0.2)
        layer.running_var.uniform_(0.5, 1.5)
        layer.num_batches_tracked.zero_()


def _conv(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = None,
    linear: bool = False,
) -> list[nn.Module]:
    """Returns convolution, batch norm and, unless ``linear``, the activation (by default ReLU)."""
    from torch import nn

    conv = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
    return layers if linear else [*layers, (act or nn.ReLU)()]


def _resnet(depths: tuple[int, int, int, int]) -> nn.Module:
    """Makes a residual network of basic blocks; ``depths`` are the blocks of each stage."""
    from torch import nn

    layers = [*_conv(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1)]
    width = 64
    for wider, stride, depth in zip((64, 128, 256, 512), (1, 2, 2, 2), depths, strict=True):
        layers.append(_basic_block(width, wider, stride))
        layers += [_basic_block(wider, wider, 1) for _ in range(depth - 1)]
        width = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


def _basic_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    from torch import nn

    branch = [*_conv(inputs, outputs, 3, stride), *_conv(outputs, outputs, 3, linear=True)]
    same = stride == 1 and inputs == outputs
    shortcut = [] if same else _conv(inputs, outputs, 1, stride, linear=True)
    return nn.Sequential(_sum(branch, shortcut), nn.ReLU())


def _inverted_residual(inputs: int, outputs: int, expansion: int, stride: int) -> nn.Module:
    from torch import nn

    hidden = inputs * expansion
    branch = [
        *(_conv(inputs, hidden, 1, act=nn.ReLU6) if expansion > 1 else []),
        *_conv(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6),
        *_conv(hidden, outputs, 1, linear=True),
    ]
    return _sum(branch, []) if stride == 1 and inputs == outputs else nn.Sequential(*branch)


def _sum(branch: Iterable[nn.Module], shortcut: Iterable[nn.Module]) -> nn.Module:
    """Makes a module that adds two chains of layers; an empty chain is the identity."""
    from torch import nn

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Sequential(*branch)
            self.shortcut = nn.Sequential(*shortcut)

        def forward(self, x: Tensor) -> Tensor:
            return self.branch(x) + self.shortcut(x)

    return Sum()


def _classifier(features: int, dropout_first: bool) -> list[nn.Module]:
    """Returns the three dense layers that AlexNet and VGG share."""
    from torch import nn

    layers: list[nn.Module] = []
    for width in (features, 4096):
        dense: list[nn.Module] = [nn.Linear(width, 4096), nn.ReLU()]
        dropout = nn.Dropout(0.5)
        layers += [dropout, *dense] if dropout_first else [*dense, dropout]
    return [*layers, nn.Linear(4096, CLASSES)]
