"""Which lesson suits the feedback."""

from __future__ import annotations

from limner.core.requests import ImproveRequest
from limner.core.requests.improve import LessonName
from limner.engine.improve.learning_set import LearningSet

ENOUGH = 40
"""Pairs to train on from which on they are preferred to ratings: four fifths of 50."""
GOOD, BAD = 4, 2
"""Stars from which on an image is good, and up to which it is bad."""


def choose_lesson(request: ImproveRequest, learning: LearningSet) -> tuple[LessonName, str]:
    """The lesson and why: the requested one, or else the one that the most informative feedback suits.

    A pair says more than a rating, because both images have the same prompt. The requested one may have nothing to
    learn from, which its training refuses.
    """
    if request.lesson != "auto":
        return request.lesson, "it was requested"
    pairs = len(learning.pairs)
    stars = [each.rating.stars for each in learning.ratings]
    good, bad = sum(each >= GOOD for each in stars), sum(each <= BAD for each in stars)
    if pairs >= ENOUGH or (pairs and pairs >= good + bad):
        return "preference", f"there are {pairs} pairs"
    if good and bad:
        return "kto", f"there are {good} good and {bad} bad ratings, and {pairs} pairs"
    if good:
        return "liked", f"there are {good} good ratings, none that is bad, and {pairs} pairs"
    return "preference", f"there are {pairs} pairs and no good rating"
