"""Which lesson suits how many pairs and ratings."""

from __future__ import annotations

import pytest

from limner.core.preferences import JudgedImage, Judgement, Preference
from limner.core.requests import ImproveRequest
from limner.core.text import counted
from limner.engine.improve.choice import ENOUGH, choose_lesson
from limner.engine.improve.learning_set import LearningSet, WeightedPair, WeightedRating

IMAGE = JudgedImage(sha256="a", location="a.png", prompt="a cat")


def learning(pairs: int, *stars: int) -> LearningSet:
    pair = WeightedPair(Preference(better=IMAGE, worse=IMAGE))
    ratings = tuple(WeightedRating(Judgement(image=IMAGE, stars=each)) for each in stars)
    return LearningSet(pairs=(pair,) * pairs, ratings=ratings)


@pytest.mark.parametrize(
    ("found", "lesson"),
    [
        (learning(ENOUGH, *[5, 1] * 100), "preference"),
        (learning(ENOUGH - 1, *[5, 1] * 100), "kto"),
        (learning(6, 5, 1, 4, 2), "preference"),
        (learning(4, 5, 1, 4, 2), "preference"),
        (learning(3, 5, 1, 4, 2), "kto"),
        (learning(3, 5, 4, 3, 5, 4), "liked"),
        (learning(0, 3, 3), "preference"),
        (learning(0), "preference"),
        (learning(0, 2), "preference"),
    ],
)
def test_the_lesson_that_suits_the_feedback(found: LearningSet, lesson: str) -> None:
    chosen, why = choose_lesson(ImproveRequest(target="rex"), found)
    assert chosen == lesson and counted(len(found.pairs), "pair") in why


@pytest.mark.parametrize("asked", ["preference", "kto", "liked"])
def test_a_requested_lesson_is_taken(asked: str) -> None:
    request = ImproveRequest.model_validate({"target": "rex", "lesson": asked})
    assert choose_lesson(request, learning(100)) == (asked, "it was requested")
