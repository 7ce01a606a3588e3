"""The whole recipe at toy size: a stock model folder comes out, and an interrupted stage ends in the same weights."""

from __future__ import annotations

import json
import random
from functools import cache

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPVisionModelWithProjection

from limner.engine.train.batches import generator_for
from limner.starter.painter import caption, paint, random_scene
from limner.starter.pretrain import __main__ as pretrain
from limner.starter.pretrain import drawings, judge, loop
from limner.starter.pretrain.recipe import Recipe, StageRecipe

# diffusers says so when the pipeline is put together, and writes steps_offset 1, which trailing spacing never reads.
pytestmark = pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")

SHARD = 260
BUILD_TOKENIZER = cache(pretrain.build_tokenizer)
TOY = Recipe(
    text_width=32,
    text_layers=1,
    image_width=32,
    image_layers=1,
    latent_channels=4,
    latent_groups=((2, 0.5),),
    vae_channels=(8, 8, 8, 16),
    vae_crop=32,
    unet_channels=(16, 16, 32),
    pictures=2 * SHARD,
    focused_pictures=0,
    looks=0.0,
    autoencoder=StageRecipe(steps=4, batch=2, learning_rate=1e-3, warmup=2),
    text=StageRecipe(steps=4, batch=4, learning_rate=1e-3, warmup=2),
    image=StageRecipe(steps=4, batch=4, learning_rate=1e-3, warmup=2),
    judge=StageRecipe(steps=4, batch=8, learning_rate=1e-3, warmup=2),
    judge_pictures=40,
    denoiser=StageRecipe(steps=4, batch=4, learning_rate=1e-3, warmup=2, emas=(0.5,)),
    captions=2,
    alignment=0.5,
)


@pytest.fixture(scope="session")
def gallery(made_once):
    """A full gallery whose shards repeat a few painted pictures, so that painting takes no time."""

    def fill(folder):
        rng = random.Random(1)
        scenes = [random_scene(rng) for _ in range(20)]
        painted = np.stack([np.asarray(paint(scene)) for scene in scenes])
        for index in range(2):
            chosen = [(i * (index + 1)) % len(scenes) for i in range(SHARD)]
            np.save(folder / f"shard-{index:05d}.npy", painted[chosen])
            rows = [
                {"scene": scenes[row].model_dump(), "captions": [caption(scenes[row], rng) for _ in range(2)]}
                for row in chosen
            ]
            rows = [row | {"unusual": number % 5 == 0} for number, row in enumerate(rows)]
            (folder / f"shard-{index:05d}.json").write_text(json.dumps(rows))

    return made_once("pretraining/pictures", fill)


def run_recipe(gallery, folder, recipe=TOY, stages=pretrain.STAGES, begin_with=None):
    """Run the recipe in a folder, with small shards."""
    if not (folder / "pictures").exists():
        (folder / "pictures").symlink_to(gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "SHARD", 20)
        patch.setattr(drawings, "SHARD", SHARD)
        patch.setattr(pretrain, "build_tokenizer", BUILD_TOKENIZER)
        pretrain.run(recipe, folder, out=folder / "starter", stages=stages, begin_with=begin_with)


@pytest.fixture(scope="session")
def whole(gallery, made_once):
    """The folder of a recipe that was run from its first stage to its last."""
    return made_once("pretraining/whole", lambda folder: run_recipe(gallery, folder))


@pytest.fixture
def recipe_run(gallery, tmp_path):
    """Run the recipe in a folder of its own, by its name."""

    def run(name, **options):
        (tmp_path / name).mkdir(exist_ok=True)
        run_recipe(gallery, tmp_path / name, **options)
        return tmp_path / name

    return run


def test_shards_are_the_same_every_time(monkeypatch):
    monkeypatch.setattr(drawings, "SHARD", 4)
    recipe = Recipe(looks=1.0)
    (rows, pixels), (again, same) = drawings._render_shard(recipe, 0), drawings._render_shard(recipe, 0)
    assert rows == again and np.array_equal(pixels, same) and pixels.shape == (4, 128, 128, 3)
    assert drawings._render_shard(recipe, 1)[0] != rows
    assert [len(row["captions"]) for row in rows] == [8] * 4
    usual, plain = drawings._render_shard(Recipe(captions=3, looks=0.0), 0)
    assert [row["scene"] for row in usual] == [row["scene"] for row in rows], "whatever the looks"
    assert [len(row["captions"]) for row in usual] == [3] * 4 and not any(row["unusual"] for row in usual)
    looks = [row["unusual"] for row in rows]
    assert True in looks and looks == [row["scene"]["subject"] in ("cat", "dog") for row in rows]
    assert [np.array_equal(a, b) for a, b in zip(pixels, plain, strict=True)] == [not look for look in looks]


