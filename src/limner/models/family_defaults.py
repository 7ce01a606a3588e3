"""Facts that families share: LoRA target layers by preset, and training defaults. No torch: facts load without it."""

FLOW_TRAINING = {
    "steps": 1000,
    "batch": 1,
    "learning_rate": 1e-4,
    "class_pictures": 50,
    "prior_target": "model",
    "prior_dropout": 0.0,
    "rank": 16,
    "targets": "attention",
}
"""Training defaults of large flow-matching transformers."""

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv")
UNET_LORA_TARGETS = {
    "attention": ATTENTION,
    "transformer": (*ATTENTION, *FEED_FORWARD),
    "all": (*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS),
}

JOINT_ATTENTION = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
FLUX_ATTENTION = (*ATTENTION, *JOINT_ATTENTION)
FLUX_FEED_FORWARD = (
    "ff.net.0.proj",
    "ff.net.2",
    "ff_context.net.0.proj",
    "ff_context.net.2",
    "proj_mlp",
    "single_transformer_blocks.*.proj_out",
)
FLUX_LORA_TARGETS = {
    "attention": FLUX_ATTENTION,
    "transformer": (*FLUX_ATTENTION, *FLUX_FEED_FORWARD),
    "all": (*FLUX_ATTENTION, *FLUX_FEED_FORWARD, "norm1.linear", "norm1_context.linear", "norm.linear"),
}
FLUX2_ATTENTION = (*FLUX_ATTENTION, "to_qkv_mlp_proj", "single_transformer_blocks.*.to_out")
FLUX2_FEED_FORWARD = ("linear_in", "linear_out")
FLUX2_LORA_TARGETS = {
    "attention": FLUX2_ATTENTION,
    "transformer": (*FLUX2_ATTENTION, *FLUX2_FEED_FORWARD),
    "all": (*FLUX2_ATTENTION, *FLUX2_FEED_FORWARD, "x_embedder", "context_embedder"),
}
Z_FEED_FORWARD = ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
Z_LORA_TARGETS = {
    "attention": ATTENTION,
    "transformer": (*ATTENTION, *Z_FEED_FORWARD),
    "all": (*ATTENTION, *Z_FEED_FORWARD, "adaLN_modulation.0"),
}
