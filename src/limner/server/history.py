"""/v1/pictures: what was painted, looked up by what is known and said of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as Part
from pydantic import BaseModel

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.execution import body_model, body_of
from limner.core.feedback import GeneratedImage, ImageQuery, Rating
from limner.provenance.labels import Label, read_label
from limner.server.auth import caller
from limner.server.problems import Refusal
from limner.server.replies import INNER, url_of
from limner.studio.images import Viewer
from limner.studio.studio import Studio

QUEUE = "default"
Name = Annotated[
    str, Part(pattern="^([0-9]{1,10}|[0-9a-f]{64})$", description="A picture's id, or its SHA-256.", examples=["7"])
]


class Received(BaseModel):
    """How all who rated a picture found it; mean is null where nobody did."""

    mean: float | None
    count: int


class PictureReply(BaseModel):
    """A picture with its request and what is said of it. mine: your own rating."""

    id: int
    url: str
    sha256: str
    reference: str
    run: str
    created: datetime
    request: body_model("generate")  # pyright: ignore[reportInvalidTypeForm]
    details: dict[str, Any]
    tags: dict[str, str]
    rating: Received
    mine: Rating | None
    favourite: bool

    @classmethod
    def of(cls, picture: GeneratedImage, **more: Any) -> Self:
        told = picture.model_dump(include=set(PictureReply.model_fields) - {"request", "details", "mine", "reference"})
        reference = picture.reference or f"sha256:{picture.sha256}"
        return cls(
            **told,
            reference=reference,
            url=url_of(reference),
            request=body_of(picture.request, picture.execution),
            details={key: value for key, value in picture.details.items() if key not in INNER},
            rating=Received(mean=picture.mean, count=picture.ratings),
            mine=picture.mine,
            **more,
        )


class PictureShown(PictureReply):
    """A picture with what its own label says: the request in full, and the weights that painted it."""

    label: Label | None


def view_of(who: Annotated[Caller, Depends(caller)]) -> Viewer:
    """What a caller sees of the history, and whose ratings are its own. The command line's runs are not told."""
    return Viewer(who.account, who.scope, QUEUE)


Viewed = Annotated[Viewer, Depends(view_of)]


def finder(studio: Studio) -> Any:
    """What finds the picture that a path names, for a route to ask for by `Depends`."""
    pictures = studio.images

    def find(picture: Name, view: Viewed) -> GeneratedImage:
        try:
            named = picture if len(picture) == 64 else min(int(picture), 2**31 - 1)
            return pictures.get(view, named)
        except LimnerError as error:
            raise Refusal(HTTPStatus.NOT_FOUND, error.problem, "GET /v1/pictures lists those there are") from error

    return find


def router(studio: Studio) -> APIRouter:
    """The routes of the history."""
    routes = APIRouter(prefix="/v1/pictures", tags=["history"])
    pictures, find = studio.images, finder(studio)

    @routes.get("")
    def listed(request: Request, query: Annotated[ImageQuery, Query()], view: Viewed) -> list[PictureReply]:
        """Pictures that fit all conditions; the next page begins `before` the last one's id."""
        return [PictureReply.of(picture) for picture in pictures.list(view, query)]

    @routes.get("/{picture}", responses={404: {}})
    def shown(picture: GeneratedImage = Depends(find)) -> PictureShown:
        """A picture with all that is known of it."""
        label = None
        with suppress(LimnerError):  # the file may have been let go of
            label = read_label(studio.files.path(picture.sha256))
        return PictureShown.of(picture, label=label)

    return routes
