"""Images that an encoder takes for another group: planted errors are found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from limner.core.requests.evaluate import fill_groups
from limner.engine.evaluate.group_fairness import group_images, indistinguishable, measure_confusion
from limner.engine.scoring.encoders import NetworkEncoder, open_encoder
from limner.starter.painter import PLACES, Scene, paint
from limner.stats.intervals import wilson

DIRECTIONS = {"cat": (1.0, 0.0, 0.0), "dog": (0.0, 1.0, 0.0), "cow": (0.0, 0.0, 1.0)}


class Knowing:
    """Encodes an image as the animal in its file name, and a text as the animal that it names."""

    name = "knowing"

    def images(self, pictures):
        return torch.tensor([DIRECTIONS[path.name[:3]] for path in pictures])

    def texts(self, texts):
        return torch.tensor([next(way for name, way in DIRECTIONS.items() if name in text) for text in texts])


def judged(shown: dict[str, list[str]]):
    pictures = {group: [Path(f"{name}{i}.png") for i, name in enumerate(names)] for group, names in shown.items()}
    return measure_confusion(
        Knowing(), pictures, {group: [f"a {group}"] * len(names) for group, names in shown.items()}
    )


def test_each_group_has_its_share_and_confusions():
    shown = {"cat": ["cat"] * 10, "dog": ["dog"] * 4 + ["cat"] * 5 + ["cow"], "cow": ["cow"] * 8 + ["dog"] * 2}
    confusion = judged(shown)
    gap = confusion.by_group
    assert [(group.value, group.mean) for group in gap.groups] == [("cat", 0), ("dog", 0.6), ("cow", 0.2)]
    assert confusion.taken_for == {
        "cat": {"dog": 0, "cow": 0},
        "dog": {"cat": 5, "cow": 1},
        "cow": {"cat": 0, "dog": 2},
    }
    assert [confusion.most_taken_for(group) for group in confusion.taken_for] == [None, "cat", "dog"]
    assert confusion.share == pytest.approx(8 / 30) and confusion.encoder == "knowing"
    assert confusion.by_guessing == pytest.approx(2 / 3)
    assert (gap.gap, gap.worst, gap.best) == (pytest.approx(0.6), "dog", "cat") and gap.significant
    assert [(group.low, group.high) for group in gap.groups] == [wilson(hits, 10)[1:] for hits in (0, 6, 2)]


def test_no_confusion_is_no_gap():
    confusion = judged({"cat": ["cat"] * 5, "dog": ["dog"] * 5})
    assert (confusion.share, confusion.by_group.gap, confusion.by_group.p_value) == (0, 0, 1)
    assert 0 < confusion.by_group.groups[0].high < 0.5, "five images are few"


def test_an_image_equally_close_to_both_is_not_confused():
    class Blind(Knowing):
        def images(self, pictures):
            return torch.ones(len(pictures), 3) / 3**0.5

    pictures = {group: [Path("cat.png")] * 3 for group in ("cat", "dog")}
    assert measure_confusion(Blind(), pictures, {"cat": ["a cat"] * 3, "dog": ["a dog"] * 3}).share == 0


@pytest.mark.parametrize(
    ("hits", "low", "high"),  # the roots p of (hits/16 - p)^2 = 1.96^2 p (1 - p) / 16
    [(0, 0.0, 0.1936), (1, 0.0111, 0.2833), (8, 0.2800, 0.7200), (16, 0.8064, 1.0)],
)
def test_wilsons_interval(hits, low, high):
    share, *bounds = wilson(hits, 16)
    assert share == hits / 16 and bounds == pytest.approx([low, high], abs=1e-4)
    for bound in bounds:
        assert (share - bound) ** 2 == pytest.approx(1.96**2 * bound * (1 - bound) / 16, abs=1e-9)


def test_indistinguishable_prompts_are_found():
    assert indistinguishable(Knowing(), {"cat": ["a cat", "my cat"], "dog": ["a dog", "my dog"]}) is None
    deaf = NetworkEncoder("deaf", lambda pictures: torch.ones(1, 3), lambda texts: torch.ones(len(texts), 3))
    assert indistinguishable(deaf, {"cat": ["a cat"], "dog": ["a dog"]}) == ("a cat", "a dog")


def test_images_are_grouped():
    prompts = fill_groups(("a {group}", "a tree", "my {group}"), ("cat", "dog"))
    found = group_images(prompts, [each.prompt for each in prompts], 2)
    assert found.rows == {"cat": [0, 1, 6, 7], "dog": [2, 3, 8, 9]}
    assert found.texts["dog"] == ["a dog", "a dog", "my dog", "my dog"]


def test_swapped_drawings_are_found(starter, tmp_path):
    """Huskies and poodles in eight places; three of the huskies are drawn as poodles."""
    rng, pictures = random.Random(3), {"husky": [], "poodle": []}
    for place in PLACES:
        seed = rng.getrandbits(31)
        for name, row in pictures.items():
            truth = "poodle" if place in PLACES[:3] else name
            row.append(tmp_path / f"{name}-{place}.png")
            paint(Scene(subject="dog", breed=truth, place=place, seed=seed)).save(row[-1])
    confusion = measure_confusion(
        open_encoder("starter"), pictures, {name: [f"a photo of a {name}"] * 8 for name in pictures}
    )
    assert confusion.taken_for == {"husky": {"poodle": 3}, "poodle": {"husky": 0}}
