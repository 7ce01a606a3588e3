"""Which lesson suits the feedback."""

from __future__ import annotations

from limner.core.requests import ImproveRequest
from limner.core.requests.improve import LessonName
from limner.core.text import counted
from limner.engine.improve.encoding import DISLIKED, LIKED
from limner.engine.improve.learning_set import LearningSet

ENOUGH = 40
"""Pairs to train on from which on they are preferred to ratings: four fifths of the least that is worth a try."""


def choose_lesson(request: ImproveRequest, learning: LearningSet) -> tuple[LessonName, str]:
    """The lesson and why: the requested one, or else the one that the most informative feedback suits.

    A pair says more than a rating, because both images have the same prompt. The requested one may have nothing to
    learn from, which its training refuses.
    """
    if request.lesson != "auto":
        return request.lesson, "it was requested"
    pairs = len(learning.pairs)
    of_pairs = counted(pairs, "pair")
    stars = [each.rating.stars for each in learning.ratings]
    good, bad = sum(each >= LIKED for each in stars), sum(each <= DISLIKED for each in stars)
    if pairs >= ENOUGH or (pairs and pairs >= good + bad):
        return "preference", f"the feedback has {of_pairs}"
    if good and bad:
        return "kto", f"the feedback has {good} good and {counted(bad, 'bad rating')}, and {of_pairs}"
    if good:
        return "liked", f"the feedback has {counted(good, 'good rating')}, none that is bad, and {of_pairs}"
    return "preference", f"the feedback has {of_pairs} and no good rating"
