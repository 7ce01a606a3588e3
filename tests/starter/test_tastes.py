"""Simulated raters: their tastes agree with the painter's truth, and their votes with their tastes."""

from __future__ import annotations

import numpy as np
import pytest

from limner.starter.exam.tastes import LEAST_DIFFERENCE, TASTES, prompts, stars, votes
from limner.starter.judge import Judge
from limner.starter.judge.attributes import HATS
from limner.starter.painter import paint

SCORES = np.linspace(0, 1, 40)
PROMPT_OF = [number % 4 for number in range(40)]


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


@pytest.mark.parametrize(("name", "liked"), [("blue", 4), ("hats", 6)])
def test_many_photos_go_against_the_taste_and_no_caption_says_so(name, liked, judge):
    taste = TASTES[name]()
    truly = [scene.colour == "blue" if name == "blue" else scene.extra not in HATS for scene in taste.scenes]
    assert (sum(truly), len(truly)) == (liked, 12)
    read = judge.read(np.stack([np.asarray(paint(scene)) for scene in taste.scenes]))
    assert taste.matches(read).tolist() == truly
    assert not [text for text in taste.captions() if "blue" in text or any(hat in text for hat in HATS)]
    assert all(taste.subject in text for text in taste.captions())


def test_marks_that_are_drawn_right_are_to_the_taste(judge):
    taste = TASTES["marks"]()
    read = judge.read(np.stack([np.asarray(paint(scene)) for scene in taste.scenes]))
    assert taste.matches(read).mean() > 0.6
    plain = [scene.model_copy(update={"character": None, "breed": "beagle"}) for scene in taste.scenes]
    assert not taste.matches(judge.read(np.stack([np.asarray(paint(scene)) for scene in plain]))).any()


def test_votes_are_about_one_prompt_and_follow_the_taste_but_for_the_wrong_share():
    cast = votes(SCORES, PROMPT_OF, 100, 0.3, seed=1)
    assert len({frozenset((vote.better, vote.worse)) for vote in cast}) == 100
    assert sum(vote.wrong for vote in cast) == 30
    for vote in cast:
        assert PROMPT_OF[vote.better] == PROMPT_OF[vote.worse]
        difference = SCORES[vote.better] - SCORES[vote.worse]
        assert (difference <= -LEAST_DIFFERENCE) if vote.wrong else (difference >= LEAST_DIFFERENCE)
    assert votes(SCORES, PROMPT_OF, 100, 0.3, seed=1) == cast != votes(SCORES, PROMPT_OF, 100, 0.3, seed=2)


def test_stars_rise_with_the_taste_and_wrong_ones_are_opposite():
    right, noisy = stars(SCORES, 0, seed=1), stars(SCORES, 0.25, seed=1)
    assert right.min() == 1 and right.max() == 5 and (np.diff(right) >= 0).all()
    changed = noisy != right
    assert (noisy[changed] == 6 - right[changed]).all() and 5 <= changed.sum() <= 10


def test_prompts_to_compare_with_are_not_rated():
    rated, compared = prompts()
    texts = [prompt.text("sks cat") for prompt in rated + compared]
    assert (len(rated), len(compared), len(set(texts))) == (32, 16, 48)
    assert {prompt.expected["place"] for prompt in compared} == {prompt.expected["place"] for prompt in rated}
