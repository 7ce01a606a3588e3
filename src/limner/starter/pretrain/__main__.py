"""`python -m limner.starter.pretrain`: make the starter's weights from nothing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from . import autoencoder, card, contrastive, denoiser, judge
from .pictures import Gallery, load_photographs
from .recipe import HELD_OUT_PHOTOGRAPHS, Recipe
from .start import Start
from .tokenizer import build_tokenizer

TRAINED = ("autoencoder", "contrastive", "denoiser", "decoder")
STAGES = ("judge", "pictures", *TRAINED, "export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="where pictures, checkpoints and logs are kept; a stopped run goes on"
    )
    parser.add_argument("--out", type=Path, help="where the finished model is written (default: FOLDER/starter)")
    parser.add_argument("--photographs", type=Path, help="folder of folders of photographs for the autoencoder")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages (default: all)")
    parser.add_argument("--recipe", type=Path, help="a JSON file with recipe values that differ from the default")
    parser.add_argument(
        "--begin-with", type=Path, help="a finished starter: named stages train its parts further, the rest stay"
    )
    parser.add_argument("--note", default="", help="what the model card should say besides, of how it was trained")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    run(
        Recipe.model_validate_json(options.recipe.read_text(encoding="utf-8")) if options.recipe else Recipe(),
        options.folder,
        out=options.out or options.folder / "starter",
        photographs=options.photographs,
        stages=tuple(options.stage or STAGES),
        device=options.device,
        note=options.note,
        begin_with=options.begin_with,
    )


def run(
    recipe: Recipe,
    folder: Path,
    *,
    out: Path,
    photographs: Path | None = None,
    stages: tuple[str, ...] = STAGES,
    device: str = "cpu",
    note: str = "",
    begin_with: Path | None = None,
) -> None:
    """Run the stages in order; each goes on from its last checkpoint, and a finished one only loads."""
    if "judge" in stages:
        judge.train(recipe, folder, device)
    if "pictures" in stages:
        Gallery.build(folder / "pictures", recipe.pictures, recipe.seed, os.cpu_count() or 1)
    if not set(stages) - {"pictures", "judge"}:
        return
    gallery = Gallery(folder / "pictures")
    photos = load_photographs(photographs, HELD_OUT_PHOTOGRAPHS)
    start = Start.load(begin_with, recipe) if begin_with else None
    tokenizer = start.tokenizer if start else build_tokenizer(recipe.seed, recipe.tokens)
    fresh = STAGES if start is None else stages  # the stages whose parts this folder trains
    vae, encoders, unet = (start.vae, start.encoders, start.unet) if start else (None, None, None)
    if "autoencoder" in fresh and {"autoencoder", "denoiser", "decoder", "export"} & set(stages):
        vae = autoencoder.train(recipe, gallery, photos["train"], folder, device, vae)
    if "contrastive" in fresh and {"contrastive", "denoiser", "export"} & set(stages):
        encoders = contrastive.train(recipe, gallery, tokenizer, folder, device, encoders)
    if "denoiser" in fresh and {"denoiser", "export"} & set(stages):
        assert vae is not None and encoders is not None
        latents = denoiser.cache_latents(vae, gallery, folder / "latents.npy", device)
        unet = denoiser.train(recipe, gallery, latents, tokenizer, encoders.text, folder, device, unet)
    if "decoder" in fresh and {"decoder", "export"} & set(stages):
        assert vae is not None
        vae = autoencoder.polish(vae, recipe, gallery, photos["train"], folder, device)
    if "export" in stages:
        assert vae is not None and encoders is not None and unet is not None
        trained = [stage for stage in TRAINED if stage in fresh]
        card.export(recipe, gallery, photos, vae, encoders, unet, tokenizer, folder, out, trained, start, note=note)


if __name__ == "__main__":
    main()
