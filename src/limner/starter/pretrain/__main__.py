"""`python -m limner.starter.pretrain`: train the starter from nothing."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path

import torch
from pydantic import ValidationError

from limner.core.errors import LimnerError, invalid
from limner.starter.pretrain import autoencoder, denoiser, image_encoder, judge, text_encoder
from limner.starter.pretrain.drawings import Drawing, DrawnImages, load_photographs
from limner.starter.pretrain.export import STAGE_NAMES, export
from limner.starter.pretrain.growth import grown
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.recipe import HELD_OUT_PHOTOGRAPHS, Recipe
from limner.starter.pretrain.tokenizer import build_tokenizer

NEEDED_BY = {  # which stages need what each of them trains
    "judge": {"judge", "export"},
    "text": {"text", "image", "denoiser", "export"},
    "autoencoder": {"autoencoder", "judge", "denoiser", "export"},
    "image": {"image", "export"},
    "denoiser": {"denoiser", "export"},
}
PARTS = {"judge": "judge", "text": "text", "autoencoder": "vae", "image": "image", "denoiser": "unet"}
EARLY_SHARE = 0.1  # of the images, with which training on a GPU begins
STAGES = ("pictures", "text", "autoencoder", "judge", "image", "denoiser", "export")


def main() -> None:
    """Parse the command line and run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="folder for images, checkpoints and logs; a stopped run goes on from them"
    )
    parser.add_argument("--out", type=Path, help="folder of the finished model (default: FOLDER/starter)")
    parser.add_argument("--photographs", type=Path, help="folder of folders of photographs for the autoencoder")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages (default: all)")
    parser.add_argument("--recipe", type=Path, help="a JSON file with recipe values that differ from the default")
    parser.add_argument(
        "--begin-with",
        type=Path,
        help="a finished starter: the named stages train its parts further",
    )
    parser.add_argument(
        "--anew", choices=list(PARTS), action="append", help="with --begin-with: train this stage's part from nothing"
    )
    parser.add_argument(
        "--grow",
        action="store_true",
        help="with --begin-with and --anew autoencoder: put an outer level for finer latents around the UNet",
    )
    parser.add_argument("--note", default="", help="text about the training to add to the model card")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    options = parser.parse_args()
    if options.anew and not options.begin_with:
        parser.error("--anew is for a finished starter; name one with --begin-with")
    if options.grow and (not options.begin_with or "autoencoder" not in (options.anew or ())):
        parser.error("--grow is for finer latents; add --begin-with FOLDER and --anew autoencoder")
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        run(
            read_recipe(options.recipe) if options.recipe else Recipe(),
            options.folder,
            out=options.out or options.folder / "starter",
            photographs=options.photographs,
            stages=tuple(options.stage or STAGES),
            device=options.device,
            note=options.note,
            begin_with=options.begin_with,
            anew=tuple(options.anew or ()),
            grow=options.grow,
        )
    except (LimnerError, OSError) as error:
        raise SystemExit(str(error)) from error


def read_recipe(path: Path) -> Recipe:
    """The recipe of a JSON file, which has the values that differ from the default."""
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise LimnerError(f"{path}: {invalid(error)}") from None


def first_parts(recipe: Recipe, begin_with: Path | None, anew: tuple[str, ...], grow: bool) -> StarterParts:
    """The parts that training begins with. The arguments are those of `run`."""
    if begin_with is None:
        return StarterParts(build_tokenizer(recipe.seed, recipe.tokens))
    parts = StarterParts.load(begin_with)
    for stage in anew:
        setattr(parts, PARTS[stage], None)
        parts.training = [row for row in parts.training if row["stage"] != STAGE_NAMES[stage]]
    if grow and parts.unet is not None:
        parts.unet = grown(parts.unet, recipe)
    return parts


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
    anew: tuple[str, ...] = (),
    grow: bool = False,
) -> None:
    """Run the stages in order. Each goes on from its last checkpoint; a finished one is only loaded.

    begin_with: a finished starter, whose parts are trained further; anew: the stages that train theirs from nothing;
    grow: put an outer level around its UNet first.
    """
    parts = first_parts(recipe, begin_with, anew, grow)
    known = [stage for stage in NEEDED_BY if getattr(recipe, stage).steps]  # one without steps is left out
    ours = [*stages, *anew] if begin_with else known
    trained = [stage for stage in known if stage in ours]  # whose logs are in this folder

    def needed(stage: str) -> bool:
        aligned = stage == "judge" and recipe.alignment > 0 and "denoiser" in stages
        return aligned or bool(NEEDED_BY[stage] & set(stages))

    def due(stage: str) -> bool:
        return stage in trained and needed(stage)

    absent = [s for s in NEEDED_BY if needed(s) and s not in trained and getattr(parts, PARTS[s]) is None]
    if absent:
        remedy = "name a finished starter with --begin-with, without --anew for them, or give them steps"
        raise LimnerError(f"the recipe has no steps for what is needed: {', '.join(absent)}", remedy)
    with ExitStack() as stack:
        drawing = None
        if "pictures" in stages:
            drawing = stack.enter_context(Drawing(folder / "pictures", recipe, os.cpu_count() or 1))
            drawing.wait(1 if device == "cpu" else EARLY_SHARE)  # a GPU trains while the CPU draws
        if due("text"):
            parts.text = text_encoder.train(recipe, parts.tokenizer, folder, device, parts.text)
        if not set(stages) - {"pictures", "text"}:
            return
        gallery = DrawnImages(folder / "pictures")
        photos = load_photographs(photographs, HELD_OUT_PHOTOGRAPHS)
        if due("autoencoder"):
            parts.vae = autoencoder.train(recipe, gallery, photos["train"], folder, device, parts.vae)
        if due("judge"):
            assert parts.vae is not None
            parts.judge = judge.train(recipe, folder, device, parts.vae, parts.judge)
        if due("image"):
            parts.image = image_encoder.train(recipe, gallery, parts, folder, device)
        if due("denoiser"):
            parts.unet = denoiser.train(recipe, gallery, parts, folder, device)
        if drawing:
            drawing.wait()
        if "export" in stages:
            export(recipe, gallery, photos, parts, folder, out, trained, note)


if __name__ == "__main__":
    main()
