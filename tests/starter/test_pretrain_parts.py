"""The parts of pretraining one by one: what each is given, what its loss is, and what is written of it."""

from __future__ import annotations

import copy
import json
import random
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from limner.core.errors import LimnerError
from limner.engine.train.batches import generator_for
from limner.starter.painter import COLOURS, Scene, random_scene
from limner.starter.painter.reserved import holds_reserved, unreserved_scenes
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
from limner.starter.pretrain import training_set as latents_and_captions
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.recipe import HELD_OUT_PHOTOGRAPHS, Recipe, StageRecipe
from limner.starter.pretrain.training_captions import CAPTION_KINDS, accessory_caption, kind_caption, training_caption

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src" / "limner" / "starter" / "weights"


class Gallery:
    """Images whose pixels are all their number, with scenes. Each has three captions; shards: how many a file holds."""

    folder = Path("pictures")

    def __init__(self, count, scenes=None, shards=()):
        self.scenes = scenes or [Scene(subject="cat", breed="tabby", seed=number) for number in range(count)]
        self.captions = [[f"{number} {way}" for way in "abc"] for number in range(len(self.scenes))]
        self.unusual = [number % 3 == 0 for number in range(len(self.scenes))]
        ends = np.cumsum(shards).tolist()
        self.shards = [self.batch(range(end - size, end)) for size, end in zip(shards, ends, strict=True)]

    def refresh(self):
        """Nothing more was drawn."""

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


def test_the_log_names_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    on_gpu = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device("cuda:1"))]))
    assert loop._machine(on_gpu) == {"machine": "GPU 1"} and loop._machine(Line()) == {}  # type: ignore[arg-type]


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


def test_each_average_has_its_decay_and_all_are_saved(tmp_path):
    stage = STAGE.model_copy(update={"steps": 9, "ema": 0.3, "emas": (0.05, 0.45, 0.3)})
    model = Line()
    average = loop.fit("line", model, stage, line_loss(model, []), tmp_path, seed=9)
    at, means = 0.0, dict.fromkeys((0.3, 0.05, 0.45), 0.0)
    for step in range(9):
        at -= stage.rate(step)
        for decay, mean in means.items():
            means[decay] = mean + (1 - min(decay, (1 + step) / (10 + step))) * (at - mean)
    saved = torch.load(tmp_path / "line.pt", weights_only=True)["averages"]
    found = {name: weights["weight"][0].item() for name, weights in saved.items()}
    assert found == pytest.approx({str(decay): mean for decay, mean in means.items()}, rel=1e-4)
    assert len(set(found.values())) == 3 and average.weight[0].item() == found["0.3"]
    assert [weights["seen"].item() for weights in saved.values()] == [9] * 3, "buffers are copied"


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("seen", torch.zeros(()))


def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(tmp_path):
    model = Line()
    loop.fit("line", model, STAGE, line_loss(model, []), tmp_path, seed=9)
    path = tmp_path / "line.pt"

    def refused(model, stage):
        with pytest.raises(LimnerError) as caught:
            loop.StageState(model, stage, path).load()
        problem, remedy = str(caught.value).split("; ")
        assert "\n" not in problem and str(path) in problem and remedy == "remove it, or use another folder"
        return problem

    more = STAGE.model_copy(update={"emas": (0.9, 0.99)})
    assert refused(Line(), more).endswith("has no moving average with decay 0.9, 0.99")
    assert refused(Wide(), STAGE).endswith("is of a network with other sizes than the recipe's")
    state = torch.load(path, weights_only=True)
    state["average"] = state.pop("averages")["0.05"]
    torch.save(state, path)
    assert refused(Line(), STAGE).endswith("was saved by an earlier version")


