"""The step Images of the page Teach: uploads, captions, and what a check finds."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.datastructures import UploadFile

from limner.core.accounts import Caller
from limner.core.drafts import MAX_CAPTION, MAX_IMAGES, Draft, DraftImage
from limner.core.errors import LimnerError, Unavailable
from limner.core.files import quoted
from limner.core.text import clean_line
from limner.server.archives import unzip
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, StudioDep
from limner.server.limits import run_submission
from limner.server.problems import HTTPError
from limner.server.uploads import UPLOAD_PIXELS, save_body
from limner.studio.drafts import PREVIEW, AddedImage, typed_caption
from limner.studio.files import MAX_FILES
from limner.studio.model_facts import training_models
from limner.studio.training import Findings
from limner.web.drafts import (
    PLAIN,
    PREPARE_FIELDS,
    Base,
    checked_digest,
    conflict_text,
    identifier_of,
    image_view,
    image_views,
    plain_advice,
    prepare_fields,
)
from limner.web.earlier import earlier_of, goes_on
from limner.web.forms import FormField, form_fields, validated
from limner.web.pages.teach import (
    NO_IMAGES,
    AnyDraftDep,
    DraftDep,
    after_saving,
    chosen_model,
    go,
    last,
    left_at,
    read_step,
    save_step,
    shown_with,
)
from limner.web.partial_uploads import PartialUploads
from limner.web.recipes import as_text, card_of, card_values, settings_of
from limner.web.rendering import page, part, part_text, wants_part
from limner.web.views import RunView, run_views
from limner.web.wording import on_page

Sha = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
Words = Annotated[str | None, Query(max_length=500)]
ZIP = b"PK"
SIDECARS = (".txt", ".caption")
OTHER_FILES = re.compile(r"(^|/)(\.|__MACOSX/|Thumbs\.db$|desktop\.ini$)")
"""Files that systems leave in folders and archives."""
UPLOAD = "^[0-9a-f]{32}$"
"""Names that browsers give to uploads."""
MOST_PROBLEMS = 20
FORM_FILES = 500
TEMPLATE = "teach_images.html"
router = APIRouter(prefix="/teach/{draft_id}")


@router.get("/images")
def show_images(
    request: Request,
    draft: DraftDep,
    state: StateDep,
    changed: Annotated[int | None, Query(ge=0, le=MAX_IMAGES)] = None,
    find: Words = None,
    replace: Words = None,
) -> HTMLResponse:
    """Show the images with their captions, and what the last check found. changed: captions that were just changed.

    find, replace: what the form that changes all captions is filled in with, and opened for.
    """
    draft = left_at(state.studio, state.studio.drafts.take_captions(draft), "images")
    return page(request, TEMPLATE, **_images(state, draft, changed=changed, find=find, replace=replace or ""))


def _images(state: ServerState, draft: Draft, problems: tuple[str, ...] = (), **values: Any) -> dict[str, Any]:
    """What the step Images shows."""
    findings, check = checked(state.studio, draft)
    views = sorted(image_views(draft, findings), key=lambda view: _natural(view.image.name))
    removed = [image for image in draft.images if image.removed]
    shown = {
        "views": views,
        "removed": removed,
        "problems": problems,
        "limit": state.settings.upload_bytes,
        "changed": None,
        "find": None,
        "replace": "",
        "before": "",
        "after": "",
        "bulk_problem": "",
        "goes_on": goes_on(state.studio, draft),
        "bulk_undo": bool(draft.choices.undo),
        "identifier": identifier_of(draft),
        "captioning": _captioning(state, draft),
        "caption_problem": "",
        "captioner": "starter",
        "by_hand": sum(typed_caption(draft, image) for image in draft.shown),
        **check,
        **_prepare(draft),
    }
    return shown_with(draft, "images", **{**shown, **values})


def _captioning(state: ServerState, draft: Draft) -> RunView | None:
    """The job that writes captions; None where there is none."""
    run = state.studio.drafts.run(draft.choices.captioning)
    return None if run is None else run_views(state.studio, [run])[0]


def _natural(name: str) -> list[tuple[int, str]]:
    """The order of file names by which 2.jpg comes before 10.jpg, as a key."""
    return [(int(part), "") if part.isdecimal() else (0, part.casefold()) for part in re.split(r"(\d{1,9})", name)]


def checked(studio: Any, draft: Draft) -> tuple[Findings | None, dict[str, Any]]:
    """What the last check of a draft found, and what the pages show of that check."""
    run = studio.drafts.run(draft.choices.check)
    findings = None if run is None else studio.training.findings(run)
    views = image_views(draft, findings)
    job = None if run is None else run_views(studio, [run])[0]
    return findings, {
        "job": job,
        "findings": findings,
        "advice": [] if findings is None else [(level, plain_advice(text)) for level, text in findings.advice],
        "stale": findings is not None and draft.choices.checked != checked_digest(draft),
        "left_out": sum(not view.used for view in views),
        "doubtful": sum(bool(view.faults) for view in views),
        "refused": any(view.refused for view in views),
    }


def _prepare(draft: Draft) -> dict[str, Any]:
    """The fields of the request to prepare that this step shows, in the form Rights and crops."""
    values = {name: draft.choices.fields[name] for name in PREPARE_FIELDS if name in draft.choices.fields}
    return _prepare_form(draft, values, {}, None)


def _prepare_form(draft: Draft, values: dict[str, Any], conflicts: dict[str, str], base: Base | None) -> dict[str, Any]:
    _, errors = validated("prepare", {"sources": [NO_IMAGES], **{n: v for n, v in values.items() if v}})
    errors = {name: text for name, text in errors.items() if name in PREPARE_FIELDS}
    fields = [
        replace(field, label=PLAIN[field.name][0], help=PLAIN[field.name][1])
        for field in form_fields("prepare", values, {**errors, **conflicts})
        if field.name in PREPARE_FIELDS
    ]
    shown = {field.name: _text_of(field) for field in fields}
    return {
        "fields": fields,
        "errors": errors,
        "conflicts": conflicts,
        "base": Base.of(draft, shown, conflicts, base),
    }


def _text_of(field: FormField) -> str:
    return ("true" if field.checked else "") if field.control == "checkbox" else field.value


@router.post("/settings")
async def save_settings(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Save the rights and the crop of the images."""
    form = await read_step(request)
    typed = {name: as_text(last(form, name).strip()) for name in PREPARE_FIELDS}
    saved, base = await run_sync(save_step, state, draft, typed, form)
    conflicts = {name: conflict_text(other) for name, other in saved.conflicts.items()}
    own = {name: saved.draft.choices.fields.get(name, "") for name in PREPARE_FIELDS}
    values = {**own, **{name: typed[name] for name in conflicts}}
    shown = _prepare_form(saved.draft, {name: value for name, value in values.items() if value}, conflicts, base)
    if wants_part(request):
        refused = (await run_sync(checked, state.studio, saved.draft))[1]["refused"]
        return part(request, TEMPLATE, "settings", **shown_with(saved.draft, "images", refused=refused, **shown))
    everything = await run_sync(partial(_images, state, saved.draft, **shown))
    return await run_sync(after_saving, request, saved.draft, form, "images", TEMPLATE, everything)