@pytest.mark.slow
def test_the_whole_recipe_makes_a_stock_model(whole):
    out = whole / "starter"
    pipeline = StableDiffusionPipeline.from_pretrained(out, safety_checker=None, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a photo of a dog", num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images[0]
    assert picture.size == (128, 128)
    assert (
        pipeline.scheduler.config.prediction_type == "v_prediction" and pipeline.scheduler.config.rescale_betas_zero_snr
    )
    assert CLIPVisionModelWithProjection.from_pretrained(out, subfolder="image_encoder") is not None
    readme = (out / "README.md").read_text()
    scores = json.loads((out / "scores.json").read_text())
    assert readme.startswith("---\nlicense: apache-2.0") and "## Scores" in readme
    assert {"denoising loss, unseen pictures", "painter PSNR, dB"} <= scores["scores"].keys()
    assert len(scores["sha256"]) == 5 and all(name in readme for name in scores["sha256"])


@pytest.mark.slow
def test_a_finished_starter_is_trained_further(recipe_run, whole):
    first, more = whole / "starter", TOY.model_copy(update={"seed": 2})
    second = recipe_run("second", recipe=more, stages=("denoiser", "export"), begin_with=first) / "starter"
    before, now = (json.loads((folder / "scores.json").read_text()) for folder in (first, second))
    changed = {name for name, digest in now["sha256"].items() if digest != before["sha256"][name]}
    assert changed == {"unet/diffusion_pytorch_model.safetensors"}
    assert [row["stage"] for row in now["training"]] == [row["stage"] for row in before["training"]] + ["UNet"]
    assert not [path for path in second.rglob("*.json") if str(first.parent) in path.read_text()]
    name = "caption told from picture, recall at 1 of 200"
    assert now["scores"][name] == before["scores"][name]


@pytest.mark.slow
def test_an_interrupted_stage_ends_in_the_same_weights(recipe_run, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", 2)

    class Stopped(Exception):
        pass

    real = loop.follow

    def stop_at(step):
        def follow(average, model, now, decay):
            if now == step:
                raise Stopped
            real(average, model, now, decay)

        return follow

    (tmp_path / "parts").mkdir()
    for name in ("judge.pt", "judge-pictures", "latents"):
        (tmp_path / "parts" / name).symlink_to(whole / name)
    for stage in ("autoencoder", "text", "denoiser"):
        monkeypatch.setattr(loop, "follow", stop_at(3))
        with pytest.raises(Stopped):
            recipe_run("parts", stages=(stage,))
        monkeypatch.setattr(loop, "follow", real)
        recipe_run("parts", stages=(stage,))
        ours, theirs = (torch.load(folder / f"{stage}.pt", weights_only=True) for folder in (tmp_path / "parts", whole))
        assert ours["step"] == theirs["step"] == 4
        saved = {"model": (ours["model"], theirs["model"])}
        saved |= {decay: (ours["averages"][decay], weights) for decay, weights in theirs["averages"].items()}
        assert len(saved) == (3 if stage == "denoiser" else 2)
        for part, (own, other) in saved.items():
            assert all(torch.equal(own[name], tensor) for name, tensor in other.items()), (stage, part)


def test_randomness_is_the_same_in_every_process():
    """The hash of a text would be another one in each."""
    assert generator_for(1, "denoiser", 7).initial_seed() == 62012244163193080
    drawn = {generator_for(1, name, step).initial_seed() for name in ("image", "judge") for step in range(500)}
    assert len(drawn) == 1000


def test_the_learning_rate_is_a_trapezoid():
    stage = StageRecipe(steps=100, batch=1, learning_rate=1.0, warmup=10, decay=0.25)
    rates = [stage.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[10:75] == [1.0] * 65
    assert rates[75:] == sorted(rates[75:], reverse=True) and 0 < rates[-1] <= 0.05


def test_photographs_are_split(tmp_path):
    from PIL import Image

    for name in ("dog", "mug"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (600, 300)).save(tmp_path / name / "00.jpg")
    split = drawings.load_photographs(tmp_path, ("dog",), side=64)
    assert {key: [p.shape for p in value] for key, value in split.items()} == {
        "train": [(64, 128, 3)],
        "held_out": [(64, 128, 3)],
    }
    assert drawings.load_photographs(None, ()) == {"train": [], "held_out": []}
