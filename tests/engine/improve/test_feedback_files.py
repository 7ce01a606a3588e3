"""Feedback that a queued run got from outside: only images in the file itself, and only what moderation admits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.moderation import RequestRefused
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.engine.improve.feedback_files import admit, embedded_only, images_of


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
    """Two ratings and two pairs, of which one each has an image outside of the folder `inside`."""
    (tmp_path / "inside").mkdir()
    places = [tmp_path / "inside" / "a", tmp_path / "inside" / "b", tmp_path / "outside"]
    for place in places:
        Image.new("RGB", (8, 8)).save(place, "PNG")
    a, b, outside = (image(place, f"prompt {number}") for number, place in enumerate(places))
    return Feedback(
        ratings=(Judgement(image=a, stars=5), Judgement(image=outside, stars=1)),
        pairs=(Preference(better=a, worse=b), Preference(better=outside, worse=b)),
        left_out=("1 pair: a tie",),
    )


def test_images_outside_of_the_file_are_left_out(feedback: Feedback, tmp_path: Path) -> None:
    found = embedded_only(feedback, tmp_path / "inside")
    assert (found.ratings, found.pairs) == (feedback.ratings[:1], feedback.pairs[:1])
    assert found.left_out == (
        "1 pair: a tie",
        "1 rating: the image is not in the file; embed images in a .parquet file",
        "1 pair: the image is not in the file; embed images in a .parquet file",
    )


def test_a_link_out_of_the_folder_is_outside(feedback: Feedback, tmp_path: Path) -> None:
    place = tmp_path / "inside" / "link"
    place.symlink_to(tmp_path / "outside")
    linked = Feedback(ratings=(Judgement(image=image(place), stars=5), Judgement(image=image(place / ".."), stars=5)))
    assert embedded_only(linked, tmp_path / "inside").ratings == ()


def test_all_of_a_file_with_its_images_is_used(feedback: Feedback, tmp_path: Path) -> None:
    assert embedded_only(feedback, tmp_path) == feedback


def test_each_prompt_and_image_is_moderated_once(feedback: Feedback) -> None:
    screen = Screen()
    admit(feedback, screen)
    assert screen.images == ["a", "outside", "b"] == [each.sha256 for each in images_of(feedback)]
    assert screen.texts == ["prompt 0", "prompt 2", "prompt 1"]


def test_images_are_not_opened_where_no_check_judges_them(feedback: Feedback) -> None:
    screen = Screen(checks_images=False)
    admit(feedback, screen)
    assert screen.images == [] and len(screen.texts) == 3


def test_a_refused_image_refuses_the_run(feedback: Feedback) -> None:
    with pytest.raises(RequestRefused, match="violence"):
        admit(feedback, Screen("b"))