@router.post("/images")
async def upload(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Add images: one file or zip as the body, as the page's script sends it, or several as a form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _upload_one(request, draft, state, caller)
    problems: list[str] = []
    async with request.form(max_files=FORM_FILES, max_fields=4) as form:
        for file in form.getlist("files"):
            if isinstance(file, UploadFile) and (file.size or file.filename):
                with tempfile.TemporaryDirectory() as folder:
                    place = Path(folder) / "upload"
                    place.write_bytes(await file.read())
                    _, wrong = await run_sync(_add_file, state, caller, draft, place, file.filename or "image")
                problems += wrong
    if problems:
        draft = await run_sync(state.studio.drafts.get, caller.account, draft.id)
        values = await run_sync(partial(_images, state, draft, tuple(problems)))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    return await run_sync(go, request, f"/teach/{draft.id}/images")


@router.get("/images/parts/{upload}")
def show_part(draft: DraftDep, state: StateDep, upload: Annotated[str, PathParameter(pattern=UPLOAD)]) -> Response:
    """Say how many bytes of an unfinished upload have arrived."""
    return JSONResponse(
        {"bytes": _partial(state, draft).received(draft.id, upload)}, headers={"Cache-Control": "no-store"}
    )


@router.post("/images/parts/{upload}")
async def upload_rest(
    request: Request,
    draft: DraftDep,
    state: StateDep,
    caller: CallerDep,
    upload: Annotated[str, PathParameter(pattern=UPLOAD)],
    at: Annotated[int, Query(ge=0)],
    total: Annotated[int, Query(ge=1)],
) -> Response:
    """Add an image or a zip, whose first bytes may have arrived before. at: of the first byte in the body."""
    partial_uploads = _partial(state, draft)
    if not at:
        await run_sync(partial_uploads.clean)
    place = await run_sync(partial_uploads.place, draft.id, upload)
    if not await partial_uploads.receive(request, place, at, total, state.settings.upload_bytes):
        problem = "the connection broke"
        raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, problem, "send the rest")
    place = await run_sync(partial_uploads.take, place)
    try:
        return await _add_uploaded(request, draft, state, caller, place)
    finally:
        partial_uploads.remove(place)


