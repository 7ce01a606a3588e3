"""What benchmarks with simulated raters share: images that are rated, files of votes, and images to compare."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.requests import AdapterUse, GenerateRequest
from limner.models.adapters import adapters_applied, open_adapter
from limner.starter.exam.model import SEED, ModelUnderTest
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.tastes import Vote
from limner.starter.judge import Judge, Readings
from limner.store.files import atomic_file, atomic_folder
from limner.studio.studio import Studio

RATERS = 5
"""Accounts that answer in turn."""


def rated_images(studio: Studio, place: Path, adapter: Path, prompts: Sequence[str], count: int) -> list[Path]:
    """The files of `count` images of each prompt by an adapter, with their labels; generated unless they are there."""
    if not place.exists():
        uses = (AdapterUse(path=str(adapter)),)
        asked = [
            GenerateRequest(prompt=prompt, adapter=uses, count=count, seed=SEED + count * number)
            for number, prompt in enumerate(prompts)
        ]
        with atomic_folder(place) as partial:
            studio.run_batch(asked, partial / "images")
    return sorted(place.rglob("*.png"))


def scores_of(files: Sequence[Path], judge: Judge, score: Callable[[Readings], np.ndarray]) -> np.ndarray:
    """How much each of n images is to a taste, (n,), 0 to 1. score: of the taste."""
    return score(judge.read(np.stack([np.asarray(Image.open(file)) for file in files])))


def rater(number: int) -> str:
    """The account that gives an answer."""
    return f"rater {number % RATERS}"


def vote_rows(votes: Iterable[Vote], files: Sequence[Path], prompts: Sequence[str]) -> list[dict[str, Any]]:
    """Votes as rows of a file of feedback, in Pick-a-Pic's columns. prompts: of each image."""
    return [
        {
            "caption": prompts[vote.better],
            "label_0": 1.0,
            "label_1": 0.0,
            "user_id": rater(number),
            "image_0_url": files[vote.better].as_uri(),
            "image_1_url": files[vote.worse].as_uri(),
        }
        for number, vote in enumerate(votes)
    ]


def write_feedback(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as JSON lines; returns the file."""
    with atomic_file(path) as partial:
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def compared_images(folder: Path, stage: str, adapter: Path, prompts: Sequence[str]) -> np.ndarray:
    """The image of each prompt by an adapter, (n, height, width, 3), kept in a folder. stage: what they are for."""
    model = ModelUnderTest.load(ExamOptions(), lambda event: None, lambda: False)
    loaded = open_adapter(str(adapter))
    with adapters_applied(model.pipeline, model.family.facts, [loaded], [1.0]):
        return model.generate_cached(folder, stage, prompts, model.sampling["guidance"], loaded.sha256)
