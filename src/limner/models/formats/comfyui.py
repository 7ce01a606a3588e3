"""Prefixes of ComfyUI and ai-toolkit for the parts of a pipeline."""

from limner.models.lora_layouts import DENOISER, Layout

plugin = Layout(
    parts={
        "text_encoders.clip_l.transformer.": "text_encoder",
        "text_encoders.clip_g.transformer.": "text_encoder_2",
        "text_encoders.t5xxl.transformer.": "text_encoder_2",
        "diffusion_model.": DENOISER,
        "model.diffusion_model.": DENOISER,
    },
)