@pytest.fixture
def timed(monkeypatch, tmp_path):
    """Runs a stage whose steps take a second each, but the first one 101 s; returns the steps it took."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def run(stop=None, seconds=1.0, **changes):
        stage = STAGE.model_copy(update={"steps": 2000, "minutes": 10.0, "decay": 0.2} | changes)
        model, steps = Line(), []

        def loss(step, rng):
            if step == stop:
                raise KeyboardInterrupt
            clock.now += seconds + (0 if steps else 100)
            steps.append(step)
            return model.weight.sum(), {}

        try:
            loop.fit("line", model, stage, loss, tmp_path, seed=9)
        except KeyboardInterrupt:
            assert stop is not None
        return steps

    return run


def test_minutes_shorten_a_stage_and_leave_its_decay(timed, tmp_path):
    assert timed() == list(range(500)), "of 600 seconds, the first step took 101"
    lines = [json.loads(line) for line in (tmp_path / "line.jsonl").read_text().splitlines()]
    planned = STAGE.model_copy(update={"steps": 500, "decay": 0.2})
    rates = {line["step"]: line["rate"] for line in lines}
    assert rates[400] == 0.5 and rates[500] == planned.rate(499) == pytest.approx(0.5 / 100)
    assert [rates[step] for step in range(425, 501, 25)] == [planned.rate(step - 1) for step in range(425, 501, 25)]
    assert timed() == [], "a finished stage is only loaded"
    assert timed(minutes=11.0)[0] == 500, "with more minutes it goes on"


def test_a_stage_within_its_minutes_has_all_its_steps(timed):
    assert timed(steps=300) == list(range(300))


def test_a_stage_out_of_time_ends_when_that_is_measured(timed):
    assert timed(minutes=1.0) == list(range(100)) and timed(minutes=1.0) == []


def test_an_interrupted_stage_has_the_minutes_that_are_left(timed):
    assert timed(stop=300) == list(range(300))
    resumed = timed()  # from step 250, after 350 s; the first step takes 101 s again
    assert resumed == list(range(250, 400)), "and not until step 500, which would take 700 s"


def test_a_stage_that_is_resumed_while_its_rate_falls_keeps_its_plan(timed):
    assert timed(stop=480, decay=0.6) == list(range(480))
    assert timed(decay=0.6, seconds=9.0) == list(range(250, 500))


def test_without_a_limit_the_number_of_steps_is_the_recipes(timed):
    assert timed(minutes=None, steps=120, seconds=1e6) == list(range(120))


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
    assert (recipe.prediction, recipe.size, recipe.caption_dropout, recipe.captions) == ("v_prediction", 128, 0.1, 8)
    assert recipe.denoiser.optimiser == "muon" and (recipe.looks, recipe.alignment) == (0.2, 0)
    for stage in ("autoencoder", "text", "image", "denoiser", "judge"):
        assert getattr(recipe, stage).minutes is None, "a recipe without limits gives the same weights everywhere"


@pytest.mark.parametrize(
    "values", [{"captions": 0}, {"looks": -0.1}, {"looks": 1.1}, {"alignment": -1.0}, {"paraphrase": True}]
)
def test_a_recipe_refuses_what_cannot_be(values):
    with pytest.raises(ValidationError):
        Recipe(**values)


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_limit_of_no_minutes_is_refused(minutes):
    with pytest.raises(ValidationError):
        StageRecipe(steps=1, batch=1, learning_rate=1.0, minutes=minutes)


def test_the_recipes_sizes_fit_together_and_are_those_of_the_included_starter():
    gpu = Recipe.model_validate_json((ROOT / "benchmarks" / "starter_on_gpu.json").read_text(encoding="utf-8"))
    included = StarterParts.load(WEIGHTS)
    for recipe in (Recipe(), gpu):
        with torch.device("meta"):
            vae, unet = autoencoder.build(recipe), denoiser.build(recipe)
            latents = autoencoder.encode(vae, torch.zeros(1, 3, recipe.size, recipe.size)).mode()
            states = torch.zeros(1, recipe.tokens, recipe.text_width)
            assert latents.shape == (1, recipe.latent_channels, recipe.latent_side, recipe.latent_side)
            assert unet(latents, 1, states).sample.shape == latents.shape
        for built, shipped in ((vae, included.vae), (unet, included.unet)):
            assert {k: v.shape for k, v in built.state_dict().items()} == {
                k: v.shape for k, v in shipped.state_dict().items()
            }


def test_functions_are_compiled_for_a_gpu_only(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: ("compiled", function, dynamic))
    assert precision.compiled(len, "cpu") is len and precision.compiled(len, "cuda:0") == ("compiled", len, False)


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
    assert autoencoder.to_tensor(torch.full((2, 4, 5, 3), 255, dtype=torch.uint8)).shape == (2, 3, 4, 5)


def ramp(value):
    """An image whose red is its row, whose green its column, and whose blue its value."""
    rows, columns = np.mgrid[:128, :128]
    return np.stack([rows, columns, np.full_like(rows, value)], -1).astype(np.uint8)


class Ramps(Gallery):
    def __getitem__(self, index):
        return ramp(index % 256)


class Seen(Exception):
    """What was asked for was seen."""


def crops_of(fitted, monkeypatch, photographs, folder):
    """The crops (n, 32, 32, 3) of one step of the autoencoder, on 503 images."""
    shown = []

    def to_tensor(pixels):
        shown.append(pixels.numpy())
        raise Seen

    monkeypatch.setattr(autoencoder, "whiten", lambda model, pixels: None)
    recipe = TINY.model_copy(
        update={"autoencoder": STAGE.model_copy(update={"batch": 600}), "photograph_share": 0.25, "vae_crop": 32}
    )
    autoencoder.train(recipe, Ramps(503), photographs, folder, "cpu")  # type: ignore[arg-type]
    monkeypatch.setattr(autoencoder, "to_tensor", to_tensor)
    with pytest.raises(Seen):
        fitted[-1].loss(0, torch.Generator().manual_seed(1))
    return shown[0]


def test_crops_are_from_anywhere_in_trained_images_and_photographs(fitted, monkeypatch, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        crops = crops_of(fitted, patch, [ramp(200), ramp(201)], tmp_path)
    corners = crops[:, 0, 0].astype(int)
    sources, counts = np.unique(corners[:, 2], return_counts=True)
    assert sources.tolist() == [200, 201, 244, 245, 246], "the first 500 are held out"
    assert 0.15 < counts[:2].sum() / 600 < 0.35 and counts.min() > 50
    for axis in (0, 1):
        assert corners[:, axis].min() < 4 and corners[:, axis].max() > 92
    assert abs(np.corrcoef(corners[:, 0], corners[:, 1])[0, 1]) < 0.2
    assert (crops[:, -1, -1, :2] - crops[:, 0, 0, :2] == 31).all()
    with pytest.MonkeyPatch.context() as patch:
        only = crops_of(fitted, patch, [], tmp_path)
    assert np.unique(only[:, 0, 0, 2]).tolist() == [244, 245, 246]


def test_squares_of_photographs_are_from_anywhere():
    wide, tall = ramp(7)[:40, :100], ramp(8)[:100, :40]
    squares = autoencoder._squares([wide, tall], 30, 64, seed=3).numpy()
    assert squares.shape == (128, 30, 30, 3) and squares[:, 0, 0, 2].tolist() == [7] * 64 + [8] * 64
    corners = squares[:, 0, 0, :2].astype(int)
    for corner, most in ((corners[:64], (10, 70)), (corners[64:], (70, 10))):
        assert (corner.min(0) <= 4).all() and (corner.max(0) <= most).all()
        assert (corner.max(0) >= np.array(most) - 6).all(), "as far as the last place"
    assert (squares[:, -1, -1, :2] - squares[:, 0, 0, :2] == 29).all()
    assert np.array_equal(squares, autoencoder._squares([wide, tall], 30, 64, seed=3).numpy())


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
    stub.device = torch.device("cpu")  # as an AutoencoderKL has it
    monkeypatch.setattr(autoencoder, "encode", lambda vae, images: SimpleNamespace(mode=lambda: images))
    monkeypatch.setattr(autoencoder, "decode", lambda vae, latents: torch.full_like(latents, 5.0))
    pixels = np.stack([np.full((4, 4, 3), level, np.uint8) for level in (0, 204, *[204] * 16)])
    expected = [-10 * np.log10(1.0), *[-10 * np.log10(0.2**2)] * 17]
    assert autoencoder.psnr(stub, pixels) == pytest.approx(np.mean(expected), abs=1e-3)


def test_the_autoencoders_loss_has_the_weights_of_the_recipe(fitted, vae, monkeypatch, tmp_path):
    gallery, given, measured, whitened = Gallery(800), [], [], []
    monkeypatch.setattr(
        autoencoder,
        "_random_crops",
        lambda sources, side, rng: given.append((len(sources), side)) or torch.zeros(2, 32, 32, 3, dtype=torch.uint8),
    )
    monkeypatch.setattr(
        autoencoder, "reconstruction_loss", lambda result, target: torch.tensor(float(result.shape[-1]))
    )
    monkeypatch.setattr(
        autoencoder, "psnr", lambda model, pixels: measured.append((model, pixels[:, 0, 0, 0].tolist())) or 3.0
    )
    monkeypatch.setattr(
        autoencoder, "whiten", lambda model, pixels: whitened.append((model, pixels[:, 0, 0, 0].tolist()))
    )
    model = autoencoder.train(TINY, gallery, [], tmp_path, "cpu", vae)  # type: ignore[arg-type]
    (call,) = fitted
    assert call.model is vae is model and (call.name, call.seed, call.stage) == ("autoencoder", 1, TINY.autoencoder)
    value, figures = call.loss(0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        divergence = autoencoder.encode(vae, torch.full((2, 3, 32, 32), -1.0)).kl().mean()
    assert value.item() == pytest.approx(32 + 0.25 * 16 + 0.5 * divergence.item(), rel=1e-4) and not figures
    assert divergence > 0.1 and given == [(TINY.autoencoder.batch, 32)]
    assert call.evaluate("average") == {"psnr": 3.0}
    assert measured == [("average", list(range(64)))], "of images that are held out"
    assert whitened == [(model, [number % 256 for number in range(500, 756)])], "and no statistics of them"


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
    vae = SimpleNamespace(device=CPU)
    weights = denoiser.sensitivity(vae, np.zeros((1, 8, 8, 3), np.uint8))  # type: ignore[arg-type]
    assert weights.tolist() == pytest.approx([1 / 1.5, 2 / 1.5, 0, 2], rel=0.05)


def test_channels_are_weighted_on_the_autoencoders_device(vae):
    weights = denoiser.sensitivity(vae.to("meta"), np.zeros((1, 32, 32, 3), np.uint8))
    assert weights.device.type == "meta" and weights.shape == (4,)


def test_timesteps_are_stratified_and_stay_below_1000():
    """63 + (1 - 2**-24) is 64 in fp32, which would be a timestep of 1000."""
    assert denoiser.timesteps(torch.full((64,), 1 - 2**-24)).max() == 999
    assert denoiser.timesteps(torch.zeros(4)).tolist() == [0, 250, 500, 750]
    assert denoiser.timesteps(torch.full((4,), 0.999)).tolist() == [249, 499, 749, 999]


def test_plain_scenes_and_accessories_are_trained_more_often():
    cat = Scene(subject="cat", breed="tabby")

    def of(**changes):
        return latents_and_captions.emphasis(cat.model_copy(update=changes))

    assert (of(), of(light="night"), of(weather="rain"), of(extra="crown")) == (1.0, 0.5, 0.4, 4.0)
    assert of(light="sunset", weather="snowfall", extra="scarf") == pytest.approx(0.8)


class Part:
    """A network that is on the CPU already."""

    device = CPU

    def __init__(self, weight=0.0):
        self.weight = torch.tensor(weight)

    def state_dict(self):
        return {"weight": self.weight}

    def to(self, device):
        return self

    def eval(self):
        return self


class Reading(Part):
    """A judge whose features are the image's pixels and twice as much."""

    stages = (lambda images: images[:, :1, :2, :2], lambda x: torch.cat([x, 2 * x], 1), lambda x: x + 5, None)


