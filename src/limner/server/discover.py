"""/v1/discover: prompts found in libraries and in your own images, their structure, and prompts changed by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from limner.core.discover import HISTORY, LONGEST, Filters, Hit, colour_of
from limner.core.prompt_records import LONGEST_PROMPT, LibraryFacts, PromptRecord
from limner.core.requests import Frozen
from limner.core.value_errors import describe_value_error
from limner.server.auth import AdminDep, CallerDep
from limner.server.dependencies import StudioDep
from limner.server.history import reference_of
from limner.server.problems import http_status
from limner.server.replies import url_of
from limner.studio.images import Viewer
from limner.studio.prompts import PARTS, in_style_of, pieces_of, style_template, with_part, with_subject
from limner.studio.studio import Studio

MOST_HITS, FARTHEST = 100, 10_000
SHOWN_IMAGES = 10
"""Images of a prompt in a reply."""
LONGEST_WORDS = 2000
"""Characters of a text that is put into a prompt."""
LibraryName = Annotated[str, PathParameter(max_length=64, examples=["diffusiondb"])]
Part = Literal[PARTS]  # type: ignore[valid-type]
router = APIRouter(prefix="/v1/discover", tags=["discover"])


class PromptQuery(Frozen):
    """A search for prompts. Settings hold for one of the images of a prompt."""

    q: str = Field(default="", max_length=LONGEST, description="Words that describe the image; any prompt without.")
    library: tuple[str, ...] = Field(
        default=(), max_length=64, description="Only in these libraries; history is that of your own images."
    )
    model: str = Field(default="", max_length=200, description="Model, or a part of its name.")
    adapter: str = Field(default="", max_length=200, description="Adapter, or a part of its name.")
    sampler: str = Field(default="", max_length=100, description="Sampler, or a part of its name.")
    size: str = Field(default="", max_length=20, description="square, portrait, landscape, or a size such as 512x768.")
    steps: str = Field(default="", max_length=40, description="Steps: a number, or a range such as 20-40.")
    guidance: str = Field(default="", max_length=40, description="Guidance scale: a number, or a range such as 5-8.")
    since: str = Field(default="", max_length=10, description="Not before this day, such as 2026-01-31.")
    until: str = Field(default="", max_length=10, description="Not after this day.")
    stars: int = Field(default=0, ge=0, le=5, description="At least so many stars.")
    unsafe: bool = Field(default=False, description="Also prompts that the moderation policy marks as unsafe.")
    like: str = Field(
        default="",
        max_length=200,
        description="Image that theirs should look like: sha256:HASH of an uploaded one, or LIBRARY/PROMPT of a hit.",
    )
    colour: str = Field(
        default="", max_length=40, description="Colour that their images should have, such as #d04020 or tomato."
    )
    limit: int = Field(default=24, ge=1, le=MOST_HITS, description="Number of prompts.")
    offset: int = Field(default=0, ge=0, le=FARTHEST, description="Number of prompts to leave out before them.")

    @field_validator("size", "steps", "guidance", "since", "until")
    @classmethod
    def _check(cls, value: str, info: ValidationInfo) -> str:
        if value.strip():
            try:
                Filters.model_validate({info.field_name: value})
            except ValidationError as error:
                raise ValueError(describe_value_error(error.errors()[0])) from error
        return value.strip()

    @field_validator("colour")
    @classmethod
    def _check_colour(cls, value: str) -> str:
        return colour_of(value) if value.strip() else ""

    @property
    def filters(self) -> Filters:
        """What hits must have."""
        others = {"q", "like", "colour", "limit", "offset", "library"}
        given = self.model_dump(exclude=others, exclude_defaults=True)
        return Filters.model_validate(given | {"libraries": self.library})


class FoundImage(BaseModel):
    """An image of a prompt, with the settings that are known. url: of an image of yours. name: of its file in the
    library, or its address.
    """

    url: str | None
    name: str
    model: str
    adapter: str
    sampler: str
    width: int | None
    height: int | None
    steps: int | None
    guidance: float | None
    seed: int | None
    stars: int | None
    created: datetime | None

    @classmethod
    def of(cls, record: PromptRecord, url: str | None) -> Self:
        """Return an image of a record, without paths of this machine."""
        paths = {"name": record.image, "model": record.model, "adapter": record.adapter}
        values = {name: getattr(record, name) for name in cls.model_fields if name not in ("url", *paths)}
        return cls(url=url, **{name: public_name(path) for name, path in paths.items()}, **values)


class FoundPrompt(BaseModel):
    """A prompt with why it was found. words: of the search that it has. meaning: cosine to the search; null where it
    was found by its words only. images: the first ones, of image_count. licence: of its library; empty if unknown.

    look: cosine of an image of it to the given one. colour: how much of an image has the given colour. Null where the
    prompt was not found so.
    """

    library: str
    prompt: int
    text: str
    negative: str
    words: tuple[str, ...]
    meaning: float | None
    look: float | None
    colour: float | None
    images: list[FoundImage]
    image_count: int
    unsafe: bool
    source: str
    licence: str

    @classmethod
    def of(cls, hit: Hit, urls: dict[str, str]) -> Self:
        """Return a hit. urls: of own images by their ids."""
        own = hit.library == HISTORY
        images = [
            FoundImage.of(replace(each, image="") if own else each, urls.get(each.image) if own else None)
            for each in hit.records[:SHOWN_IMAGES]
        ]
        return cls(
            library=hit.library,
            prompt=hit.prompt,
            text=hit.text,
            negative=hit.negative,
            words=hit.words,
            meaning=hit.meaning,
            look=hit.look,
            colour=hit.colour,
            images=images,
            image_count=hit.images,
            unsafe=any(each.unsafe for each in hit.records),
            source=public_name(hit.source),
            licence=hit.licence,
        )


class FoundPrompts(BaseModel):
    """Prompts, those that fit best first. following: the offset of the next ones; null where there are no more."""

    hits: list[FoundPrompt]
    following: int | None


class LibraryReply(BaseModel):
    """A library of prompts. shared: whether all accounts see it. complete: whether all of its source was read."""

    name: str
    source: str
    licence: str
    shared: bool
    prompts: int
    images: int
    unsafe: int
    skipped: int
    complete: bool

    @classmethod
    def of(cls, facts: LibraryFacts) -> Self:
        """Return the facts of a library, without paths of this machine."""
        same = ("name", "licence", "prompts", "images", "unsafe", "skipped", "complete")
        values = {name: getattr(facts, name) for name in same}
        return cls(source=public_name(facts.source), shared=not facts.owner, **values)


class PieceReply(BaseModel):
    """A piece of a prompt: its characters from `start` to before `end`, and the part that they are."""

    start: int
    end: int
    part: Part  # pyright: ignore[reportInvalidTypeForm]
    text: str


class StructureReply(BaseModel):
    """The pieces of a prompt, in their order. template: its style, with {} for another subject."""

    prompt: str
    pieces: list[PieceReply]
    template: str


class RewriteRequest(Frozen):
    """A change of a prompt. replace: puts `text` in place of a `part`; an empty text removes it. style: keeps only the
    style, and puts `text` in as the subject. subject: puts "IDENTIFIER CLASS-WORD" in place of the subject.
    """

    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT, examples=["a photo of a corgi on a beach, soft light"])
    do: Literal["replace", "style", "subject"] = "replace"
    part: Part | None = Field(default=None, examples=["lighting"])  # pyright: ignore[reportInvalidTypeForm]
    text: str = Field(default="", max_length=LONGEST_WORDS, examples=["golden hour"])
    identifier: str = Field(default="", max_length=200)
    class_word: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.do == "replace" and self.part is None:
            raise ValueError("part is missing; name the part to replace")
        return self


class RewriteReply(BaseModel):
    """The changed prompt."""

    prompt: str


@router.get("")
def find_prompts(studio: StudioDep, caller: CallerDep, query: Annotated[PromptQuery, Query()]) -> FoundPrompts:
    """Find prompts by words, meaning, looks and colour, in libraries and in your own images."""
    like = studio.discover.appearance(caller, query.like.strip(), query.colour)
    found = studio.discover.page(caller, query.q, query.filters, query.limit, query.offset, like=like)
    view = Viewer(caller.account, caller.scope, stored=True)
    urls = own_urls(studio, view, list(found.hits))
    return FoundPrompts(hits=[FoundPrompt.of(hit, urls) for hit in found.hits], following=found.following)


@router.get("/libraries")
def list_libraries(studio: StudioDep, caller: CallerDep) -> list[LibraryReply]:
    """List the libraries of prompts that you may see."""
    return [LibraryReply.of(facts) for facts in studio.discover.list(caller)]


@router.delete("/libraries/{name}", status_code=204, responses={404: {}})
def remove_library(studio: StudioDep, caller: AdminDep, name: LibraryName) -> None:
    """Remove a library with all its prompts; its source is not touched. Needs the role admin."""
    with http_status(HTTPStatus.NOT_FOUND, "GET /v1/discover/libraries lists the libraries"):
        studio.discover.remove(caller, name)


@router.get("/structure")
def show_structure(
    prompt: Annotated[str, Query(max_length=LONGEST, examples=["a photo of a corgi on a beach, soft light"])],
) -> StructureReply:
    """Show which words of a prompt are its subject, medium, style and other parts."""
    pieces = [PieceReply(start=each.start, end=each.end, part=each.part, text=each.text) for each in pieces_of(prompt)]
    return StructureReply(prompt=prompt, pieces=pieces, template=style_template(prompt))


@router.post("/rewrite")
def rewrite_prompt(asked: RewriteRequest) -> RewriteReply:
    """Replace a part of a prompt, keep only its style, or put a taught subject into it. Nothing is stored."""
    if asked.do == "style":
        return RewriteReply(prompt=in_style_of(asked.prompt, asked.text))
    if asked.do == "subject":
        return RewriteReply(prompt=with_subject(asked.prompt, asked.identifier, asked.class_word))
    return RewriteReply(prompt=with_part(asked.prompt, str(asked.part), asked.text))


def own_urls(studio: Studio, view: Viewer, hits: list[Hit]) -> dict[str, str]:
    """Return the URLs of the viewer's own images among hits, by the ids of the images."""
    ids = [hit.prompt for hit in hits if hit.library == HISTORY]
    return {str(image.id): url_of(reference_of(image)) for image in studio.images.some(view, ids)}


def public_name(source: str) -> str:
    """Return a source, an image or a model as replies name it: an address or a name as it is, the end of a path."""
    if "://" in source:
        return source
    absolute = source.startswith(("/", "\\", "~")) or source[1:2] == ":"
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2] if absolute else source
