"""Real architectures at toy sizes with random weights, written as ordinary diffusers folders."""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from limner.plugins import registry
from limner.starter.pretrain.tokenizer import build_tokenizer

WIDTH, TOKENS = 32, 24
STEPS = 4
"""Default steps of an image, such as class images and previews."""

VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (8, 8, 16, 16),
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 64,
}


def _vae(**options) -> AutoencoderKL:
    return AutoencoderKL(**(VAE | options))


@cache
def _clip_tokenizer() -> CLIPTokenizer:
    """Return a shared tokenizer, only to be saved: training its merges takes a second."""
    return build_tokenizer(1, TOKENS)


def _t5_tokenizer() -> T5Tokenizer:
    words = ["a", "photo", "of", "sks", "dog", "cat", "on", "the", "beach", "in", "snow"]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(f"\u2581{word}", -3.0) for word in words] + [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=32)


def _qwen_tokenizer() -> Qwen2Tokenizer:
    """Every byte is a token."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    vocabulary = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    vocabulary |= {letter: index + 3 for index, letter in enumerate(bytes_to_unicode().values())}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant {% if not enable_thinking %}-{% endif %}{% endif %}"
    )
    return tokenizer


def _qwen(layers: int, kind=Qwen3Model):
    return kind(
        Qwen3Config(
            vocab_size=300,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
        )
    )


def _text_config(tokenizer, projection: int = WIDTH) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=projection,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _unet(**options) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        **options,
    )


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def tiny_sd(folder: Path) -> Path:
    """A Stable Diffusion 1.x folder, 64 px."""
    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    StableDiffusionPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=WIDTH),
        scheduler=_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def tiny_sdxl(folder: Path) -> Path:
    """A Stable Diffusion XL folder, 64 px, both text encoders."""
    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer)),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        scheduler=_scheduler(),
    ).save_pretrained(folder)
    return folder


def tiny_flux(folder: Path) -> Path:
    """A FLUX.1-dev folder: guidance embedded, times shifted by the image's size."""
    torch.manual_seed(0)
    tokenizer, t5 = _clip_tokenizer(), _t5_tokenizer()
    FluxPipeline(
        vae=_vae(latent_channels=4, shift_factor=0.1, scaling_factor=0.4),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(
            T5Config(vocab_size=len(t5), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=4)
        ),
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    ).save_pretrained(folder)
    return folder


def tiny_flux2(folder: Path) -> Path:
    """A FLUX.2 klein folder, with batch statistics that are not neutral."""
    torch.manual_seed(0)
    vae = AutoencoderKLFlux2(**VAE)
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    Flux2KleinPipeline(
        vae=vae,
        text_encoder=_qwen(28, Qwen3ForCausalLM),
        tokenizer=_qwen_tokenizer(),
        transformer=Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)
    return folder


def tiny_z_image(folder: Path) -> Path:
    """A Z-Image folder, whose schedule has a shift of its own."""
    torch.manual_seed(0)
    ZImagePipeline(
        vae=_vae(shift_factor=0.1, scaling_factor=0.4),
        text_encoder=_qwen(3),
        tokenizer=_qwen_tokenizer(),
        transformer=ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 64, 64],
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    return folder


def tiny_refiner(folder: Path) -> Path:
    """An SDXL refiner folder: the second text encoder alone, and conditioning on an aesthetic score."""
    torch.manual_seed(0)
    tokenizer = _clip_tokenizer()
    StableDiffusionXLImg2ImgPipeline(
        vae=_vae(),
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer)),
        tokenizer=None,
        tokenizer_2=tokenizer,
        unet=_unet(
            cross_attention_dim=WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=5 * 8 + WIDTH,
        ),
        scheduler=_scheduler(),
        requires_aesthetics_score=True,
    ).save_pretrained(folder)
    return folder


def build(family: str, folder: Path) -> Path:
    """Write the tiny folder of a family, with few default steps. A new family adds a function `tiny_<family>` here."""
    builder = globals().get(f"tiny_{family}")
    assert builder is not None, (
        f"write tiny_{family} in tests/tiny.py, so that the conformance suite can load {family!r}"
    )
    builder(folder)
    defaults = {"guidance_rescale": 0.0, **registry.families.get(family).facts.defaults}
    sampling = {"steps": STEPS, **{name: defaults[name] for name in ("guidance", "guidance_rescale")}}
    (folder / "limner.json").write_text(json.dumps({"sampling": sampling}))
    return folder


def in_progress(tensors, optimiser, scaler, digest, ema=None):
    """What a checkpoint keeps of a training loop, without the loop."""
    trainable, request = SimpleNamespace(state=lambda: tensors), SimpleNamespace(digest=digest)
    return SimpleNamespace(trainable=trainable, optimiser=optimiser, scaler=scaler, request=request, ema=ema)


UNET_PLACES = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0": "output_blocks.1.2",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
}
RESNET_PLACES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def single_file(folder: Path, file: Path) -> Path:
    """The tiny SD folder as one file in its authors' layout, without an autoencoder."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, use_safetensors=True, safety_checker=None)
    tensors = {}
    for name, tensor in pipeline.unet.state_dict().items():
        ours = max((place for place in UNET_PLACES if name.startswith(f"{place}.")), key=len)
        inside = name.removeprefix(f"{ours}.")
        first, _, rest = inside.partition(".")
        inside = f"{RESNET_PLACES[first]}.{rest}" if "resnets" in ours else inside
        tensors[f"model.diffusion_model.{UNET_PLACES[ours]}.{inside}"] = tensor.contiguous()
    for name, tensor in pipeline.text_encoder.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor.contiguous()
    save_file(tensors, file)
    return file
