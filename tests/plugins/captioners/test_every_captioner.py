"""Every captioner of the registry keeps what the protocol promises."""

from __future__ import annotations

import pytest
from PIL import Image

from limner.core.datasets import Captioner
from limner.core.errors import LimnerError
from limner.plugins import registry
from limner.starter.painter import Scene, paint
from tellers import TELLERS

SHAPES = ((64, 64), (1, 1), (300, 40))


@pytest.fixture(params=registry.captioners.names())
def captioner(request):
    return registry.captioners.get(request.param)


@pytest.fixture
def speaker(captioner, tmp_path):
    return captioner.speaker(str(TELLERS["blip"](tmp_path / "model")) if captioner.named else None, "cpu")


def test_it_is_a_captioner(captioner):
    assert isinstance(captioner, Captioner) and captioner.title and captioner.named in (True, False)


def test_it_says_a_line_of_each_picture_the_same_every_time(speaker):
    pictures = [paint(Scene(subject="dog", breed="corgi", place="beach")), *(Image.new("RGB", at) for at in SHAPES)]
    told = speaker.captions(pictures, None)
    assert len(told) == len(pictures) and told == speaker.captions(pictures, None)
    assert all(text == " ".join(text.split()) for text in told)
    fields = speaker.fields(pictures)
    assert len(fields) == len(pictures) and all(value for each in fields for value in each.values())
    assert speaker.captions([], None) == [] == speaker.fields([])


def test_it_calls_the_subject_by_its_words(speaker):
    told = speaker.captions([paint(Scene(subject="dog", breed="corgi", place="beach"))], "sks dog")
    assert "sks dog" in told[0]


def test_a_model_that_is_needed_is_asked_for(captioner, home):
    if captioner.named:
        with pytest.raises(LimnerError):
            captioner.speaker(None, "cpu")
        with pytest.raises(LimnerError, match="nosuch"):
            captioner.speaker("somebody/nosuch", "cpu")
