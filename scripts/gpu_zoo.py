"""The models of ``gpu_check.py`` as factories: a module and its example input, by precision.

Nothing is downloaded; weights are random. ``gpu_zoo:NAME`` is a model for ``chameleon tune``, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


TOKENS = 128
"""Length of the text that BERT reads."""


def resnet_18() -> tuple[nn.Module, Any]:
    """The zoo's."""
    import torch

    from chameleon_ray.compiler.frontend.zoo import IMAGE, build

    return build("resnet-18", 0).eval(), torch.rand(IMAGE)


def resnet_18_half() -> tuple[nn.Module, Any]:
    return _half(resnet_18())


def resnet_50() -> tuple[nn.Module, Any]:
    """Torchvision's, with residual branches that leave the magnitude of activations as it is."""
    import torch
    from torchvision.models import resnet

    torch.manual_seed(0)
    module = resnet.resnet50(weights=None).eval()
    for layer in module.modules():
        if isinstance(layer, resnet.Bottleneck):
            torch.nn.init.constant_(layer.bn3.weight, 0.3)
    return module, torch.rand(1, 3, 224, 224)


def resnet_50_half() -> tuple[nn.Module, Any]:
    return _half(resnet_50())


def bert() -> tuple[nn.Module, Any]:
    """Transformers' BERT-base, which is given what its embeddings come to."""
    import torch
    from transformers import BertConfig, BertModel

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.encoder = BertModel(BertConfig(), add_pooling_layer=False).encoder

        def forward(self, embedded: torch.Tensor) -> torch.Tensor:
            return self.encoder(embedded)[0]

    return Encoder().eval(), torch.randn(1, TOKENS, 768)


def bert_half() -> tuple[nn.Module, Any]:
    return _half(bert())


def tiny() -> tuple[nn.Module, Any]:
    """A convolution and a dense layer, for rehearsals."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 16)
    )
    return net.eval(), torch.rand(1, 8, 8, 8)


def tiny_half() -> tuple[nn.Module, Any]:
    return _half(tiny())


FACTORIES = {
    "float32": "resnet_18",
    "float16": "resnet_18_half",
    "tf32": "resnet_18",
    "bert": "bert_half",
}
"""Names of the factories of what is tuned, by the argument of its part."""
TINY = {"float32": "tiny", "float16": "tiny_half", "tf32": "tiny", "bert": "tiny_half"}
"""The same for a rehearsal."""


def factory(argument: str, small: bool) -> str:
    """The name of the factory of what a part tunes or times."""
    return (TINY if small else FACTORIES)[argument]


def made(name: str) -> tuple[nn.Module, Any]:
    """A factory's module and input."""
    found: tuple[nn.Module, Any] = globals()[name]()
    return found


def _half(given: tuple[nn.Module, Any]) -> tuple[nn.Module, Any]:
    module, inputs = given
    return module.half(), inputs.half()
