"""Losses of diffusers' own training scripts, from stock parts only, as a reference for the families' losses."""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler, DiffusionPipeline


def load(folder):
    return DiffusionPipeline.from_pretrained(folder, use_safetensors=True)


def losses(pipeline, clean, noise, timesteps, prompts, frames=None, gamma=None):
    """The loss of each sample, (n,), as `train_dreambooth_lora*.py` has it for this pipeline."""
    predicted, wanted, weight = SCRIPTS[type(pipeline).__name__](
        pipeline, clean, noise, timesteps, prompts, frames, gamma
    )
    return weight * (predicted.float() - wanted.float()).square().flatten(1).mean(1)


def predictions(pipeline, clean, noise, timesteps, prompts, frames=None):
    """What the denoiser predicts for each sample, as in `losses`."""
    return SCRIPTS[type(pipeline).__name__](pipeline, clean, noise, timesteps, prompts, frames, None)[0].float()


def _unet(pipeline, clean, noise, timesteps, prompts, frames, gamma):
    schedule = DDPMScheduler.from_config(pipeline.scheduler.config)
    named = denoiser_arguments(pipeline, prompts, frames)
    predicted = pipeline.unet(schedule.add_noise(clean, noise, timesteps), timesteps, **named).sample
    learns_noise = schedule.config.prediction_type == "epsilon"
    wanted = noise if learns_noise else schedule.get_velocity(clean, noise, timesteps)
    weight = torch.ones(len(clean))
    if gamma is not None:
        alpha_bar = schedule.alphas_cumprod[timesteps]
        snr = alpha_bar / (1 - alpha_bar)
        weight = snr.clamp(max=gamma) / (snr + (schedule.config.prediction_type == "v_prediction"))
    return predicted, wanted, weight


def denoiser_arguments(pipeline, prompts, frames=None):
    """The UNet's keyword arguments for prompts, by the stock pipeline's own methods."""
    with torch.no_grad():
        encoded = pipeline.encode_prompt(
            prompts, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    if not hasattr(pipeline, "_get_add_time_ids"):
        return {"encoder_hidden_states": encoded[0]}
    width = encoded[2].shape[-1]
    ids = [
        pipeline._get_add_time_ids(tuple(f[:2]), tuple(f[2:4]), tuple(f[4:]), torch.float32, width)
        for f in frames.tolist()
    ]
    return {
        "encoder_hidden_states": encoded[0],
        "added_cond_kwargs": {"text_embeds": encoded[2], "time_ids": torch.cat(ids)},
    }


def _mixed(clean, noise, timesteps):
    sigmas = (timesteps / 1000).reshape(-1, 1, 1, 1)
    return (1.0 - sigmas) * clean + sigmas * noise


def _flux(pipeline, clean, noise, timesteps, prompts, frames, gamma):
    with torch.no_grad():
        states, pooled, text_ids = pipeline.encode_prompt(
            prompts, prompts, device="cpu", max_sequence_length=pipeline.tokenizer_2.model_max_length
        )
    count, channels, height, width = clean.shape
    tokens = pipeline.transformer(
        hidden_states=pipeline._pack_latents(_mixed(clean, noise, timesteps), count, channels, height, width),
        timestep=timesteps / 1000,
        guidance=torch.tensor([1.0]).expand(count) if pipeline.transformer.config.guidance_embeds else None,
        pooled_projections=pooled,
        encoder_hidden_states=states,
        txt_ids=text_ids,
        img_ids=pipeline._prepare_latent_image_ids(count, height // 2, width // 2, "cpu", torch.float32),
        return_dict=False,
    )[0]
    scale = pipeline.vae_scale_factor
    return pipeline._unpack_latents(tokens, height * scale, width * scale, scale), noise - clean, 1.0


def _flux2(pipeline, clean, noise, timesteps, prompts, frames, gamma):
    with torch.no_grad():
        states, text_ids = pipeline.encode_prompt(prompts, device="cpu")
    noisy = _mixed(clean, noise, timesteps)
    places = pipeline._prepare_latent_ids(noisy)
    tokens = pipeline.transformer(
        hidden_states=pipeline._pack_latents(noisy),
        timestep=timesteps / 1000,
        guidance=None,
        encoder_hidden_states=states,
        txt_ids=text_ids,
        img_ids=places,
        return_dict=False,
    )[0]
    return pipeline._unpack_latents_with_ids(tokens, places), noise - clean, 1.0


def _z_image(pipeline, clean, noise, timesteps, prompts, frames, gamma):
    with torch.no_grad():
        states, _ = pipeline.encode_prompt(list(prompts), device="cpu", do_classifier_free_guidance=False)
    noisy = list(_mixed(clean, noise, timesteps).unsqueeze(2).unbind(0))
    result = pipeline.transformer(noisy, (1000 - timesteps) / 1000, states, return_dict=False)[0]
    return -torch.stack(result).squeeze(2), noise - clean, 1.0


SCRIPTS = {
    "StableDiffusionPipeline": _unet,
    "StableDiffusionXLPipeline": _unet,
    "FluxPipeline": _flux,
    "Flux2KleinPipeline": _flux2,
    "ZImagePipeline": _z_image,
}
