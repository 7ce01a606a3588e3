"""Names of the UNet layers that adapters attach to, by preset. No torch here: facts are read without loading it."""

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "conv")
UNET_LORA_TARGETS = {
    "attention": ATTENTION,
    "transformer": (*ATTENTION, *FEED_FORWARD),
    "all": (*ATTENTION, *FEED_FORWARD, *CONVOLUTIONS),
}
