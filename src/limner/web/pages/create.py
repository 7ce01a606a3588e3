"""The page that generates images."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.execution import split_body
from limner.core.runs import Run
from limner.server.auth import CallerDep
from limner.server.dependencies import ServerState, StateDep, StudioDep
from limner.server.limits import run_submission
from limner.studio.runs import QUEUE
from limner.web.forms import as_command, as_python, form_fields, problem_at, read_form, validated
from limner.web.rendering import page, part, wants_part
from limner.web.views import run_views

KIND = "generate"
SHOWN = 6
FILE = ".file"
"""Suffix of the name of a form's file that goes with a field."""
MOST_FILES, MOST_FIELDS = 8, 400
router = APIRouter(prefix="/create")


@router.get("")
def show_form(request: Request, studio: StudioDep, caller: CallerDep) -> HTMLResponse:
    """Show the form, filled in by the fields of the query, and the newest jobs."""
    values = read_form(KIND, request.query_params.multi_items())
    return page(request, "create.html", fields=form_fields(KIND, values), problem="", jobs=_newest(studio, caller))


@router.post("")
async def submit(request: Request, state: StateDep, caller: CallerDep) -> Response:
    """Queue what the form asks for. Without JavaScript the browser goes on to the page of the job."""
    values, errors = await _read(request, state, caller)
    run: Run | None = None
    if not errors:
        run, errors = await _enqueue(state, caller, values)
    if run is not None and not wants_part(request):
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/runs/{run.id}", HTTPStatus.SEE_OTHER)
    fields = form_fields(KIND, values, errors)
    known = {field.name for field in fields}
    problem = "; ".join(text for name, text in errors.items() if name not in known)
    jobs = await run_sync(_newest, state.studio, caller)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK
    shown: dict[str, Any] = {"fields": fields, "problem": problem, "jobs": jobs}
    if wants_part(request):
        return part(request, "create.html", "form" if errors else "submitted", status, **shown)
    return page(request, "create.html", status, **shown)


@router.post("/copy")
async def copy(request: Request, state: StateDep, caller: CallerDep) -> HTMLResponse:
    """Show the request of the form as a command, as JSON and as Python."""
    values, _ = await _read(request, state, caller)
    body, _ = validated(KIND, values)
    typed = values if body is None else body.model_dump(mode="json", exclude_unset=True, exclude={"kind"})
    texts = [
        ("Command", as_command(KIND, values)),
        ("JSON", json.dumps({"kind": KIND, **typed}, indent=2, ensure_ascii=False)),
        ("Python", as_python(KIND, typed)),
    ]
    if wants_part(request):
        return part(request, "create.html", "copied", texts=texts)
    jobs = await run_sync(_newest, state.studio, caller)
    fields = form_fields(KIND, values)
    return page(request, "create.html", fields=fields, problem="", jobs=jobs, texts=texts)


async def _read(request: Request, state: ServerState, caller: Caller) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of the submitted form, its images stored; and what is wrong with which image."""
    errors: dict[str, str] = {}
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
        texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        files = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
        for name, file in files:
            if not file.size:
                continue
            field = name.removesuffix(FILE)
            try:
                reference = await run_sync(partial(_store, state, caller, await file.read()))
            except Unavailable:
                raise
            except LimnerError as error:
                errors[field] = str(error)
            else:
                texts = [(other, value) for other, value in texts if other != field] + [(field, reference)]
    return read_form(KIND, texts), errors


def _store(state: ServerState, caller: Caller, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "upload"
        place.write_bytes(content)
        return state.studio.files.upload(place, caller)


async def _enqueue(state: ServerState, caller: Caller, values: dict[str, Any]) -> tuple[Run | None, dict[str, str]]:
    """The queued run, or what is wrong with which field."""
    body, errors = validated(KIND, values)
    if body is None:
        return None, errors
    request, execution = split_body(body)  # type: ignore[arg-type]
    try:
        queued = partial(state.studio.enqueue, request, caller=caller, granted=state.granted, execution=execution)
        return await run_submission(queued), {}
    except Unavailable:
        raise
    except LimnerError as error:
        return None, problem_at(error, values)


def _newest(studio: Any, caller: Caller) -> list[Any]:
    return run_views(studio, studio.runs.list(SHOWN, KIND, None, None, QUEUE, caller.scope))
