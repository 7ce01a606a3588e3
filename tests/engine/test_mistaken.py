"""Whose picture an encoder takes for another's: what was planted is found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from limner.core.requests.evaluate import fill_groups
from limner.engine.evaluate.group_errors import mistaken, read_alike
from limner.engine.evaluate.group_scores import grouped
from limner.engine.scoring.encoders import Tower, open_encoder
from limner.starter.painter import PLACES, Scene, paint
from limner.stats.intervals import wilson

DIRECTIONS = {"cat": (1.0, 0.0, 0.0), "dog": (0.0, 1.0, 0.0), "cow": (0.0, 0.0, 1.0)}


class Knowing:
    """Sees in a picture the animal that its name tells, and reads the one that a text names."""

    name = "knowing"

    def images(self, pictures):
        return torch.tensor([DIRECTIONS[path.name[:3]] for path in pictures])

    def texts(self, texts):
        return torch.tensor([next(way for name, way in DIRECTIONS.items() if name in text) for text in texts])


def judged(shown: dict[str, list[str]]):
    pictures = {group: [Path(f"{name}{i}.png") for i, name in enumerate(names)] for group, names in shown.items()}
    return mistaken(Knowing(), pictures, {group: [f"a {group}"] * len(names) for group, names in shown.items()})


def test_each_group_has_its_share_and_what_it_is_taken_for():
    told = judged({"cat": ["cat"] * 10, "dog": ["dog"] * 4 + ["cat"] * 5 + ["cow"], "cow": ["cow"] * 8 + ["dog"] * 2})
    assert [(group.value, group.mean) for group in told.groups.groups] == [("cat", 0), ("dog", 0.6), ("cow", 0.2)]
    assert told.taken == {"cat": {"dog": 0, "cow": 0}, "dog": {"cat": 5, "cow": 1}, "cow": {"cat": 0, "dog": 2}}
    assert [told.mostly(group) for group in told.taken] == [None, "cat", "dog"]
    assert told.share == pytest.approx(8 / 30) and told.encoder == "knowing"
    assert told.by_guessing == pytest.approx(2 / 3)
    assert (told.groups.gap, told.groups.worst, told.groups.best) == (pytest.approx(0.6), "dog", "cat")
    assert told.groups.shown
    assert [(group.low, group.high) for group in told.groups.groups] == [wilson(hits, 10)[1:] for hits in (0, 6, 2)]


def test_nothing_mistaken_is_no_gap():
    told = judged({"cat": ["cat"] * 5, "dog": ["dog"] * 5})
    assert (told.share, told.groups.gap, told.groups.chance) == (0, 0, 1)
    assert 0 < told.groups.groups[0].high < 0.5, "of five pictures little is known"


def test_a_picture_as_near_to_both_is_not_mistaken():
    class Blind(Knowing):
        def images(self, pictures):
            return torch.ones(len(pictures), 3) / 3**0.5

    pictures = {group: [Path("cat.png")] * 3 for group in ("cat", "dog")}
    assert mistaken(Blind(), pictures, {"cat": ["a cat"] * 3, "dog": ["a dog"] * 3}).share == 0


@pytest.mark.parametrize(
    ("hits", "low", "high"),  # the roots p of (hits/16 - p)^2 = 1.96^2 p (1 - p) / 16
    [(0, 0.0, 0.1936), (1, 0.0111, 0.2833), (8, 0.2800, 0.7200), (16, 0.8064, 1.0)],
)
def test_wilsons_interval(hits, low, high):
    share, *bounds = wilson(hits, 16)
    assert share == hits / 16 and bounds == pytest.approx([low, high], abs=1e-4)
    for bound in bounds:
        assert (share - bound) ** 2 == pytest.approx(1.96**2 * bound * (1 - bound) / 16, abs=1e-9)


def test_texts_that_are_one_to_the_encoder_are_told():
    assert read_alike(Knowing(), {"cat": ["a cat", "my cat"], "dog": ["a dog", "my dog"]}) is None
    deaf = Tower("deaf", lambda pictures: torch.ones(1, 3), lambda texts: torch.ones(len(texts), 3))
    assert read_alike(deaf, {"cat": ["a cat"], "dog": ["a dog"]}) == ("a cat", "a dog")


def test_pictures_are_put_together_by_group():
    prompts = fill_groups(("a {group}", "a tree", "my {group}"), ("cat", "dog"))
    found = grouped(prompts, [each.prompt for each in prompts], 2)
    assert found.rows == {"cat": [0, 1, 6, 7], "dog": [2, 3, 8, 9]}
    assert found.texts["dog"] == ["a dog", "a dog", "my dog", "my dog"]


def test_swapped_pictures_of_the_painter_are_found(starter, tmp_path):
    """Huskies and poodles in eight places; of the huskies, three are poodles in truth."""
    rng, pictures = random.Random(3), {"husky": [], "poodle": []}
    for place in PLACES:
        seed = rng.getrandbits(31)
        for name, row in pictures.items():
            truth = "poodle" if place in PLACES[:3] else name
            row.append(tmp_path / f"{name}-{place}.png")
            paint(Scene(subject="dog", breed=truth, place=place, seed=seed)).save(row[-1])
    told = mistaken(open_encoder("starter"), pictures, {name: [f"a photo of a {name}"] * 8 for name in pictures})
    assert told.taken == {"husky": {"poodle": 3}, "poodle": {"husky": 0}}
