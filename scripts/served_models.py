"""Models as they are served, which the zoo does not have: batch 1, full size, random weights.

They come from torchvision, timm and transformers, and nothing is downloaded. Each function is a
factory for ``chameleon tune served_models:NAME``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

SIDE = 224
"""Side of a picture."""
WORDS = 1000
"""Words of the vocabulary that examples have."""

Made = tuple[Any, tuple[Any, ...]]
"""A module and its example inputs."""


def resnet_50() -> Made:
    """ResNet-50 with a picture."""
    return _torchvision("resnet50")


def efficientnet_b0() -> Made:
    """EfficientNet-B0 with a picture."""
    return _torchvision("efficientnet_b0")


def convnext_tiny() -> Made:
    """ConvNeXt-tiny with a picture."""
    return _torchvision("convnext_tiny")


def mobilenet_v3() -> Made:
    """MobileNet-V3-large with a picture."""
    return _torchvision("mobilenet_v3_large")


def deit_tiny() -> Made:
    """DeiT-tiny with a picture, which is 197 words to it."""
    import timm

    return timm.create_model("deit_tiny_patch16_224"), (_picture(),)


def bert_64() -> Made:
    """BERT of 4 layers with 64 words."""
    return _bert(), (_words(64),)


def bert_128() -> Made:
    """BERT of 4 layers with 128 words."""
    return _bert(), (_words(128),)


def _torchvision(name: str) -> Made:
    import torchvision

    return torchvision.models.get_model(name, weights=None), (_picture(),)


def _picture() -> Any:
    import torch

    return torch.randn(1, 3, SIDE, SIDE)


def _words(length: int) -> Any:
    import torch

    return torch.randint(0, WORDS, (1, length))


def _bert() -> "nn.Module":
    import torch
    import transformers

    class LastHidden(torch.nn.Module):
        """Gives the last layer's output alone."""

        def __init__(self, bert: Any) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, words: Any) -> Any:
            return self.bert(words).last_hidden_state

    return LastHidden(transformers.BertModel(transformers.BertConfig(num_hidden_layers=4)))
