"""The starter's recipe with one choice changed at a time, at a small size, by the exam's score.

    python benchmarks/recipes.py FOLDER --json recipes.json

FOLDER is one in which `python -m limner.starter.pretrain` drew its images. Only the UNet is trained again, on the
autoencoder and the text encoder of the bundled starter. The first 500 images are never trained on. A variant that is in
the JSON file is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput

from figures import machine, print_table, write_json
from limner.core.choice import evenly
from limner.core.protocols import Components
from limner.models import loading
from limner.starter.exam.exam import write_answer_sheet
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.prompts import exam_prompts
from limner.starter.exam.scoring import score_images
from limner.starter.judge import Judge
from limner.starter.pretrain import denoiser, training_set
from limner.starter.pretrain.drawings import SHARD, DrawnImages
from limner.starter.pretrain.export import assemble
from limner.starter.pretrain.objective import objective
from limner.starter.pretrain.parts import StarterParts
from limner.starter.pretrain.recipe import Recipe, StageRecipe

STARTER = Path(loading.resolve("starter").location)
SHOWN = ("subject", "breed", "colour", "place", "extra", "style")
STAGE = StageRecipe(steps=600, batch=16, learning_rate=1.5e-3, warmup=30, decay=0.6, ema=0.99)
SMALL = Recipe(unet_channels=(32, 32, 64, 96), denoiser=STAGE)


def stage(**changes: object) -> dict[str, StageRecipe]:
    return {"denoiser": STAGE.model_copy(update=changes)}


@dataclass(frozen=True)
class Variant:
    """The difference from SMALL: values of the recipe, or the number of latent channels and images that are used."""

    changes: Mapping[str, object] = field(default_factory=dict)
    channels: int = SMALL.latent_channels
    pictures: int | None = None


VARIANTS = {
    "as it is": Variant(),
    "epsilon": Variant({"prediction": "epsilon"}),
    "flow matching": Variant({"prediction": "flow_prediction"}),
    "no weighting by SNR": Variant({"snr_cap": None}),
    "SNR capped at 5": Variant({"snr_cap": 5.0}),
    "first 4 latent channels": Variant(channels=4),
    "wider: 48, 48, 96, 144": Variant({"unet_channels": (48, 48, 96, 144)}),
    "deeper: 2 blocks a level": Variant({"unet_layers": 2}),
    "no caption dropout": Variant({"caption_dropout": 0.0}),
    "one caption a picture": Variant({"captions": 1}),
    "no moving average": Variant(stage(ema=0.0)),
    "2,000 pictures": Variant(pictures=2000),
    "AdamW": Variant(stage(optimiser="adamw", learning_rate=1e-3)),
    "centre not favoured": Variant({"centre_weight": 0.0}),
    "twice the steps": Variant(stage(steps=2 * STAGE.steps)),
}


class FirstChannels(AutoencoderKL):
    """The same autoencoder with only its first latent channels; the others are zero."""

    kept = SMALL.latent_channels

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput:
        found = cast(AutoencoderKLOutput, super().encode(x)).latent_dist.parameters
        moments = torch.cat([half[:, : self.kept] for half in found.chunk(2, dim=1)], dim=1)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    def decode(self, z: torch.Tensor, return_dict: bool = True, generator: object = None) -> Any:
        missing = self.config["latent_channels"] - z.shape[1]
        return super().decode(F.pad(z, (0, 0, 0, 0, 0, missing)), return_dict=return_dict)  # type: ignore[arg-type]


def latents_of(folder: Path, gallery: DrawnImages, parts: StarterParts) -> torch.Tensor:
    """Latents of all images with all channels, stored in `folder`."""
    return training_set.TrainingSet(SMALL, gallery, parts, folder / "starter-latents", "cpu").latents


def prepare(scratch: Path, folder: Path, variant: Variant, latents: torch.Tensor, vae: AutoencoderKL) -> DrawnImages:
    """A folder for a training: some of the images and of their latents."""
    shutil.rmtree(scratch, ignore_errors=True)
    for name in ("pictures", "latents"):
        (scratch / name).mkdir(parents=True)
    count = min(variant.pictures or len(latents), len(latents))
    for index, some in enumerate(latents[:count, : variant.channels].split(SHARD)):
        for name in (f"shard-{index:05d}.npy", f"shard-{index:05d}.json"):
            (scratch / "pictures" / name).symlink_to((folder / "pictures" / name).resolve())
        training_set.save_latents(scratch / "latents", index, training_set.weights_hash(vae), some)
    return DrawnImages(scratch / "pictures")


def try_out(folder: Path, name: str, latents: torch.Tensor, count: int) -> dict[str, Any]:
    """Train one variant and run the exam on it; returns minutes, held-out loss and shares correct."""
    variant = VARIANTS[name]
    recipe = SMALL.model_copy(update={**variant.changes, "latent_channels": variant.channels})
    scratch = folder / "variant"
    parts = StarterParts.load(STARTER)
    parts.unet = None
    vae = FirstChannels.from_pretrained(STARTER / "vae", torch_dtype=torch.float32).eval()
    vae.kept = variant.channels
    parts.vae = vae
    gallery = prepare(scratch, folder, variant, latents, vae)
    began = time.monotonic()
    parts.unet = denoiser.train(recipe, gallery, parts, scratch, "cpu")
    minutes = (time.monotonic() - began) / 60
    last = json.loads((scratch / "denoiser.jsonl").read_text().splitlines()[-1])
    pipeline = assemble(parts, recipe.size, objective(recipe.prediction).scheduler()).to(torch.bfloat16)
    prompts = evenly(exam_prompts(), count)
    starter = loading.resolve("starter")
    components = Components(dict(pipeline.components), "unet", "", "", recipe.size, torch.bfloat16, torch.device("cpu"))
    settings = {"facts": {}, "sampling": dict(starter.sampling), "listener": lambda event: None, "stop": lambda: False}
    model = ModelUnderTest(starter.family, components, pipeline, **settings)
    pixels = model.generate(name, [prompt.text for prompt in prompts])
    shutil.rmtree(scratch)
    result = score_images(Judge.load(), prompts, pixels)
    write_answer_sheet(folder / f"{name.replace(' ', '-').replace(',', '').replace(':', '')}.png", result, pixels)
    return {"minutes": minutes, "unseen_loss": last["unseen_loss"]} | result.as_json()


def row(name: str, result: dict[str, Any]) -> list[str]:
    all_right, attributes = result["all right"], result["attributes"]
    shares = [result["mean per attribute"], all_right["share"]]
    shares += [attributes[key]["share"] if key in attributes else None for key in SHOWN]  # few prompts lack some
    return [
        name,
        f"{result['minutes']:.0f}",
        f"{result['unseen_loss']:.3f}",
        *("-" if share is None else f"{100 * share:.0f}" for share in shares),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of the images")
    parser.add_argument("--json", type=Path, required=True, help="write the results to this file")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="only these variants")
    parser.add_argument("--questions", type=int, default=128, help="number of the exam's 512 prompts")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    found = json.loads(options.json.read_text()) if options.json.exists() else {"machine": machine(), "variants": {}}
    latents = latents_of(options.folder, DrawnImages(options.folder / "pictures"), StarterParts.load(STARTER))
    for name in options.only or VARIANTS:
        if name not in found["variants"]:
            found["variants"][name] = try_out(options.folder, name, latents, options.questions)
            write_json(options.json, found)
    print_table(
        ["variant", "minutes", "unseen loss", "mean", "all right", *SHOWN],
        [row(name, result) for name, result in found["variants"].items()],
    )


if __name__ == "__main__":
    main()
