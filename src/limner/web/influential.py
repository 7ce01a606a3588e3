"""The training photos that influenced an image most, from the result of a search for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.influence import ExplainedImage, Influence
from limner.core.requests import InfluenceRequest
from limner.core.runs import Artifact, Run
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


def influential_photos(studio: Studio, caller: Caller, run: Run, artifacts: Sequence[Artifact]) -> list[Influential]:
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
    inside = photos_in_data(studio, caller, run)

    def url(sha256: str) -> str:
        reference = f"sha256:{sha256}"
        if not REFERENCE.fullmatch(reference) or sha256 not in studio.files:
            return ""
        if studio.files.may_use(caller, reference):
            return url_of(reference)
        return f"/runs/{run.id}/photos/{sha256}" if sha256 in inside else ""

    return [_photos(result, image, url) for image in result.pictures[:MOST_IMAGES]]


def photos_in_data(studio: Studio, caller: Caller, run: Run) -> frozenset[str]:
    """The hashes of the files in the folder that a search compared an image with; empty unless the caller may read it.

    Who may read a folder may not name its files alone in requests, so that they are shown by the page of the run.
    """
    request = run.request
    reference = request.data if isinstance(request, InfluenceRequest) else None
    found = REFERENCE.fullmatch(reference or "")
    if found is None or found[1] != "folder" or not studio.files.may_use(caller, found[0]):
        return frozenset()
    try:
        return frozenset(studio.files.manifest(found[2]).values())
    except LimnerError:  # it was erased
        return frozenset()


def _photos(result: Influence, image: ExplainedImage, url: Callable[[str], str]) -> Influential:
    ranked = sorted(zip(image.scores, result.training, strict=False), key=lambda pair: -pair[0])
    photos: list[tuple[ImageView, str]] = []
    best = [(score, photo) for score, photo in ranked[:MOST] if score > 0]
    for score, photo in best:
        if place := url(photo.sha256):
            photos.append((ImageView(place, photo.caption or "a training photo", None, None), f"{score:.2f}"))
    return Influential(image.prompt, tuple(photos), len(best) - len(photos))