@pytest.fixture
def training_set(monkeypatch, tmp_path):
    """Makes a training set of images whose latents are their pixels; also what was encoded and the texts' tokens."""
    encoded, ids = [], {}
    monkeypatch.setattr(
        latents_and_captions,
        "encode",
        lambda vae, images: encoded.append(len(images)) or SimpleNamespace(mode=lambda: images[:, :1, :2, :2]),
    )

    def tokenise(words, texts):
        return torch.tensor([[ids.setdefault(text, len(ids)), 7] for text in texts])

    monkeypatch.setattr(latents_and_captions.Words, "tokenise", tokenise)

    def make(gallery, weight=0.0, **changes):
        parts = SimpleNamespace(vae=Part(weight), judge=Reading(), tokenizer="tokenizer")
        recipe = Recipe(captions=2, alignment=0.5).model_copy(update=changes)
        return latents_and_captions.TrainingSet(recipe, gallery, parts, tmp_path / "latents", "cpu")  # type: ignore[arg-type]

    return SimpleNamespace(make=make, encoded=encoded, ids=ids)


def levels(first, end):
    """The pixels from -1 to 1 of images by their number."""
    return pytest.approx([number % 256 / 127.5 - 1 for number in range(first, end)], abs=1e-3)


def test_latents_of_each_file_are_encoded_once(training_set, tmp_path):
    data = training_set.make(Gallery(520, shards=(260, 260)))
    assert training_set.encoded == [100, 100, 60] * 2 and data.latents.dtype == torch.float16
    assert {path.name for path in (tmp_path / "latents").iterdir()} == {"latents-00000.npz", "latents-00001.npz"}
    again = training_set.make(Gallery(520, shards=(260, 260)))
    assert len(training_set.encoded) == 6 and torch.equal(data.latents, again.latents)
    assert data.latents[:, 0, 0, 0].tolist() == levels(0, 520) and len(data) == 520
    training_set.make(Gallery(520, shards=(260, 260)), weight=1.0)
    assert len(training_set.encoded) == 12, "by each autoencoder"
    training_set.make(Gallery(520, shards=(260, 260)), weight=1.0)
    assert len(training_set.encoded) == 12


