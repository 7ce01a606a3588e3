"""Feedback from a file that a queued run got from outside: which of its images may be used."""

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


def embedded_only(feedback: Feedback, folder: Path) -> Feedback:
    """The feedback on images that the file itself contains, which were written to a folder.

    A file from elsewhere may name any path of this machine, and its sender must not learn what is there.
    """

    def embedded(image: JudgedImage) -> bool:
        return Path(image.location).resolve().is_relative_to(folder.resolve())

    ratings = tuple(each for each in feedback.ratings if embedded(each.image))
    pairs = tuple(each for each in feedback.pairs if embedded(each.better) and embedded(each.worse))
    dropped = {"ratings": len(feedback.ratings) - len(ratings), "pairs": len(feedback.pairs) - len(pairs)}
    lines = [
        f"{count} {what}: their images are not in the file; embed them in a .parquet file"
        for what, count in dropped.items()
        if count
    ]
    return Feedback(ratings=ratings, pairs=pairs, left_out=(*feedback.left_out, *lines))


def admit(feedback: Feedback, screen: ImageScreen) -> None:
    """Moderate prompts and images of feedback, each once; raises RequestRefused or Unable."""
    images = images_of(feedback)
    screen.admit_captions(dict.fromkeys(image.prompt for image in images if image.prompt.strip()))
    if screen.checks_images:
        for image in images:
            screen.admit_image(open_image(Path(image.location)), image.sha256)
