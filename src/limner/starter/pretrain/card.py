"""The finished starter: an ordinary diffusers folder in fp16 safetensors, and a model card that tells its scores."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from rich.progress import track
from transformers import CLIPImageProcessor, CLIPTokenizer

from ..painter import COLOURS, PLACES, PRODUCTS, Scene, caption
from .autoencoder import psnr, to_tensor
from .contrastive import Encoders, tokenise
from .denoiser import SCHEDULER
from .pictures import Gallery
from .recipe import HELD_OUT_PHOTOGRAPHS, Recipe, Stage
from .start import Start

SUBJECTS = ("cat", "dog", *PRODUCTS)
STAGE_NAMES = {
    "autoencoder": "autoencoder",
    "contrastive": "text and image encoder",
    "denoiser": "UNet",
    "decoder": "decoder alone",
}
LOGGED_SCORES = (
    ("caption recall at 1 of 200", "contrastive", "recall_at_1_of_200"),
    ("denoising loss, unseen pictures", "denoiser", "unseen_loss"),
)


def assemble(
    vae: AutoencoderKL, encoders: Encoders, unet: UNet2DConditionModel, tokenizer: CLIPTokenizer, recipe: Recipe
) -> StableDiffusionPipeline:
    """The stock pipeline around the trained parts, with the image encoder beside them."""
    side = recipe.size
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoders.text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULER, clip_sample=False, steps_offset=1),  # pyright: ignore[reportArgumentType]
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=CLIPImageProcessor(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        ),
        image_encoder=encoders.image,
        requires_safety_checker=False,
    )


@torch.no_grad()
def read_back(encoders: Encoders, tokenizer: CLIPTokenizer, pixels: np.ndarray, choices: list[str]) -> list[int]:
    """Which of some texts each picture (n, h, w, 3) is most like, by the starter's own encoders."""
    texts = torch.nn.functional.normalize(encoders.text(tokenise(tokenizer, choices)).pooler_output, dim=-1)
    pictures = torch.nn.functional.normalize(encoders.image(to_tensor(pixels)).image_embeds, dim=-1)
    return (pictures @ texts.T).argmax(1).tolist()


def attribute_scores(pipeline: Any, encoders: Encoders, tokenizer: CLIPTokenizer, count: int) -> dict[str, float]:
    """Share of subjects, places and product colours that are read back from `count` pictures of unseen prompts.

    The reader is the starter's own image encoder, which errs too: its share on the painter's own pictures of the same
    scenes stands beside.
    """
    from ..painter import paint

    rng = random.Random(20)
    scenes = []
    for _ in range(count):
        subject = rng.choice(SUBJECTS)
        colour = None if subject in ("cat", "dog") else rng.choice(tuple(COLOURS))
        scenes.append(Scene(subject=subject, colour=colour, place=rng.choice(PLACES), seed=rng.getrandbits(31)))
    prompts = [caption(scene) for scene in scenes]
    painted = []
    pipeline.set_progress_bar_config(disable=True)
    for start in track(range(0, count, 8), "scoring"):
        rows = prompts[start : start + 8]
        generators = [torch.Generator().manual_seed(42 + start + i) for i in range(len(rows))]
        result = pipeline(rows, num_inference_steps=30, guidance_scale=5.0, generator=generators, output_type="np")
        painted.append((result.images * 255).round().astype(np.uint8))
    shares: dict[str, float] = {}
    for name, pixels in {
        "generated": np.concatenate(painted),
        "painter": np.stack([np.asarray(paint(scene)) for scene in scenes]),
    }.items():
        read = read_back(encoders, tokenizer, pixels, [f"a photo of a {subject}" for subject in SUBJECTS])
        shares[f"subject, {name}"] = float(
            np.mean([SUBJECTS[i] == s.subject for i, s in zip(read, scenes, strict=True)])
        )
        read = read_back(encoders, tokenizer, pixels, [f"a photo of a cat {phrase}" for phrase in _places()])
        shares[f"place, {name}"] = float(np.mean([PLACES[i] == s.place for i, s in zip(read, scenes, strict=True)]))
        right = []
        for index, scene in enumerate(scenes):
            if scene.colour:
                choices = [f"a photo of a {colour} {scene.subject}" for colour in COLOURS]
                best = read_back(encoders, tokenizer, pixels[index : index + 1], choices)[0]
                right.append(tuple(COLOURS)[best] == scene.colour)
        shares[f"colour, {name}"] = float(np.mean(right))
    return shares


def _places() -> list[str]:
    from ..painter.captions import PLACE_PHRASES

    return [PLACE_PHRASES[place][0] for place in PLACES]


