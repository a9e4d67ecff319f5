"""Models of transformers with small configurations and random weights; nothing is downloaded."""

from collections.abc import Callable
from typing import Any

SIDE = 64
"""Side of pictures."""


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


TRANSFORMERS: dict[str, Callable[[], Any]] = {
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
}
"""Factories of models, by name."""
