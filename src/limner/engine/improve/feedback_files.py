"""Moderation of feedback from a file that a queued run got from outside."""

from __future__ import annotations

from pathlib import Path

from limner.core.moderation import ImageScreen
from limner.core.preferences import Feedback, JudgedImage
from limner.imaging.decode import open_image


def images_of(feedback: Feedback) -> list[JudgedImage]:
    """The images of all ratings and pairs, each once."""
    rated = [each.image for each in feedback.ratings]
    paired = [image for each in feedback.pairs for image in (each.better, each.worse)]
    return list({image.sha256: image for image in (*rated, *paired)}.values())


def admit(feedback: Feedback, screen: ImageScreen) -> None:
    """Moderate prompts and images of feedback, each once; raises RequestRefused or Unable."""
    images = images_of(feedback)
    screen.admit_captions(dict.fromkeys(image.prompt for image in images if image.prompt.strip()))
    if screen.checks_images:
        for image in images:
            screen.admit_image(open_image(Path(image.location)), image.sha256)