def _partial(state: ServerState, draft: Draft) -> PartialUploads:
    return PartialUploads(state.studio.home, draft.owner)


async def _upload_one(request: Request, draft: Draft, state: ServerState, caller: Caller) -> Response:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "upload"
        await save_body(request, place, state.settings.upload_bytes)
        return await _add_uploaded(request, draft, state, caller, place)


async def _add_uploaded(request: Request, draft: Draft, state: ServerState, caller: Caller, place: Path) -> Response:
    name = clean_line(unquote(request.headers.get("x-file-name", "")), 200) or "image"
    added, problems = await run_sync(_add_file, state, caller, draft, place, name)
    if problems and not added:
        raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, *_problem_and_remedy(problems))
    return await run_sync(_added, request, state, caller, draft, added, problems)


def _problem_and_remedy(problems: list[str]) -> tuple[str, str]:
    problem, _, remedy = problems[0].partition("; ")
    return (problem, remedy) if len(problems) == 1 else (f"{problem} (and {len(problems) - 1} more)", remedy)


def _added(
    request: Request, state: ServerState, caller: Caller, draft: Draft, added: list[DraftImage], problems: list[str]
) -> Response:
    """Tiles of images that were added, as the page's script inserts them."""
    draft = state.studio.drafts.get(caller.account, draft.id)
    findings, _ = checked(state.studio, draft)
    tiles = []
    for image in added:
        found = draft.image(image.sha256)
        if found is not None:
            values = _tile(draft, found, findings)
            tiles.append({"id": f"image-{found.sha256}", "html": part_text(request, TEMPLATE, "tile", **values)})
    return JSONResponse({"tiles": tiles, "problems": problems})


def _tile(draft: Draft, image: DraftImage, findings: Findings | None, **values: Any) -> dict[str, Any]:
    shown = {"view": image_view(image, findings), "note": "", "saved": False}
    own = {"typed": image.caption, "was": image.caption, "since": draft.version}
    return shown_with(draft, "images", **{**shown, **own, **values})


@router.post("/images/known")
def add_known(
    request: Request,
    draft: DraftDep,
    state: StateDep,
    caller: CallerDep,
    sha256: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    name: Annotated[str, Form(max_length=500)],
) -> Response:
    """Add an image that the account stored before; 204 if there is none, so that it has to be sent."""
    added = state.studio.drafts.add_known(caller, draft.id, sha256, clean_line(name, 200) or "image")
    if added is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return _added(request, state, caller, draft, [added.image], _same(added, name))


def _same(added: AddedImage, name: str) -> list[str]:
    """A line for a file whose image the draft has under another name."""
    other = added.known and clean_line(name, 200) != added.image.name
    return (
        [f"{quoted(name)} is the same image as {quoted(added.image.name)}, so it was not added again"] if other else []
    )


