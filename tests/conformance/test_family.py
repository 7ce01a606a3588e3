"""What every model family must do, checked against stock diffusers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline

from limner.core.protocols import Family
from limner.engine.painting import paint

PROMPTS = ["a photo of sks dog on the beach", "a cat"]


def rng(seed=5):
    return torch.Generator().manual_seed(seed)


def stock(folder):
    return DiffusionPipeline.from_pretrained(folder, use_safetensors=True)


def stock_conditioning(pipeline, prompts, side):
    """The UNet's keyword arguments for prompts, by the stock pipeline's own methods."""
    encoded = pipeline.encode_prompt(prompts, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    if not hasattr(pipeline, "_get_add_time_ids"):
        return {"encoder_hidden_states": encoded[0]}
    ids = pipeline._get_add_time_ids((side, side), (0, 0), (side, side), torch.float32, encoded[2].shape[-1])
    added = {"text_embeds": encoded[2], "time_ids": ids.repeat(len(prompts), 1)}
    return {"encoder_hidden_states": encoded[0], "added_cond_kwargs": added}


def test_satisfies_the_protocol(family):
    assert isinstance(family, Family)
    for name in ("load", "pipeline", "encode_text", "encode_images", "loss"):
        ours = list(inspect.signature(getattr(family, name)).parameters)
        assert ours == list(inspect.signature(getattr(Family, name)).parameters)[1:], name


def test_states_its_facts(family):
    facts = family.facts
    assert facts.pipelines and facts.multiple % 8 == 0
    assert {
        "denoising_steps",
        "guidance",
        "steps",
        "batch",
        "learning_rate",
        "class_pictures",
        "prior_target",
        "prior_dropout",
        "rank",
        "targets",
    } <= facts.defaults.keys()
    assert facts.defaults["targets"] in facts.lora_targets


def test_loads_its_folder(components):
    assert components.denoiser is components.parts[components.denoiser_name]
    assert components.architecture and components.base_version
    assert not any(p.requires_grad for p in components.denoiser.parameters())
    assert not components.denoiser.training
    assert {p.dtype for p in components.denoiser.parameters()} == {torch.float32}


def test_encodes_text_in_rows(family, components):
    encoded = family.encode_text(components, PROMPTS)
    accepted = inspect.signature(type(family.pipeline(components, "text2image")).__call__).parameters
    assert encoded and encoded.keys() <= accepted.keys()
    assert all(len(value) == 2 for value in encoded.values())
    alone = family.encode_text(components, PROMPTS[:1])
    for name, value in encoded.items():
        assert torch.allclose(value[:1], alone[name], atol=1e-5)
        assert not torch.allclose(value[0], value[1])


def test_encodes_text_as_the_stock_pipeline(family, components, folder):
    theirs = stock_conditioning(stock(folder), PROMPTS, 64)
    ours = family.encode_text(components, PROMPTS)
    assert torch.allclose(ours["prompt_embeds"], theirs["encoder_hidden_states"], atol=1e-5)
    if "pooled_prompt_embeds" in ours:
        assert torch.allclose(ours["pooled_prompt_embeds"], theirs["added_cond_kwargs"]["text_embeds"], atol=1e-5)


def test_encodes_images(family, components):
    vae = components.parts["vae"]
    pixels = torch.rand(3, 3, 64, 32, generator=rng()) * 2 - 1
    latents = family.encode_images(components, pixels, rng())
    assert latents.shape == (3, vae.config.latent_channels, 8, 4)
    assert latents.isfinite().all() and not latents.requires_grad
    assert torch.equal(latents, family.encode_images(components, pixels, rng()))
    assert not torch.equal(latents, family.encode_images(components, pixels, rng(6)))
    mean = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
    deviation = vae.encode(pixels).latent_dist.std * vae.config.scaling_factor
    noise = (latents - mean) / deviation
    assert noise.std().item() == pytest.approx(1, abs=0.2) and abs(noise.mean().item()) < 0.2


def test_loss_is_one_finite_value_a_sample(family, components, latents, text):
    loss = family.loss(components, latents, text, rng())
    assert loss.shape == (4,) and loss.isfinite().all()


def test_loss_follows_the_generator(family, components, latents, text):
    with torch.no_grad():
        first, same, other = (family.loss(components, latents, text, rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_gradient_reaches_the_denoiser(family, components, latents, text):
    weight = next(p for p in components.denoiser.parameters() if p.ndim == 4).requires_grad_()
    family.loss(components, latents, text, rng()).mean().backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0


@pytest.mark.parametrize("gamma", [None, 5.0, 0.5])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_loss_is_that_of_stock_parts(family, components, folder, latents, text, kind, gamma):
    """The noise and the times that the family drew are read off the network's input; all else is stock diffusers."""
    components.parts["scheduler"] = type(components.parts["scheduler"]).from_config(
        components.parts["scheduler"].config, prediction_type=kind
    )
    seen = {}

    def keep(module, arguments, named):
        seen["noisy"] = named.get("sample", arguments[0] if arguments else None)
        seen["steps"] = named.get("timestep", arguments[1] if len(arguments) > 1 else None)

    handle = components.denoiser.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        ours = family.loss(components, latents, text, rng(), gamma)
    handle.remove()

    pipeline = stock(folder)
    schedule = DDPMScheduler.from_config(pipeline.scheduler.config, prediction_type=kind)
    alpha_bar = schedule.alphas_cumprod.double()[seen["steps"]].reshape(-1, 1, 1, 1)
    clean = latents.double()
    noise = (seen["noisy"].double() - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()
    assert noise.std().item() == pytest.approx(1, abs=0.1)
    assert torch.allclose(schedule.add_noise(latents, noise.float(), seen["steps"]), seen["noisy"], atol=1e-5)
    wanted = noise if kind == "epsilon" else schedule.get_velocity(clean, noise, seen["steps"])
    with torch.no_grad():
        named = stock_conditioning(pipeline, [PROMPTS[0]] * 4, 64)
        predicted = pipeline.unet(seen["noisy"], seen["steps"], **named).sample
    theirs = (predicted.double() - wanted).square().mean((1, 2, 3))
    if gamma is not None:
        snr = (alpha_bar / (1 - alpha_bar)).flatten()
        theirs = theirs * torch.minimum(snr, torch.tensor(gamma)) / (snr + (kind == "v_prediction"))
    assert torch.allclose(ours.double(), theirs, rtol=1e-5, atol=1e-5)


def test_times_cover_the_schedule(family, components, latents, text):
    steps = []
    handle = components.denoiser.register_forward_pre_hook(
        lambda module, arguments, named: steps.extend(named.get("timestep", arguments[1]).tolist()), with_kwargs=True
    )
    with torch.no_grad():
        for seed in range(25):
            family.loss(components, latents, text, rng(seed))
    handle.remove()
    assert min(steps) >= 0 and max(steps) <= 999
    assert {time // 250 for time in steps} == {0, 1, 2, 3} and len(set(steps)) > 80


def test_paints_what_the_stock_pipeline_paints(family, components, folder):
    pipeline = family.pipeline(components, "text2image")
    ours = list(
        paint(
            pipeline,
            {"prompt": PROMPTS[0], "negative_prompt": "blurry"},
            [3, 4, 5],
            steps=4,
            guidance=5.0,
            height=64,
            width=64,
            batch=2,
        )
    )
    theirs = stock(folder)
    theirs.set_progress_bar_config(disable=True)
    for seed, pixels in zip((3, 4, 5), ours, strict=True):
        wanted = theirs(
            PROMPTS[0],
            negative_prompt="blurry",
            num_inference_steps=4,
            guidance_scale=5.0,
            height=64,
            width=64,
            generator=rng(seed),
            output_type="np",
        ).images[0]
        assert np.abs(pixels.astype(int) - (wanted * 255).round().astype(int)).max() <= 1
    assert not np.array_equal(ours[0], ours[1])
