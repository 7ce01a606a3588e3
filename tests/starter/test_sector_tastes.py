"""The tastes of industries: they agree with the painter's truth, and neither captions nor prompts mention them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from limner.core.errors import LimnerError
from limner.starter.exam.sector_tastes import SECTOR_TASTES
from limner.starter.judge import Judge, truth
from limner.starter.judge.attributes import ATTRIBUTES
from limner.starter.painter import paint
from limner.starter.painter.sectors import SECTORS
from limner.starter.painter.vocabulary import COLOURS

WORDS = {"colour": rf"an? ({'|'.join(COLOURS)}) (?!background)", "backdrop": "background|wall"}
"""Patterns of texts that mention an attribute."""


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


@pytest.fixture(params=SECTOR_TASTES)
def taste(request):
    return SECTOR_TASTES[request.param]


def test_each_industry_has_a_taste_of_its_own():
    assert list(SECTOR_TASTES) == list(SECTORS)
    assert len({(taste.attribute, frozenset(taste.values)) for taste in SECTOR_TASTES.values()}) == len(SECTORS)
    for taste in SECTOR_TASTES.values():
        assert {*taste.values} < {*ATTRIBUTES[taste.attribute]} and taste.attribute in WORDS


def test_no_prompt_says_what_the_taste_is_about(taste):
    texts = [prompt.text for prompt in taste.prompts(58)]
    assert not [text for text in texts if re.search(WORDS[taste.attribute], text)]
    other = next(name for name in WORDS if name != taste.attribute)
    assert any(re.search(WORDS[other], text) for text in texts)


def test_captions_say_no_product_colour_that_the_rater_cares_about_but_all_backdrops(taste):
    pairs = taste.pairs(200, 1)
    assert len(pairs) == 200
    coloured, backdrops = ([text for _, text in pairs if re.search(WORDS[name], text)] for name in WORDS)
    if taste.attribute == "colour":
        assert not coloured and not [
            text for text in backdrops if f"{SECTORS[taste.sector].backdrop} background" in text
        ]
    else:
        assert len(coloured) == 200 and len(backdrops) == sum(scene.place == "studio" for scene, _ in pairs)


def test_some_of_the_products_are_to_a_taste_of_colours():
    for taste in SECTOR_TASTES.values():
        if taste.attribute == "colour":
            assert 0.25 < np.mean([scene.colour in taste.values for scene, _ in taste.pairs(200, 1)]) < 0.5


def test_prompts_differ_and_ask_for_both_products(taste):
    prompts = taste.prompts(58)
    assert len({prompt.text for prompt in prompts}) == 58 and prompts == taste.prompts(58)
    asked = [prompt.expected["subject"] for prompt in prompts]
    assert [asked.count(product) for product in SECTORS[taste.sector].products] == [29, 29]
    for prompt in prompts:
        assert prompt.expected["subject"] in prompt.text and taste.attribute not in prompt.expected


def test_more_prompts_than_there_are_is_an_error():
    with pytest.raises(LimnerError, match=r"food has \d+ prompts, not 2000"):
        SECTOR_TASTES["food"].prompts(2000)


def test_a_prompt_of_a_backdrop_names_no_place():
    for name in ("food", "travel", "sports"):
        assert {prompt.expected["place"] for prompt in SECTOR_TASTES[name].prompts(58)} == {"studio"}


def test_the_judge_agrees_with_the_truth(judge, taste):
    scenes = [scene for scene, _ in taste.pairs(60, 3) if taste.may_vary(scene)][:24]
    truly = np.array([truth(scene)[taste.attribute] in taste.values for scene in scenes])
    scores = taste.score(judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes])))
    assert scores.min() >= 0 and scores.max() <= 1
    assert ((scores > 0.5) == truly).mean() > 0.9


def test_an_image_of_another_industry_is_not_to_the_taste(judge):
    taste = SECTOR_TASTES["technology"]
    scenes = [scene.model_copy(update={"colour": "blue"}) for scene, _ in SECTOR_TASTES["food"].pairs(8, 3)]
    assert taste.score(judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))).max() < 0.2
