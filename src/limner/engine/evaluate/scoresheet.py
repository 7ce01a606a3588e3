"""The score sheet of an evaluation: a page on which people score its images, one at a time and blind."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from limner.core.choice import evenly
from limner.core.metrics import ScoredImage
from limner.core.opinions import CRITERIA, HIGHEST, LOWEST, MAX_SCORED, Criterion, evaluation_of
from limner.engine.evaluate.result import EvaluationResult
from limner.reports.writer import file_data_url, write_page
from limner.store.files import sha256_of

PAGE = "score.html"
SIDE, SMALL, PHOTOGRAPHS = 640, 200, 4
"""The longest side of an image and of a photograph on the page, in pixels; the most photographs."""
QUESTIONS: dict[Criterion, tuple[str, str, str]] = {
    "relevance": ("Does it show what the prompt asks for?", "not at all", "completely"),
    "aesthetics": ("Is it beautiful?", "ugly", "beautiful"),
    "detail": ("Is it sharp and detailed?", "blurred or empty", "sharp and detailed"),
    "uniqueness": ("Is it different from the other images?", "seen before", "unique"),
}
"""The question, and what the lowest and the highest score mean."""
WITH_PHOTOGRAPHS: dict[Criterion, tuple[str, str, str]] = {
    "relevance": ("Does it show the subject of the photos, as the prompt asks for?", "not at all", "completely"),
    "uniqueness": ("Is it different from the photos and the other images?", "a copy", "unique"),
}
"""Questions that replace these if there are photographs of the subject."""


def questions(photographs: bool) -> dict[Criterion, tuple[str, str, str]]:
    """The questions of the sheet. photographs: whether there are photographs of the subject."""
    return {**QUESTIONS, **WITH_PHOTOGRAPHS} if photographs else QUESTIONS


def choose_items(items: Iterable[ScoredImage], most: int, seed: int) -> list[ScoredImage]:
    """At most `most` images in random order, about equally many of each prompt."""
    groups: dict[str, list[ScoredImage]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    found: list[ScoredImage] = []
    for turn in zip_longest(*groups.values()):
        found += evenly([item for item in turn if item is not None], most - len(found))
    random.Random(f"score {seed}").shuffle(found)
    return found


def write_score_sheet(result: EvaluationResult, out: Path) -> Path:
    """Write score.html: images, prompts without identifiers and photographs, but no names and no scores."""
    gallery = result.gallery
    hashes = {item.path: sha256_of(item.path) for item in gallery.items}
    shown = {hashes[item.path]: item for item in choose_items(gallery.items, MAX_SCORED, result.request.seed)}
    references = evenly(gallery.references, PHOTOGRAPHS)
    return write_page(
        out / PAGE,
        "score.html",
        title="How good are these images?",
        evaluation=evaluation_of(hashes.values()),
        pictures=[
            {"sha256": sha256, "prompt": item.prompt, "url": file_data_url(item.path, SIDE)}
            for sha256, item in shown.items()
        ],
        photographs=[file_data_url(path, SMALL) for path in references],
        questions=_questions(bool(references), [item.prompt for item in shown.values()]),
        points=list(range(LOWEST, HIGHEST + 1)),
        generated=bool(result.request.prompt),
    )


def _questions(photographs: bool, prompts: Sequence[str | None]) -> list[tuple[Criterion, str, str, str]]:
    """The questions asked of at least one image; relevance needs a prompt."""
    texts = questions(photographs)
    return [(name, *texts[name]) for name in CRITERIA if name != "relevance" or any(prompts)]
