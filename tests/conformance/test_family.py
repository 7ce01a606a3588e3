"""Requirements of every model family, compared with stock diffusers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline

import stock
from limner.core.protocols import Batch, Facts, Family, LossOptions, NoiseDraw, Teacher
from limner.engine.generate.sampling import sample_images
from limner.models.conditioning import conditioning
from limner.plugins import registry

PROMPTS = ["a photo of sks dog on the beach", "a cat"]
FRAMES = torch.tensor(
    [[90, 120, 0, 11, 64, 64], [64, 64, 0, 0, 64, 64], [200, 100, 32, 0, 64, 64], [64, 70, 0, 3, 64, 64]]
)


def knowing(setting):
    """Return the families whose loss supports an option."""
    return [name for name, family in registry.families.all().items() if setting in family.facts.loss_options]


def rng(seed=5):
    return torch.Generator().manual_seed(seed)


def loss_of(family, components, batch, seed=5, **options):
    objective = family.objective(components)
    return objective.loss(batch, objective.draw(batch.latents.shape, rng(seed)), **options)


def test_satisfies_the_protocol(family):
    assert isinstance(family, Family)
    for name in ("load", "pipeline", "encode_text", "conditioning", "encode_images", "objective"):
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
    assert facts.loss_options <= set(LossOptions.__slots__)


def test_most_facts_have_defaults():
    facts = Facts(pipelines=("NewPipeline",), denoiser="unet", multiple=8, lora_targets={}, defaults={})
    assert not (facts.single_file or facts.controls or facts.paired or facts.samplers or facts.loss_options)


def test_loads_its_folder(family, components):
    assert components.denoiser is components.parts[components.denoiser_name]
    assert components.denoiser_name == family.facts.denoiser
    assert components.architecture and components.base_version and components.side >= 64
    assert not any(p.requires_grad for p in components.denoiser.parameters())
    assert not components.denoiser.training
    assert {p.dtype for p in components.denoiser.parameters()} == {torch.float32}


def test_encodes_text_in_rows(family, components):
    with torch.no_grad():
        encoded = family.encode_text(components, PROMPTS)
        alone = family.encode_text(components, PROMPTS[:1])
    assert encoded and all(len(value) == 2 for value in encoded.values())
    for name, value in encoded.items():
        assert torch.allclose(value[:1].float(), alone[name].float(), atol=1e-5)
        assert not torch.equal(value[0], value[1])


def test_conditioning_is_what_the_pipeline_takes(family, components):
    accepted = inspect.signature(type(family.pipeline(components)).__call__).parameters
    encoded = conditioning(family, components, [*PROMPTS, PROMPTS[0]], "blurry")
    assert encoded and encoded.keys() <= accepted.keys()
    for value in encoded.values():
        assert len(value) == 3 and torch.equal(value[0], value[2])
    assert not torch.equal(encoded["prompt_embeds"][0], encoded["prompt_embeds"][1])


def test_encodes_images(family, components):
    pixels = torch.rand(3, 3, 64, 32, generator=rng()) * 2 - 1
    latents = family.encode_images(components, pixels, rng())
    assert len(latents) == 3 and latents.shape[2] == 2 * latents.shape[3]
    assert latents.isfinite().all() and not latents.requires_grad
    assert torch.equal(latents, family.encode_images(components, pixels, rng()))
    assert not torch.equal(latents, family.encode_images(components, pixels, rng(6)))


def test_latents_are_what_the_pipeline_decodes(family, components):
    """A pipeline without a step passes encoded latents to the decoder as the encoder returned them."""
    pixels = torch.rand(1, 3, 64, 64, generator=rng()) * 2 - 1
    vae, latents = components.parts["vae"], family.encode_images(components, pixels, rng())
    pipeline = family.pipeline(components)
    pipeline.scheduler.step = lambda result, time, now, **named: (now,)
    pipeline.set_progress_bar_config(disable=True)
    begin = latents / getattr(pipeline.scheduler, "init_noise_sigma", 1.0)
    if isinstance(pipeline, FluxPipeline):
        begin = pipeline._pack_latents(begin, *begin.shape)
    decoded = []
    handle = vae.post_quant_conv.register_forward_pre_hook(lambda module, given: decoded.append(given[0]))
    encoded = conditioning(family, components, PROMPTS[:1])
    pipeline(**encoded, latents=begin, num_inference_steps=1, guidance_scale=0.0, height=64, width=64)
    handle.remove()
    posterior = vae.encode(pixels).latent_dist
    noise = (decoded[0] - posterior.mean) / posterior.std
    assert noise.std().item() == pytest.approx(1, abs=0.2) and abs(noise.mean().item()) < 0.2


def test_loss_is_one_finite_value_a_sample(family, components, batch):
    loss = loss_of(family, components, batch)
    assert loss.shape == (4,) and loss.isfinite().all()


def test_loss_follows_the_generator(family, components, batch):
    with torch.no_grad():
        first, same, other = (loss_of(family, components, batch, seed) for seed in (5, 5, 6))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_loss_and_gradient_are_those_of_the_training_script(family, components, theirs, batch):
    """The same noise, times and images; text, noising, network and comparison by stock parts."""
    batch = Batch(batch.latents, batch.text, FRAMES)
    objective = family.objective(components)
    draw = objective.draw(batch.latents.shape, rng())
    components.denoiser.requires_grad_(True)
    ours = objective.loss(batch, draw)
    ours.mean().backward()
    theirs_denoiser = theirs.components[components.denoiser_name].requires_grad_(True)
    wanted = stock.losses(theirs, batch.latents, draw.noise, draw.timesteps, [PROMPTS[0]] * 4, FRAMES)
    wanted.mean().backward()
    assert torch.allclose(ours, wanted, rtol=1e-5)
    gradients = {name: p.grad for name, p in theirs_denoiser.named_parameters() if p.grad is not None}
    assert len(gradients) > 10
    ours_gradients = dict(components.denoiser.named_parameters())
    whole = torch.cat([gradient.flatten() for gradient in gradients.values()])
    same = torch.cat([ours_gradients[name].grad.flatten() for name in gradients])
    assert (whole - same).norm() <= 1e-5 * whole.norm()


@pytest.mark.parametrize("gamma", [None, 5.0, 0.5])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("family_name", knowing("min_snr_gamma"), indirect=True)
def test_prediction_types_and_min_snr(family, components, theirs, batch, kind, gamma):
    for parts in (components.parts, theirs.components):
        config = parts["scheduler"].config
        parts["scheduler"] = type(parts["scheduler"]).from_config(config, prediction_type=kind)
    theirs.scheduler = type(theirs.scheduler).from_config(theirs.scheduler.config, prediction_type=kind)
    batch = Batch(batch.latents, batch.text, FRAMES)
    objective = family.objective(components)
    draw = objective.draw(batch.latents.shape, rng())
    with torch.no_grad():
        ours = objective.loss(batch, draw, LossOptions(min_snr_gamma=gamma))
        wanted = stock.losses(theirs, batch.latents, draw.noise, draw.timesteps, [PROMPTS[0]] * 4, FRAMES, gamma)
    assert torch.allclose(ours, wanted, rtol=1e-5)


def test_without_frames_the_image_is_whole(family, components, batch):
    whole = Batch(batch.latents, batch.text, torch.tensor([[64, 64, 0, 0, 64, 64]]).expand(4, -1))
    with torch.no_grad():
        assert torch.equal(loss_of(family, components, batch), loss_of(family, components, whole))


def test_a_mask_weights_the_loss(family, components, batch):
    shape = (4, 1, *batch.latents.shape[2:])
    half = torch.zeros(shape)
    half[..., : shape[-1] // 2] = 1
    objective = family.objective(components)
    draw = objective.draw(batch.latents.shape, rng())

    def loss(noise, mask):
        with torch.no_grad():
            return objective.loss(Batch(batch.latents, batch.text, None, mask), NoiseDraw(noise, draw.timesteps))

    plain = loss(draw.noise, None)
    assert torch.allclose(loss(draw.noise, torch.ones(shape)), plain, rtol=1e-6)
    left, right = loss(draw.noise, half), loss(draw.noise, 1 - half)
    assert torch.allclose((left + right) / 2, plain, rtol=1e-5) and not torch.allclose(left, right, rtol=1e-3)


def test_times_cover_the_schedule(family, components, batch):
    for way in (None, "uniform", "logit_normal", "shift"):
        if way and "timestep_sampling" not in family.facts.loss_options:
            continue
        times = torch.cat(
            [
                family.objective(components)
                .draw(batch.latents.shape, rng(seed), LossOptions(timestep_sampling=way))
                .timesteps
                for seed in range(60)
            ]
        )
        assert times.min() >= 0 and times.max() <= 1000
        assert {int(time) // 250 for time in times} >= {0, 1, 2, 3} and len(set(times.tolist())) > 150


@pytest.mark.parametrize("family_name", knowing("noise_offset"), indirect=True)
def test_noise_offset_moves_whole_channels(family, components):
    shape = torch.Size((64, 4, 32, 32))
    objective = family.objective(components)
    plain = objective.draw(shape, rng())
    moved = objective.draw(shape, rng(), LossOptions(noise_offset=0.5))
    assert torch.equal(plain.timesteps, moved.timesteps)
    offset = (moved.noise - plain.noise).mean((2, 3), keepdim=True)
    assert torch.allclose(moved.noise - plain.noise, offset.expand(shape), atol=1e-5)
    assert offset.std().item() == pytest.approx(0.5, abs=0.1)


def test_images_are_those_of_the_stock_pipeline(family, components, theirs):
    pipeline = family.pipeline(components)
    theirs.set_progress_bar_config(disable=True)
    knows_negative = "negative_prompt" in inspect.signature(type(theirs).__call__).parameters
    longest = {"max_sequence_length": 32} if type(theirs).__name__ == "FluxPipeline" else {}
    negative = "blurry" if knows_negative else ""
    encoded = conditioning(family, components, PROMPTS[:1], negative)
    size = {"height": 64, "width": 48}
    ours = list(sample_images(pipeline, encoded, [3, 4, 5], {"steps": 4, "guidance": 5.0}, (48, 64), batch=2))
    for seed, pixels in zip((3, 4, 5), ours, strict=True):
        wanted = theirs(
            prompt=PROMPTS[0],
            **({"negative_prompt": negative} if knows_negative else {}),
            **longest,
            num_inference_steps=4,
            guidance_scale=5.0,
            **size,
            generator=rng(seed),
            output_type="np",
        ).images[0]
        assert np.abs(pixels.astype(int) - (wanted * 255).round().astype(int)).max() <= 1
    assert not np.array_equal(ours[0], ours[1])


def test_a_single_image_is_bit_identical_to_that_of_the_stock_pipeline(family, components, theirs):
    pipeline = family.pipeline(components)
    longest = {"max_sequence_length": 32} if type(theirs).__name__ == "FluxPipeline" else {}
    if hasattr(theirs, "unet"):  # the same attention kernel, because others add in another order
        theirs.unet.set_attn_processor(components.denoiser.attn_processors)
        for part in (theirs.unet, theirs.vae):  # and the same layout
            part.to(memory_format=torch.channels_last)
    encoded = conditioning(family, components, PROMPTS[:1])
    (ours,) = sample_images(pipeline, encoded, [3], {"steps": 3, "guidance": 4.0}, (64, 64), batch=1)
    theirs.set_progress_bar_config(disable=True)
    wanted = theirs(
        prompt=PROMPTS[0],
        **longest,
        num_inference_steps=3,
        guidance_scale=4.0,
        height=64,
        width=64,
        generator=rng(3),
        output_type="np",
    ).images[0]
    assert np.array_equal(ours, (wanted * 255).round().astype(np.uint8))


def test_the_targets_of_the_last_samples_may_be_a_teachers(family, components, batch):
    from contextlib import nullcontext

    batch = Batch(batch.latents, batch.text, FRAMES)  # the teacher gets the sizes of the last samples
    teacher = Teacher({name: value[2:] for name, value in batch.text.items()}, nullcontext)
    with torch.no_grad():
        plain = loss_of(family, components, batch)
        compared = loss_of(family, components, batch, teacher=teacher)
    assert torch.equal(plain[:2], compared[:2])
    assert torch.allclose(compared[2:], torch.zeros(2), atol=1e-8), "the model is its own teacher"
