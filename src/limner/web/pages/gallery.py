"""The gallery: all images, searched, narrowed, marked, compared, exported and erased."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import ValidationError

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError, invalid
from limner.core.feedback import Collection, CollectionRequest, GeneratedImage, ImageQuery
from limner.server.archives import zip_stream
from limner.server.auth import CallerDep
from limner.server.dependencies import ImageId, StateDep, StudioDep, ViewDep, image_named
from limner.server.history import CollectionDep, reference_of, show_image
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.server.verify import verify_file
from limner.studio.images import Viewer
from limner.studio.maintenance import EraseSelection
from limner.studio.studio import Studio
from limner.web.erasures import IMAGES, erased_text, worker_of
from limner.web.gallery import (
    GalleryQuery,
    Marks,
    Notice,
    differing_facts,
    file_stem,
    filters,
    image_facts,
    orders,
    settings_json,
    settings_query,
    settings_texts,
    tiles,
)
from limner.web.looks import LIKE, looks_of
from limner.web.own_adapters import adapter_names, subjects_of_label
from limner.web.rendering import came_from, go, page, part, root_of, wants_part
from limner.web.uploads import submitted

SHOWN = 60
"""Images of a page without JavaScript."""
MOST_TILES = 300
"""Most tiles that one call describes."""
MOST_CHOSEN = 2000
"""Most images that one action applies to."""
LETTERS = "ABCD"
"""What images are called that are compared."""
MOST_COMPARED = len(LETTERS)
TINY = 128
"""Width in pixels of images that are shown at most four times as large."""
MOST_FIELDS = 500
router = APIRouter(prefix="/gallery")
QueryDep = Annotated[GalleryQuery, Query()]


def conditions_of(studio: Studio, view: Viewer, query: GalleryQuery) -> ImageQuery:
    """The conditions of a query; a meaning is replaced by the images that are close to it."""
    return studio.discover.resolved(view, query.conditions)


Form = dict[str, list[str]]


def find_image(picture: ImageId, studio: StudioDep, view: ViewDep) -> GeneratedImage:
    """Return the image that an address names; raises HTTPError (404) if the caller sees none."""
    return image_named(picture, studio, view, "it may have been erased; open the gallery again")


ImageDep = Annotated[GeneratedImage, Depends(find_image)]


@router.get("")
def show_gallery(
    request: Request, studio: StudioDep, view: ViewDep, caller: CallerDep, query: QueryDep
) -> HTMLResponse:
    """Show the images of a query; scripts make one endless page of it."""
    return _show(request, studio, view, caller, query)


def _show(
    request: Request, studio: Studio, view: Viewer, caller: Caller, query: GalleryQuery, error: str = ""
) -> HTMLResponse:
    """The page of a query. error: what is wrong with an image that was sent to search by it."""
    conditions = conditions_of(studio, view, query)
    ids = studio.images.ids(view, conditions, query.start, SHOWN + 1)
    collections = studio.collections.list(view)
    collection = next((each for each in collections if each.id == query.collection), None)
    facets = studio.images.facets(view, conditions)
    recorded = studio.maintenance.erasures
    names = adapter_names(studio, caller.scope) if facets.adapters or query.adapter else {}
    return page(
        request,
        "gallery.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        query=query,
        total=facets.total,
        tiles=tiles(studio.images.some(view, ids[:SHOWN])),
        previous=None if query.start == 0 else max(0, query.start - SHOWN),
        following=query.start + SHOWN if len(ids) > SHOWN else None,
        filters=filters(query, facets, collections, names),
        chosen=query.chosen(names, collection.name if collection else str(query.collection)),
        order=orders(query),
        looks=looks_of(
            studio,
            caller,
            "/gallery",
            (query.like or "", query.colour or ""),
            lambda **changed: query.text(**{name: value or None for name, value in changed.items()}),
            query.kept(LIKE, "start"),
            error,
        ),
        favourites=facets.favourites,
        collections=collections,
        collection=collection,
        may_erase=caller.role.covers(Role.MAKER),
        erasing=[(each, erased_text(each)) for each in recorded.list(caller.account, adapters=False)],
        problem=worker_of(request).problem(caller.account),
    )


@router.post("")
async def search_by_image(request: Request, state: StateDep, caller: CallerDep, view: ViewDep) -> Response:
    """Store an image that is sent, and show the images that look like it."""
    texts, errors = await submitted(request, state, caller)
    fields: Form = {}
    for name, value in texts:
        if name in GalleryQuery.model_fields:
            fields.setdefault(name, []).append(value)
    error = errors.get(LIKE) or errors.get("") or ("" if fields.get(LIKE) else "choose an image first")
    if error:
        fields.pop(LIKE, None)
    try:
        query = GalleryQuery.model_validate(
            {**{name: _last(fields, name) for name in fields}, "tag": fields.get("tag", [])}
        )
    except ValidationError as problem:
        raise invalid(problem) from problem
    if error:
        return await run_sync(_show, request, state.studio, view, caller, query, error)
    return _to_gallery(request, query)


@router.get("/ids")
def list_ids(
    studio: StudioDep, view: ViewDep, query: QueryDep, accept_encoding: Annotated[str, Header()] = ""
) -> Response:
    """List all images of a query: their ids as differences, and three hexadecimal digits of each mean colour."""
    last, steps, colours = 0, list[int](), list[str]()
    for id, colour in studio.images.colours(view, conditions_of(studio, view, query)):
        steps.append(id - last)
        colours.append("---" if colour is None else colour[::2])
        last = id
    body = json.dumps({"ids": steps, "colours": "".join(colours)}, separators=(",", ":")).encode()
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if "gzip" in accept_encoding:
        body, headers["Content-Encoding"] = gzip.compress(body, 4), "gzip"
    return Response(body, headers=headers, media_type="application/json")


@router.get("/newer")
def count_newer(studio: StudioDep, view: ViewDep, query: QueryDep) -> Response:
    """Count the images of a query that are newer than the image `after`, up to a page of them."""
    newest = conditions_of(studio, view, query).model_copy(update={"order": "newest"})
    count = sum(id > (query.after or 0) for id in studio.images.ids(view, newest, 0, SHOWN))
    return Response(json.dumps(count), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get("/tiles")
def list_tiles(
    studio: StudioDep, view: ViewDep, ids: Annotated[str, Query(pattern="^[0-9]{1,10}(,[0-9]{1,10})*$")]
) -> Response:
    """Describe images by their ids; those that the caller does not see are left out."""
    wanted = [min(int(id), 2**31 - 1) for id in ids.split(",")][:MOST_TILES]
    found = [asdict(tile) for tile in tiles(studio.images.some(view, wanted))]
    return Response(json.dumps(found), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get("/compare")
def compare(
    request: Request,
    studio: StudioDep,
    view: ViewDep,
    caller: CallerDep,
    id: Annotated[list[int], Query(max_length=MOST_FIELDS)] = [],  # noqa: B006
    ids: Annotated[str, Query(max_length=1000)] = "",
) -> HTMLResponse:
    """Show two to four images beside each other."""
    images = _images(studio, view, {"id": [str(each) for each in id], "ids": [ids]}, MOST_COMPARED, 2)
    return page(
        request,
        "gallery_compare.html",
        letters=LETTERS,
        images=[(image, url_of(reference_of(image))) for image in images],
        differences=differing_facts(images, adapter_names(studio, caller.scope)),
        tiny=all((image.fact("width") or TINY + 1) <= TINY for image in images),
    )


async def _form(request: Request) -> Form:
    """The fields of the submitted form."""
    found: Form = {}
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        for name, value in form.multi_items():
            found.setdefault(name, []).append(str(value))
    return found


FormDep = Annotated[Form, Depends(_form)]


@router.post("/mark")
def mark(request: Request, studio: StudioDep, view: ViewDep, form: FormDep, query: QueryDep) -> HTMLResponse:
    """Mark the chosen images as favourites, rate them, or put them into a collection."""
    return _noticed(request, query, _mark(studio, view, form))


@router.post("/mark/{picture}")
def mark_one(
    request: Request, studio: StudioDep, view: ViewDep, picture: ImageDep, form: FormDep, query: QueryDep
) -> Response:
    """Mark one image, on its own page or beside those that it is compared with."""
    _mark(studio, view, {**form, "id": [str(picture.id)], "ids": []})
    if wants_part(request):
        image = studio.images.get(view, picture.id)
        letter = next((each for each in LETTERS if each == _last(form, "letter")), "")
        return part(request, "gallery_image.html", "feedback", image=image, query=query, letter=letter)
    here = came_from(request)
    compared = here.path.removeprefix(root_of(request)) == "/gallery/compare"
    return go(request, f"/gallery/compare?{here.query}" if compared else f"/gallery/{picture.id}{query.text()}")


@router.post("/collections")
def create_collection(request: Request, studio: StudioDep, view: ViewDep, form: FormDep) -> Response:
    """Create an empty collection and show it; with ids, it gets these images."""
    collection = _new_collection(studio, view, _last(form, "name"))
    if ids := _last(form, "ids"):
        studio.collections.put_all(view, collection.id, _chosen({"ids": [ids]}, MOST_CHOSEN), True)
    return go(request, f"/gallery?collection={collection.id}")


@router.post("/collections/{collection}/delete")
def delete_collection(request: Request, studio: StudioDep, view: ViewDep, collection: CollectionDep) -> HTMLResponse:
    """Delete a collection; its images stay."""
    inside = GalleryQuery(collection=collection.id)
    ids = studio.images.ids(view, conditions_of(studio, view, inside), 0, MOST_CHOSEN + 1)
    studio.collections.remove(view, collection.id)
    undo = (("name", collection.name), ("ids", " ".join(map(str, ids)))) if len(ids) <= MOST_CHOSEN else ()
    notice = Notice(f"The collection “{collection.name}” is deleted. Its images stay in the gallery.", (), undo)
    return page(request, "gallery_notice.html", query=GalleryQuery(), notice=notice, undo_place="/gallery/collections")


@router.post("/export")
def export(studio: StudioDep, view: ViewDep, form: FormDep) -> StreamingResponse:
    """Return the chosen images as a zip, each with its request as JSON."""
    images = _images(studio, view, form, MOST_CHOSEN)
    names = {file_stem(image): image for image in images}
    files = {f"{name}.png": image.sha256 for name, image in names.items()}
    for sha256 in files.values():
        studio.files.size(sha256)  # a missing file is an error now, not a broken zip
    body = zip_stream(studio.files, files, {f"{name}.json": settings_json(image) for name, image in names.items()})
    headers = {"Content-Disposition": 'attachment; filename="images.zip"', "Cache-Control": "no-store"}
    return StreamingResponse(body, headers=headers, media_type="application/zip")


@router.post("/erase")
def erase(
    request: Request, studio: StudioDep, view: ViewDep, caller: CallerDep, form: FormDep, query: QueryDep
) -> Response:
    """Erase the chosen images in some seconds. If other jobs used them, show first what goes with them."""
    images = _images(studio, view, form, MOST_CHOSEN)
    ids = [image.id for image in images]
    selection = EraseSelection(images=tuple(ids), scope=caller.scope)
    planned = studio.maintenance.erase(selection, derived=True, dry=True)
    derived = [id for run in planned.derived for id in studio.images.of_run(view, run) if id not in ids]
    if not planned.derived or _last(form, "sure") == "derived":
        studio.maintenance.erasures.add(caller.account, selection, derived=bool(planned.derived), after=IMAGES)
        return _to_gallery(request, query)
    return page(
        request,
        "gallery_erase.html",
        query=query,
        ids=ids,
        tiles=tiles(studio.images.some(view, [*ids, *derived][:SHOWN])),
        count=len(ids),
        derived=len(planned.derived),
        more=len(derived),
        megabytes=planned.bytes / 1e6,
        seconds=round(IMAGES.total_seconds()),
    )


@router.post("/erase/undo")
def undo_erasure(request: Request, studio: StudioDep, caller: CallerDep, form: FormDep, query: QueryDep) -> Response:
    """Take an erasure back."""
    if not studio.maintenance.erasures.undo(caller.account, _last(form, "erasure")):
        raise HTTPError(HTTPStatus.CONFLICT, "it is too late to take this back", "the images are erased")
    return _to_gallery(request, query)


def _to_gallery(request: Request, query: GalleryQuery) -> RedirectResponse:
    return go(request, f"/gallery{query.text()}")


@router.post("/verify/{picture}")
async def verify(
    request: Request, state: StateDep, view: ViewDep, caller: CallerDep, picture: ImageDep, query: QueryDep
) -> HTMLResponse:
    """Verify who made an image, and whether it was changed since."""
    place = await run_sync(state.studio.files.path, picture.sha256)
    verdict = await verify_file(state, caller, place)
    if wants_part(request):
        return part(request, "gallery_image.html", "verification", verdict=verdict)
    values = await run_sync(_details, state.studio, view, caller, picture, query)
    values["verdict"] = verdict
    return page(request, "gallery_image.html", **values)


@router.get("/{picture}")
def show_details(
    request: Request, studio: StudioDep, view: ViewDep, caller: CallerDep, picture: ImageDep, query: QueryDep
) -> HTMLResponse:
    """Show an image with everything that is known of it."""
    return page(request, "gallery_image.html", **_details(studio, view, caller, picture, query))


def _details(
    studio: Studio, view: Viewer, caller: Caller, image: GeneratedImage, query: GalleryQuery
) -> dict[str, Any]:
    before, after = studio.images.neighbours(view, conditions_of(studio, view, query), image.id)
    reference, details = reference_of(image), show_image(studio, image)
    return {
        "image": image,
        "query": query,
        "letter": "",
        "url": url_of(reference),
        "stem": file_stem(image),
        "before": before,
        "after": after,
        "facts": image_facts(image, adapter_names(studio, caller.scope) if image.request.adapter else {}),
        "texts": settings_texts(image),
        "create": settings_query(image),
        "vary": settings_query(image, {"image": reference}),
        "label": details.label,
        "subjects": subjects_of_label(studio, caller, details),
        "verdict": None,
        "collections": studio.collections.list(view),
        "may_erase": caller.role.covers(Role.MAKER),
    }


def _noticed(request: Request, query: GalleryQuery, notice: Notice) -> HTMLResponse:
    values = {"query": query, "notice": notice, "undo_place": "/gallery/mark"}
    if wants_part(request):
        return part(request, "gallery_notice.html", "notice", **values)
    return page(request, "gallery_notice.html", **values)


def _mark(studio: Studio, view: Viewer, form: Form) -> Notice:
    """Record what a form says about its images."""
    given = {name: _last(form, name) for name in Marks.model_fields if _last(form, name)}
    try:
        marks = Marks.model_validate(given)
    except ValidationError as error:
        raise invalid(error) from error
    if marks.do == "restore":
        changed = [*studio.feedback.set_stars(view, marks.earlier)]
        return Notice(f"{_images_text(len(changed))} as before.", tuple(changed))
    ids = _chosen(form, MOST_CHOSEN)
    if marks.do in ("favourite", "unfavourite"):
        return _set_favourites(studio, view, ids, marks.do == "favourite")
    if marks.do == "stars":
        earlier = studio.feedback.set_stars(view, dict.fromkeys(ids, marks.stars or None))
        was = " ".join(f"{id}:{stars or 0}" for id, stars in earlier.items())
        what = "no stars" if not marks.stars else f"{marks.stars} star{'s' if marks.stars > 1 else ''}"
        count = "1 image has" if len(earlier) == 1 else f"{len(earlier):,} images have"
        text = f"{count} {what} now." if earlier else f"They have {what} already."
        return Notice(text, tuple(earlier), (("do", "restore"), ("was", was)) if earlier else ())
    return _collect(studio, view, ids, marks)


def _set_favourites(studio: Studio, view: Viewer, ids: list[int], favourite: bool) -> Notice:
    changed = studio.feedback.set_favourites(view, ids, favourite)
    if not changed:
        return Notice("All of them are favourites already." if favourite else "None of them is a favourite.")
    text = f"{_images_text(len(changed))} {'added to' if favourite else 'removed from'} your favourites."
    back = "unfavourite" if favourite else "favourite"
    return Notice(text, tuple(changed), (("do", back), ("ids", " ".join(map(str, changed)))))


def _collect(studio: Studio, view: Viewer, ids: list[int], marks: Marks) -> Notice:
    if marks.name.strip():
        collection = _new_collection(studio, view, marks.name)
    elif marks.collection is not None:
        collection = studio.collections.get(view, marks.collection)
    else:
        raise LimnerError("no collection is chosen", "choose one, or type the name of a new one")
    add = marks.do == "collect"
    changed = studio.collections.put_all(view, collection.id, ids, add)
    if not changed:
        return Notice(f"They are {'already' if add else 'not'} in “{collection.name}”.")
    text = f"{_images_text(len(changed))} {'added to' if add else 'removed from'} “{collection.name}”."
    fields = ("do", "uncollect" if add else "collect"), ("collection", str(collection.id))
    return Notice(text, tuple(changed), (*fields, ("ids", " ".join(map(str, changed)))))


def _new_collection(studio: Studio, view: Viewer, name: str) -> Collection:
    try:
        named = CollectionRequest(name=name)
    except ValidationError as error:
        raise invalid(error) from error
    return studio.collections.add(view, named.name)


def _images_text(count: int) -> str:
    return "1 image is" if count == 1 else f"{count:,} images are"


def _images(studio: Studio, view: Viewer, form: Form, most: int, least: int = 1) -> list[GeneratedImage]:
    """The images that a form or an address names; one that the viewer does not see is an error."""
    ids = _chosen(form, most, least)
    found = studio.images.some(view, ids)
    missing = sorted({*ids} - {image.id for image in found})
    if missing:
        problem, remedy = f"there is no image {missing[0]}", "it may have been erased; open the gallery again"
        raise HTTPError(HTTPStatus.NOT_FOUND, problem, remedy)
    return found


def _chosen(form: Form, most: int, least: int = 1) -> list[int]:
    """The ids in the fields `id` and `ids`, each once."""
    texts = [*form.get("id", ()), *(id for text in form.get("ids", ()) for id in text.replace(",", " ").split())]
    wrong = next((text for text in texts if not (text.isascii() and text.isdigit() and len(text) <= 10)), None)
    if wrong is not None:
        raise LimnerError(f"{wrong[:40]!r} is not the id of an image", "choose images in the gallery")
    ids = list(dict.fromkeys(min(int(text), 2**31 - 1) for text in texts))
    if not least <= len(ids) <= most:
        number = f"{_chosen_text(len(ids))} chosen"
        raise LimnerError(number, f"choose {least} to {most:,}" if least > 1 or ids else "choose at least one")
    return ids


def _chosen_text(count: int) -> str:
    return "no image is" if count == 0 else _images_text(count)


def _last(form: Form, name: str) -> str:
    return form.get(name, [""])[-1]
