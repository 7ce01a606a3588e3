"""Submitted forms: their texts, and their images, which are stored."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import UploadFile

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.server.dependencies import ServerState

FILE = ".file"
"""Suffix of the name of a form's file that goes with a field."""
MOST_FILES, MOST_FIELDS = 4, 200
Texts = list[tuple[str, str]]


async def submitted(request: Request, state: ServerState, caller: Caller) -> tuple[Texts, dict[str, str]]:
    """The texts of a form, with references of its images, which are stored; and what is wrong with which image."""
    errors: dict[str, str] = {}
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
        texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        for name, file in form.multi_items():
            if not isinstance(file, UploadFile) or not file.size:
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
    return texts, errors


def _store(state: ServerState, caller: Caller, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "upload"
        place.write_bytes(content)
        return state.studio.files.upload(place, caller)
