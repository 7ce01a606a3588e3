"""The columns of an export: ratings by names of our own, pairs by those of Pick-a-Pic, which Diffusion-DPO reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limner.core.errors import LimnerError
from limner.core.feedback import Picture
from limner.store.preferences import PreferenceData, PreferencePair, RatedImage
from limner.studio.studio import Studio

Kind = Literal["ratings", "pairs"]
Embed = Literal["no", "image", "bytes"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pictured:
    """How an export finds pictures. url: where one is. read: its bytes, None where it is gone."""

    url: Callable[[Picture], str]
    read: Callable[[Picture], bytes | None]


def picture_bytes(studio: Studio, picture: Picture) -> bytes | None:
    """A picture's file, None where it is gone."""
    with suppress(LimnerError, OSError):
        place = studio.blobs.bring(picture.reference) if picture.reference else Path(picture.path)
        return place.read_bytes()
    return None


def rows(kind: Kind, preferences: PreferenceData, pictured: Pictured, stars: bool, embed: bool) -> Iterator[Row]:
    """The rows of an export. stars: pairs that follow from stars too. embed: with the bytes of the pictures."""
    if kind == "ratings":
        for each in preferences.rated():
            yield _rated(each, pictured) | ({"image": pictured.read(each.picture)} if embed else {})
        return
    for pair in _pairs(preferences, stars):
        sides = {"jpg_0": pair.better, "jpg_1": pair.worse} if embed else {}
        yield _pair(pair, pictured) | {name: pictured.read(picture) for name, picture in sides.items()}


def _pairs(preferences: PreferenceData, stars: bool) -> Iterator[PreferencePair]:
    """Pairs of one prompt; between pictures of two prompts there is nothing to learn of either."""
    for pair in preferences.compared():
        if _words(pair.better) == _words(pair.worse):
            yield pair
    if stars:
        yield from preferences.starred()


def _words(picture: Picture) -> tuple[str, str]:
    return picture.request.prompt, picture.request.negative_prompt


def _rated(each: RatedImage, pictured: Pictured) -> Row:
    picture, request = each.picture, each.picture.request
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "model": request.model,
        "adapters": [use.path for use in request.adapter],
        **{name: picture.fact(name) for name in ("seed", "steps", "guidance", "width", "height")},
        "industry": picture.tags.get("industry"),
        "style": picture.tags.get("style"),
        "image_uid": picture.sha256,
        "image_url": pictured.url(picture),
        "stars": each.rating.stars,
        "reasons": list(each.rating.reasons),
        "comment": each.rating.comment,
        "user_id": each.rater,
        "created_at": each.created,
    }


def _pair(pair: PreferencePair, pictured: Pictured) -> Row:
    """The preferred picture is 0; of a tie both labels are 0.5."""
    told: Row = {
        "caption": pair.better.request.prompt,
        "negative_prompt": pair.better.request.negative_prompt,
        "label_0": 0.5 if pair.tie else 1.0,
        "label_1": 0.5 if pair.tie else 0.0,
        "has_label": True,
        "are_different": pair.better.sha256 != pair.worse.sha256,
        "best_image_uid": "tie" if pair.tie else pair.better.sha256,
        "source": pair.source,
        "reasons": list(pair.reasons),
        "user_id": pair.rater,
        "created_at": pair.created,
    }
    for side, picture in enumerate((pair.better, pair.worse)):
        told |= {
            f"image_{side}_uid": picture.sha256,
            f"image_{side}_url": pictured.url(picture),
            f"model_{side}": picture.request.model,
            f"adapters_{side}": [use.path for use in picture.request.adapter],
            f"seed_{side}": picture.fact("seed"),
        }
    return told
