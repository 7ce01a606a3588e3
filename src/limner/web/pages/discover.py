"""The page Discover: prompts of libraries and of own images, searched, taken apart, changed and used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from limner.core.accounts import Caller, Role
from limner.core.discover import HISTORY, Hit
from limner.core.errors import LimnerError, Unavailable
from limner.core.feedback import GeneratedImage
from limner.server.auth import AdminDep, CallerDep
from limner.server.dependencies import StateDep, StudioDep
from limner.server.discover import LONGEST_WORDS
from limner.server.files import SANDBOX, IfNoneMatch, matches
from limner.server.problems import HTTPError, http_status
from limner.studio.discover import Hits
from limner.studio.images import SIDES, Viewer
from limner.studio.prompts import ARTIST, artists_in, in_style_of, style_template, with_part, with_pieces, with_subject
from limner.studio.prompts import words_of_part as find_words
from limner.studio.studio import Studio
from limner.web.discover import (
    LONGEST_BACK,
    MOST_PIECES,
    OWN,
    Chip,
    Found,
    Search,
    chips_of,
    create_path,
    facts_of,
    found_prompt,
    images_of,
    read_search,
)
from limner.web.looks import LIKE, looks_of
from limner.web.pages.gallery import ViewDep
from limner.web.rendering import go, page, part, part_text, wants_part
from limner.web.subjects import Subject, subjects_of
from limner.web.uploads import submitted

SHOWN = 24
"""Prompts of a page."""
SHAPES = ("square", "portrait", "landscape")
CACHED = "private, max-age=86400"
router = APIRouter(prefix="/discover")
LibraryName = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=0, lt=2**31)]


@router.get("")
def show_discover(request: Request, studio: StudioDep, caller: CallerDep, view: ViewDep) -> HTMLResponse:
    """Show a search box, filters, and the prompts that fit."""
    return _show(request, studio, caller, view, read_search(request.query_params.multi_items()))


@router.post("")
async def search_by_image(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Store an image that is sent, and show the prompts whose images look like it."""
    texts, errors = await submitted(request, state, caller)
    search = read_search(texts)
    if LIKE not in errors and search.like:
        return go(request, f"/discover{search.text()}")
    search.like = ""
    search.errors[LIKE] = errors.get(LIKE) or errors.get("") or "choose an image first"
    return await run_sync(_show, request, state.studio, caller, view, search)


def _show(request: Request, studio: Studio, caller: Caller, view: Viewer, search: Search) -> HTMLResponse:
    libraries = studio.discover.list(caller)
    known = {HISTORY, *(each.name for each in libraries)}
    if unknown := [name for name in search.libraries if name not in known]:
        search.errors["library"] = f"there is no library {unknown[0][:64]!r}; choose another one"
        kept = tuple(name for name in search.libraries if name in known)
        search.filters = search.filters.model_copy(update={"libraries": kept})
    view = replace(view, stored=False)  # the prompts of the command line too, without their images
    found, problem = Hits((), None), ""
    try:
        like = studio.discover.appearance(caller, search.like, search.colour)
    except Unavailable:
        raise
    except LimnerError as error:
        search.errors[LIKE] = str(error)
        like = studio.discover.appearance(caller, "", search.colour)
    try:
        found = studio.discover.page(caller, search.q, search.filters, SHOWN, search.start, view, like)
    except Unavailable:
        raise
    except LimnerError as error:  # a package is missing, or another program writes the index
        problem = str(error)
    own = _own(studio, view, found.hits)
    values: dict[str, Any] = {
        "search": search,
        "looks": looks_of(
            studio, caller, "/discover", (search.like, search.colour), search.text, search.fields, search.error(LIKE)
        ),
        "problem": problem,
        "found": [found_prompt(studio, own, hit) for hit in found.hits],
        "following": None if found.following is None else search.text(start=found.following),
        "previous": search.text(start=max(0, search.start - SHOWN)) if search.start else None,
        "libraries": libraries,
        "history": HISTORY,
        "own": OWN,
        "shapes": SHAPES,
        "may_add": caller.role.covers(Role.ADMIN),
    }
    if wants_part(request):
        return part(request, "discover.html", "more", **values)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if search.errors or problem else HTTPStatus.OK
    return page(request, "discover.html", status, **values)


