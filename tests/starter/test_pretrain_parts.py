"""The parts of pretraining one by one: what each is given, what its loss is, and what is written of it."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from limner.engine.train.batches import generator_for
from limner.starter.painter import Scene, random_scene
from limner.starter.painter.reserved import holds_reserved
from limner.starter.pretrain import __main__ as pretrain
from limner.starter.pretrain import (
    autoencoder,
    denoiser,
    drawings,
    export,
    image_encoder,
    judge,
    loop,
    precision,
    text_encoder,
)
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.recipe import HELD_OUT_PHOTOGRAPHS, Recipe, StageRecipe
from limner.starter.pretrain.training_captions import CAPTION_KINDS, accessory_caption, kind_caption, training_caption

CPU = torch.device("cpu")


class Gallery:
    """Images whose pixels are all their number, with scenes."""

    def __init__(self, count, scenes=None):
        self.scenes = scenes or [Scene(subject="cat", breed="tabby", seed=number) for number in range(count)]

    def __len__(self):
        return len(self.scenes)

    def __getitem__(self, index):
        return np.full((128, 128, 3), index % 256, np.uint8)

    def batch(self, indices):
        return np.stack([self[index] for index in indices])


@pytest.fixture
def fitted(monkeypatch):
    """What a module passes to `fit`, which returns the model as it is."""
    calls = []

    def fit(name, model, stage, loss, folder, *, seed, evaluate=None):
        calls.append(
            SimpleNamespace(name=name, model=model, stage=stage, loss=loss, folder=folder, seed=seed, evaluate=evaluate)
        )
        return model

    for module in (autoencoder, denoiser, image_encoder, judge, text_encoder):
        monkeypatch.setattr(module, "fit", fit)
    return calls


@pytest.fixture(autouse=True)
def in_fp32(monkeypatch):
    for module in (autoencoder, denoiser, image_encoder, judge, text_encoder):
        monkeypatch.setattr(module, "mixed", lambda device: torch.autocast("cpu", torch.bfloat16, enabled=False))


# The loop


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("seen", torch.zeros(()))


def line_loss(model, drawn):
    def loss(step, rng):
        drawn.append(torch.rand((), generator=rng).item())
        model.seen += 1
        return (model.weight * torch.tensor([30.0, 40.0])).sum() + 7, {"drawn": drawn[-1]}

    return loss


STAGE = StageRecipe(
    steps=5, batch=3, learning_rate=0.5, warmup=2, decay=0.4, ema=0.05, optimiser="adamw", weight_decay=0
)


def test_a_stage_follows_its_rate_and_logs_every_25th_and_its_last_step(tmp_path, monkeypatch):
    assert (loop.CHECKPOINT_EVERY, loop.LOG_EVERY) == (250, 25)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 4)
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=iter((10.0, 12.0, 14.0, 20.0)).__next__))
    model, drawn, evaluated, saved, real = Line(), [], [], [], loop.StageState.save
    monkeypatch.setattr(loop.StageState, "save", lambda state, step: saved.append(step) or real(state, step))

    def evaluate(average):
        evaluated.append(average)
        return {"score": 1.0}

    average = loop.fit("line", model, STAGE, line_loss(model, drawn), tmp_path, seed=9, evaluate=evaluate)
    assert average is not model and evaluated == [average] * 2 and saved == [4, 5]
    assert drawn == [torch.rand((), generator=generator_for(9, "line", step)).item() for step in range(5)]
    # A constant gradient moves AdamW by the rate at each step; the average keeps 0.05 of itself.
    at, mean = 0.0, 0.0
    for step in range(5):
        at -= STAGE.rate(step)
        mean += 0.95 * (at - mean)
    assert model.weight[0].item() == pytest.approx(at, rel=1e-4) and average.weight[0].item() == pytest.approx(
        mean, rel=1e-4
    )
    assert average.seen.item() == 5, "buffers are copied"
    lines = [json.loads(line) for line in (tmp_path / "line.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5] and [line.get("score") for line in lines] == [None, 1.0, 1.0]
    assert [line["rate"] for line in lines] == [STAGE.rate(1), STAGE.rate(3), STAGE.rate(4)]
    assert [line["norm"] for line in lines] == pytest.approx([50.0] * 3) and lines[0]["drawn"] == drawn[1]
    assert [line["per_second"] for line in lines] == pytest.approx([3.0, 3.0, 1.5])
    assert lines[0]["loss"] == pytest.approx(7 - 70 * STAGE.rate(0), rel=1e-4)


def test_a_finished_stage_is_only_loaded_and_a_longer_one_goes_on(tmp_path, monkeypatch):
    model, drawn = Line(), []
    average = loop.fit("line", model, STAGE, line_loss(model, drawn), tmp_path, seed=9)
    again, none = Line(), []
    same = loop.fit("line", again, STAGE, line_loss(again, none), tmp_path, seed=9)
    assert not none and torch.equal(same.weight, average.weight) and torch.equal(again.weight, model.weight)
    assert not torch.equal(same.weight, again.weight)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=iter((10.0, 14.0)).__next__))
    longer = STAGE.model_copy(update={"steps": 7})
    loop.fit("line", again, longer, line_loss(again, none), tmp_path, seed=9)
    lines = [json.loads(line) for line in (tmp_path / "line.jsonl").read_text().splitlines()]
    assert len(none) == 2 and [line["step"] for line in lines] == [5, 7]
    assert lines[1]["per_second"] == pytest.approx(2 * 3 / 4), "of the steps since it went on"
    assert torch.load(tmp_path / "line.pt")["optimisers"][0]["state"][0]["step"] == 7, "with its optimiser"


def test_gradients_are_clipped_to_a_norm_of_one_and_weights_decay(tmp_path):
    state = loop.StageState(Line(), STAGE.model_copy(update={"weight_decay": 0.25}), tmp_path / "x.pt")
    (optimiser,) = state.optimisers
    assert optimiser.param_groups[0]["weight_decay"] == 0.25
    state.train_step(1, (state.model.weight * torch.tensor([30.0, 40.0])).sum())
    assert state.model.weight.grad.tolist() == pytest.approx([0.6, 0.8])
    assert optimiser.param_groups[0]["lr"] == STAGE.rate(1)


def test_the_first_and_last_steps_have_a_share_of_the_rate():
    stage = StageRecipe(steps=8, batch=1, learning_rate=0.4, warmup=2, decay=0.5)
    assert [stage.rate(step) for step in range(8)] == pytest.approx([0.2, *[0.4] * 4, 0.3, 0.2, 0.1])


def test_the_recipe_holds_out_four_folders_and_predicts_velocity():
    recipe = Recipe()
    assert HELD_OUT_PHOTOGRAPHS == ("dog", "cat", "bear_plushie", "duck_toy")
    assert (recipe.prediction, recipe.size, recipe.caption_dropout, recipe.paraphrase) == (
        "v_prediction",
        128,
        0.1,
        True,
    )
    assert recipe.denoiser.optimiser == "muon"


@pytest.mark.parametrize(("known", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_in_bf16_where_the_processor_has_them(monkeypatch, known, dtype):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: known)
    assert precision.fast_dtype(CPU) == dtype and precision.fast_dtype(torch.device("cuda")) == torch.bfloat16
    with precision.mixed("cpu"):
        assert torch.is_autocast_enabled("cpu") is known


# The autoencoder


def test_the_reconstruction_loss_is_of_pixels_and_their_differences():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(2, 3, 5, 6))
    expected = np.abs(a - b).mean() + 2 * ((a - b) ** 2).mean()
    expected += sum(np.abs(np.diff(a, axis=axis) - np.diff(b, axis=axis)).mean() for axis in (2, 3))
    found = autoencoder.reconstruction_loss(torch.from_numpy(a), torch.from_numpy(b))
    assert found.item() == pytest.approx(expected)
    assert autoencoder.to_tensor(np.array([[[[0, 255, 51]]]], np.uint8)).flatten().tolist() == pytest.approx(
        [-1, 1, -0.6]
    )


def ramp(value):
    """An image whose red is its row, whose green its column, and whose blue its value."""
    rows, columns = np.mgrid[:128, :128]
    return np.stack([rows, columns, np.full_like(rows, value)], -1).astype(np.uint8)


def test_crops_are_from_anywhere_in_trained_images_and_photographs():
    gallery = SimpleNamespace(__len__=None)
    gallery = type("Ramps", (), {"__len__": lambda self: 503, "__getitem__": lambda self, index: ramp(index)})()
    recipe = Recipe(vae_crop=32, autoencoder=STAGE.model_copy(update={"batch": 600}), photograph_share=0.25)
    crops = autoencoder._crops(gallery, [ramp(200), ramp(201)], recipe, torch.Generator().manual_seed(1))
    corners = crops[:, 0, 0].astype(int)
    sources, counts = np.unique(corners[:, 2], return_counts=True)
    assert sources.tolist() == [0, 1, 2, 200, 201], "the last 500 are held out"
    assert 0.15 < counts[3:].sum() / 600 < 0.35 and counts.min() > 50
    for axis in (0, 1):
        assert corners[:, axis].min() < 4 and corners[:, axis].max() > 92
    assert abs(np.corrcoef(corners[:, 0], corners[:, 1])[0, 1]) < 0.2
    assert (crops[:, -1, -1, :2] - crops[:, 0, 0, :2] == 31).all()
    only = autoencoder._crops(gallery, [], recipe, torch.Generator().manual_seed(1))
    assert only[:, 0, 0, 2].max() == 2


def test_a_share_of_images_keeps_only_its_first_channels():
    recipe = Recipe(latent_channels=8, latent_groups=((2, 0.5), (4, 0.2)))
    kept = autoencoder._kept_channels(recipe, 4000, torch.Generator().manual_seed(1))
    assert kept.shape == (4000, 8, 1, 1)
    numbers, counts = np.unique(kept.sum(1).flatten().numpy(), return_counts=True)
    assert numbers.tolist() == [2, 4, 8] and counts / 4000 == pytest.approx([0.5, 0.2, 0.3], abs=0.03)
    assert (kept[:, :-1] >= kept[:, 1:]).all(), "the first ones"


TINY = Recipe(
    latent_channels=4, latent_groups=(), vae_channels=(8, 8, 8, 8), vae_crop=32, kl_weight=0.5, shrink_weight=0.25
)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return autoencoder.build(TINY).eval()


def test_an_untrained_posterior_has_little_noise(vae):
    assert vae.quant_conv.bias[4:].tolist() == [-5.0] * 4


def test_whitened_latents_have_mean_0_and_deviation_1_and_decode_as_before(vae):
    pixels = np.random.default_rng(2).integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)
    images = autoencoder.to_tensor(pixels)
    with torch.no_grad():
        before = autoencoder.encode(vae, images)
        decoded = autoencoder.decode(vae, before.mode())
        autoencoder.whiten(vae, pixels)
        after = autoencoder.encode(vae, images)
        assert torch.allclose(autoencoder.decode(vae, after.mode()), decoded, atol=1e-4)
    assert torch.allclose(after.mode().mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(after.mode().std((0, 2, 3)), torch.ones(4), atol=1e-3)
    deviation = before.mode().std((0, 2, 3))[:, None, None]
    assert torch.allclose(after.std * deviation, before.std, rtol=1e-3), "the noise is scaled with them"


def test_psnr_is_of_clamped_images_from_0_to_1(monkeypatch):
    stub = nn.Linear(1, 1)
    monkeypatch.setattr(autoencoder, "encode", lambda vae, images: SimpleNamespace(mode=lambda: images))
    monkeypatch.setattr(autoencoder, "decode", lambda vae, latents: torch.full_like(latents, 5.0))
    pixels = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 204, *[204] * 16)])
    expected = [-10 * np.log10(1.0), *[-10 * np.log10(0.2**2)] * 17]
    assert autoencoder.psnr(stub, pixels) == pytest.approx(np.mean(expected), abs=1e-3)


def test_the_autoencoders_loss_has_the_weights_of_the_recipe(fitted, vae, monkeypatch, tmp_path):
    gallery, given, measured, whitened = Gallery(600), [], [], []
    monkeypatch.setattr(
        autoencoder, "_crops", lambda *arguments: given.append(arguments[:3]) or np.zeros((2, 32, 32, 3), np.uint8)
    )
    monkeypatch.setattr(
        autoencoder, "reconstruction_loss", lambda result, target: torch.tensor(float(result.shape[-1]))
    )
    monkeypatch.setattr(
        autoencoder, "psnr", lambda model, pixels: measured.append((model, pixels[:, 0, 0, 0].tolist())) or 3.0
    )
    monkeypatch.setattr(
        autoencoder, "whiten", lambda model, pixels: whitened.append((model, len(pixels), pixels[-1, 0, 0, 0]))
    )
    model = autoencoder.train(TINY, gallery, ["photograph"], tmp_path, "cpu", vae)
    (call,) = fitted
    assert call.model is vae is model and (call.name, call.seed, call.stage) == ("autoencoder", 1, TINY.autoencoder)
    value, figures = call.loss(0, torch.Generator().manual_seed(0))
    assert (figures["error"], figures["shrunk"]) == (32, 16)
    assert value.item() == pytest.approx(32 + 0.25 * 16 + figures["divergence"]) and given == [
        (gallery, ["photograph"], TINY)
    ]
    with torch.no_grad():
        divergence = autoencoder.encode(vae, torch.full((2, 3, 32, 32), -1.0)).kl().mean()
    assert figures["divergence"] == pytest.approx(0.5 * divergence.item(), rel=1e-4)
    assert call.evaluate("average") == {"psnr": 3.0}
    assert measured == [("average", [number % 256 for number in range(536, 600)])] and whitened == [(model, 256, 255)]


# The UNet


def test_the_loss_is_weighted_where_subjects_are_drawn():
    weights = denoiser.window(20, 2.0)
    rows, columns = np.mgrid[:20, :20]
    expected = 1 + 2 * np.exp(-(((rows + 0.5) / 20 - 0.6) ** 2 + ((columns + 0.5) / 20 - 0.5) ** 2) / (2 * 0.25**2))
    assert np.allclose(weights, expected / expected.mean(), atol=1e-5) and weights.mean().item() == pytest.approx(1)


def test_channels_are_weighted_by_what_they_change(monkeypatch):
    scale = torch.tensor([1.0, 2.0, 0.0, 3.0])[:, None, None]
    monkeypatch.setattr(
        denoiser, "encode", lambda vae, images: SimpleNamespace(mode=lambda: torch.zeros(64, 4, 16, 16))
    )
    monkeypatch.setattr(denoiser, "decode", lambda vae, latents: latents * scale)
    weights = denoiser.sensitivity("vae", np.zeros((1, 8, 8, 3), np.uint8))  # type: ignore[arg-type]
    assert weights.tolist() == pytest.approx([1 / 1.5, 2 / 1.5, 0, 2], rel=0.05)


def test_plain_scenes_and_accessories_are_trained_more_often():
    cat = Scene(subject="cat", breed="tabby")

    def of(**changes):
        return denoiser.emphasis(cat.model_copy(update=changes))

    assert (of(), of(light="night"), of(weather="rain"), of(extra="crown")) == (1.0, 0.5, 0.4, 3.0)
    assert of(light="sunset", weather="snowfall", extra="scarf") == pytest.approx(0.6)


def test_latents_are_encoded_once(monkeypatch, tmp_path):
    encoded = []
    monkeypatch.setattr(
        denoiser,
        "encode",
        lambda vae, images: encoded.append(len(images)) or SimpleNamespace(mode=lambda: images[:, :1, :2, :2]),
    )
    gallery = Gallery(70)
    first = denoiser.cache_latents("vae", gallery, tmp_path / "latents.npy", "cpu")  # type: ignore[arg-type]
    again = denoiser.cache_latents("vae", gallery, tmp_path / "latents.npy", "cpu")  # type: ignore[arg-type]
    assert encoded == [64, 6] and first.dtype == torch.float16 and torch.equal(first, again)
    assert first[:, 0, 0, 0].tolist() == pytest.approx([number / 127.5 - 1 for number in range(70)], abs=1e-3)


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.asked = []

    def set_attn_processor(self, processor):
        self.processor = processor

    def forward(self, noisy, steps, states):
        self.asked.append((noisy, steps, states))
        return SimpleNamespace(sample=torch.zeros_like(noisy) + self.bias)


class Text(nn.Module):
    def set_attn_implementation(self, kind):
        self.kind = kind

    def forward(self, tokens):
        return SimpleNamespace(last_hidden_state=tokens + 0.5, pooler_output=tokens.float())


@pytest.fixture
def unet_stage(fitted, monkeypatch, tmp_path):
    """Starts the stage of the UNet with stubs, and returns what it trains with."""

    def start(**changes):
        recipe = Recipe(denoiser=STAGE.model_copy(update={"batch": 4}), snr_cap=None, centre_weight=3.0).model_copy(
            update=changes
        )
        scenes = [random_scene(random.Random(number)) for number in range(640)]
        gallery, latents, texts = Gallery(0, scenes), torch.randn(640, 2, 4, 4).half(), []
        monkeypatch.setattr(denoiser, "cache_latents", lambda *given: latents)
        monkeypatch.setattr(denoiser, "sensitivity", lambda vae, pixels: torch.tensor([0.5, 1.5]))
        monkeypatch.setattr(
            denoiser, "tokenise", lambda tokenizer, given: texts.append(given) or torch.ones(len(given), 3)
        )
        parts = SimpleNamespace(vae="vae", text=Text(), unet=Unet(), tokenizer="tokenizer")
        denoiser.train(recipe, gallery, parts, tmp_path, "cpu")  # type: ignore[arg-type]
        (call,) = fitted
        assert call.model is parts.unet and (call.name, call.seed) == ("denoiser", 1)
        return SimpleNamespace(call=call, recipe=recipe, scenes=scenes, latents=latents, texts=texts, unet=parts.unet)

    return start


@pytest.mark.parametrize("cap", [None, 2.0])
def test_the_unets_loss_is_weighted_by_place_channel_and_noise(unet_stage, cap):
    stage = unet_stage(snr_cap=cap)
    value, _ = stage.call.loss(3, torch.Generator().manual_seed(5))
    rng, goal = torch.Generator().manual_seed(5), objective("v_prediction")
    shares = torch.tensor([denoiser.emphasis(scene) for scene in stage.scenes[:140]])
    indices = torch.multinomial(shares, 4, replacement=True, generator=rng).tolist()
    steps = ((torch.arange(4) + torch.rand(4, generator=rng)) * 250).long()
    noise = torch.randn(4, 2, 4, 4, generator=rng)
    clean = stage.latents[indices].float()
    ((noisy, asked, states),) = stage.unet.asked
    assert torch.equal(asked, steps) and [step // 250 for step in steps.tolist()] == [0, 1, 2, 3]
    assert torch.equal(noisy, goal.noisy(clean, noise, steps)) and torch.equal(states, torch.full((4, 3), 1.5))
    weights = denoiser.window(4, 3.0) * torch.tensor([0.5, 1.5])[:, None, None]
    errors = (weights * goal.target(clean, noise, steps).square()).mean((1, 2, 3))
    if cap:
        errors = errors * torch.minimum(torch.ones(4), cap / goal.ratio(steps))
    assert value.item() == pytest.approx(errors.mean().item(), rel=1e-4)
    words = random.Random("1/3")
    assert stage.texts == [[training_caption(stage.scenes[index], words, 0.1) for index in indices]]


def test_captions_are_dropped_and_paraphrased_as_the_recipe_says(unet_stage):
    stage = unet_stage(caption_dropout=1.0)
    stage.call.loss(0, torch.Generator().manual_seed(5))
    assert stage.texts == [[""] * 4]
    stage.call.evaluate(stage.unet)
    assert "" not in stage.texts[1], "and never in what is measured"


def test_without_paraphrases_an_image_always_has_the_same_caption(unet_stage):
    stage = unet_stage(paraphrase=False, caption_dropout=0.0)
    texts = []
    for step in (0, 1):
        stage.call.loss(step, torch.Generator().manual_seed(5))
        texts.append(stage.texts[-1])
    assert texts[0] == texts[1]


def test_the_unseen_loss_is_of_the_first_held_out_images(unet_stage):
    stage = unet_stage()
    figures = stage.call.evaluate(stage.unet)
    rng, goal = torch.Generator().manual_seed(0), objective("v_prediction")
    steps, noise = torch.linspace(0, 999, 128).long(), torch.randn(128, 2, 4, 4, generator=rng)
    errors = goal.target(stage.latents[140:268].float(), noise, steps).square().mean((1, 2, 3))
    assert figures["unseen_loss"] == pytest.approx(errors.mean().item(), rel=1e-4)
    assert figures["unseen_loss_noisy"] == pytest.approx(errors[steps >= 400].mean().item(), rel=1e-4)


# Text and image encoder


def test_the_text_encoder_is_trained_on_full_and_short_captions_in_turn(fitted, monkeypatch, tmp_path):
    texts, paddings = [], []

    def tokenise(tokenizer, given, padding):
        texts.append(given)
        paddings.append(padding)
        return torch.zeros(len(given), 2, dtype=torch.long)

    class Encoder(Text):
        pass

    monkeypatch.setattr(text_encoder, "tokenise", tokenise)
    recipe = Recipe(text=STAGE.model_copy(update={"batch": 2}), text_width=2, seed=3)
    begin = Encoder()
    assert text_encoder.train(recipe, "tokenizer", tmp_path, "cpu", begin) is begin  # type: ignore[arg-type]
    (call,) = fitted
    assert (call.name, call.seed, call.model.text) == ("text", 3, begin)
    for step in range(0, 8, 1):
        call.loss(step, torch.Generator())
        words = random.Random(f"text/3/{step}")
        scenes = text_encoder.scenes_at(words, 2)
        kind = training_caption if step % 2 else CAPTION_KINDS[step // 2]
        assert texts[-1] == [kind(scene, words) for scene in scenes]
        assert paddings[-1] == ("max_length" if words.random() < 0.1 else "longest")
    assert len(CAPTION_KINDS) == 4


def test_the_image_encoder_is_trained_on_each_kind_of_caption_in_turn(fitted, monkeypatch, tmp_path):
    texts, scenes = [], [random_scene(random.Random(number)) for number in range(700)]

    def tokenise(tokenizer, given, padding):
        assert padding == "longest"
        texts.append(given)
        return torch.zeros(len(given), 2)

    class Vision(nn.Module):
        def __init__(self):
            super().__init__()
            self.images = []

        set_attn_implementation = Text.set_attn_implementation

        def forward(self, images):
            self.images.append(images)
            return SimpleNamespace(image_embeds=images[:, :2, 0, 0])

    monkeypatch.setattr(image_encoder, "tokenise", tokenise)
    parts = SimpleNamespace(image=Vision(), text=Text(), tokenizer="tokenizer")
    recipe = Recipe(image=STAGE.model_copy(update={"batch": 3}), seed=3)
    gallery = Gallery(0, scenes)
    assert image_encoder.train(recipe, gallery, parts, tmp_path, "cpu") is parts.image  # type: ignore[arg-type]
    (call,) = fitted
    for step in range(5):
        call.loss(step, torch.Generator().manual_seed(step))
        indices = torch.randint(200, (3,), generator=torch.Generator().manual_seed(step)).tolist()
        words = random.Random(f"3/{step}")
        assert texts[-1] == [CAPTION_KINDS[step % 4](scenes[index], words) for index in indices]
        shown = parts.image.images[-1][:, 0, 0, 0].tolist()
        assert shown == pytest.approx([index % 256 / 127.5 - 1 for index in indices], abs=1e-5)


def test_what_is_measured_of_the_image_encoder(fitted, monkeypatch, tmp_path):
    """A model that knows the right text of every image, but for the first."""
    scenes = [random_scene(random.Random(number)) for number in range(700)]
    shown, asked = [], []
    monkeypatch.setattr(
        image_encoder, "tokenise", lambda tokenizer, given, padding: asked.append(given) or torch.zeros(len(given), 2)
    )
    monkeypatch.setattr(
        Gallery,
        "batch",
        lambda self, indices: shown.append(list(indices)) or np.zeros((len(list(indices)), 2, 2, 3), np.uint8),
    )
    parts = SimpleNamespace(image=SimpleNamespace(set_attn_implementation=print), text=Text(), tokenizer="tokenizer")
    monkeypatch.setattr(
        image_encoder,
        "ImageTower",
        lambda image: SimpleNamespace(image=Text(), to=lambda device: SimpleNamespace(image=Text())),
    )
    image_encoder.train(Recipe(), Gallery(0, scenes), parts, tmp_path, "cpu")  # type: ignore[arg-type]
    unseen = scenes[200:400]

    def model(texts, images):
        given = asked[-1]
        if len(asked) == 1:
            scores = torch.eye(200)
            scores[0, 1] = 2.0
            return scores
        kind = image_encoder.subject_caption if len(asked) == 2 else kind_caption
        scores = torch.zeros(len(given), 200)
        for column, scene in enumerate(unseen):
            scores[given.index(kind(scene, random.Random())) - (column == 0), column] = 1.0
        return scores

    figures = fitted[0].evaluate(model)
    assert shown == [list(range(200, 400))] * 3
    assert figures == pytest.approx({"recall_at_1_of_200": 0.995, "subject_read": 0.995, "kind_read": 0.995})


@pytest.mark.parametrize("start", [2.0, 9.0])
def test_similarities_are_multiplied_by_at_most_a_hundred(start):
    embedded = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    tower = image_encoder.ImageTower(lambda images: SimpleNamespace(image_embeds=images))  # type: ignore[arg-type]
    tower.temperature.data.fill_(start)
    expected = torch.tensor([[1.0, 0.8], [0.8, 1.0]]) * np.exp(min(start, 4.6))
    assert torch.allclose(tower(embedded, 5 * embedded), expected, rtol=1e-4)
    texts = text_encoder.TextAndFacts(Text(), 8)  # type: ignore[arg-type]
    texts.temperature.data.fill_(start)
    facts = torch.zeros(3, len(text_encoder.FACTS), dtype=torch.long)
    similar = texts(torch.ones(2, 8), facts)
    assert similar.shape == (2, 3) and similar.abs().max() <= np.exp(min(start, 4.6)) + 1e-3


def test_short_captions_say_one_thing():
    cat = Scene(subject="cat", breed="siamese", extra="scarf", extra_colour="red")
    words = random.Random(1)
    assert [kind(cat, words) for kind in CAPTION_KINDS[1:]] == ["a cat", "a siamese cat", "a cat with red scarf"]
    assert accessory_caption(Scene(subject="cat", extra="crown"), words) == "a cat with crown"
    assert accessory_caption(Scene(subject="mug", colour="red"), words) == "a mug"
    assert kind_caption(Scene(subject="mug", colour="orange"), words) == "an orange mug"


# Images


def test_drawn_images_have_no_reserved_pair_and_follow_seed_and_number(monkeypatch):
    monkeypatch.setattr(drawings, "SHARD", 60)
    monkeypatch.setattr(drawings, "paint", lambda scene: np.zeros((1, 1, 3), np.uint8))
    lines = [drawings._render_shard(seed, index)[0] for seed, index in ((1, 0), (1, 0), (1, 1), (2, 0))]
    assert not any(holds_reserved(Scene(**json.loads(line))) for line in lines[0])
    assert lines[0] == lines[1] and len({tuple(each) for each in lines}) == 3


class NowPool:
    """A pool that works in this process."""

    def __init__(self, workers):
        self.workers = workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def submit(self, work, *given):
        return SimpleNamespace(result=lambda: work(*given))


def test_missing_images_are_drawn_in_whole_files(monkeypatch, tmp_path):
    drawn = []

    def paint_shard(seed, index):
        drawn.append((seed, index))
        scenes = [Scene(subject="cat", seed=10 * index + number) for number in range(3)]
        return [scene.model_dump_json() for scene in scenes], np.full((3, 2, 2, 3), index, np.uint8)

    monkeypatch.setattr(drawings, "SHARD", 3)
    monkeypatch.setattr(drawings, "ProcessPoolExecutor", NowPool)
    monkeypatch.setattr(drawings, "_render_shard", paint_shard)
    drawings.DrawnImages.build(tmp_path, 4, 5, 1)
    assert drawn == [(5, 0), (5, 1)]
    drawings.DrawnImages.build(tmp_path, 7, 5, 1)
    assert drawn[2:] == [(5, 2)], "finished files are kept"
    gallery = drawings.DrawnImages(tmp_path)
    assert len(gallery) == 9 and [scene.seed for scene in gallery.scenes] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert gallery.batch([0, 4, 8])[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_photographs_are_turned_upright_and_reduced_to_their_shorter_side(tmp_path):
    (tmp_path / "mug").mkdir()
    image = Image.new("RGB", (60, 30))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "mug" / "00.jpg", exif=exif)
    (tmp_path / "mug" / "deeper").mkdir()
    image.save(tmp_path / "mug" / "deeper" / "00.jpg")
    split = drawings.load_photographs(tmp_path, ("dog",), side=15)
    assert [photo.shape for photo in split["train"]] == [(30, 15, 3)] and not split["held_out"]


# The finished starter


def test_the_figures_of_an_export_are_those_of_its_parts(monkeypatch, tmp_path):
    recipe = Recipe(size=8, photograph_share=0.2, denoiser=STAGE.model_copy(update={"batch": 6}))
    measured, gallery = [], Gallery(300)
    photographs = {"train": [np.zeros((12, 20, 3), np.uint8)] * 2, "held_out": [np.full((9, 9, 3), 7, np.uint8)]}

    class Judge:
        def state_dict(self):
            return {"weight": torch.ones(2, dtype=torch.float32)}

    pipeline = SimpleNamespace(to=lambda device: f"on {device}")
    monkeypatch.setattr(export, "psnr", lambda vae, pixels: measured.append(pixels) or float(len(measured)))
    monkeypatch.setattr(export, "assemble", lambda parts, side, scheduler: pipeline)
    monkeypatch.setattr(
        export,
        "save",
        lambda given, folder: (folder / "unet").mkdir(parents=True) or (folder / "unet/a.safetensors").touch(),
    )
    monkeypatch.setattr(
        export, "weight_hashes", lambda folder: {path.name: "hash" for path in folder.rglob("*.safetensors")}
    )
    monkeypatch.setattr(
        export, "model_card", lambda folder: f"card of {json.loads((folder / 'scores.json').read_text())['pictures']}"
    )
    monkeypatch.setattr(export, "version", lambda name: f"version of {name}")
    for stage, figures in {"denoiser": {"unseen_loss": 0.25}, "image": {"recall_at_1_of_200": 0.75}}.items():
        lines = [
            {"step": 4, "per_second": 9.0},
            {"step": 5, "per_second": 0.1} | figures,
            {"step": 6, "per_second": 1.0},
        ]
        (tmp_path / f"{stage}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    parts = SimpleNamespace(vae="vae", judge=Judge(), scores={"old": 1.0}, training=[{"stage": "old"}])
    out = tmp_path / "out"
    recipe = recipe.model_copy(update={"image": STAGE})
    export.export(recipe, gallery, photographs, parts, tmp_path, out, ["denoiser", "image"], "a note")  # type: ignore[arg-type]
    assert measured[0][:, 0, 0, 0].tolist() == [number % 256 for number in range(44, 300)]
    assert [len(pixels) for pixels in measured] == [256, 2, 1] and measured[1].shape[1:3] == (8, 8)
    facts = json.loads((out / "scores.json").read_text())
    assert facts == {
        "version": "version of limner",
        "scores": {
            "old": 1.0,
            "painter PSNR, dB": 1.0,
            "photograph PSNR, train, dB": 2.0,
            "photograph PSNR, held out, dB": 3.0,
            "caption told from picture, recall at 1 of 200": 0.75,
            "denoising loss, unseen pictures": 0.25,
        },
        "training": [
            {"stage": "old"},
            {"stage": "UNet", "steps": 5, "batch": 6, "minutes": 5},
            {"stage": "image encoder", "steps": 5, "batch": 3, "minutes": 2},
        ],
        "pictures": 300,
        "photographs": 2,
        "photograph share": 0.2,
        "held out photographs": list(HELD_OUT_PHOTOGRAPHS),
        "note": "a note",
        "sha256": {"a.safetensors": "hash", "model.safetensors": "hash"},
    }
    assert (out / "README.md").read_text() == "card of 300"
    assert load_file(out / "judge" / "model.safetensors")["weight"].dtype == torch.float16


def test_only_a_starter_is_replaced(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "scores.json").write_text("new")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "new")
    for name in ("other", "link"):
        with pytest.raises(FileExistsError, match="is not a starter"):
            export.check_replaceable(tmp_path / name)
        with pytest.raises(FileExistsError):
            export.put_folder(tmp_path / "new", tmp_path / name)
    parts = SimpleNamespace(vae="vae", judge="judge", scores={})
    with pytest.raises(FileExistsError):  # before anything is computed
        export.export(Recipe(), None, {}, parts, tmp_path, tmp_path / "other", [])  # type: ignore[arg-type]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "scores.json").write_text("old")
    export.put_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "scores.json").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"old", "other", "link"}, "nothing is left of the old one"
    (tmp_path / "empty").mkdir()
    export.check_replaceable(tmp_path / "empty")


def test_photographs_are_measured_in_their_central_square():
    photo = np.zeros((10, 30, 3), np.uint8)
    photo[:, 10:20] = 200
    assert (export._square(photo, 10) == 200).all() and (export._square(photo.transpose(1, 0, 2), 10) == 200).all()


def test_saved_parts_are_in_fp16_and_read_in_fp32(tmp_path):
    class Pipeline:
        def to(self, dtype):
            self.dtype = dtype

        def save_pretrained(self, folder, safe_serialization):
            assert safe_serialization and self.dtype == torch.float16
            for part in ("text_encoder", "image_encoder", "unet"):
                (folder / part).mkdir(parents=True)
                facts = {"_name_or_path": "/private", "dtype": "float16", "width": 3}
                (folder / part / "config.json").write_text(json.dumps(facts))

    export.save(Pipeline(), tmp_path)  # type: ignore[arg-type]
    found = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/config.json")}
    assert found == {
        "text_encoder": {"dtype": "float32", "width": 3},
        "image_encoder": {"dtype": "float32", "width": 3},
        "unet": {"dtype": "float16", "width": 3},
    }


# The command


def test_the_command_passes_every_option_on(monkeypatch, tmp_path):
    calls, threads = [], []
    monkeypatch.setattr(pretrain, "run", lambda *given, **named: calls.append((given, named)))
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    (tmp_path / "recipe.json").write_text('{"seed": 5}')

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["pretrain", str(tmp_path), *map(str, words)])
        pretrain.main()
        return calls[-1]

    assert called("--device", "cpu") == (
        (Recipe(), tmp_path),
        {
            **{"out": tmp_path / "starter", "photographs": None, "stages": pretrain.STAGES},
            **{"device": "cpu", "note": "", "begin_with": None},
        },
    )
    words = [
        "--out",
        "o",
        "--photographs",
        "p",
        "--stage",
        "text",
        "--stage",
        "export",
        "--recipe",
        tmp_path / "recipe.json",
    ]
    assert called(*words, "--begin-with", "b", "--note", "n", "--device", "meta", "--threads", 3) == (
        (Recipe(seed=5), tmp_path),
        {
            **{"out": Path("o"), "photographs": Path("p"), "stages": ("text", "export")},
            **{"device": "meta", "note": "n", "begin_with": Path("b")},
        },
    )
    assert threads == [3]


@pytest.fixture
def stages(monkeypatch, tmp_path):
    """Runs stages with stubs that record what they are given, and return what they trained."""
    calls = {}

    def stub(name, trained):
        return lambda *given: (calls.setdefault(name, given) and None) or trained

    modules = {"judge": judge, "text": text_encoder, "vae": autoencoder, "image": image_encoder, "unet": denoiser}
    for name, module in modules.items():
        monkeypatch.setattr(module, "train", stub(name, f"trained {name}"))
    photographs = {"train": "photographs to train on", "held_out": "photographs held out"}
    monkeypatch.setattr(
        pretrain,
        "load_photographs",
        lambda folder, held_out: calls.update(photographs=(folder, held_out)) or photographs,
    )
    monkeypatch.setattr(pretrain, "export", stub("export", None))
    monkeypatch.setattr(pretrain, "build_tokenizer", lambda seed, tokens: ("tokenizer", seed, tokens))
    monkeypatch.setattr(pretrain, "DrawnImages", SimpleNamespace)
    gallery = type("Drawn", (), {"__init__": lambda self, folder: None, "build": staticmethod(stub("pictures", None))})
    monkeypatch.setattr(pretrain, "DrawnImages", gallery)

    def run(*names, **options):
        calls.clear()
        pretrain.run(
            Recipe(seed=7, pictures=9), tmp_path, **{"out": tmp_path / "o", "device": "meta"} | options, stages=names
        )
        return dict(calls)

    return run


def test_each_stage_trains_on_what_the_earlier_ones_made(stages, tmp_path):
    found = stages(*pretrain.STAGES, photographs=tmp_path / "p", note="a note")
    recipe, tokenizer = Recipe(seed=7, pictures=9), ("tokenizer", 7, 48)
    assert list(found) == ["judge", "pictures", "text", "photographs", "vae", "image", "unet", "export"]
    assert found["judge"] == (recipe, tmp_path, "meta", None)
    assert found["pictures"][:3] == (tmp_path / "pictures", 9, 7)
    assert found["text"] == (recipe, tokenizer, tmp_path, "meta", None)
    assert found["photographs"] == (tmp_path / "p", HELD_OUT_PHOTOGRAPHS)
    given = found["vae"]
    assert (given[0], *given[2:]) == (recipe, "photographs to train on", tmp_path, "meta", None)
    parts = found["unet"][2]
    assert (parts.vae, parts.text, parts.image) == ("trained vae", "trained text", "trained image")
    assert (parts.unet, parts.judge) == ("trained unet", "trained judge") and found["image"][2] is parts
    *_, photographs, same, folder, out, trained, note = found["export"]
    assert photographs["held_out"] == "photographs held out" and same is parts
    assert (folder, out, note) == (tmp_path, tmp_path / "o", "a note")
    assert trained == ["judge", "text", "autoencoder", "image", "denoiser"]


def test_a_single_stage_needs_only_what_it_is_made_from(stages):
    def trained(*names):
        return [name for name in stages(*names) if name != "photographs"]

    assert trained("judge") == ["judge"] and trained("text") == ["text"]
    assert trained("image") == ["text", "image"] and trained("autoencoder") == ["vae"]
    assert trained("denoiser") == ["text", "vae", "unet"]
    assert trained("export") == ["judge", "text", "vae", "image", "unet", "export"]
    assert "photographs" not in stages("judge", "pictures", "text") and "photographs" in stages("autoencoder")


def test_a_finished_starters_other_parts_are_left_as_they_are(stages, monkeypatch, tmp_path):
    parts = {name: f"finished {name}" for name in ("tokenizer", "vae", "text", "image", "unet", "judge")}
    monkeypatch.setattr(pretrain.StarterParts, "load", lambda folder: SimpleNamespace(folder=folder, **parts))
    found = stages("denoiser", "autoencoder", "export", begin_with=tmp_path / "b")
    assert [name for name in found if name != "photographs"] == ["vae", "unet", "export"]
    assert found["vae"][-1] == "finished vae" and found["unet"][2].folder == tmp_path / "b"
    assert found["export"][-2] == ["autoencoder", "denoiser"]
    found = stages("judge", "text", begin_with=tmp_path / "b")
    assert (found["judge"][-1], found["text"][-1]) == ("finished judge", "finished text")


def test_a_stage_without_steps_is_left_out(stages, monkeypatch, tmp_path):
    recipe = Recipe(image=STAGE.model_copy(update={"steps": 0}))
    monkeypatch.setattr(pretrain, "Recipe", None)
    calls = []
    monkeypatch.setattr(pretrain, "export", lambda *given: calls.append(given))
    pretrain.run(recipe, tmp_path, out=tmp_path / "o", stages=("export",))
    assert calls[0][-2] == ["judge", "text", "autoencoder", "denoiser"]
