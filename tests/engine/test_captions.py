"""Captions of class images, from whatever people write beside their photos."""

from __future__ import annotations

import pytest

from limner import TrainRequest
from limner.core.text import whole_words
from limner.engine.train.class_captions import class_captions


def captions_of(captions, count=48, **fields):
    return class_captions(TrainRequest(data="photos", **{"class_word": "dog", **fields}), captions, count)


def test_without_captions_the_class_is_shown_alone():
    assert captions_of([]) == captions_of(["a photo of sks dog"] * 6) == ("a photo of dog",)


def test_the_class_alone_is_every_fourth():
    scenes = [f"a photo of sks dog, place {i}" for i in range(6)]
    turn = captions_of(scenes)
    assert turn[::4] == ("a photo of dog",) * 2 and len(turn) == 8
    assert turn[1] == "a photo of dog, place 0" and len(set(turn)) == 7


@pytest.mark.parametrize(
    "caption",
    ["sks on the beach", "a photo of sks", "a risksome dog", "a dog", "sks's dogma"],
)
def test_captions_that_do_not_name_subject_and_class_are_left_out(caption):
    assert captions_of([caption]) == ("a photo of dog",)


def test_the_identifier_is_found_in_any_case_and_with_any_signs():
    assert captions_of(["SKS Dog asleep"]) == ("a photo of dog", "Dog asleep")
    assert captions_of(["my (s.k+s dog"], identifier="(s.k+s") == ("a photo of dog", "my dog")
    assert whole_words("s.s").search("a sks dog") is None


@pytest.mark.parametrize("count", [1, 2, 3, 48])
def test_of_too_many_captions_some_are_chosen_evenly(count):
    turn = captions_of([f"sks dog {i:03d}" for i in range(200)], count)
    assert len(turn) <= count and turn.count("a photo of dog") >= -(-len(turn) // 4)
    assert count < 48 or (turn[1], turn[-1]) == ("dog 000", "dog 194")
