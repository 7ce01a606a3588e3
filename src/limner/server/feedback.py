"""Routes of feedback: ratings, favourites and comparisons of images, their summary, and their export for training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from typing import IO, Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, model_validator

from limner.core.feedback import ByWhat, Comment, Comparison, Rating, RatingSummary, Reasons
from limner.core.requests import Frozen
from limner.server.dependencies import ImageDep, StudioDep, ViewDep, find_image
from limner.server.history import ImageReply, reference_of
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.studio.feedback import Embed, ExportFormat, ExportKind, Viewer, check_export
from limner.studio.files import CHUNK_BYTES
from limner.studio.studio import Studio

_RATING = {"stars": 4, "reasons": ["bad_anatomy"], "comment": "one leg too many"}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/jsonl": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}
ImageName = Annotated[str, Field(pattern="^([0-9]{1,10}|[0-9a-f]{64})$", max_length=64)]
router = APIRouter(prefix="/v1", tags=["feedback"])


class ComparisonRequest(Frozen):
    """Which of two images is better, each named by id or SHA-256. In a tie neither is."""

    better: ImageName = Field(examples=["7"])
    worse: ImageName = Field(examples=["8"])
    tie: bool = False
    reasons: Reasons = ()
    comment: Comment = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_integer_ids(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        ids = {key: str(item) for key, item in value.items() if type(item) is int and key in ("better", "worse")}
        return {**value, **ids}


def _image_reply(studio: Studio, view: Viewer, image_id: int) -> ImageReply:
    return ImageReply.of(studio.images.get(view, image_id))


@router.put("/pictures/{picture}/rating", responses={404: {}})
def rate_image(
    studio: StudioDep, view: ViewDep, rating: Annotated[Rating, Body(examples=[_RATING])], picture: ImageDep
) -> ImageReply:
    """Rate an image. This replaces your earlier rating."""
    studio.feedback.rate(view, picture.id, rating)
    return _image_reply(studio, view, picture.id)


@router.delete("/pictures/{picture}/rating", responses={404: {}})
def delete_rating(studio: StudioDep, view: ViewDep, picture: ImageDep) -> ImageReply:
    """Delete your rating of an image."""
    studio.feedback.rate(view, picture.id, None)
    return _image_reply(studio, view, picture.id)


@router.put("/pictures/{picture}/favourite", responses={404: {}})
def add_favourite(studio: StudioDep, view: ViewDep, picture: ImageDep) -> ImageReply:
    """Add an image to your favourites."""
    studio.feedback.set_favourite(view, picture.id, True)
    return _image_reply(studio, view, picture.id)


@router.delete("/pictures/{picture}/favourite", responses={404: {}})
def remove_favourite(studio: StudioDep, view: ViewDep, picture: ImageDep) -> ImageReply:
    """Remove an image from your favourites."""
    studio.feedback.set_favourite(view, picture.id, False)
    return _image_reply(studio, view, picture.id)


@router.post("/comparisons", status_code=201, responses={404: {}})
def compare_images(preference: ComparisonRequest, studio: StudioDep, view: ViewDep) -> Comparison:
    """Record which of two images is better. This replaces your earlier comparison of the two."""
    better, worse = (find_image(name, studio, view).id for name in (preference.better, preference.worse))
    if better == worse:
        problem = f"image {better} is compared with itself"
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, problem, "name two different images")
    fields = preference.model_dump(include={"tie", "reasons", "comment"})
    comparison = Comparison(better=better, worse=worse, **fields)
    studio.feedback.compare(view, comparison)
    return comparison


@router.get("/ratings/summary")
def summarise_ratings(studio: StudioDep, view: ViewDep, by: ByWhat = "model") -> list[RatingSummary]:
    """Summarise the ratings of each model, adapter, industry or style, best mean first."""
    return studio.feedback.summary(view, by)


@router.get("/feedback/export", response_class=StreamingResponse, responses=_EXPORT)
def export_feedback(
    request: Request,
    studio: StudioDep,
    view: ViewDep,
    format: Annotated[ExportFormat, Query(description="JSON lines, or a parquet file.")] = "jsonl",
    kind: Annotated[ExportKind, Query(description="Ratings, or pairs of images of the same prompt.")] = "ratings",
    stars: Annotated[bool, Query(description="Also make pairs from ratings, not only from comparisons.")] = False,
    embed: Annotated[
        Embed, Query(description="Include the images, as `datasets` reads them (image), or as plain bytes.")
    ] = "no",
) -> StreamingResponse:
    """Export the feedback that you may see, in the columns that preference training reads."""
    check_export(format, embed)
    base = str(request.base_url).rstrip("/")
    export = studio.feedback.export(view, kind, stars, lambda image: base + url_of(reference_of(image)))
    headers = {"Content-Disposition": f'attachment; filename="{kind}.{format}"'}
    if format == "jsonl":
        return StreamingResponse(export.json_lines(), headers=headers, media_type="application/jsonl")
    with ExitStack() as stack:  # parquet cannot be streamed as it is written
        file = stack.enter_context(tempfile.TemporaryFile())
        export.write_parquet(file, embed=embed)
        file.seek(0)  # writes the rest: if the disk is full, no response has begun
        body = _pieces(file, stack.pop_all())
    return StreamingResponse(body, headers=headers, media_type="application/vnd.apache.parquet")


def _pieces(file: IO[bytes], opened: ExitStack) -> Iterator[bytes]:
    """Yield the bytes of a file, and close it."""
    with opened:
        while piece := file.read(CHUNK_BYTES):
            yield piece