def _add_file(
    state: ServerState, caller: Caller, draft: Draft, place: Path, name: str
) -> tuple[list[DraftImage], list[str]]:
    """Add an image, or those of a zip; returns them, and a line for each file that cannot be used."""
    with place.open("rb") as file:
        is_zip = file.read(2) == ZIP
    pixels = state.studio.most_pixels and UPLOAD_PIXELS * state.studio.most_pixels
    if not is_zip:
        try:
            each = state.studio.drafts.add_image(caller, draft.id, place, name, pixels=pixels)
            return [each.image], _same(each, name)
        except Unavailable:
            raise
        except LimnerError as error:
            return [], [str(error)]
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "inside"
        try:
            unzip(place, inside, state.settings.unpacked_bytes)
        except LimnerError as error:
            return [], [f"{name}: {error}"]
        return _add_folder(state, caller, draft, inside, name, pixels)


def _add_folder(
    state: ServerState, caller: Caller, draft: Draft, folder: Path, name: str, pixels: int | None
) -> tuple[list[DraftImage], list[str]]:
    """Add the images of an unpacked zip, with captions from text files beside them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if not OTHER_FILES.search(path.relative_to(folder).as_posix())]
    added: list[DraftImage] = []
    problems: list[str] = []
    for path in files[:MAX_FILES]:
        if path.suffix.lower() in (*SIDECARS, ".json", ".jsonl", ".csv", ".md"):
            continue
        caption = next((text for end in SIDECARS if (text := _caption(path.with_suffix(end)))), "")
        if len(caption) > MAX_CAPTION:
            problems.append(f"the caption of {quoted(path.name)} has more than {MAX_CAPTION:,} characters; it was cut")
        try:
            each = state.studio.drafts.add_image(caller, draft.id, path, path.name, caption, pixels)
            added.append(each.image)
            problems += _same(each, path.name)
        except Unavailable:
            raise
        except LimnerError as error:
            problems.append(str(error))
    if not added and not problems:
        problems.append(f"{name} contains no images; add some to it")
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more files cannot be used"]
    return added, problems


def _caption(path: Path) -> str:
    """The caption in a text file; "" if there is none."""
    try:
        return path.read_bytes()[: 8 * MAX_CAPTION].decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return ""


@router.get("/images/{sha256}.jpg")
def show_thumbnail(
    draft: AnyDraftDep, studio: StudioDep, sha256: Sha, crop: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Return a small copy of an image. crop: of the URL of one that somebody cropped, which is shown cropped."""
    image = _image(draft, sha256)
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    if crop and image.crop is not None:
        return Response(studio.drafts.cropped_thumbnail(draft, sha256), media_type="image/webp", headers=headers)
    return FileResponse(studio.drafts.thumbnail(draft, sha256), media_type="image/webp", headers=headers)


