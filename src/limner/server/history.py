"""/v1/pictures and /v1/collections: the image history, searched, shown and sorted into collections."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from limner.core.errors import LimnerError
from limner.core.execution import body_model, body_of
from limner.core.feedback import Collection, CollectionRequest, GeneratedImage, ImageQuery, Rating
from limner.provenance.labels import Label, read_label
from limner.server.dependencies import ImageDep, StudioDep, ViewDep
from limner.server.problems import http_status
from limner.server.replies import public_details, request_without_paths, url_of

router = APIRouter(prefix="/v1", tags=["history"])


class ImageRatings(BaseModel):
    """All ratings of an image; mean is null if there are none."""

    mean: float | None
    count: int


class ImageReply(BaseModel):
    """An image with its request and its ratings. mine: your own rating."""

    id: int
    url: str
    sha256: str
    reference: str
    run: str
    created: datetime
    request: body_model("generate")  # pyright: ignore[reportInvalidTypeForm]
    details: dict[str, Any]
    tags: dict[str, str]
    rating: ImageRatings
    mine: Rating | None
    favourite: bool

    @classmethod
    def of(cls, picture: GeneratedImage, **more: Any) -> Self:
        """Return an image as a reply. more: further fields of a subclass."""
        own = {"request", "details", "mine", "reference"}
        reference = reference_of(picture)
        return cls(
            **picture.model_dump(include=set(ImageReply.model_fields) - own),
            reference=reference,
            url=url_of(reference),
            request=body_of(request_without_paths(picture.request), picture.execution),
            details=public_details(picture.details),
            rating=ImageRatings(mean=picture.mean, count=picture.ratings),
            mine=picture.mine,
            **more,
        )


class ImageDetails(ImageReply):
    """An image with the label in its metadata: the complete request, and the hashes of the weights used."""

    label: Label | None


def reference_of(picture: GeneratedImage) -> str:
    """Return the reference of an image's file."""
    return picture.reference or f"sha256:{picture.sha256}"


@router.get("/pictures")
def list_images(studio: StudioDep, query: Annotated[ImageQuery, Query()], view: ViewDep) -> list[ImageReply]:
    """List images that meet all conditions. For the next page, set `before` to the last image's id."""
    return [ImageReply.of(picture) for picture in studio.images.list(view, studio.discover.resolved(view, query))]


@router.get("/pictures/{picture}", responses={404: {}})
def show_image(studio: StudioDep, picture: ImageDep) -> ImageDetails:
    """Show an image with its request, ratings and label."""
    label = None
    with suppress(LimnerError):  # its file may have been erased
        label = read_label(studio.files.path(picture.sha256))
    return ImageDetails.of(picture, label=label)


def find_collection(
    collection: Annotated[int, PathParameter(ge=1, lt=2**31)], studio: StudioDep, view: ViewDep
) -> Collection:
    """Return a collection of the caller; raises HTTPError (404) for any other."""
    with http_status(HTTPStatus.NOT_FOUND, "GET /v1/collections lists your collections"):
        return studio.collections.get(view, collection)


CollectionDep = Annotated[Collection, Depends(find_collection)]


@router.get("/collections")
def list_collections(studio: StudioDep, view: ViewDep) -> list[Collection]:
    """List your collections by name. GET /v1/pictures?collection=ID lists the images of one."""
    return studio.collections.list(view)


@router.post("/collections", status_code=201)
def create_collection(named: CollectionRequest, studio: StudioDep, view: ViewDep, response: Response) -> Collection:
    """Create an empty collection."""
    collection = studio.collections.add(view, named.name)
    response.headers["Location"] = f"/v1/collections/{collection.id}"
    return collection


@router.get("/collections/{collection}", responses={404: {}})
def show_collection(collection: CollectionDep) -> Collection:
    """Show one of your collections."""
    return collection


@router.put("/collections/{collection}", responses={404: {}})
def rename_collection(
    named: CollectionRequest, studio: StudioDep, view: ViewDep, collection: CollectionDep
) -> Collection:
    """Rename a collection."""
    return studio.collections.rename(view, collection.id, named.name)


@router.delete("/collections/{collection}", status_code=204, responses={404: {}})
def delete_collection(studio: StudioDep, view: ViewDep, collection: CollectionDep) -> None:
    """Delete a collection; its images stay."""
    studio.collections.remove(view, collection.id)


@router.put("/collections/{collection}/pictures/{picture}", responses={404: {}})
def add_to_collection(studio: StudioDep, view: ViewDep, collection: CollectionDep, picture: ImageDep) -> Collection:
    """Add an image to a collection."""
    return studio.collections.put(view, collection.id, picture.id, True)


@router.delete("/collections/{collection}/pictures/{picture}", responses={404: {}})
def remove_from_collection(
    studio: StudioDep, view: ViewDep, collection: CollectionDep, picture: ImageDep
) -> Collection:
    """Remove an image from a collection."""
    return studio.collections.put(view, collection.id, picture.id, False)
