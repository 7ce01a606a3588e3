"""Export of the finished starter: a diffusers folder in fp16 safetensors, with its scores and its card."""

from __future__ import annotations

import json
import secrets
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import SchedulerMixin, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor

from limner.starter.card import model_card, weight_hashes
from limner.starter.pretrain.autoencoder import psnr
from limner.starter.pretrain.drawings import DrawnImages
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import JUDGE, StarterParts
from limner.starter.pretrain.recipe import HELD_OUT_PHOTOGRAPHS, Recipe, StageRecipe

STAGE_NAMES = {
    "judge": "judge",
    "text": "text encoder",
    "autoencoder": "autoencoder",
    "image": "image encoder",
    "denoiser": "UNet",
}
LOGGED_SCORES = (
    ("caption told from picture, recall at 1 of 200", "image", "recall_at_1_of_200"),
    ("denoising loss, unseen pictures", "denoiser", "unseen_loss"),
)


def assemble(parts: StarterParts, side: int, scheduler: SchedulerMixin) -> StableDiffusionPipeline:
    """The stock pipeline of the trained parts, with the image encoder."""
    assert parts.vae is not None and parts.text is not None and parts.unet is not None and parts.image is not None
    return StableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=parts.text,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=scheduler,  # pyright: ignore[reportArgumentType]
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=CLIPImageProcessor(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        ),
        image_encoder=parts.image,
        requires_safety_checker=False,
    )


def export(
    recipe: Recipe,
    gallery: DrawnImages,
    photographs: dict[str, list[np.ndarray]],
    parts: StarterParts,
    folder: Path,
    out: Path,
    trained: list[str],
    note: str = "",
) -> None:
    """Write the model folder with its card; an older model at `out` is replaced.

    trained: the stages whose logs are in `folder`. note: a text to add to the card.
    """
    assert parts.vae is not None and parts.judge is not None
    check_replaceable(out)
    partial = _sibling(out)
    retrained = "autoencoder" in trained  # scores of the earlier one no longer hold
    scores = {name: value for name, value in parts.scores.items() if not (retrained and "PSNR" in name)}
    scores["painter PSNR, dB"] = psnr(parts.vae, gallery.batch(range(256)))
    for split, photos in photographs.items():
        if photos:
            squares = np.stack([_square(photo, recipe.size) for photo in photos])
            scores[f"photograph PSNR, {split.replace('_', ' ')}, dB"] = psnr(parts.vae, squares)
    logs = {name: _last_figures(folder / f"{name}.jsonl", getattr(recipe, name).steps) for name in trained}
    scores |= {score: logs[stage][figure] for score, stage, figure in LOGGED_SCORES if stage in logs}
    save(assemble(parts, recipe.size, objective(recipe.prediction).scheduler()).to("cpu"), partial)
    (partial / JUDGE).parent.mkdir()
    save_file({name: tensor.half().contiguous() for name, tensor in parts.judge.state_dict().items()}, partial / JUDGE)
    facts = {
        "version": version("limner"),
        "scores": scores,
        "training": parts.training + [_row(name, log, getattr(recipe, name)) for name, log in logs.items()],
        "pictures": len(gallery),
        "photographs": len(photographs["train"]),
        "photograph share": recipe.photograph_share,
        "held out photographs": list(HELD_OUT_PHOTOGRAPHS),
        "note": note,
        "sha256": weight_hashes(partial),
    }
    (partial / "scores.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (partial / "README.md").write_text(model_card(partial), encoding="utf-8")
    put_folder(partial, out)


def check_replaceable(out: Path) -> None:
    """Raise FileExistsError where `out` is not a model that `export` wrote."""
    if out.is_symlink() or (out.exists() and any(out.iterdir()) and not (out / "scores.json").is_file()):
        raise FileExistsError(f"{str(out)!r} exists and is not a starter; choose another --out, or move it away")


def put_folder(partial: Path, out: Path) -> None:
    """Rename a folder to `out`. An older model there is removed once the new one is in place."""
    old = _sibling(out)
    if out.exists():
        check_replaceable(out)
        out.rename(old)
    partial.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _sibling(out: Path) -> Path:
    return out.with_name(f".{out.name}-{secrets.token_hex(6)}")


def save(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the pipeline in fp16, configured so that a plain `from_pretrained` computes in fp32 throughout.

    By default transformers would load its parts in the stored fp16, and diffusers the UNet in fp32.
    """
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*/config.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts.pop("_name_or_path", None)  # the folder of an earlier starter: private
        if path.parent.name in ("text_encoder", "image_encoder"):
            facts["dtype"] = "float32"
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _square(photo: np.ndarray, side: int) -> np.ndarray:
    edge = min(photo.shape[:2])
    y, x = (photo.shape[0] - edge) // 2, (photo.shape[1] - edge) // 2
    cropped = Image.fromarray(photo[y : y + edge, x : x + edge])
    return np.asarray(cropped.resize((side, side), Image.Resampling.LANCZOS))


def _last_figures(path: Path, steps: int) -> dict[str, Any]:
    """The newest value of every figure in a stage's log, up to its last step; an interrupted log may be longer."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: value for line in lines if line["step"] <= steps for name, value in line.items()}


def _row(name: str, log: dict[str, Any], stage: StageRecipe) -> dict:
    """A stage's row of the card's table."""
    minutes = log["step"] * stage.batch / log["per_second"] / 60
    row = {"stage": STAGE_NAMES[name], "steps": int(log["step"]), "batch": stage.batch, "minutes": round(minutes)}
    return row | ({"machine": log["machine"]} if "machine" in log else {})