def test_captions_features_and_shares_are_those_of_the_same_image(training_set):
    scenes = [random_scene(random.Random(number)) for number in range(520)]
    data = training_set.make(Gallery(0, scenes, shards=(260, 260)))
    texts = {number: text for text, number in training_set.ids.items()}
    assert data.tokens.shape == (520, 2, 2) and data.tokens.dtype == torch.int16
    shown = [[texts[number] for number in row] for row in data.tokens[:, :, 0].tolist()]
    assert shown == [[f"{number} a", f"{number} b"] for number in range(520)], "as many as the recipe says"
    clean = data.latents[:, 0, 0, 0].float()
    assert data.features.shape == (520, 2, 2, 2), "of the judge's third stage"
    assert torch.allclose(data.features[:, 0, 0, 0].float(), clean + 5, atol=0.01)
    assert torch.allclose(data.features[:, 1, 1, 1].float(), 2 * clean + 5, atol=0.01)
    assert not data.shares[:500].any(), "the first are held out"
    assert data.shares[500:].tolist() == pytest.approx([latents_and_captions.emphasis(scene) for scene in scenes[500:]])


def test_images_that_are_drawn_later_are_added(training_set):
    gallery, full = Gallery(260, shards=(260,)), Gallery(780, shards=(260, 260, 260))
    data = training_set.make(gallery)
    data.refresh()
    assert len(data) == 260 and data.shares.sum() == 0

    def more():
        for name in ("scenes", "captions", "shards"):
            setattr(gallery, name, getattr(full, name))

    gallery.refresh = more
    data.refresh()
    whole = training_set.make(full)
    for name in ("latents", "tokens", "shares", "features"):
        assert torch.equal(getattr(data, name), getattr(whole, name)), name
    assert len(data) == 780 and data.shares.nonzero().flatten().tolist() == list(range(500, 780))


def test_without_alignment_no_features_are_kept(training_set):
    assert training_set.make(Gallery(4, shards=(4,)), alignment=0.0).features.numel() == 0


def test_too_few_captions_are_refused(training_set):
    with pytest.raises(LimnerError, match="has 3 captions, and the recipe asks for 4; change 'captions'"):
        training_set.make(Gallery(4, shards=(4,)), captions=4)


def test_an_aligned_unet_predicts_features_from_its_inner_ones():
    torch.manual_seed(0)
    recipe = Recipe(unet_channels=(16, 16, 32), latent_channels=4, text_width=16)
    aligned = denoiser.AlignedUNet(denoiser.build(recipe), 6).eval()
    given = (torch.randn(2, 4, 16, 16), torch.tensor([3, 700]), torch.randn(2, 5, 16))
    inner, layer = [], aligned.unet.down_blocks[1].attentions[-1]
    layer.register_forward_hook(lambda module, given, result: inner.append(result[0]))
    other = copy.deepcopy(aligned)
    with torch.no_grad():
        guess, features = aligned(*given)
        assert inner[0].shape == (2, 16, 8, 8) and torch.equal(features, aligned.predict(inner[0]))
        assert features.shape == (2, 6, 8, 8)
        other.predict[-1].bias += 1  # a copy has its own inner features
        assert torch.allclose(other(*given)[1], features + 1, atol=1e-5) and not aligned._inner
        unet = aligned.detach()
        assert torch.equal(unet(*given).sample, guess) and not aligned._inner and not layer._forward_hooks


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


class Data(SimpleNamespace):
    def __len__(self):
        return len(self.latents)


class Aligned(nn.Module):
    """A UNet whose predicted features are all alike."""

    def __init__(self, unet, features):
        super().__init__()
        assert features == 2
        self.unet = unet

    def forward(self, noisy, steps, states):
        guide = torch.tensor([3.0, 4.0])[:, None, None].expand(len(noisy), 2, 2, 2)
        return self.unet(noisy, steps, states).sample, guide

    def detach(self):
        return self.unet


@pytest.fixture
def unet_stage(fitted, monkeypatch, tmp_path):
    """Starts the stage of the UNet with stubs, and returns what it trains with."""

    def start(**changes):
        small = {"size": 16, "snr_cap": None, "centre_weight": 3.0, "denoiser": STAGE.model_copy(update={"batch": 4})}
        recipe = Recipe().model_copy(update=small | changes)
        scenes = [random_scene(random.Random(number)) for number in range(640)]
        latents, made, weighed = torch.randn(640, 2, 4, 4).half(), [], []
        ids = 10 * torch.arange(640)[:, None] + torch.arange(3)
        data = Data(
            latents=latents,
            tokens=ids[:, :, None].expand(640, 3, 3),
            shares=torch.tensor([0.0] * 500 + [latents_and_captions.emphasis(scene) for scene in scenes[500:]]),
            features=torch.randn(640, 2, 2, 2).half(),
            refresh=lambda: made.append("refresh"),
        )
        monkeypatch.setattr(denoiser, "TrainingSet", lambda *given: made.append(given) or data)
        monkeypatch.setattr(
            denoiser, "sensitivity", lambda vae, pixels: weighed.append(pixels) or torch.tensor([0.5, 1.5])
        )
        monkeypatch.setattr(denoiser, "AlignedUNet", Aligned)
        monkeypatch.setattr(denoiser, "tokenise", lambda tokenizer, given: torch.full((len(given), 3), -1))
        parts = SimpleNamespace(vae="vae", text=Text(), unet=Unet(), tokenizer="tokenizer")
        trained = denoiser.train(recipe, Gallery(0, scenes), parts, tmp_path, "cpu")  # type: ignore[arg-type]
        (call,) = fitted
        assert trained is parts.unet and (call.name, call.seed) == ("denoiser", 1)
        assert (call.model is trained) == (not recipe.alignment)
        assert weighed[0][:, 0, 0, 0].tolist() == [number % 256 for number in range(500, 516)]
        ((_, _, _, folder, device), *_) = made
        assert (folder, device) == (tmp_path / "latents", "cpu")
        return SimpleNamespace(call=call, recipe=recipe, data=data, latents=latents, made=made, unet=parts.unet)

    return start


