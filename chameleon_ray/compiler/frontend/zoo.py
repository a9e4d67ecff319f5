"""Torch modules of well-known networks, with random, well-scaled weights.

The classifiers' modules are named and their parameters declared as in torchvision; only the weights
are not trained.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
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
    return _chain(
        features=nn.Sequential(*layers),
        avgpool=nn.AdaptiveAvgPool2d(7),
        flatten=nn.Flatten(),
        classifier=_classifier(512 * 49, dropout_first=False),
    )


def alexnet() -> nn.Module:
    """AlexNet in one tower (Krizhevsky, 2014, figure 2), as in torchvision."""
    from torch import nn

    layers = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    ]
    return _chain(
        features=nn.Sequential(*layers),
        avgpool=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        classifier=_classifier(256 * 36, dropout_first=True),
    )


def mobilenet_v2() -> nn.Module:
    """MobileNet-V2, width 1.0 (Sandler et al., 2018, table 2)."""
    from torch import nn

    layers: list[nn.Module] = [nn.Sequential(*_conv(3, 32, 3, stride=2))]
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
    layers.append(nn.Sequential(*_conv(width, 1280, 1)))
    return _chain(
        features=nn.Sequential(*layers),
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, CLASSES)),
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


def _chain(**layers: nn.Module) -> nn.Module:
    """Makes a module of layers one after the other, by name."""
    from torch import nn

    return nn.Sequential(OrderedDict(layers))


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Returns convolution, batch norm and ReLU6."""
    from torch import nn

    conv = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]


def _resnet(depths: tuple[int, int, int, int]) -> nn.Module:
    """Makes a residual network of basic blocks; ``depths`` are the blocks of each stage."""
    from torch import nn

    stages: dict[str, nn.Module] = {}
    width = 64
    for wider, stride, depth in zip((64, 128, 256, 512), (1, 2, 2, 2), depths, strict=True):
        first = _basic_block(width, wider, stride)
        others = [_basic_block(wider, wider, 1) for _ in range(depth - 1)]
        stages[f"layer{len(stages) + 1}"] = nn.Sequential(first, *others)
        width = wider
    return _chain(
        conv1=nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(64),
        relu=nn.ReLU(),
        maxpool=nn.MaxPool2d(3, 2, padding=1),
        **stages,
        avgpool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(width, CLASSES),
    )


def _basic_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    from torch import nn

    class BasicBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            same = stride == 1 and inputs == outputs
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(*([] if same else [shortcut, nn.BatchNorm2d(outputs)]))

        def forward(self, x: Tensor) -> Tensor:
            branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(branch + self.downsample(x))

    return BasicBlock()


def _inverted_residual(inputs: int, outputs: int, expansion: int, stride: int) -> nn.Module:
    from torch import nn

    hidden = inputs * expansion

    class InvertedResidual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Sequential(
                *([nn.Sequential(*_conv(inputs, hidden, 1))] if expansion > 1 else []),
                nn.Sequential(*_conv(hidden, hidden, 3, stride, groups=hidden)),
                nn.Conv2d(hidden, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

        def forward(self, x: Tensor) -> Tensor:
            branch = self.conv(x)
            return branch + x if stride == 1 and inputs == outputs else branch

    return InvertedResidual()


def _classifier(features: int, dropout_first: bool) -> nn.Module:
    """Returns the three dense layers that AlexNet and VGG share."""
    from torch import nn

    layers: list[nn.Module] = []
    for width in (features, 4096):
        dense: list[nn.Module] = [nn.Linear(width, 4096), nn.ReLU()]
        dropout = nn.Dropout(0.5)
        layers += [dropout, *dense] if dropout_first else [*dense, dropout]
    return nn.Sequential(*layers, nn.Linear(4096, CLASSES))
