"""Every captioner of the registry conforms to the protocol."""

from __future__ import annotations

import pytest
from PIL import Image

from caption_models import MODELS
from limner.core.datasets import Captioner
from limner.core.errors import LimnerError
from limner.plugins import registry
from limner.starter.painter import Scene, paint

SHAPES = ((64, 64), (1, 1), (300, 40))


@pytest.fixture(params=registry.captioners.names())
def captioner(request):
    return registry.captioners.get(request.param)


@pytest.fixture
def speaker(captioner, tmp_path):
    return captioner.speaker(str(MODELS["blip"](tmp_path / "model")) if captioner.named else None, "cpu")


def test_it_is_a_captioner(captioner):
    assert isinstance(captioner, Captioner) and captioner.title and captioner.named in (True, False)


def test_it_says_a_line_of_each_picture_the_same_every_time(speaker):
    images = [paint(Scene(subject="dog", breed="corgi", place="beach")), *(Image.new("RGB", at) for at in SHAPES)]
    captions = speaker.captions(images, None)
    assert len(captions) == len(images) and captions == speaker.captions(images, None)
    assert all(text == " ".join(text.split()) for text in captions)
    fields = speaker.fields(images)
    assert len(fields) == len(images) and all(value for each in fields for value in each.values())
    assert speaker.captions([], None) == [] == speaker.fields([])


def test_it_calls_the_subject_by_its_words(speaker):
    captions = speaker.captions([paint(Scene(subject="dog", breed="corgi", place="beach"))], "sks dog")
    assert "sks dog" in captions[0]


def test_a_model_that_is_needed_is_asked_for(captioner, home):
    if captioner.named:
        with pytest.raises(LimnerError):
            captioner.speaker(None, "cpu")
        with pytest.raises(LimnerError, match="nosuch"):
            captioner.speaker("somebody/nosuch", "cpu")
