"""LoRA files of kohya's sd-scripts, LyCORIS and OneTrainer: dots of layer names are written as underscores."""

from limner.models.lora_layouts import DENOISER, Layout

plugin = Layout(
    parts={
        "lora_unet_": DENOISER,
        "lora_transformer_": DENOISER,
        "lycoris_": DENOISER,
        "lora_te_": "text_encoder",
        "lora_te1_": "text_encoder",
        "lora_te2_": "text_encoder_2",
        "lora_te3_": "text_encoder_2",
    },
    roles={
        ".lora_down.weight": "down",
        ".lora_up.weight": "up",
        ".lora_mid.weight": "mid",
        ".alpha": "alpha",
        ".dora_scale": "dora_scale",
    },
    other_methods={
        ".hada_": "LoHa",
        ".lokr_": "LoKr",
        ".on_input": "(IA)3",
        ".oft_": "OFT",
        ".diff": "full weights",
        ".w_norm": "norm layers",
        ".b_norm": "norm layers",
    },
    updates=(".diff", ".diff_b"),
)
