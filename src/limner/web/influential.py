"""The training photos that influenced an image most, from the result of a search for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.influence import ExplainedImage, Influence
from limner.core.runs import Artifact
from limner.server.replies import url_of
from limner.studio.files import REFERENCE
from limner.studio.studio import Studio
from limner.web.views import ImageView

MOST = 6
"""Most photos that are shown for an image."""
MOST_IMAGES = 6
LARGEST = 4_000_000
"""Bytes of a result that is read for a page; the page of a larger one has only its link."""


@dataclass(frozen=True)
class Influential:
    """The photos that influenced an image most, the first one most, each with its score. prompt: of the image.

    hidden: how many others the caller may not read as files, or are erased; the page of the search contains them.
    """

    prompt: str
    photos: tuple[tuple[ImageView, str], ...]
    hidden: int = 0


def influential_photos(studio: Studio, caller: Caller, artifacts: Sequence[Artifact]) -> list[Influential]:
    """The photos for each image of a search, as far as the caller may read them; empty without a result."""
    made = next((each for each in artifacts if each.kind == ArtifactKind.INFLUENCE), None)
    reference = "" if made is None else str(made.details.get("reference", ""))
    found = REFERENCE.fullmatch(reference)
    if found is None or found[1] != "sha256" or not studio.files.may_use(caller, reference):
        return []
    try:
        size = studio.files.size(found[2])
        if size > LARGEST:
            return []
        result = Influence.model_validate_json(studio.files.read(found[2], 0, size))
    except (LimnerError, ValueError):  # it was erased, or a newer version wrote it
        return []
    return [_photos(studio, caller, result, image) for image in result.pictures[:MOST_IMAGES]]


def _photos(studio: Studio, caller: Caller, result: Influence, image: ExplainedImage) -> Influential:
    ranked = sorted(zip(image.scores, result.training, strict=False), key=lambda pair: -pair[0])
    photos: list[tuple[ImageView, str]] = []
    best = [(score, photo) for score, photo in ranked[:MOST] if score > 0]
    for score, photo in best:
        reference = f"sha256:{photo.sha256}"
        if REFERENCE.fullmatch(reference) and _readable(studio, caller, photo.sha256):
            photos.append(
                (ImageView(url_of(reference), photo.caption or "a training photo", None, None), f"{score:.2f}")
            )
    return Influential(image.prompt, tuple(photos), len(best) - len(photos))


def _readable(studio: Studio, caller: Caller, sha256: str) -> bool:
    return studio.files.may_use(caller, f"sha256:{sha256}") and sha256 in studio.files
