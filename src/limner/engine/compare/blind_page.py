"""The blind page of a comparison: two images of a prompt side by side, without saying whose they are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from pathlib import Path

from limner.core.choice import evenly
from limner.core.requests.request import digest_of
from limner.core.votes import BlindPair, VotesKey
from limner.engine.compare.ranking import KEY
from limner.engine.compare.result import PromptSeed
from limner.reports.writer import file_data_url, write_page
from limner.store.files import atomic_file, sha256_of

SIDE = 640
"""The longest side of an image on the page, in pixels."""
PHOTOS, PHOTO_SIDE = 4, 240
"""The most photos of the subject on the page, and their longest side in pixels."""
PAGE = "blind.html"


def choose_pairs(contestants: int, images: Sequence[PromptSeed], most: int, seed: int) -> list[BlindPair]:
    """At most `most` pairs in random order and on random sides, every two contestants about equally often."""
    rng = random.Random(f"blind {seed}")
    decks: list[list[tuple[PromptSeed, int, int]]] = []
    for one, other in combinations(range(contestants), 2):
        deck = [(image, one, other) for image in images]
        rng.shuffle(deck)
        decks.append(deck)
    rng.shuffle(decks)
    dealt = [each for turn in zip_longest(*decks) for each in turn if each is not None][:most]
    rng.shuffle(dealt)
    return [
        BlindPair(prompt=prompt, seed=number, left=sides[0], right=sides[1])
        for (prompt, number), *two in dealt
        if (sides := rng.sample(two, 2))
    ]


@dataclass(frozen=True)
class VoterTexts:
    """What voters see beside the images. prompts: how each prompt reads, by the prompt as typed. photos: of the
    subject; some of them are shown.
    """

    prompts: Mapping[str, str]
    photos: Sequence[Path] = ()


def write_blind_page(
    out: Path,
    names: Sequence[str],
    images: Sequence[Mapping[PromptSeed, Path]],
    most: int,
    seed: int,
    texts: VoterTexts,
) -> tuple[Path, Path]:
    """Write the page and the key that says whose the images are; returns their paths. images: of each contestant."""
    pairs = choose_pairs(len(names), list(images[0]), most, seed)
    sides = [tuple(images[number][pair.prompt, pair.seed] for number in (pair.left, pair.right)) for pair in pairs]
    comparison = digest_of([{"left": sha256_of(left), "right": sha256_of(right)} for left, right in sides])
    ids = [f"pair-{number}" for number in range(1, len(pairs) + 1)]
    key = VotesKey(comparison=comparison, contestants=tuple(names), pairs=dict(zip(ids, pairs, strict=True)))
    with atomic_file(out / KEY) as partial:
        partial.write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    shown = _shuffled({path for both in sides for path in both}, seed)
    rows = [
        {"id": name, "prompt": texts.prompts[pair.prompt], "left": shown.index(left), "right": shown.index(right)}
        for name, pair, (left, right) in zip(ids, pairs, sides, strict=True)
    ]
    write_page(
        out / PAGE,
        "blind.html",
        title="Which is better?",
        comparison=comparison,
        pairs=rows,
        pictures=[file_data_url(path, SIDE) for path in shown],
        photos=[file_data_url(path, PHOTO_SIDE) for path in evenly(texts.photos, PHOTOS)],
    )
    return out / PAGE, out / KEY


def _shuffled(paths: set[Path], seed: int) -> list[Path]:
    """The paths in an order that does not group the images of a contestant."""
    found = sorted(paths)
    random.Random(f"pictures {seed}").shuffle(found)
    return found
