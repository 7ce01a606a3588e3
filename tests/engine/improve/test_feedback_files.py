"""Feedback that a queued run got from other: what moderation judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.moderation import RequestRefused
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.engine.improve.feedback_files import admit, images_of


def image(path: Path, prompt: str = "a cat") -> JudgedImage:
    return JudgedImage(sha256=path.name, location=str(path), prompt=prompt)


class Screen:
    """Records what it judges, and refuses one image."""

    def __init__(self, refused: str = "", checks_images: bool = True) -> None:
        self.refused, self.checks_images = refused, checks_images
        self.images: list[str] = []
        self.texts: list[str] = []

    def admit_image(self, picture: Any, sha256: str) -> None:
        assert picture.mode == "RGB"
        self.images.append(sha256)
        if sha256 == self.refused:
            raise RequestRefused("the image", "violence")

    def admit_captions(self, captions: Any) -> None:
        self.texts += captions


@pytest.fixture
def feedback(tmp_path: Path) -> Feedback:
    """Two ratings and two pairs of three images."""
    places = [tmp_path / name for name in ("a", "b", "other")]
    for place in places:
        Image.new("RGB", (8, 8)).save(place, "PNG")
    a, b, other = (image(place, f"prompt {number}") for number, place in enumerate(places))
    return Feedback(
        ratings=(Judgement(image=a, stars=5), Judgement(image=other, stars=1)),
        pairs=(Preference(better=a, worse=b), Preference(better=other, worse=b)),
    )


def test_each_prompt_and_image_is_moderated_once(feedback: Feedback) -> None:
    screen = Screen()
    admit(feedback, screen)
    assert screen.images == ["a", "other", "b"] == [each.sha256 for each in images_of(feedback)]
    assert screen.texts == ["prompt 0", "prompt 2", "prompt 1"]


def test_images_are_not_opened_where_no_check_judges_them(feedback: Feedback) -> None:
    screen = Screen(checks_images=False)
    admit(feedback, screen)
    assert screen.images == [] and len(screen.texts) == 3


def test_a_refused_image_refuses_the_run(feedback: Feedback) -> None:
    with pytest.raises(RequestRefused, match="violence"):
        admit(feedback, Screen("b"))
