"""Real torch architectures of torchvision, timm and transformers, with random weights.

Those of transformers have small configurations. Nothing is downloaded.
"""

from collections.abc import Callable
from typing import Any

from small_transformers import TRANSFORMERS

SIDE = 64
"""Side of the pictures of convolutional networks."""


def torchvision_model(name: str, side: int = SIDE) -> Callable[[], Any]:
    """Returns a factory of a classifier of torchvision."""

    def make() -> Any:
        import torch
        import torchvision

        return torchvision.models.get_model(name, weights=None), (torch.randn(1, 3, side, side),)

    return make


def segmentation(name: str) -> Callable[[], Any]:
    """Returns a factory of a segmentation network of torchvision."""

    def make() -> Any:
        import torch
        from torchvision.models import segmentation as models

        module = getattr(models, name)(weights=None, weights_backbone=None, num_classes=5)
        return module, (torch.randn(1, 3, SIDE, SIDE),)

    return make


def pyramid() -> Any:
    """A detector's backbone: ResNet-50 with a feature pyramid."""
    import torch
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    module = resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    return module, (torch.randn(1, 3, SIDE, SIDE),)


def timm_model(name: str, side: int = SIDE, **options: Any) -> Callable[[], Any]:
    """Returns a factory of a classifier of timm."""

    def make() -> Any:
        import timm
        import torch

        return timm.create_model(name, **options), (torch.randn(1, 3, side, side),)

    return make


MODELS: dict[str, dict[str, Callable[[], Any]]] = {
    "torchvision": {
        **{
            name: torchvision_model(name)
            for name in (
                *("resnet50", "vgg11_bn", "densenet121", "googlenet", "squeezenet1_1"),
                *("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0", "mnasnet1_0"),
                *("efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "convnext_tiny"),
                *("swin_t", "swin_v2_t", "resnext50_32x4d"),
            )
        },
        "inception_v3": torchvision_model("inception_v3", 96),
        "vit_b_16": torchvision_model("vit_b_16", 224),
        "maxvit_t": torchvision_model("maxvit_t", 224),
        "deeplabv3_resnet50": segmentation("deeplabv3_resnet50"),
        "lraspp_mobilenet_v3_large": segmentation("lraspp_mobilenet_v3_large"),
        "fcn_resnet50": segmentation("fcn_resnet50"),
        "resnet50_fpn": pyramid,
    },
    "timm": {
        "edgenext_xx_small": timm_model("edgenext_xx_small"),
        "mobilevit_xxs": timm_model("mobilevit_xxs"),
        "deit_tiny": timm_model("deit_tiny_patch16_224", img_size=SIDE),
        "beit_base": timm_model("beit_base_patch16_224", img_size=SIDE, depth=2),
        "mixer_s32": timm_model("mixer_s32_224", 224),
        "levit_128s": timm_model("levit_128s", 224),
        "pvt_v2_b0": timm_model("pvt_v2_b0"),
        "poolformer_s12": timm_model("poolformer_s12"),
        "ghostnet_100": timm_model("ghostnet_100"),
        "coat_tiny": timm_model("coat_tiny", 224),
        "xcit_nano": timm_model("xcit_nano_12_p16_224", 224),
        "hrnet_w18_small": timm_model("hrnet_w18_small"),
        "res2net50": timm_model("res2net50_26w_4s"),
        "repvgg_a0": timm_model("repvgg_a0"),
        "coatnet_nano": timm_model("coatnet_nano_rw_224", 224),
        "focalnet_tiny": timm_model("focalnet_tiny_srf"),
    },
    "transformers": TRANSFORMERS,
}
"""Factories of architectures, by package and name."""
