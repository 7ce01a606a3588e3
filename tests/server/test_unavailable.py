"""A full or failing disk, and a database that does not respond: 503 on every route, without a path, and not stored."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from limner.core.disk import DISK_ERRORS
from limner.core.errors import LimnerError, Unavailable
from limner.core.runs import INTERNAL_ERROR, STORAGE_ERROR, Run, Status
from limner.server import archives, feedback, idempotency, problems, uploads
from limner.server.app import create_app
from limner.server.run_events import RunEvents
from limner.server.settings import Settings
from limner.server.waiting import check_done
from limner.store.queue import Queue
from limner.store.sessions import Database
from limner.studio.studio import Studio

RAW, ZIP = {"Content-Type": "application/octet-stream"}, {"Content-Type": "application/zip"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(tmp_path_factory.mktemp("full"))
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def client(studio: Studio) -> TestClient:
    app = create_app(studio, Settings(wait_seconds=1))
    return TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(out, "PNG")
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("a.png", png())
    return out.getvalue()


class FullFile:
    """A file on a full disk."""

    def __init__(self, *_: object, **__: object) -> None:
        self.number = errno.ENOSPC

    def write(self, data: bytes) -> int:
        raise OSError(self.number, os.strerror(self.number), "/srv/secret/place")

    def __enter__(self) -> FullFile:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def fails(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number), "/srv/secret/place")

    return fail


PLACES: dict[str, tuple[Any, str, Any, str, dict[str, Any]]] = {
    "stored": (os, "replace", None, "/v1/files", {"content": b"x", "headers": RAW}),
    "received": (uploads, "open_file", None, "/v1/files", {"content": b"x", "headers": RAW}),
    "a folder": (os, "replace", None, "/v1/folders", {"content": zipped(), "headers": ZIP}),
    "a zip": (archives, "_unpack", None, "/v1/folders", {"content": zipped(), "headers": ZIP}),
    "a form": (archives.shutil, "copyfileobj", None, "/v1/folders", {"files": [("files", ("a.png", b"x"))]}),
    "an edit": (uploads, "_write", None, "/v1/images/edits", {"files": [("image", png())], "data": {"prompt": "a"}}),
    "a mask": (
        uploads,
        "Image",
        SimpleNamespace(open=fails(errno.ENOSPC)),
        "/v1/images/edits",
        {"files": [("image", png()), ("mask", png())], "data": {"prompt": "a"}},
    ),
    "an image to verify": (uploads, "open_file", None, "/v1/verify", {"content": png(), "headers": RAW}),
    "temporary": (
        idempotency.tempfile,
        "SpooledTemporaryFile",
        FullFile,
        "/v1/files",
        {"content": b"x", "headers": RAW},
    ),
}
"""Where writing fails: module, name, its replacement; the route and the body of a call."""


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_is_503_without_a_path_and_not_stored(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name, replacement, path, call = PLACES[place]
    own: dict[str, Any] = call | {"headers": {**call.get("headers", {}), "Idempotency-Key": place}}
    with monkeypatch.context() as patch:
        patch.setattr(module, name, replacement or fails(errno.ENOSPC))
        reply = client.post(path, **own)
    assert reply.status_code == 503, reply.text
    text = reply.text
    assert "does not work" in text and "try again later" in text
    assert not any(part in text for part in ("secret", str(studio.home), tempfile.gettempdir())), text
    again = client.post(path, **own)
    assert again.status_code != 503 and "Idempotent-Replayed" not in again.headers


@pytest.mark.parametrize("number", sorted(DISK_ERRORS))
def test_every_error_of_the_disk_is_503(client: TestClient, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for module, name in ((os, "replace"), (uploads, "open_file")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fails(number))
            reply = client.post("/v1/files", content=b"error %d" % number, headers=RAW)
        assert reply.status_code == 503 and "secret" not in reply.text


def test_other_errors_of_the_system_are_internal(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "open_file", fails(errno.EPIPE))
    reply = client.post("/v1/files", content=b"x", headers=RAW)
    assert reply.status_code == 500 and "secret" not in reply.text


@pytest.mark.parametrize(
    "path", ["/v1/runs/x", "/v1/runs/x/verdicts", "/v1/pictures/1", "/v1/collections/1", "/v1/files/" + "0" * 64]
)
def test_a_database_that_does_not_respond_is_503(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fail(*_: object) -> Any:
        raise Unavailable("the database postgresql://secret cannot be used")

    monkeypatch.setattr(Database, "session", fail)
    monkeypatch.setattr(type(studio.files), "size", fail)
    reply = client.get(path)
    assert reply.status_code == 503 and "secret" not in reply.text, reply.text


def test_an_event_stream_outlives_an_outage(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.core.requests import GenerateRequest

    run = studio.enqueue(GenerateRequest(prompt="a cat"))
    events = RunEvents(studio, run, 0)

    def fail(*_: object) -> Any:
        raise Unavailable("the database does not respond")

    with monkeypatch.context() as patch:
        patch.setattr(type(studio.runs), "get", fail)
        assert asyncio.run(events.read()) == [] and not events.ended
    Queue(studio.store).cancel(run.id)
    assert asyncio.run(events.read())[-1].event == "end"


def test_a_waiting_call_gets_503_when_the_disk_of_a_worker_is_full(studio: Studio) -> None:
    from limner.core.requests import GenerateRequest

    def status(error: str, internal_error: bool) -> int:
        run = studio.enqueue(GenerateRequest(prompt="a cat"))
        fields = run.model_dump() | {"status": Status.FAILED, "error": error, "internal_error": internal_error}
        with pytest.raises(problems.HTTPError) as caught:
            check_done(Run.model_validate(fields), 1)
        return caught.value.status

    assert [status(STORAGE_ERROR, True), status(INTERNAL_ERROR, True), status("a", False)] == [503, 500, 422]


def test_unavailable_is_no_error_of_the_client() -> None:
    from http import HTTPStatus

    for error, kind in ((Unavailable("x"), Unavailable), (LimnerError("x"), problems.HTTPError)):
        with pytest.raises(kind), problems.http_status(HTTPStatus.NOT_FOUND):
            raise error


def test_a_full_database_is_503(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorname = "SQLITE_FULL"

    def fail(*_: object, **__: object) -> Any:
        raise OperationalError("INSERT", {}, full)

    monkeypatch.setattr("sqlalchemy.orm.Session.flush", fail)
    reply = client.post("/v1/collections", json={"name": "a"})
    assert reply.status_code == 503 and "limner.db" not in reply.text, reply.text


def test_an_export_on_a_full_disk_is_503(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is written before the response begins, and a full disk may show only when its last bytes are."""
    for name in ("write", "seek"):
        full = type("Full", (io.BytesIO,), {name: fails(errno.ENOSPC)})
        with monkeypatch.context() as patch:
            patch.setattr(feedback.tempfile, "TemporaryFile", full)
            reply = client.get("/v1/feedback/export?format=parquet")
        assert reply.status_code == 503 and "secret" not in reply.text
    assert client.get("/v1/feedback/export?format=parquet").content.startswith(b"PAR1")
