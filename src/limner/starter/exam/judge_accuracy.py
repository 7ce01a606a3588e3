"""The judge's own figures: what it reads off painter pictures that no one was trained on, whole and degraded."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from limner.starter.exam.scoring import Share
from limner.starter.judge import ATTRIBUTES, MARKINGS, Judge, truth
from limner.starter.judge.degrade import add_blotches, add_noise, blur, shuffle_tiles
from limner.starter.painter import CHARACTERS, paint, random_scene

PICTURES = 1200
CHARACTER_SHARE = 0.3
BINS = 15


def painted(count: int = PICTURES) -> tuple[torch.Tensor, list[dict[str, str | None]]]:
    """Pictures (n, 3, 128, 128) from -1 to 1, some of them of characters, and what they show."""
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


def check_judge(judge: Judge, count: int = PICTURES) -> dict[str, dict[str, Any]]:
    """The judge's figures on whole pictures and on each degradation.

    For each: the share of every attribute that is read right, of marks that are there and are seen, and of marks that
    are not there and are not seen; and the calibration error over all attributes. Last, how often it names a subject on
    pictures whose tiles are shuffled, which show textures and no forms.
    """
    pictures, truths = painted(count)
    rng = torch.Generator().manual_seed(0)
    versions = {
        "whole": pictures,
        "blur, 1 px": blur(pictures, 1.0),
        "blur, 2 px": blur(pictures, 2.0),
        "noise, 10%": add_noise(pictures, 0.2, rng),
        "blotches, 10%": add_blotches(pictures, 0.2, rng),
    }
    found = {name: _figures(judge, version, truths) for name, version in versions.items()}
    readings = judge.read(_pixels(shuffle_tiles(pictures, rng)))
    sure = readings.values["subject"].max(1) > 0.5
    return found | {"shuffled tiles": {"subject named": round(float(sure.mean()), 4)}}


def _pixels(pictures: torch.Tensor) -> np.ndarray:
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _figures(judge: Judge, pictures: torch.Tensor, truths: list[dict[str, str | None]]) -> dict[str, Any]:
    readings = judge.read(_pixels(pictures))
    shares: dict[str, Share] = {}
    chances, hits = [], []
    for name in ATTRIBUTES:
        known = [i for i, told in enumerate(truths) if told[name] is not None]
        right = [readings.likeliest(i, name) == truths[i][name] for i in known]
        shares[name] = Share.of(right)
        chances += [float(readings.values[name][i].max()) for i in known]
        hits += right
    for label, there in (("marks there", True), ("marks not there", False)):
        known = [
            (i, place, value)
            for i, told in enumerate(truths)
            for place, values in MARKINGS.items()
            if (value := told[place]) and (value != values[0]) == there
        ]
        shares[label] = Share.of(readings.likeliest(i, place) == value for i, place, value in known)
    return {
        "attributes": {name: round(share.value, 4) for name, share in shares.items()},
        "calibration error": round(calibration_error(np.array(chances), np.array(hits)), 4),
    }


def calibration_error(chances: np.ndarray, hits: np.ndarray) -> float:
    """Expected calibration error in 15 bins (Guo et al. 2017, arXiv 1706.04599) of n probabilities and outcomes."""
    edges = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [
        (edges == b).mean() * abs(chances[edges == b].mean() - hits[edges == b].mean())
        for b in range(BINS)
        if (edges == b).any()
    ]
    return float(np.sum(gaps))
