"""The sheet on which people score an evaluation's pictures, one at a time and blind."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from limner.core.choice import evenly
from limner.core.metrics import ScoredImage
from limner.core.opinions import CRITERIA, HIGHEST, LOWEST, MAX_SCORED, Criterion, evaluation_of
from limner.engine.evaluate.result import Evaluated
from limner.imaging.decode import open_image
from limner.reports.render import embedded, write_page
from limner.store.files import sha256_of

PAGE = "score.html"
SIDE, SMALL, PHOTOGRAPHS = 640, 200, 4
"""The longest side of a picture and of a photograph on the page, in pixels; the most photographs."""
ASKED: dict[Criterion, tuple[str, str, str]] = {
    "relevance": ("Does it show what the words ask for?", "not at all", "all of it"),
    "aesthetics": ("Is it beautiful?", "ugly", "beautiful"),
    "detail": ("Is it sharp and rich in detail?", "blurred or empty", "sharp and rich"),
    "uniqueness": ("Is it unlike the other pictures?", "seen before", "all its own"),
}
"""The question, and what the lowest and the highest score mean."""
BESIDE: dict[Criterion, tuple[str, str, str]] = {
    "relevance": ("Does it show what is in the photographs, as the words ask for?", "not at all", "all of it"),
    "uniqueness": ("Is it unlike the photographs and the other pictures?", "a copy", "all its own"),
}
"""What is asked in place of that where there are photographs of the subject."""


def asked(beside: bool) -> dict[Criterion, tuple[str, str, str]]:
    """The questions. beside: whether there are photographs of the subject."""
    return {**ASKED, **BESIDE} if beside else ASKED


def chosen(items: Iterable[ScoredImage], most: int, seed: int) -> list[ScoredImage]:
    """At most so many pictures in random order, every prompt about equally often."""
    groups: dict[str, list[ScoredImage]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    found: list[ScoredImage] = []
    for turn in zip_longest(*groups.values()):
        found += evenly([item for item in turn if item is not None], most - len(found))
    random.Random(f"score {seed}").shuffle(found)
    return found


def write_sheet(done: Evaluated, out: Path) -> Path:
    """score.html: pictures, prompts in plain words and photographs, and nothing that tells of whom or how they are."""
    hashes = {item.picture: sha256_of(item.picture) for item in done.gallery.items}
    shown = {hashes[item.picture]: item for item in chosen(done.gallery.items, MAX_SCORED, done.request.seed)}
    references = evenly(done.gallery.references, PHOTOGRAPHS)
    write_page(
        out / PAGE,
        "score.html",
        title="How good are these pictures?",
        evaluation=evaluation_of(hashes.values()),
        pictures=[
            {"sha256": sha256, "prompt": item.prompt, "url": embedded(open_image(item.picture), SIDE)}
            for sha256, item in shown.items()
        ],
        photographs=[embedded(open_image(path), SMALL) for path in references],
        questions=_questions(bool(references), [item.prompt for item in shown.values()]),
        points=list(range(LOWEST, HIGHEST + 1)),
        painted=bool(done.request.prompt),
    )
    return out / PAGE


def _questions(beside: bool, prompts: Sequence[str | None]) -> list[tuple[Criterion, str, str, str]]:
    """What is asked of at least one of the pictures; relevance is to words."""
    told = asked(beside)
    return [(name, *told[name]) for name in CRITERIA if name != "relevance" or any(prompts)]