@pytest.mark.parametrize(("cap", "alignment"), [(None, 0.0), (2.0, 0.0), (2.0, 0.25)])
def test_the_unets_loss_is_weighted_by_place_channel_and_noise(unet_stage, cap, alignment):
    stage = unet_stage(snr_cap=cap, alignment=alignment, caption_dropout=0.0)
    value, _ = stage.call.loss(3, torch.Generator().manual_seed(5))
    rng, goal = torch.Generator().manual_seed(5), objective("v_prediction")
    indices = torch.multinomial(stage.data.shares, 4, replacement=True, generator=rng).tolist()
    assert min(indices) >= 500, "the first are held out"
    draw = torch.rand(3, 4, generator=rng)
    steps = ((torch.arange(4) + draw[0]) * 250).long()
    noise = torch.randn(4, 2, 4, 4, generator=rng)
    clean = stage.latents[indices].float()
    ((noisy, asked, states),) = stage.unet.asked
    assert torch.equal(asked, steps) and [step // 250 for step in steps.tolist()] == [0, 1, 2, 3]
    assert torch.equal(noisy, goal.noisy(clean, noise, steps))
    ways = (draw[1] * 3).long().tolist()
    assert states[:, 0].tolist() == [10 * index + way + 0.5 for index, way in zip(indices, ways, strict=True)]
    weights = denoiser.window(4, 3.0) * torch.tensor([0.5, 1.5])[:, None, None]
    errors = (weights * goal.target(clean, noise, steps).square()).mean((1, 2, 3))
    if cap:
        errors = errors * torch.minimum(torch.ones(4), cap / goal.ratio(steps))
    right = stage.data.features[indices].float()
    cosine = (3 * right[:, 0] + 4 * right[:, 1]) / (5 * right.norm(dim=1))
    assert value.item() == pytest.approx((errors.mean() - alignment * cosine.mean()).item(), rel=1e-3)


@pytest.mark.parametrize("dropout", [0.0, 0.25, 1.0])
def test_captions_are_dropped_and_alternate_as_the_recipe_says(unet_stage, dropout):
    stage = unet_stage(caption_dropout=dropout, denoiser=STAGE.model_copy(update={"batch": 3000}))
    stage.call.loss(0, torch.Generator().manual_seed(5))
    found = stage.unet.asked[0][2][:, 0] - 0.5
    empty = found == -1
    assert empty.float().mean().item() == pytest.approx(dropout, abs=0.03)
    ways = np.bincount((found[~empty] % 10).long().numpy(), minlength=3)
    assert len(ways) == 3 and np.abs(ways - ways.sum() / 3).max() < 120, "each of an image's captions as often"
    stage.call.evaluate(stage.unet)
    assert (stage.unet.asked[1][2] != -0.5).all(), "and never in what is measured"


def test_later_images_are_looked_for_every_100_steps(unet_stage):
    stage = unet_stage()
    for step in (0, 1, 99, 100, 250, 300):
        stage.call.loss(step, torch.Generator().manual_seed(5))
    assert stage.made[1:] == ["refresh"] * 3


def test_the_unseen_loss_is_of_the_first_held_out_images(unet_stage):
    stage = unet_stage()
    figures = stage.call.evaluate(stage.unet)
    rng, goal = torch.Generator().manual_seed(0), objective("v_prediction")
    steps, noise = torch.linspace(0, 999, 128).long(), torch.randn(128, 2, 4, 4, generator=rng)
    errors = goal.target(stage.latents[:128].float(), noise, steps).square().mean((1, 2, 3))
    assert stage.unet.asked[0][2][:, 0].tolist() == [10 * number + 0.5 for number in range(128)]
    assert figures["images"] == 640
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
        scenes = unreserved_scenes(words, 2)
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
        trained = [number for number in range(500, 700) if number % 3]  # others have a look that no breed has
        chosen = torch.randint(len(trained), (3,), generator=torch.Generator().manual_seed(step)).tolist()
        indices = [trained[number] for number in chosen]
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
    held_out = [number for number in range(500) if number % 3][:200]
    unseen = [scenes[number] for number in held_out]

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
    assert shown == [held_out] * 3
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
    monkeypatch.setattr(drawings, "paint", lambda scene, look: np.zeros((1, 1, 3), np.uint8))
    rows = [
        drawings._render_shard(Recipe(seed=seed, captions=1), index)[0]
        for seed, index in ((1, 0), (1, 0), (1, 1), (2, 0))
    ]
    assert not any(holds_reserved(Scene(**row["scene"])) for row in rows[0])
    assert rows[0] == rows[1] and len({json.dumps(each) for each in rows}) == 3
    assert len({json.dumps([row["scene"] for row in each]) for each in rows}) == 3


def test_a_share_of_animals_has_a_random_look_and_no_breed_in_its_captions(monkeypatch):
    looks = []
    monkeypatch.setattr(drawings, "SHARD", 400)
    monkeypatch.setattr(
        drawings, "paint", lambda scene, look: looks.append((scene, look)) or np.zeros((1, 1, 3), np.uint8)
    )
    rows, _ = drawings._render_shard(Recipe(looks=0.25), 0)
    animals = [row for row in rows if Scene(**row["scene"]).is_animal]
    unusual = [row for row in animals if row["unusual"]]
    assert 0.15 < len(unusual) / len(animals) < 0.35 and len(unusual) == sum(row["unusual"] for row in rows)
    assert [look is not None for _, look in looks] == [row["unusual"] for row in rows], "and is drawn so"
    assert all(look.species == scene.subject for scene, look in looks if look)
    assert len({repr(look) for _, look in looks if look}) == len(unusual)
    for row in animals:
        named = sum(row["scene"]["breed"] in text.replace("black wall", "") for text in row["captions"])
        if row["scene"]["breed"] not in COLOURS:
            assert (named == 0) if row["unusual"] else named > 0, row
    assert all(len(set(row["captions"])) > 1 for row in unusual)


class NowPool:
    """A pool that works in this process, when it is waited for."""

    made: ClassVar[list[NowPool]] = []

    def __init__(self, workers, mp_context):
        assert mp_context.get_start_method() == "spawn", "a fork would copy the state of a GPU"
        self.workers, self.cancelled = workers, None
        NowPool.made.append(self)

    def shutdown(self, cancel_futures):
        self.cancelled = cancel_futures

    def submit(self, work, *given):
        return SimpleNamespace(result=lambda: work(*given))


@pytest.fixture
def drawn(monkeypatch):
    """The seeds and numbers of the files of three images each that were drawn."""
    drawn = []

    def render_shard(recipe, index):
        if index == 13:
            raise OSError("no space left")
        drawn.append((recipe.seed, index))
        scenes = [Scene(subject="cat", seed=10 * index + number) for number in range(3)]
        rows = [{"scene": s.model_dump(), "captions": [f"cat {s.seed}"], "unusual": s.seed == 1} for s in scenes]
        return rows, np.full((3, 2, 2, 3), index, np.uint8)

    monkeypatch.setattr(drawings, "SHARD", 3)
    monkeypatch.setattr(drawings, "HELD_OUT", 3)
    monkeypatch.setattr(drawings, "ProcessPoolExecutor", NowPool)
    monkeypatch.setattr(drawings, "_render_shard", render_shard)
    return drawn


def test_focused_images_come_after_the_others_and_show_what_is_learned_last(monkeypatch):
    recipe = Recipe(pictures=2 * drawings.SHARD - 1, focused_pictures=1)
    monkeypatch.setattr(drawings, "paint", lambda scene, look: np.zeros((1, 1, 3), np.uint8))
    monkeypatch.setattr(drawings, "training_caption", lambda scene, words: "a cat")

    def scenes(index):
        return [Scene(**row["scene"]) for row in drawings._render_shard(recipe, index)[0]]

    focused = scenes(2)
    counts = Counter(name for scene in focused for name in (scene.extra, scene.style) if name in drawings.LEARNED_LAST)
    assert len(focused) == drawings.SHARD and not any(map(holds_reserved, focused))
    assert all({scene.extra, scene.style} & set(drawings.LEARNED_LAST) for scene in focused)
    assert counts["scarf"] > counts["bow tie"] > 50 and counts["oil painting"] > 100
    assert sum(scene.extra == "scarf" for scene in scenes(1)) < 50, "the last file of the others"


def test_focused_images_have_files_of_their_own(drawn, tmp_path):
    with drawings.Drawing(tmp_path, Recipe(pictures=4, focused_pictures=4, seed=5), 2):
        pass
    assert drawn == [(5, 0), (5, 1), (5, 2), (5, 3)]


def test_missing_images_are_drawn_in_whole_files(drawn, tmp_path):
    with drawings.Drawing(tmp_path, Recipe(pictures=4, seed=5, focused_pictures=0), 2):
        assert NowPool.made[-1].workers == 2
    assert drawn == [(5, 0), (5, 1)], "leaving it waits for all"
    with drawings.Drawing(tmp_path, Recipe(pictures=7, seed=5, focused_pictures=0), 2):
        pass
    assert drawn[2:] == [(5, 2)], "finished files are kept"
    gallery = drawings.DrawnImages(tmp_path)
    assert len(gallery) == 9 and [scene.seed for scene in gallery.scenes] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert gallery.batch([0, 4, 8])[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert gallery.captions[4] == ["cat 11"] and gallery.unusual == [False, True, *[False] * 7]
    assert {path.name for path in tmp_path.iterdir()} == {
        f"shard-0000{i}.{kind}" for i in range(3) for kind in ("npy", "json")
    }


def test_training_may_begin_with_a_share_of_the_images(drawn, tmp_path):
    with drawings.Drawing(tmp_path, Recipe(pictures=60, focused_pictures=0), 1) as drawing:
        drawing.wait(0.1)
        assert [index for _, index in drawn] == [0, 1]
        drawing.wait(0.2)
        assert [index for _, index in drawn][2:] == [0, 1, 2, 3], "in their order"
        with pytest.raises(OSError, match="no space left"):
            drawing.wait()
        with pytest.raises(OSError, match="no space left"):
            drawing.__exit__(None)
        assert NowPool.made[-1].cancelled, "what fails is not passed over"
        drawing._futures.clear()


def test_the_first_share_is_more_than_what_is_held_out(drawn, tmp_path):
    drawing = drawings.Drawing(tmp_path, Recipe(pictures=12, focused_pictures=0), 1)
    drawing.wait(0.1)
    assert [index for _, index in drawn] == [0, 1] and len(drawings.DrawnImages(tmp_path)) == 6


def test_after_an_error_nothing_more_is_drawn(drawn, tmp_path):
    with pytest.raises(Seen), drawings.Drawing(tmp_path, Recipe(pictures=12, focused_pictures=0), 1):
        raise Seen
    assert not drawn and NowPool.made[-1].cancelled


def test_images_that_are_drawn_meanwhile_are_found(drawn, tmp_path):
    for index in (0, 1, 3):
        drawings._draw_shard(tmp_path, Recipe(), index)
    gallery = drawings.DrawnImages(tmp_path)
    store = drawings.PixelStore(gallery, "cpu")
    assert len(gallery) == 6, "up to the first gap"
    drawings._draw_shard(tmp_path, Recipe(), 2)
    gallery.refresh()
    assert len(gallery) == len(gallery.captions) == len(gallery.unusual) == 12
    assert gallery[11][0, 0, 0] == 3 and gallery.scenes[11].seed == 32
    found = store[torch.tensor([8, 0, 4])]
    assert found.shape == (3, 2, 2, 3) and found[:, 0, 0, 0].tolist() == [2, 0, 1]
    found += 1
    copied = drawings.as_tensor(gallery.shards[1])
    copied += 1
    assert gallery[4][0, 0, 0] == 1 and copied[0, 0, 0, 0] == 2, "tensors are copies of the files"


def test_images_without_any_to_train_on_are_refused_in_one_line(drawn, tmp_path):
    with pytest.raises(LimnerError, match=r"no drawn images in .*; run the stage 'pictures' first"):
        drawings.DrawnImages(tmp_path)
    drawings._draw_shard(tmp_path, Recipe(), 0)
    with pytest.raises(LimnerError, match=r"has 3 images, and the first 3 are never trained on; run the stage"):
        drawings.DrawnImages(tmp_path)
    scenes = [Scene(subject="cat").model_dump_json()] * 3
    (tmp_path / "shard-00000.json").write_text(json.dumps(scenes))
    with pytest.raises(LimnerError, match="was drawn by an earlier version; remove its folder, or use another one"):
        drawings.DrawnImages(tmp_path)


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
    assert autoencoder._squares(split["train"], 15, 2, seed=1).shape == (2, 15, 15, 3)


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
    logged = {"denoiser": {"unseen_loss": 0.25, "machine": "Some GPU"}, "image": {"recall_at_1_of_200": 0.75}}
    for stage, figures in logged.items():
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
    assert measured[0][:, 0, 0, 0].tolist() == list(range(256)), "images that are held out"
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
            {"stage": "UNet", "steps": 5, "batch": 6, "minutes": 5, "machine": "Some GPU"},
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


@pytest.mark.parametrize(("stage", "kept"), [("autoencoder", []), ("denoiser", ["photograph PSNR, train, dB"])])
def test_scores_of_an_earlier_autoencoder_are_not_kept(monkeypatch, tmp_path, stage, kept):
    monkeypatch.setattr(export, "psnr", lambda vae, pixels: 20.0)
    monkeypatch.setattr(export, "assemble", lambda *given: SimpleNamespace(to=lambda device: None))
    monkeypatch.setattr(export, "save", lambda given, folder: folder.mkdir())
    monkeypatch.setattr(export, "model_card", lambda folder: "card")
    (tmp_path / f"{stage}.jsonl").write_text('{"step": 4, "per_second": 9.0, "unseen_loss": 0.25}')
    old = {"painter PSNR, dB": 9.0, "photograph PSNR, train, dB": 9.0, "other": 9.0}
    parts = SimpleNamespace(vae="vae", judge=SimpleNamespace(state_dict=dict), scores=old, training=[])
    export.export(Recipe(), Gallery(501), {"train": []}, parts, tmp_path, tmp_path / "out", [stage])  # type: ignore[arg-type]
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert scores["painter PSNR, dB"] == 20 and scores["other"] == 9
    assert [name for name in scores if name.startswith("photograph")] == kept


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
            **{"device": "cpu", "note": "", "begin_with": None, "anew": (), "grow": False},
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
    words += ["--anew", "image", "--anew", "autoencoder", "--grow"]
    assert called(*words, "--begin-with", "b", "--note", "n", "--device", "meta", "--threads", 3) == (
        (Recipe(seed=5), tmp_path),
        {
            **{"out": Path("o"), "photographs": Path("p"), "stages": ("text", "export")},
            **{"device": "meta", "note": "n", "begin_with": Path("b"), "anew": ("image", "autoencoder"), "grow": True},
        },
    )
    assert threads == [3]


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("{}", ["--anew", "denoiser"], "--anew is for a finished starter; name one with --begin-with"),
        ("{}", ["--grow"], "--grow is for finer latents; add --begin-with FOLDER and --anew autoencoder"),
        ("{}", ["--grow", "--begin-with", "b", "--anew", "image"], "--grow is for finer latents; add --begin-with"),
        ('{"captions": 0}', [], "captions"),
        ('{"paraphrase": true}', [], "paraphrase"),
        (
            '{"image": {"steps": 0, "batch": 1, "learning_rate": 1}}',
            [],
            "has no steps for what is needed: image; name a",
        ),
        ("{}", ["--stage", "autoencoder"], "no drawn images in"),
        ("{}", ["--begin-with", "nothing-here"], "nothing-here"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(monkeypatch, capsys, tmp_path, recipe, words, message):
    (tmp_path / "recipe.json").write_text(recipe)
    words = ["pretrain", str(tmp_path / "folder"), "--recipe", str(tmp_path / "recipe.json"), *words]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as caught:
        pretrain.main()
    text = capsys.readouterr().err.splitlines()[-1] if caught.value.code == 2 else str(caught.value)
    assert message in text and "\n" not in text


RECIPE = Recipe(seed=7, pictures=9)


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
    gallery = type("Drawn", (), {"__init__": lambda self, folder: None})
    monkeypatch.setattr(pretrain, "DrawnImages", gallery)

    class Drawing:
        def __init__(self, *given):
            calls["pictures"] = (*given, [])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            calls["pictures"][-1].append("closed")

        def wait(self, share=1.0):
            calls["pictures"][-1].append((share, len(calls)))

    monkeypatch.setattr(pretrain, "Drawing", Drawing)

    def run(*names, recipe=RECIPE, **options):
        calls.clear()
        pretrain.run(recipe, tmp_path, **{"out": tmp_path / "o", "device": "meta"} | options, stages=names)
        return dict(calls)

    return run


def test_each_stage_trains_on_what_the_earlier_ones_made(stages, tmp_path):
    found = stages(*pretrain.STAGES, photographs=tmp_path / "p", note="a note")
    recipe, tokenizer = RECIPE, ("tokenizer", 7, 48)
    assert list(found) == ["pictures", "text", "photographs", "vae", "judge", "image", "unet", "export"]
    assert found["judge"] == (recipe, tmp_path, "meta", "trained vae", None)
    assert found["pictures"][:2] == (tmp_path / "pictures", recipe)
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


def test_on_a_gpu_training_begins_while_images_are_drawn(stages):
    order = stages(*pretrain.STAGES)
    trained = list(order).index("unet") + 1
    assert order["pictures"][-1] == [(pretrain.EARLY_SHARE, 1), (1.0, trained), "closed"], "all before the export"
    assert stages(*pretrain.STAGES, device="cpu")["pictures"][-1] == [(1, 1), (1.0, trained), "closed"]
    assert stages("pictures")["pictures"][-1] == [(pretrain.EARLY_SHARE, 1), "closed"], "which waits for all"


def test_a_single_stage_needs_only_what_it_is_made_from(stages):
    def trained(*names):
        return [name for name in stages(*names) if name != "photographs"]

    assert trained("judge") == ["vae", "judge"] and trained("text") == ["text"]
    assert trained("image") == ["text", "image"] and trained("autoencoder") == ["vae"]
    assert trained("denoiser") == ["text", "vae", "unet"]
    assert trained("export") == ["text", "vae", "judge", "image", "unet", "export"]
    assert "photographs" not in stages("pictures", "text") and "photographs" in stages("autoencoder")


def test_a_finished_starters_other_parts_are_left_as_they_are(stages, monkeypatch, tmp_path):
    parts = {name: f"finished {name}" for name in ("tokenizer", "vae", "text", "image", "unet", "judge")}
    monkeypatch.setattr(pretrain.StarterParts, "load", lambda folder: SimpleNamespace(folder=folder, **parts))
    found = stages("denoiser", "autoencoder", "export", begin_with=tmp_path / "b")
    assert [name for name in found if name != "photographs"] == ["vae", "unet", "export"]
    assert found["vae"][-1] == "finished vae" and found["unet"][2].folder == tmp_path / "b"
    assert found["export"][-2] == ["autoencoder", "denoiser"]
    found = stages("judge", "text", begin_with=tmp_path / "b")
    assert (found["judge"][-2:], found["text"][-1]) == (("finished vae", "finished judge"), "finished text")


@pytest.fixture
def finished(monkeypatch):
    """A finished starter, whose parts are loaded."""
    rows = [{"stage": name} for name in ("judge", "text encoder", "autoencoder", "image encoder", "UNet", "UNet")]
    parts = {name: f"finished {name}" for name in ("tokenizer", "vae", "text", "image", "unet", "judge")}
    monkeypatch.setattr(
        pretrain.StarterParts, "load", lambda folder: SimpleNamespace(folder=folder, training=rows, **parts)
    )


NONE = STAGE.model_copy(update={"steps": 0})


def test_a_stage_without_steps_is_left_out(stages, finished, tmp_path):
    recipe = RECIPE.model_copy(update={"image": NONE, "judge": NONE, "text": NONE})
    found = stages(*pretrain.STAGES, recipe=recipe, begin_with=tmp_path)
    assert [name for name in found if name != "photographs"] == ["pictures", "vae", "unet", "export"]
    assert found["export"][-2] == ["autoencoder", "denoiser"]
    parts = found["unet"][2]
    assert (parts.image, parts.text, parts.judge) == ("finished image", "finished text", "finished judge")


@pytest.mark.parametrize(
    ("changes", "names", "options", "absent"),
    [
        ({"image": NONE, "judge": NONE}, pretrain.STAGES, {}, "judge, image"),
        ({"text": NONE}, ("denoiser",), {}, "text"),
        ({"judge": NONE, "alignment": 0.5}, ("denoiser",), {}, "judge"),
        ({"denoiser": NONE}, ("export",), {"begin_with": Path("b"), "anew": ("denoiser",)}, "denoiser"),
    ],
)
def test_a_part_that_nothing_trains_is_named_before_anything_is_done(stages, finished, changes, names, options, absent):
    with pytest.raises(LimnerError, match=f"no steps for what is needed: {absent}; name a finished starter"):
        stages(*names, recipe=RECIPE.model_copy(update=changes), **options)


def test_with_alignment_the_unet_needs_the_judge(stages):
    found = stages("denoiser", recipe=RECIPE.model_copy(update={"alignment": 0.5}))
    assert [name for name in found if name != "photographs"] == ["text", "vae", "judge", "unet"]


def test_parts_that_are_trained_anew_begin_with_nothing(stages, finished, tmp_path):
    found = stages("denoiser", "export", begin_with=tmp_path, anew=("autoencoder", "denoiser"))
    assert [name for name in found if name != "photographs"] == ["vae", "unet", "export"]
    assert found["vae"][-1] is None, "it is trained in this folder, so that it is loaded for later stages"
    parts = found["unet"][2]
    assert (parts.vae, parts.text) == ("trained vae", "finished text")
    assert parts.training == [{"stage": name} for name in ("judge", "text encoder", "image encoder")]
    assert found["export"][-2] == ["autoencoder", "denoiser"]
