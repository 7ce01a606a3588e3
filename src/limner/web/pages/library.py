"""The library: what was trained, and the base models."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError, unknown
from limner.core.events import ArtifactKind, Stage
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.requests import ImproveRequest, TrainRequest
from limner.core.runs import Run
from limner.core.text import counted
from limner.server.auth import AdminDep, CallerDep
from limner.server.dependencies import RunDep, StateDep, StudioDep, ViewDep, find_run
from limner.server.history import reference_of
from limner.server.problems import HTTPError
from limner.server.replies import url_of
from limner.studio.images import Viewer
from limner.studio.library import LONGEST_NAME, REMOVED_TAG, DiskUse, ImprovedFacts, TrainedResult, UploadedAdapter
from limner.studio.maintenance import EraseSelection, Erasure, ErasureResult, InUse, RunInProgress
from limner.studio.studio import Studio
from limner.studio.training import TRAINING
from limner.web.downloads import Busy, Downloads
from limner.web.erasures import ADAPTERS, erased_text, worker_of
from limner.web.jobs import use_path
from limner.web.rendering import go, moment, page, part, wants_part
from limner.web.titles import kind_text, title_of
from limner.web.views import small_url

SHOWN = 24
SHORT_HASH = 16
"""Characters of a hash that are shown, as many as in the report of an improvement."""
LICENCES = {
    "apache-2.0": "This licence says nothing of the images: you may sell them.",
    "creativeml-openrail-m": "This licence leaves the images to you, also to sell, and forbids harmful uses.",
    "openrail++": "This licence leaves the images to you, also to sell, and forbids harmful uses.",
}
"""What licences of models say of images, in one sentence."""
LISTED = 20
"""Most jobs that the page before a deletion lists."""
router = APIRouter(prefix="/library")


@dataclass(frozen=True)
class ResultView:
    """An adapter, or a fine-tuned model, as the library shows it. image: the URL of a picture of it, or "". made: when;
    length: in how many steps, on how many photos. erased: whether feedback that it learnt from was erased.
    """

    id: str
    what: str
    name: str
    image: str
    preview: bool
    trigger: str
    made: str
    length: str
    owner: str
    improved: bool
    erased: bool
    missing: bool
    stored: bool
    url: str
    file_name: str
    use: str
    summary: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ModelView:
    """A base model of the library."""

    name: str
    family: str
    licence: str
    memory: str
    size: str
    downloaded: bool
    included: bool
    fits: bool
    lacks: str
    use: str
    page: str
    terms: str
    gated: bool
    warning: bool


def find_result(run: RunDep, studio: StudioDep) -> TrainedResult:
    """Return what a training run made; raises HTTPError (404) if that is nothing, or is deleted."""
    try:
        return studio.library.get(run)
    except LimnerError as error:
        raise HTTPError(HTTPStatus.NOT_FOUND, error.problem, error.remedy) from error


ErasureId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
ResultDep = Annotated[TrainedResult, Depends(find_result)]


@router.get("")
def show_library(
    request: Request,
    state: StateDep,
    caller: CallerDep,
    view: ViewDep,
    before: Annotated[str | None, Query(max_length=64)] = None,
    removed: Annotated[str, Query(max_length=64)] = "",
    deleted: Annotated[str, Query(max_length=16)] = "",
    back: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:
    """Show what was trained, newest first. removed: a run whose result was just left out of the list. deleted: the
    erasure of one that was just deleted. back: a run whose result was just put back.
    """
    if before is not None:
        find_run(before, state, caller)
    found = state.studio.library.list(SHOWN + 1, caller.scope, before)
    results = [_result_view(state.studio, view, caller, result) for result in found[:SHOWN]]
    library, known = state.studio.library, {result.reference for result in found}
    off = library.list(SHOWN, caller.scope, removed=True) if before is None else []
    uploaded = library.uploaded(caller.scope, known | {each.reference for each in off}) if before is None else []
    waiting = state.studio.maintenance.erasures.list(caller.scope, adapters=True) if before is None else []
    older = found[SHOWN - 1].run.id if len(found) > SHOWN else ""
    return page(
        request,
        "library.html",
        results=results,
        older=older,
        bin=[_deleted_view(each, caller) for each in reversed(waiting)],
        bin_size=size_text(sum(each.bytes for each in waiting)),
        deleted=next((erased_text(each) for each in waiting if each.id == deleted), ""),
        deleted_id=deleted,
        days=ADAPTERS.days,
        problem=worker_of(request).problem(caller.account),
        removed=_removed(state, caller, removed),
        back=_put_back(state, caller, back),
        off=[(each.run.id, each.name, moment(each.created)) for each in off],
        uploaded=[_uploaded_view(each) for each in uploaded],
    )


def _deleted_view(erasure: Erasure, caller: Caller) -> dict[str, str]:
    """A deleted adapter that can still be put back, as the library shows it."""
    images = counted(erasure.images, "image") if erasure.images else ""
    days = max(1, round(erasure.seconds / 86400))
    left = f"deleted for good in {counted(days, 'day')}"
    owner = f"by {erasure.account}" if caller.scope is None and erasure.account else ""
    note = " · ".join(part for part in (images, size_text(erasure.bytes), left, owner) if part)
    return {"id": erasure.id, "name": erasure.name, "note": note}


def _uploaded_view(adapter: UploadedAdapter) -> dict[str, str]:
    """An adapter that was uploaded, as the library shows it."""
    says = adapter.says
    return {
        "name": says.name or "Adapter without a name",
        "trigger": ", ".join(says.trigger_words),
        "base": says.base or "",
        "size": size_text(adapter.bytes),
        "made": moment(adapter.created),
        "use": use_path(ArtifactKind.ADAPTER, adapter.reference),
        "url": url_of(adapter.reference),
    }


def _removed(state: StateDep, caller: Caller, run_id: str) -> TrainedResult | None:
    """The result that was just removed from the list; None if it is there again."""
    if not run_id:
        return None
    run = find_run(run_id, state, caller)
    return state.studio.library.get(run) if REMOVED_TAG in run.tags else None


def _put_back(state: StateDep, caller: Caller, run_id: str) -> str:
    """The name of a result that was just put back; "" if it is gone again."""
    if not run_id:
        return ""
    run = find_run(run_id, state, caller)
    return "" if run.deleted or REMOVED_TAG in run.tags else state.studio.library.get(run).name


@router.get("/trained/{run_id}")
def show_result(
    request: Request, studio: StudioDep, result: ResultDep, view: ViewDep, caller: CallerDep, saved: bool = False
) -> HTMLResponse:
    """Show one adapter with its facts. saved: its name was just changed."""
    return _result_page(request, studio, view, caller, result, saved=saved)


@router.post("/trained/{run_id}/name")
async def rename(request: Request, studio: StudioDep, result: ResultDep, view: ViewDep, caller: CallerDep) -> Response:
    """Give an adapter another name."""
    async with request.form(max_files=0, max_fields=4) as form:
        name = str(form.get("name", ""))
    try:
        await run_sync(studio.library.rename, result.run, name)
    except LimnerError as error:
        shown = (request, studio, view, caller, result, name, str(error))
        return await run_sync(_result_page, *shown)
    return go(request, f"/library/trained/{result.run.id}?saved=1")


@router.post("/trained/{run_id}/use")
def use(request: Request, studio: StudioDep, result: ResultDep) -> Response:
    """Open the page Create with an adapter; one that was trained on the command line is stored first."""
    kept = studio.library.keep(result.run)
    return go(request, use_path(kept.kind, kept.reference, kept.say))


@router.post("/trained/{run_id}/remove")
def remove(request: Request, studio: StudioDep, result: ResultDep) -> Response:
    """Leave an adapter out of the list. Its files and the images made with it stay."""
    studio.library.remove(result.run)
    return go(request, f"/library?removed={result.run.id}")


@router.post("/trained/{run_id}/restore")
def restore(request: Request, studio: StudioDep, result: ResultDep) -> Response:
    """Put an adapter back into the list."""
    studio.library.remove(result.run, removed=False)
    return go(request, f"/library?back={result.run.id}")


@router.post("/deleted/{erasure}/restore")
def put_back(request: Request, studio: StudioDep, caller: CallerDep, erasure: ErasureId) -> Response:
    """Put a deleted adapter back, with all that was made with it."""
    deleted = _deleted(studio, caller, erasure)
    if not studio.maintenance.erasures.undo(caller.scope, erasure):
        raise _gone()
    return go(request, f"/library?back={deleted.runs[0]}")


@router.post("/deleted/{erasure}/erase")
def erase_now(request: Request, studio: StudioDep, caller: CallerDep, erasure: ErasureId) -> Response:
    """Delete for good what would be deleted later."""
    worker_of(request).carry_out(erasure, _deleted(studio, caller, erasure).account)
    return go(request, "/library")


def _deleted(studio: Studio, caller: Caller, erasure: str) -> Erasure:
    found = studio.maintenance.erasures.list(caller.scope, adapters=True)
    deleted = next((each for each in found if each.id == erasure), None)
    if deleted is None:
        raise _gone()
    return deleted


def _gone() -> HTTPError:
    return HTTPError(HTTPStatus.NOT_FOUND, "it is not among what was deleted", "it was put back, or deleted for good")


@router.get("/trained/{run_id}/delete")
def ask_to_delete(
    request: Request, studio: StudioDep, result: ResultDep, view: ViewDep, caller: CallerDep
) -> HTMLResponse:
    """Show what deleting an adapter means, before it is done."""
    return _delete_page(request, studio, view, caller, result)


@router.post("/trained/{run_id}/delete")
def delete(request: Request, studio: StudioDep, result: ResultDep, view: ViewDep, caller: CallerDep) -> Response:
    """Delete an adapter with all that was made with it; it can be put back for some days."""
    selection = _selection(result, caller)
    erasures = studio.maintenance.erasures
    try:
        made = erasures.add(caller.account, selection, derived=True, after=ADAPTERS, name=result.name)
    except (InUse, RunInProgress):
        return _delete_page(request, studio, view, caller, result)
    return go(request, f"/library?deleted={made.id}")


@router.get("/models")
async def show_models(
    request: Request,
    studio: StudioDep,
    caller: CallerDep,
    freed: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
) -> HTMLResponse:
    """Show the base models, and the download in progress. freed: bytes of a model that was just deleted."""
    return await _models_page(request, studio, caller, freed=freed)


@router.post("/models/download")
async def download_model(request: Request, studio: StudioDep, caller: AdminDep) -> Response:
    """Begin to download a base model."""
    async with request.form(max_files=0, max_fields=4) as form:
        name = str(form.get("model", ""))
    models = await run_sync(studio.models)
    try:
        if name not in [model.name for model in models]:
            raise unknown("base model", name[:80], [model.name for model in models])
        _downloads(request).start(name)
    except LimnerError as error:
        status = HTTPStatus.CONFLICT if isinstance(error, Busy) else HTTPStatus.UNPROCESSABLE_ENTITY
        return await _models_page(request, studio, caller, str(error), status)
    return go(request, "/library/models")


@router.post("/models/delete")
async def delete_model(request: Request, studio: StudioDep, caller: AdminDep) -> Response:
    """Delete the files of a base model, which can be downloaded again."""
    async with request.form(max_files=0, max_fields=4) as form:
        name = str(form.get("model", ""))
    current = _downloads(request).current
    try:
        if current is not None and current.active and current.model == name:
            raise Busy(f"{name[:80]!r} is being downloaded", "stop the download first")
        freed = await run_sync(studio.delete_model, name)
    except LimnerError as error:
        status = HTTPStatus.CONFLICT if isinstance(error, Busy) else HTTPStatus.UNPROCESSABLE_ENTITY
        return await _models_page(request, studio, caller, str(error), status)
    return go(request, f"/library/models?freed={freed}")


@router.post("/models/stop")
def stop_download(request: Request, caller: AdminDep) -> Response:
    """Stop the download in progress."""
    _downloads(request).stop()
    return go(request, "/library/models")


@router.post("/models/dismiss")
def dismiss_download(request: Request, caller: AdminDep) -> Response:
    """Remove the message about a download that ended."""
    _downloads(request).dismiss()
    return go(request, "/library/models")


def _downloads(request: Request) -> Downloads:
    return request.app.state.downloads


async def _models_page(
    request: Request,
    studio: Studio,
    caller: Caller,
    problem: str = "",
    status: int = HTTPStatus.OK,
    freed: int | None = None,
) -> HTMLResponse:
    download = _downloads(request).current
    shown: dict[str, Any] = {"download": download, "admin": caller.role.covers(Role.ADMIN), "problem": problem}
    shown["freed"] = "" if freed is None else size_text(freed)
    if wants_part(request) and download is not None and download.active:
        return part(request, "library_models.html", "download", **shown)
    free = await run_sync(studio.library.free_gigabytes)
    models = [_model_view(studio, model, free) for model in await run_sync(studio.models)]
    disk = await run_sync(studio.library.disk) if caller.scope is None else None
    shown |= {"models": models, "free": f"{free:,.1f} GB", "disk": [] if disk is None else _disk_texts(disk)}
    if wants_part(request):
        return part(request, "library_models.html", "ended", status, **shown)
    return page(request, "library_models.html", status, **shown)


def _disk_texts(disk: DiskUse) -> list[tuple[str, str]]:
    parts = (
        ("Images", disk.images),
        ("Adapters", disk.adapters),
        ("Photos and other files", disk.others),
        ("Downloaded models", disk.models),
        ("Caches and work in progress", disk.caches),
    )
    return [("Together", size_text(sum(size for _, size in parts))), *((name, size_text(size)) for name, size in parts)]


def _model_view(studio: Studio, model: Any, free: float) -> ModelView:
    return ModelView(
        name=model.name,
        family=model.family,
        licence=model.licence,
        memory=f"needs a GPU of {model.memory:g} GB" if model.memory else "needs no GPU",
        size=f"{model.gigabytes:g} GB" if model.gigabytes else "",
        downloaded=model.place is not None,
        included=not model.gigabytes,
        fits=model.gigabytes < free,
        lacks=studio.library.lacks(model),
        use=use_path(ArtifactKind.MODEL, model.name),
        page=studio.library.page(model) if model.gigabytes else "",
        terms=f"{model.terms}." if model.terms else LICENCES.get(model.licence, ""),
        gated=model.gated,
        warning=bool(model.terms),
    )


def _result_page(
    request: Request,
    studio: Studio,
    view: Viewer,
    caller: Caller,
    result: TrainedResult,
    name: str | None = None,
    problem: str = "",
    saved: bool = False,
) -> HTMLResponse:
    shown = _result_view(studio, view, caller, result)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    made = [(image.id, _small(image), image.request.prompt) for image in _made_with(studio, view, result, 12)]
    value = shown.name if name is None else name
    return page(
        request,
        "library_trained.html",
        status,
        result=shown,
        value=value,
        problem=problem,
        saved=saved,
        longest=LONGEST_NAME,
        made=made,
    )


def _result_view(studio: Studio, view: Viewer, caller: Caller, result: TrainedResult) -> ResultView:
    header, run = result.header, result.run
    image = "" if result.preview is None else small_url(url_of(result.preview))
    if not image:
        image = next(map(_small, _made_with(studio, view, result, 1)), "")
    what = "Adapter" if result.kind is ArtifactKind.ADAPTER else "Model"
    images_unused = header.improved is not None and header.improved.of_model
    rank = f", rank {header.rank}" if header.rank is not None else ""
    facts = [
        ("Trigger words", ", ".join(result.trigger_words) or "none: captions alone"),
        ("Class", result.class_word),
        ("Base model", header.base),
        ("Method", f"{header.method}{rank}"),
        ("Improved" if header.improved else "Trained", moment(result.created)),
        ("Checkpoint", f"step {result.step}" if result.step else ""),
        ("Size", "" if result.bytes is None else size_text(result.bytes)),
        ("Licence", header.licence),
        ("Training images", "" if header.images is None or images_unused else str(header.images)),
        *_improved_facts(header.improved),
        *header.rights.items(),
        ("Account", run.owner if caller.scope is None else ""),
        ("Folder", "" if result.reference else str(result.path)),
        ("Reference", result.reference),
    ]
    return ResultView(
        id=run.id,
        what=what,
        name=result.name,
        image=image,
        preview=result.preview is not None,
        trigger=", ".join(result.trigger_words),
        made=moment(result.created),
        length=_length(studio, result),
        owner=run.owner if caller.scope is None else "",
        improved=isinstance(run.request, ImproveRequest),
        erased=result.erased,
        missing=result.bytes is None,
        stored=result.reference != "",
        url=url_of(result.reference) if result.reference else "",
        file_name=f"{result.file_name}.zip",
        use=use_path(result.kind, result.reference, result.say) if result.reference else "",
        summary=f"{header.base}, {header.method}{rank}",
        facts=tuple((name, value) for name, value in facts if value),
    )


def _improved_facts(improved: ImprovedFacts | None) -> list[tuple[str, str]]:
    """What an adapter learnt from feedback; nothing for others."""
    if improved is None:
        return []
    return [
        ("Lesson", improved.lesson),
        ("Pairs learnt from", "" if improved.pairs is None else f"{improved.pairs:,}"),
        ("Ratings learnt from", "" if improved.ratings is None else f"{improved.ratings:,}"),
        ("Feedback", improved.feedback[:SHORT_HASH]),
    ]


def _length(studio: Studio, result: TrainedResult) -> str:
    """How long and on how many photos it was taught, and which checkpoint is in use: "400 steps, 8 photos"; of an
    improved one, from how much feedback: "400 steps, 60 pairs".
    """
    request = result.run.request
    steps = request.steps if isinstance(request, TrainRequest | ImproveRequest) else None
    if steps is None:
        stages = (event for _, _, event in studio.runs.events(result.run.id) if isinstance(event, Stage))
        steps = next((stage.total for stage in stages if stage.name == TRAINING), None)
    improved = result.header.improved
    images = result.header.images if improved is None else None
    texts = (
        counted(steps, "step") if steps else "",
        f"step {result.step:,} in use" if result.step and result.step != steps else "",
        counted(images, "photo") if images else "",
        counted(improved.pairs, "pair") if improved and improved.pairs else "",
        counted(improved.ratings, "rating") if improved and improved.ratings else "",
    )
    return ", ".join(filter(None, texts))


def _made_with(studio: Studio, view: Viewer, result: TrainedResult, limit: int) -> list[GeneratedImage]:
    """The newest images that were made with an adapter."""
    return studio.images.list(view, ImageQuery(adapter=result.reference or str(result.path), limit=limit))


def _small(image: GeneratedImage) -> str:
    return small_url(url_of(reference_of(image)))


def _selection(result: TrainedResult, caller: Caller) -> EraseSelection:
    references = tuple(each for each in (result.reference, *result.others) if each)
    return EraseSelection(runs=(result.run.id,), references=references, scope=caller.scope)


def _others(result: TrainedResult, erased: ErasureResult) -> list[str]:
    """The runs that go with the training."""
    return [run for run in dict.fromkeys((*erased.runs, *erased.derived)) if run != result.run.id]


def _images_of(studio: Studio, runs: list[str]) -> int:
    made = studio.runs.artifacts_of(runs).values()
    return sum(each.kind == ArtifactKind.IMAGE for artifacts in made for each in artifacts)


def _delete_page(request: Request, studio: Studio, view: Viewer, caller: Caller, result: TrainedResult) -> HTMLResponse:
    """What would be deleted, or why nothing can be."""
    problem, erased = "", ErasureResult()
    try:
        erased = studio.maintenance.erase(_selection(result, caller), derived=True, dry=True)
    except (InUse, RunInProgress) as error:
        problem = str(error)
    others = _others(result, erased)
    jobs = [(run.id, _listed(run)) for run in map(studio.runs.get, others[:LISTED])]
    return page(
        request,
        "library_delete.html",
        HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        result=_result_view(studio, view, caller, result),
        problem=problem,
        jobs=jobs,
        more=len(others) - len(jobs),
        count=len(others),
        images=_images_of(studio, others),
        made=[(_small(image), image.request.prompt) for image in _made_with(studio, view, result, LISTED)],
        left=erased.left,
        days=ADAPTERS.days,
        size=size_text(erased.bytes),
    )


def _listed(run: Run) -> str:
    return f"{kind_text(run.request.kind)}: {title_of(run)}"


def size_text(size: int) -> str:
    """A size in bytes in words."""
    for unit, count in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= count:
            return f"{size / count:.1f} {unit}"
    return f"{size} bytes"
