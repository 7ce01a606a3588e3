"""Submitted forms: their texts, and their files, which are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from anyio.to_thread import run_sync
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.server.dependencies import ServerState
from limner.server.form_images import store_form_image

FILE, REFUSED = ".file", ".refused"
"""Suffixes of a field's name: of its file in a form, and of what was wrong with the file that was chosen last."""
REMOVE = "remove"
"""Name of the buttons that remove a file or its refusal from the form; their values are names of fields."""
LONGEST_REFUSAL = 500
MOST_FILES, MOST_FIELDS = 8, 400
Texts = list[tuple[str, str]]


class FileField(NamedTuple):
    """What becomes of a file of a form. text: the field that gets its reference. error: the field at which its errors
    are shown.
    """

    text: str
    error: str
    store: Callable[[ServerState, Caller, str, bytes], str] = store_form_image


async def submitted(
    request: Request, state: ServerState, caller: Caller, special: Mapping[str, FileField] | None = None
) -> tuple[Texts, dict[str, str]]:
    """The texts of a form, with references of its files, which are stored; and what is wrong with which field.

    special: fields whose file is no image, or whose errors are shown elsewhere. Of a form that is too large, the fields
    that arrived before its limit remain, so that they can be shown again. A file that was refused stays wrong, by a
    text of the form, until another one is stored or its field is removed.
    """
    special = special or {}
    items, errors, refused = await _items(request)
    texts = [(name, value) for name, value in items if isinstance(value, str) and not name.endswith(REFUSED)]
    removed = {value.removesuffix(REFUSED) for name, value in texts if name == REMOVE}
    for name, value in items:
        target = name.removesuffix(REFUSED)
        if isinstance(value, str) and name.endswith(REFUSED) and value.strip() and target not in removed:
            refused.setdefault(target, value.strip()[:LONGEST_REFUSAL])
    for name, file in items:
        if not isinstance(file, UploadFile):
            continue
        content = await file.read()
        await file.close()
        if not content and not file.filename:  # no file was chosen
            continue
        target = name.removesuffix(FILE)
        field = special.get(target, FileField(target, target))
        try:
            reference = await run_sync(field.store, state, caller, file.filename or "", content)
        except Unavailable:
            raise
        except LimnerError as error:
            refused[target] = str(error)
        else:
            texts.append((field.text, reference))  # the last value of a field counts
            refused.pop(target, None)
    errors |= {special[name].error if name in special else name: text for name, text in refused.items()}
    return [*texts, *((name + REFUSED, text) for name, text in refused.items())], errors


async def texts_of(request: Request) -> Texts:
    """The texts of a form; its files are not stored."""
    async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
        return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]


def refused_in(texts: Texts) -> dict[str, str]:
    """Why files of a form were refused, by the names of their fields."""
    return {name.removesuffix(REFUSED): text for name, text in texts if name.endswith(REFUSED)}


async def _items(request: Request) -> tuple[list[tuple[str, Any]], dict[str, str], dict[str, str]]:
    """The fields of a form, what is wrong with it as a whole, and with which file."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as form:
            return list(form.multi_items()), {}, {}
    parser = MultiPartParser(request.headers, request.stream(), max_files=MOST_FILES, max_fields=MOST_FIELDS)
    try:
        return list((await parser.parse()).multi_items()), {}, {}
    except MultiPartException as error:
        wrong, refused = {"": f"{error.message.rstrip('.')}; send the form again"}, {}
    except HTTPException as error:
        if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        current = str(getattr(getattr(parser, "_current_part", None), "field_name", ""))
        problem = "the file is larger than this service takes; choose a smaller one"
        wrong, refused = ({}, {current.removesuffix(FILE): problem}) if current.endswith(FILE) else ({"": problem}, {})
    return [(name, value) for name, value in parser.items if isinstance(value, str)], wrong, refused
