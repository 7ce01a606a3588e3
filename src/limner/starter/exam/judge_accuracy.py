"""The accuracy of the judge: what it reads in new images of the painter, unchanged and degraded."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL

from limner.starter.exam.scoring import Proportion
from limner.starter.judge import ATTRIBUTES, MARKINGS, Judge, truth
from limner.starter.judge.degrade import add_blotches, add_noise, blur, shuffle_tiles
from limner.starter.painter import CHARACTERS, paint, random_scene
from limner.starter.pretrain.autoencoder import reconstructed

IMAGES = 1200
CHARACTER_SHARE = 0.3
BINS = 15


def draw_samples(count: int = IMAGES) -> tuple[torch.Tensor, list[dict[str, str | None]]]:
    """Images (n, 3, 128, 128) from -1 to 1, some of them of characters, and their true attributes."""
    rng = random.Random("judging")
    pixels, truths = [], []
    for _ in range(count):
        fixed = {}
        if rng.random() < CHARACTER_SHARE:
            name = rng.choice(sorted(CHARACTERS))
            fixed = {"subject": CHARACTERS[name].species, "character": name}
        scene = random_scene(rng, **fixed)
        pixels.append(np.asarray(paint(scene)))
        truths.append(truth(scene))
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1, truths


def measure_judge(judge: Judge, vae: AutoencoderKL, count: int = IMAGES) -> dict[str, dict[str, Any]]:
    """The accuracy of the judge on unchanged images, on each degradation, and on those that `vae` decodes.

    For each: the proportion read correctly of every attribute, of marks that are there, and of marks that are not
    there; and the calibration error over all attributes. Last, how often the judge names a subject in images with
    shuffled tiles, which show textures and no forms.
    """
    images, truths = draw_samples(count)
    rng = torch.Generator().manual_seed(0)
    versions = {
        "whole": images,
        "blur, 1 px": blur(images, 1.0),
        "blur, 2 px": blur(images, 2.0),
        "noise, 10%": add_noise(images, 0.2, rng),
        "blotches, 10%": add_blotches(images, 0.2, rng),
        "reconstructed": torch.cat([reconstructed(vae, part).cpu() for part in images.split(50)]),
    }
    measured = {name: _accuracy(judge, version, truths) for name, version in versions.items()}
    readings = judge.read(_pixels(shuffle_tiles(images, rng)))
    sure = readings.values["subject"].max(1) > 0.5
    return measured | {"shuffled tiles": {"subject named": round(float(sure.mean()), 4)}}


def _pixels(images: torch.Tensor) -> np.ndarray:
    """Images from -1 to 1 as (n, 128, 128, 3) uint8."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _accuracy(judge: Judge, images: torch.Tensor, truths: list[dict[str, str | None]]) -> dict[str, Any]:
    readings = judge.read(_pixels(images))
    proportions: dict[str, Proportion] = {}
    chances, hits = [], []
    for name in ATTRIBUTES:
        known = [i for i, attributes in enumerate(truths) if attributes[name] is not None]
        right = [readings.likeliest(i, name) == truths[i][name] for i in known]
        proportions[name] = Proportion.of(right)
        chances += [float(readings.values[name][i].max()) for i in known]
        hits += right
    for label, there in (("marks there", True), ("marks not there", False)):
        known = [
            (i, place, value)
            for i, attributes in enumerate(truths)
            for place, values in MARKINGS.items()
            if (value := attributes[place]) and (value != values[0]) == there
        ]
        proportions[label] = Proportion.of(readings.likeliest(i, place) == value for i, place, value in known)
    return {
        "attributes": {name: round(proportion.value, 4) for name, proportion in proportions.items()},
        "calibration error": round(calibration_error(np.array(chances), np.array(hits)), 4),
    }


def calibration_error(chances: np.ndarray, hits: np.ndarray) -> float:
    """Expected calibration error, in 15 bins (Guo et al. 2017, arXiv 1706.04599), of n probabilities and outcomes."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [
        (bins == b).mean() * abs(chances[bins == b].mean() - hits[bins == b].mean())
        for b in range(BINS)
        if (bins == b).any()
    ]
    return float(np.sum(gaps))