def export(
    recipe: Recipe,
    gallery: Gallery,
    photographs: dict[str, list[np.ndarray]],
    vae: AutoencoderKL,
    encoders: Encoders,
    unet: UNet2DConditionModel,
    tokenizer: CLIPTokenizer,
    folder: Path,
    out: Path,
    trained: list[str],
    start: Start | None = None,
    prompts: int = 240,
    note: str = "",
) -> None:
    """Write the model folder with its card; an older folder at `out` is replaced.

    trained: the stages whose logs are in `folder`. start: what they began with. note: what the card must add.
    """
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline = assemble(vae, encoders, unet, tokenizer, recipe).to("cpu")
    scores: dict[str, float] = {"painter PSNR, dB": psnr(vae, gallery.batch(range(len(gallery) - 256, len(gallery))))}
    for split, photos in photographs.items():
        if photos:
            squares = np.stack([_square(photo, recipe.size) for photo in photos])
            scores[f"photograph PSNR, {split.replace('_', ' ')}, dB"] = psnr(vae, squares)
    logs = {name: _last_figures(folder / f"{name}.jsonl", getattr(recipe, name).steps) for name in trained}
    for score, stage, figure in LOGGED_SCORES:
        scores[score] = logs[stage][figure] if stage in logs else start.scores[score]  # type: ignore[union-attr]
    training = (start.training if start else []) + [
        _row(name, log, getattr(recipe, name)) for name, log in logs.items()
    ]
    scores |= attribute_scores(pipeline, encoders, tokenizer, prompts)
    save(pipeline, partial)
    weights = {
        str(p.relative_to(partial)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(partial.rglob("*.safetensors"))
    }
    size = sum(p.stat().st_size for p in partial.rglob("*.safetensors")) / 1e6
    (partial / "scores.json").write_text(
        json.dumps({"scores": scores, "training": training, "sha256": weights}, indent=1) + "\n", encoding="utf-8"
    )
    (partial / "README.md").write_text(
        _card(recipe, gallery, photographs, scores, training, weights, size, prompts, note), encoding="utf-8"
    )
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)


def save(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the pipeline in fp16, so configured that a plain `from_pretrained` computes in fp32 throughout.

    Left alone, transformers would load its parts in the stored fp16 and diffusers the UNet in fp32.
    """
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*/config.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts.pop("_name_or_path", None)  # the folder of an earlier starter, which is nobody's business
        if path.parent.name in ("text_encoder", "image_encoder"):
            facts["dtype"] = "float32"
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _square(photo: np.ndarray, side: int) -> np.ndarray:
    edge = min(photo.shape[:2])
    y, x = (photo.shape[0] - edge) // 2, (photo.shape[1] - edge) // 2
    cropped = Image.fromarray(photo[y : y + edge, x : x + edge])
    return np.asarray(cropped.resize((side, side), Image.Resampling.LANCZOS))


def _last_figures(path: Path, steps: int) -> dict[str, float]:
    """The newest value of every figure in a stage's log, up to its last step (an interrupted log may run beyond)."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: value for line in lines if line["step"] <= steps for name, value in line.items()}


def _row(name: str, log: dict[str, float], stage: Stage) -> dict:
    """What one stage did, for the card's table."""
    minutes = log["step"] * stage.batch / log["per_second"] / 60
    return {"stage": STAGE_NAMES[name], "steps": int(log["step"]), "batch": stage.batch, "minutes": round(minutes)}


def _card(
    recipe: Recipe,
    gallery: Gallery,
    photographs: dict[str, list[np.ndarray]],
    scores: dict[str, float],
    training: list[dict],
    weights: dict[str, str],
    size: float,
    prompts: int,
    note: str,
) -> str:
    photos = len(photographs["train"])
    held = ", ".join(HELD_OUT_PHOTOGRAPHS)
    seen = (
        f" and {photos} DreamBench photographs (CC BY 4.0; {recipe.photograph_share:.0%} of the crops, autoencoder "
        f"only; the folders {held} were left out)"
        if photos
        else ""
    )
    stages = "\n".join(
        f"| {row['stage']} | {row['steps']} | {row['batch']} | {row['minutes']} min |" for row in training
    )
    table = "\n".join(
        f"| {name} | {value:.3f} |" if value < 1.5 else f"| {name} | {value:.2f} |" for name, value in scores.items()
    )
    hashes = "\n".join(f"| `{name}` | `{digest}` |" for name, digest in weights.items())
    return f"""---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# The starter

A latent diffusion model in miniature, {recipe.size} x {recipe.size} px, {size:.1f} MB in fp16. Stock
`StableDiffusionPipeline.from_pretrained` loads it. It comes with Limner {version("limner")} so that everything runs
without a download, and it knows one small world: cats and dogs of 12 breeds, 12 products, 8 places, 8 things to wear,
12 colours, 6 styles. It is for learning and testing; it knows no real person, brand or place.

## Data

{len(gallery):,} pictures drawn by `limner.starter.painter` with their captions{seen}. No scraped picture is among them.

## Training

| stage | steps | batch | time |
|---|---|---|---|
{stages}

Times are of the last uninterrupted stretch, scaled to all steps, on the machine that trained it (two CPU cores, shared
with other work). The UNet predicts v on a scaled-linear schedule with zero terminal SNR.
`python -m limner.starter.pretrain FOLDER` repeats it. {note}

## Scores

| measure | value |
|---|---|
{table}

Subject, place and colour are shares read back by the model's own image encoder from {prompts} pictures of unseen \
prompts
(seed 42 on, 30 steps, guidance 5); "painter" is the same reading of the painter's own pictures of the same scenes.

## Weights (SHA-256)

| file | hash |
|---|---|
{hashes}
"""