@router.post("/examples")
def add_examples(request: Request, studio: StudioDep, caller: AdminDep) -> Response:
    """Add the library of prompts that Limner makes itself, and show it."""
    studio.discover.add_examples(caller)
    return go(request, "/discover")


@router.get("/images/{library}/{prompt}/{number}.webp")
def download_thumbnail(
    studio: StudioDep,
    caller: CallerDep,
    library: LibraryName,
    prompt: Number,
    number: Annotated[int, Path(ge=0, lt=1000)],
    side: Annotated[int, Query(ge=1, le=4096)] = SIDES[-1],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the small copy of an image of a library, if it is a file in the folder of the library's source."""
    if side not in SIDES:
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there are no images of {side} pixels")
    with http_status(HTTPStatus.NOT_FOUND, "search again"):
        place = studio.discover.thumbnail(caller, library, prompt, number, side)
    headers = {"ETag": f'"{place.stem}"', "Cache-Control": CACHED} | SANDBOX
    if matches(if_none_match, place.stem):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return FileResponse(place, headers=headers, media_type="image/webp")


@dataclass(frozen=True)
class Shown:
    """A prompt that a path names. card: of it. own: its own image, by id; empty for one of a library."""

    hit: Hit
    own: Mapping[int, GeneratedImage]
    card: Found


def find_shown(library: LibraryName, prompt: Number, studio: StudioDep, caller: CallerDep, view: ViewDep) -> Shown:
    """Return the prompt that a path names; raises HTTPError (404) where the caller sees none."""
    view = replace(view, stored=False)
    with http_status(HTTPStatus.NOT_FOUND, "search again on the page Discover"):
        hit = studio.discover.get(caller, library, prompt, view)
    own = _own(studio, view, [hit])
    return Shown(hit, own, found_prompt(studio, own, hit))


ShownDep = Annotated[Shown, Depends(find_shown)]


@router.get("/prompts/{library}/{prompt}")
def show_prompt(
    request: Request, studio: StudioDep, caller: CallerDep, view: ViewDep, shown: ShownDep, back: str = ""
) -> HTMLResponse:
    """Show a prompt with its parts, each of which can be changed."""
    asked = Asked({}, back=_checked(back))
    return page(request, "discover_prompt.html", **_values(studio, shown, asked, subjects_of(studio, caller, view)))


@dataclass(frozen=True)
class Asked:
    """What the form of a prompt's page says. values: its fields. errors: by the name of a field. back: query of the
    search that led here.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str] | None = None
    back: str = ""


async def read_asked(request: Request) -> Asked:
    """Return the fields of the submitted form."""
    values: dict[str, str] = {}
    async with request.form(max_files=0, max_fields=MOST_PIECES + 10) as form:
        for name, value in form.multi_items():
            values[name] = str(value)[:LONGEST_WORDS]
    return Asked(values, back=_checked(values.get("back", "")))


AskedDep = Annotated[Asked, Depends(read_asked)]


@router.post("/prompts/{library}/{prompt}")
def change_prompt(
    request: Request,
    studio: StudioDep,
    caller: CallerDep,
    view: ViewDep,
    shown: ShownDep,
    asked: AskedDep,
    at: Annotated[int | None, Query(ge=0, lt=MOST_PIECES)] = None,
) -> Response:
    """Show the changed prompt, or open the page Create with its style or with a subject of one's own.

    at: the piece that is being changed, for which words are found; names of artists are never offered.
    """
    do = asked.values.get("do", "change")
    subjects = subjects_of(studio, caller, view) if do == "subject" or not wants_part(request) else []
    if do in ("style", "subject"):
        try:
            path = _with_style(shown.hit, asked) if do == "style" else _with_subject(shown.hit, asked, subjects)
            return go(request, path)
        except LimnerError as error:
            errors = {"idea" if do == "style" else "subject": str(error)}
            values = _values(studio, shown, replace(asked, errors=errors), subjects)
            return page(request, "discover_prompt.html", HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    values = _values(studio, shown, asked, subjects)
    if not wants_part(request):
        return page(request, "discover_prompt.html", **values)
    text = part_text(request, "discover_prompt.html", "changed", **values)
    if at is not None and at < len(values["chips"]):
        chip: Chip = values["chips"][at]
        words = [] if chip.part == ARTIST else find_words(studio.discover, caller, chip.part, chip.value)
        text += part_text(request, "discover_prompt.html", "suggested", chip=chip, words=words)
    return HTMLResponse(text, headers={"Cache-Control": "no-store"})


def _own(studio: Studio, view: Viewer, hits: Sequence[Hit]) -> dict[int, GeneratedImage]:
    """The own images among hits that are visible, by their ids."""
    ids = [hit.prompt for hit in hits if hit.library == HISTORY]
    return {image.id: image for image in studio.images.some(view, ids) if image.id is not None}


def _checked(back: str) -> str:
    """The query of a search to go back to; empty for anything else."""
    return back if back.startswith("?") and len(back) <= LONGEST_BACK else ""


def _values(studio: Studio, shown: Shown, asked: Asked, subjects: Sequence[Subject]) -> dict[str, Any]:
    """What the template of a prompt's page needs."""
    hit = shown.hit
    chips = chips_of(hit.text, asked.values)
    changed = changed_prompt(hit.text, chips)
    words = {"prompt": changed} | ({"negative_prompt": hit.negative} if hit.negative else {})
    artists = artists_in(changed)
    return {
        "hit": hit,
        "card": shown.card,
        "images": images_of(studio, shown.own, hit),
        "facts": facts_of(hit),
        "chips": chips,
        "changed": changed,
        "use": create_path(words),
        "artists": artists,
        "without_artists": create_path(words | {"prompt": with_part(changed, ARTIST, "")}) if artists else "",
        "template": style_template(changed),
        "subjects": [each for each in subjects if each.words],
        "idea": asked.values.get("idea", ""),
        "chosen": asked.values.get("subject", ""),
        "errors": asked.errors or {},
        "back": asked.back,
    }


def changed_prompt(prompt: str, chips: Sequence[Chip]) -> str:
    """The prompt with the changed pieces."""
    return with_pieces(prompt, {chip.number: chip.value.strip() for chip in chips if chip.changed})


def _with_style(hit: Hit, asked: Asked) -> str:
    """The path of the page Create with the style of a prompt, and what the form says in it."""
    changed = changed_prompt(hit.text, chips_of(hit.text, asked.values))
    return _open_create(in_style_of(changed, asked.values.get("idea", "")), hit)


def _with_subject(hit: Hit, asked: Asked, subjects: Sequence[Subject]) -> str:
    """The path of the page Create with one of the account's subjects in a prompt, and its adapter chosen."""
    chosen = next((each for each in subjects if each.reference == asked.values.get("subject") and each.words), None)
    if chosen is None:
        raise LimnerError("no subject is chosen", "choose one of those that you taught")
    identifier, _, class_word = chosen.words[0].partition(" ")
    changed = changed_prompt(hit.text, chips_of(hit.text, asked.values))
    return _open_create(with_subject(changed, identifier, class_word), hit, adapter=chosen.reference)


def _open_create(prompt: str, hit: Hit, **more: str) -> str:
    """The path of the page Create with a prompt; raises LimnerError if it is too long for an address."""
    negative = {"negative_prompt": hit.negative} if hit.negative else {}
    if not (path := create_path({"prompt": prompt} | negative | more)):
        raise LimnerError(f"the prompt has {len(prompt):,} characters, too many to hand over", "copy it into Create")
    return path