@router.get("/images/{sha256}/preview.jpg")
def show_preview(draft: DraftDep, studio: StudioDep, sha256: Sha) -> Response:
    """Return a copy of an image on which a crop can be chosen."""
    _image(draft, sha256)
    place = studio.drafts.thumbnail(draft, sha256, PREVIEW)
    return FileResponse(place, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/images/{sha256}/crop")
def show_crop(request: Request, draft: DraftDep, studio: StudioDep, sha256: Sha, found: bool = False) -> HTMLResponse:
    """Show the form to choose a crop. found: with the one that is found for the image, unless one was chosen."""
    image = _image(draft, sha256)
    found = found and image.crop is None
    whole = (0, 0, image.width, image.height)
    left, top, right, bottom = studio.drafts.found_crop(draft, sha256) if found else image.crop or whole
    box = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    values = shown_with(draft, "images", image=image, box=box, problem="", found=found)
    return page(request, "teach_crop.html", **values)


@router.post("/images/{sha256}/crop")
async def save_crop(request: Request, draft: DraftDep, state: StateDep, sha256: Sha) -> Response:
    """Save the crop of an image, or forget it."""
    form = await read_step(request)
    image = _image(draft, sha256)
    typed = {name: last(form, name).strip() for name in ("left", "top", "width", "height")}
    crop: tuple[int, int, int, int] | None = None
    try:
        if not last(form, "automatic"):
            left, top, width, height = (_pixels(name, text) for name, text in typed.items())
            crop = (left, top, left + width, top + height)
        await run_sync(state.studio.drafts.crop, draft, sha256, crop)
    except Unavailable:
        raise
    except LimnerError as error:
        values = shown_with(draft, "images", image=image, box=typed, problem=str(error), found=False)
        return page(request, "teach_crop.html", HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    if crop is None:
        return await run_sync(go, request, f"/teach/{draft.id}/images/{sha256}/crop?found=true")
    return await run_sync(go, request, f"/teach/{draft.id}/images#image-{sha256}")


def _pixels(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise LimnerError(f"{name} {text[:20]!r} is not a whole number of pixels", "write one, such as 100")
    return int(text)


def _image(draft: Draft, sha256: str) -> DraftImage:
    image = draft.image(sha256)
    if image is None:
        problem = f"the draft has no image {sha256[:12]}"
        raise HTTPError(HTTPStatus.NOT_FOUND, problem, "it was erased, or belongs to another draft")
    return image


@router.post("/images/{sha256}")
async def save_caption(request: Request, draft: DraftDep, state: StateDep, sha256: Sha) -> Response:
    """Save the caption of an image, unless another tab changed it meanwhile."""
    form = await read_step(request)
    typed, was = clean_line(last(form, "caption"), MAX_CAPTION), last(form, "was")
    since, mine = last(form, "since"), bool(last(form, "mine"))
    conflict = ""

    def save(before: Draft) -> Draft:
        nonlocal conflict
        image = _image(before, sha256)
        if typed in (image.caption, was) and not mine:
            return before
        if image.version > int(since if since.isdecimal() and len(since) < 10 else 0) and not mine:
            conflict = image.caption or " "
            return before
        return before.with_image(sha256, caption=typed, version=before.version + 1)

    after = await run_sync(state.studio.drafts.change, draft.owner, draft.id, save)
    findings, _ = await run_sync(checked, state.studio, after)
    values = {"note": conflict_text(conflict.strip()), "typed": typed, "was": was, "since": since} if conflict else {}
    if wants_part(request):
        values = values or {"saved": True}
        return part(request, TEMPLATE, "tile", **_tile(after, _image(after, sha256), findings, **values))
    if conflict:
        notes = {"notes": {sha256: values}}
        return page(request, TEMPLATE, HTTPStatus.CONFLICT, **await run_sync(partial(_images, state, after, **notes)))
    return await run_sync(go, request, f"/teach/{draft.id}/images#image-{sha256}")


@router.post("/images/{sha256}/{action}")
def decide(
    request: Request,
    draft: DraftDep,
    studio: StudioDep,
    sha256: Sha,
    action: Literal["remove", "restore", "keep", "drop"],
) -> Response:
    """Delete or restore an image, or use it in spite of its faults, or leave it out."""
    _image(draft, sha256)
    values = {"removed": action == "remove"} if action in ("remove", "restore") else {"choice": action}
    after = studio.drafts.change(draft.owner, draft.id, lambda before: before.with_image(sha256, **values))
    if wants_part(request):
        block = "removed_tile" if action == "remove" else "tile"
        findings, _ = checked(studio, after)
        return part(request, TEMPLATE, block, **_tile(after, _image(after, sha256), findings))
    return go(request, f"/teach/{draft.id}/images#image-{sha256}")


@router.post("/captions")
async def change_captions(request: Request, draft: DraftDep, state: StateDep) -> Response:
    """Change the captions of all images: find and replace, or add before or after."""
    form = await read_step(request)
    find, replace = last(form, "find"), last(form, "replace")
    before_text, after_text = last(form, "before"), last(form, "after")

    def change(draft: Draft) -> Draft:
        captions = {image.sha256: image.caption for image in draft.shown}
        changed = {}
        for sha256, caption in captions.items():
            text = caption.replace(find, replace) if find else caption
            text = _joined(_joined(before_text, text), after_text)
            text = clean_line(text) if len(text) <= 4 * MAX_CAPTION else text
            if text != caption:
                changed[sha256] = text
        if too_long := sum(len(text) > MAX_CAPTION for text in changed.values()):
            which = "a caption" if too_long == 1 else f"{too_long} captions"
            raise LimnerError(f"{which} would have more than {MAX_CAPTION:,} characters", "put in fewer words")
        if not changed:
            return draft
        return _with_captions(draft, changed).with_choices(undo={name: captions[name] for name in changed})

    try:
        after = await run_sync(state.studio.drafts.change, draft.owner, draft.id, change)
    except Unavailable:
        raise
    except LimnerError as error:
        typed = {"find": find, "replace": replace, "before": before_text, "after": after_text}
        values = await run_sync(partial(_images, state, draft, bulk_problem=str(error), **typed))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    before = {image.sha256: image.caption for image in draft.images}
    count = sum(before.get(image.sha256) != image.caption for image in after.shown)
    return await run_sync(go, request, f"/teach/{draft.id}/images?changed={count}#captions")


def _joined(first: str, second: str) -> str:
    """Two parts of a caption with a space between words."""
    gap = " " if first[-1:].isalnum() and second[:1].isalnum() else ""
    return f"{first}{gap}{second}"


@router.post("/captions/write")
async def write_captions(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue a captioner for the images, for those with a caption of somebody's own only if that is asked for."""
    form = await read_step(request)
    captioner, everything = last(form, "captioner").strip() or "starter", bool(last(form, "everything"))
    queue = partial(state.studio.drafts.caption, caller, draft, state.granted, captioner, everything=everything)
    try:
        await run_submission(queue)
    except Unavailable:
        raise
    except LimnerError as error:
        told = {"caption_problem": on_page(str(error)), "captioner": captioner}
        values = await run_sync(partial(_images, state, draft, **told))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    return await run_sync(go, request, f"/teach/{draft.id}/images#writing")


@router.get("/captions/writing")
def show_writing(request: Request, draft: DraftDep, state: StateDep) -> HTMLResponse:
    """Show how far the captioner is; once it has ended, the images with their captions."""
    run = state.studio.drafts.run(draft.choices.captioning)
    failed = "" if run is None or not run.error else on_page(run.error)
    after = state.studio.drafts.take_captions(draft)
    values = _images(state, after, caption_problem=failed)
    return part(request, TEMPLATE, "writing" if values["captioning"] else "written", **values)


@router.post("/captions/undo")
def undo_captions(request: Request, draft: DraftDep, studio: StudioDep) -> Response:
    """Restore the captions from before the last change of several."""

    def undo(draft: Draft) -> Draft:
        return _with_captions(draft, draft.choices.undo).with_choices(undo={})

    studio.drafts.change(draft.owner, draft.id, undo)
    return go(request, f"/teach/{draft.id}/images")


def _with_captions(draft: Draft, captions: dict[str, str]) -> Draft:
    images = tuple(
        image.model_copy(update={"caption": captions[image.sha256], "version": draft.version + 1})
        if image.sha256 in captions
        else image
        for image in draft.images
    )
    return draft.model_copy(update={"images": images})


@router.post("/check")
async def check_images(request: Request, draft: DraftDep, state: StateDep, caller: CallerDep) -> Response:
    """Queue a check of the images."""
    models = await run_sync(training_models)
    model = chosen_model(draft, models)
    earlier = await run_sync(earlier_of, state.studio, draft)
    settings = settings_of(draft, card_values(card_of(draft), model, models), earlier)
    size = side_of(settings, model.side)
    fields = prepare_fields(draft, size)
    queue = partial(state.studio.drafts.check, caller, draft, state.granted, checked_digest(draft), **fields)
    problem = ""
    try:
        await run_submission(queue)
    except Unavailable:
        raise
    except LimnerError as error:
        problem = str(error)
    draft = await run_sync(state.studio.drafts.get, caller.account, draft.id)
    if wants_part(request):
        values = await run_sync(partial(_images, state, draft, problem=problem))
        return part(request, TEMPLATE, "check", **values)
    if problem:
        values = await run_sync(partial(_images, state, draft, problem=problem))
        return page(request, TEMPLATE, HTTPStatus.UNPROCESSABLE_ENTITY, **values)
    return await run_sync(go, request, f"/teach/{draft.id}/images")


@router.get("/check")
def show_check(request: Request, draft: DraftDep, state: StateDep) -> HTMLResponse:
    """Show how far the check is; once it has ended, also what it found on each image."""
    values = _images(state, draft)
    ended = values["job"] is None or values["job"].ended
    return part(request, TEMPLATE, "checked" if ended else "check", **values)


def side_of(settings: dict[str, Any], native: int) -> int:
    """The side in pixels of the images that a training uses."""
    try:
        side = int(str(settings.get("resolution", native)))
    except ValueError:
        return native
    return side if 32 <= side <= 4096 else native
