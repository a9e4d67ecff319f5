"""Imports, compiles and compares real torch architectures, with random weights, untuned.

    python scripts/check_models.py [NAME ...] [--out table.md]

It needs torchvision, timm and transformers, and downloads nothing: classes are
built from small configurations. Each architecture runs in a process of its own. The table is the
one in docs/models.md.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 600
"""Most seconds for one architecture."""
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


def transformer(
    name: str, config: str, inputs: Callable[[], dict[str, Any]], **options: Any
) -> Callable[[], Any]:
    """Returns a factory of a model of transformers with a small configuration.

    Args:
        name: Class of the model.
        config: Class of its configuration.
        inputs: Makes the example inputs by name.
        options: What the configuration has other than by default.
    """

    def make() -> Any:
        import transformers

        settings = getattr(transformers, config)(**options)
        return getattr(transformers, name)(settings), inputs()

    return make


def ids(length: int = 16) -> dict[str, Any]:
    """Token ids with a mask."""
    import torch

    return {
        "input_ids": torch.arange(length).reshape(1, -1) % 50 + 3,
        "attention_mask": torch.ones(1, length, dtype=torch.int64),
    }


def picture(side: int = SIDE) -> dict[str, Any]:
    """One picture."""
    import torch

    return {"pixel_values": torch.randn(1, 3, side, side)}


def sound() -> dict[str, Any]:
    """A tenth of a second at 16 kHz."""
    import torch

    return {"input_values": torch.randn(1, 1600)}


def spectrum() -> dict[str, Any]:
    """A spectrogram of 80 bands."""
    import torch

    return {"input_features": torch.randn(1, 80, 64)}


def both() -> dict[str, Any]:
    """Token ids and a picture."""
    return {**ids(), **picture()}


TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
}
"""A small configuration, by the names that most models have for its parts."""
VISION = {**TEXT, "image_size": SIDE, "patch_size": 16}
VISION.pop("vocab_size")


def clip() -> Any:
    """CLIP, of two small towers."""
    import transformers

    towers = {"text_config": {**TEXT, "eos_token_id": 18}, "vision_config": VISION}
    return transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=16)), both()


def segment_anything() -> Any:
    """The image encoder of Segment Anything."""
    import transformers
    from transformers.models.sam.modeling_sam import SamVisionEncoder

    config = transformers.SamVisionConfig(
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 64},
        **{"image_size": SIDE, "patch_size": 8, "window_size": 3, "global_attn_indexes": [1]},
        output_channels=16,
    )
    return SamVisionEncoder(config), picture()


def detr() -> Any:
    """DETR on a backbone of timm or torchvision, whichever transformers takes."""
    import transformers

    config = transformers.DetrConfig(
        **{"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None},
        backbone_config=transformers.ResNetConfig(
            embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], out_features=["stage2"]
        ),
        **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 8},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
        **{"encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    )
    return transformers.DetrModel(config), picture()


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
    "transformers": {
        "bert": transformer("BertModel", "BertConfig", ids, **TEXT),
        "roberta": transformer("RobertaModel", "RobertaConfig", ids, **TEXT),
        "deberta_v2": transformer(
            "DebertaV2Model",
            "DebertaV2Config",
            ids,
            **TEXT,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
        ),
        "distilbert": transformer(
            "DistilBertModel",
            "DistilBertConfig",
            ids,
            dim=32,
            n_layers=2,
            n_heads=2,
            hidden_dim=64,
            vocab_size=100,
        ),
        "albert": transformer("AlbertModel", "AlbertConfig", ids, **TEXT, embedding_size=16),
        "electra": transformer("ElectraModel", "ElectraConfig", ids, **TEXT),
        "t5_encoder": transformer(
            "T5EncoderModel",
            "T5Config",
            ids,
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            vocab_size=100,
        ),
        "gpt2": transformer(
            "GPT2LMHeadModel",
            "GPT2Config",
            ids,
            n_embd=32,
            n_layer=2,
            n_head=2,
            vocab_size=100,
            use_cache=False,
        ),
        "llama": transformer(
            "LlamaForCausalLM", "LlamaConfig", ids, **TEXT, num_key_value_heads=1, use_cache=False
        ),
        "mistral": transformer(
            "MistralForCausalLM",
            "MistralConfig",
            ids,
            **TEXT,
            num_key_value_heads=1,
            use_cache=False,
        ),
        "qwen2": transformer(
            "Qwen2ForCausalLM", "Qwen2Config", ids, **TEXT, num_key_value_heads=1, use_cache=False
        ),
        "opt": transformer(
            "OPTForCausalLM",
            "OPTConfig",
            ids,
            hidden_size=32,
            num_hidden_layers=2,
            ffn_dim=64,
            num_attention_heads=2,
            vocab_size=100,
            word_embed_proj_dim=32,
            use_cache=False,
        ),
        "whisper_encoder": transformer(
            "WhisperForAudioClassification",
            "WhisperConfig",
            spectrum,
            d_model=32,
            encoder_layers=2,
            encoder_attention_heads=2,
            encoder_ffn_dim=64,
            max_source_positions=32,
            use_cache=False,
        ),
        "wav2vec2": transformer(
            "Wav2Vec2Model",
            "Wav2Vec2Config",
            sound,
            **TEXT,
            conv_dim=[32] * 7,
        ),
        "vit": transformer("ViTModel", "ViTConfig", picture, **VISION),
        "dinov2": transformer(
            "Dinov2Model",
            "Dinov2Config",
            picture,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=112,
            patch_size=16,
        ),
        "segformer": transformer(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            picture,
            hidden_sizes=[16, 16, 32, 32],
            depths=[1, 1, 1, 1],
            decoder_hidden_size=32,
        ),
        "mobilevit": transformer(
            "MobileViTModel",
            "MobileViTConfig",
            picture,
            hidden_sizes=[32, 48, 64],
            neck_hidden_sizes=[16, 16, 24, 32, 40, 48, 64],
            image_size=SIDE,
        ),
        "clip": clip,
        "sam_encoder": segment_anything,
        "detr": detr,
    },
}
"""Factories of architectures, by package and name."""


def check(package: str, name: str) -> str:
    """Returns a row's end: the outcome, the layers' count, and the seconds by phase."""
    import numpy as np
    import torch
    import tvm

    from chameleon_ray.compiler.frontend.draws import redrawn
    from chameleon_ray.compiler.frontend.precision import precision_of
    from chameleon_ray.compiler.frontend.torch.arguments import of_examples
    from chameleon_ray.compiler.frontend.torch.torch_module import load_module
    from chameleon_ray.compiler.kinds import LLVM
    from chameleon_ray.compiler.passes.lower import lower
    from chameleon_ray.compiler.runtime.tolerance import differences

    torch.manual_seed(0)
    module, inputs = MODELS[package][name]()
    began = time.perf_counter()
    arguments = of_examples(name, inputs)
    draws = redrawn(arguments.arrays(), np.random.default_rng(0), 2)
    model = load_module(name, module.eval(), arguments, draws)
    imported = time.perf_counter()
    target = tvm.target.Target({"kind": "llvm", "num-cores": 1, "opt-level": 0})
    executable = tvm.compile(lower(model.module, target, LLVM), target)
    compiled = time.perf_counter()
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    example = model.examples[-1]
    outputs = machine["main"](*[tvm.runtime.tensor(array) for array in example.inputs])
    outputs = [outputs] if hasattr(outputs, "numpy") else list(outputs)
    found = [one.numpy() for one in outputs]
    precision = precision_of(model.module)
    _, error, right = differences(found, example.outputs or (), precision)
    seconds = f"{imported - began:.1f} | {compiled - imported:.1f}"
    return f"{'verified' if right else 'WRONG'} | {error:.0e} | {seconds} |"


def row(package: str, name: str) -> str:
    """Checks an architecture in a process of its own; returns its row of the table."""
    command = [sys.executable, __file__, "--one", package, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"| {package} | {name} | more than {SECONDS} s | | | |"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    end = lines[-1] if lines else ""
    return f"| {package} | {name} | {end if done.returncode == 0 else f'{end} | | | |'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures; all where none is given")
    parser.add_argument("--one", nargs=2, metavar=("PACKAGE", "NAME"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="file of the table")
    options = parser.parse_args()
    if options.one:
        print(check(*options.one))
        return
    rows = [
        "| package | architecture | outcome | error | import, s | compile, s |",
        "|---|---|---|---|---|---|",
    ]
    for package, models in MODELS.items():
        for name in models:
            if not options.names or name in options.names:
                rows.append(row(package, name))
                print(rows[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
