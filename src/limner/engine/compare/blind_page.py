"""The blind page of a comparison: two pictures of a prompt side by side, and nothing that tells whose they are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations, zip_longest
from pathlib import Path

from limner.core.requests.request import digest_of
from limner.core.votes import BlindPair, VotesKey
from limner.engine.compare.cells import Cell
from limner.engine.train.class_captions import word_pattern
from limner.imaging.decode import open_image
from limner.reports.render import embedded, write_page
from limner.store.files import atomic_file, sha256_of

SIDE = 640
"""The longest side of a picture on the page, in pixels."""
KEY, PAGE = "votes-key.json", "blind.html"


def chosen_pairs(contestants: int, cells: Sequence[Cell], most: int, seed: int) -> list[BlindPair]:
    """At most so many pairs in random order and on random sides, every two contestants about equally often."""
    rng = random.Random(f"blind {seed}")
    decks: list[list[tuple[Cell, int, int]]] = []
    for one, other in combinations(range(contestants), 2):
        deck = [(cell, one, other) for cell in cells]
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


def write_blind(
    out: Path,
    names: Sequence[str],
    painted: Sequence[Mapping[Cell, Path]],
    most: int,
    seed: int,
    made_up: Sequence[str] = (),
) -> tuple[Path, Path]:
    """Write page and key; returns their paths. painted: each contestant's pictures.

    made_up: words that nobody who votes can know, which are left out of the prompts.
    """
    pairs = chosen_pairs(len(names), list(painted[0]), most, seed)
    sides = [tuple(painted[number][pair.prompt, pair.seed] for number in (pair.left, pair.right)) for pair in pairs]
    shown = [{"left": sha256_of(left), "right": sha256_of(right)} for left, right in sides]
    comparison = digest_of(shown)
    ids = [f"pair-{number}" for number in range(1, len(pairs) + 1)]
    key = VotesKey(comparison=comparison, contestants=tuple(names), pairs=dict(zip(ids, pairs, strict=True)))
    with atomic_file(out / KEY) as partial:
        partial.write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    pictures = _shuffled({path for both in sides for path in both}, seed)
    told = [
        {
            "id": name,
            "prompt": plain(pair.prompt, made_up),
            "left": pictures.index(left),
            "right": pictures.index(right),
        }
        for name, pair, (left, right) in zip(ids, pairs, sides, strict=True)
    ]
    urls = [embedded(open_image(path), SIDE) for path in pictures]
    write_page(out / PAGE, "blind.html", title="Which is better?", comparison=comparison, pairs=told, pictures=urls)
    return out / PAGE, out / KEY


def plain(prompt: str, made_up: Sequence[str]) -> str:
    """A prompt without made-up words; where nothing else is in it, as it is."""
    told = prompt
    for word in made_up:
        told = word_pattern(word).sub("", told)
    return " ".join(told.split()) or prompt


def _shuffled(paths: set[Path], seed: int) -> list[Path]:
    """In an order that tells nothing: those of one contestant do not stand together."""
    found = sorted(paths)
    random.Random(f"pictures {seed}").shuffle(found)
    return found
