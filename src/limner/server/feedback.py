"""Ratings, favourites and comparisons; what they say of models and adapters; and all of them for training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import IO, Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, model_validator

from limner.core.feedback import ByWhat, Comment, Comparison, GeneratedImage, Rating, RatingSummary, Reasons
from limner.core.requests import Frozen
from limner.server.history import PictureReply, Viewed, finder
from limner.server.problems import Refusal
from limner.server.replies import url_of
from limner.studio.feedback import Embed, ExportFormat, ExportKind, check_export
from limner.studio.files import CHUNK_BYTES
from limner.studio.studio import Studio

Id = Annotated[str, Field(pattern="^([0-9]{1,10}|[0-9a-f]{64})$", max_length=64)]


class Preference(Frozen):
    """Which of two pictures, named by id or SHA-256, is the better one; of a tie neither is."""

    better: Id = Field(examples=["7"])
    worse: Id = Field(examples=["8"])
    tie: bool = False
    reasons: Reasons = ()
    comment: Comment = ""

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        plain = {key: str(its) for key, its in value.items() if type(its) is int and key in ("better", "worse")}
        return {**value, **plain}


def router(studio: Studio) -> APIRouter:
    """The routes of feedback."""
    routes = APIRouter(prefix="/v1", tags=["feedback"])
    pictures, feedback, find = studio.images, studio.feedback, finder(studio)

    def told(view: Viewed, picture: GeneratedImage) -> PictureReply:
        return PictureReply.of(pictures.get(view, picture.id))

    @routes.put("/pictures/{picture}/rating", responses={404: {}})
    def rated(
        view: Viewed, rating: Annotated[Rating, Body(examples=[_RATING])], picture: GeneratedImage = Depends(find)
    ) -> PictureReply:
        """Say what you think of a picture; your last rating of it is replaced."""
        feedback.rate(view, picture.id, rating)
        return told(view, picture)

    @routes.delete("/pictures/{picture}/rating", responses={404: {}})
    def unrated(view: Viewed, picture: GeneratedImage = Depends(find)) -> PictureReply:
        """Take your rating back."""
        feedback.rate(view, picture.id, None)
        return told(view, picture)

    @routes.put("/pictures/{picture}/favourite", responses={404: {}})
    def favoured(view: Viewed, picture: GeneratedImage = Depends(find)) -> PictureReply:
        """Make a picture one of your favourites."""
        feedback.set_favourite(view, picture.id, True)
        return told(view, picture)

    @routes.delete("/pictures/{picture}/favourite", responses={404: {}})
    def unfavoured(view: Viewed, picture: GeneratedImage = Depends(find)) -> PictureReply:
        """A favourite no longer."""
        feedback.set_favourite(view, picture.id, False)
        return told(view, picture)

    @routes.post("/comparisons", status_code=201, responses={404: {}})
    def compared(preference: Preference, view: Viewed) -> Comparison:
        """Say which of two pictures is the better one, in place of what you said of the two before."""
        better, worse = (find(name, view).id for name in (preference.better, preference.worse))
        if better == worse:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "a picture is compared with itself", "name two pictures")
        said = preference.model_dump(include={"tie", "reasons", "comment"})
        comparison = Comparison(better=better, worse=worse, **said)
        feedback.compare(view, comparison)
        return comparison

    @routes.get("/ratings/summary")
    def summed_up(view: Viewed, by: ByWhat = "model") -> list[RatingSummary]:
        """How the pictures of each model, adapter, industry or style were received, the best mean first."""
        return feedback.summary(view, by)

    @routes.get("/feedback/export", response_class=StreamingResponse, responses=_EXPORT)
    def exported(
        request: Request,
        view: Viewed,
        format: Annotated[ExportFormat, Query(description="Lines of JSON, or a parquet file.")] = "jsonl",
        kind: Annotated[ExportKind, Query(description="Ratings, or pairs of pictures of one prompt.")] = "ratings",
        stars: Annotated[bool, Query(description="Make pairs of stars too, not of comparisons only.")] = False,
        embed: Annotated[
            Embed, Query(description="Put pictures in, as `datasets` opens them (image), or as plain bytes.")
        ] = "no",
    ) -> StreamingResponse:
        """All feedback in view, in the columns that training on preferences reads."""
        check_export(format, embed)
        base = str(request.base_url).rstrip("/")
        export = feedback.export(view, kind, stars, lambda picture: base + url_of(_reference(picture)))
        headers = {"Content-Disposition": f'attachment; filename="{kind}.{format}"'}
        if format == "jsonl":
            return StreamingResponse(export.json_lines(), headers=headers, media_type="application/jsonl")
        write = partial(export.write_parquet, embed=embed)
        return StreamingResponse(_written(write), headers=headers, media_type="application/vnd.apache.parquet")

    return routes


def _written(write: Callable[[IO[bytes]], None]) -> Iterator[bytes]:
    """What is written into a file, spooled to disk, for its end must be known at its beginning."""
    with tempfile.TemporaryFile() as file:
        write(file)
        file.seek(0)
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _reference(picture: GeneratedImage) -> str:
    return picture.reference or f"sha256:{picture.sha256}"


_RATING = {"stars": 4, "reasons": ["bad_anatomy"], "comment": "one leg too many"}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/jsonl": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}
