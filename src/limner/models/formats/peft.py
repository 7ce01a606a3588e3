"""LoRA files of PEFT, which diffusers and Limner write too."""

from limner.models.lora_layouts import DENOISER, Layout

_TENSORS = ("lora_A", "lora_B", "lora_magnitude_vector")


def _normalise(name: str) -> str:
    """Remove the adapter's own name (lora_A.default.weight) and the name of PEFT's wrapper."""
    parts = name.split(".")
    if len(parts) > 3 and parts[-3] in _TENSORS:
        del parts[-2]
    return ".".join(parts).removeprefix("base_model.model.")


plugin = Layout(
    parts={
        "text_encoder.": "text_encoder",
        "text_encoder_2.": "text_encoder_2",
        "unet.": DENOISER,
        "transformer.": DENOISER,
    },
    roles={
        ".lora_A.weight": "down",
        ".lora_B.weight": "up",
        ".lora_magnitude_vector.weight": "magnitude",
        ".lora_magnitude_vector": "magnitude",
    },
    normalise=_normalise,
    other_methods={".ia3_": "(IA)3", ".boft_": "BOFT"},
)
