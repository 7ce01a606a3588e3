"""Downloads of files: byte ranges (RFC 9110, section 14), media types, presigned URLs, and headers for browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from limner.server.app import create_app
from limner.server.files import byte_range, matches
from limner.server.problems import HTTPError
from limner.server.settings import Settings
from limner.studio.studio import Studio

BODY = bytes(range(100))
TAG = "a" * 64


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        (None, 0, 99),
        ("bytes=0-0", 0, 0),
        ("bytes=0-49", 0, 49),
        ("bytes=99-99", 99, 99),
        ("bytes=50-", 50, 99),
        ("bytes=50-200", 50, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-100", 0, 99),
        ("bytes=-200", 0, 99),
        (" bytes = 1 - 2 ", 1, 2),
        ("bytes=9-8", 0, 99),
        ("bytes=-", 0, 99),
        ("bytes=0-1,3-4", 0, 99),
        ("lines=0-1", 0, 99),
        ("bytes=a-b", 0, 99),
    ],
)
def test_byte_ranges(header: str | None, first: int, last: int) -> None:
    assert byte_range(header, 100) == (first, last)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-100", "bytes=200-300", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(header: str) -> None:
    with pytest.raises(HTTPError) as caught:
        byte_range(header, 100)
    assert caught.value.status == 416 and caught.value.headers == {"Content-Range": "bytes */100"}


@pytest.mark.parametrize(
    ("unless", "part"), [(None, True), (f'"{TAG}"', True), (f' "{TAG}" ', True), (f'W/"{TAG}"', False)]
)
def test_if_range(unless: str | None, part: bool) -> None:
    assert byte_range("bytes=1-2", 100, unless, TAG) == ((1, 2) if part else (0, 99))
    assert byte_range("bytes=1-2", 100, '"another"', TAG) == (0, 99)


@pytest.mark.parametrize(
    ("header", "same"),
    [
        (None, False),
        ("*", True),
        (f'"{TAG}"', True),
        (f'W/"{TAG}"', True),
        (f'"b", "{TAG}"', True),
        (TAG, False),
        ('"b"', False),
    ],
)
def test_if_none_match(header: str | None, same: bool) -> None:
    assert matches(header, TAG) is same


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(tmp_path_factory.mktemp("files"))
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def call(studio: Studio) -> TestClient:
    return TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")


def kept(studio: Studio, folder: Path, body: bytes) -> str:
    (folder / "file").write_bytes(body)
    return f"/v1/files/{studio.files.put(folder / 'file')}"


def test_downloads_of_ranges(studio: Studio, call: TestClient, tmp_path: Path) -> None:
    path = kept(studio, tmp_path, BODY)
    whole = call.get(path)
    assert (whole.status_code, whole.content, whole.headers["Content-Length"]) == (200, BODY, "100")
    for header, status, body, content_range in (
        ("bytes=0-9", 206, BODY[:10], "bytes 0-9/100"),
        ("bytes=10-", 206, BODY[10:], "bytes 10-99/100"),
        ("bytes=-10", 206, BODY[-10:], "bytes 90-99/100"),
        ("bytes=0-99", 200, BODY, None),
    ):
        part = call.get(path, headers={"Range": header})
        assert (part.status_code, part.content, part.headers.get("Content-Range")) == (status, body, content_range)
        assert part.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\x89PNG\r\n\x1a\nxxxx", "image/png"),
        (b"\xff\xd8\xff\xe0xxxxxxxx", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "application/octet-stream"),
        (b"<html><script>alert(1)</script>", "application/octet-stream"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
        (b"x", "application/octet-stream"),
    ],
)
def test_browsers_run_no_file(studio: Studio, call: TestClient, tmp_path: Path, body: bytes, kind: str) -> None:
    reply = call.get(kept(studio, tmp_path, body))
    assert reply.headers["Content-Type"] == kind
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"] == "sandbox"


def test_presigned_urls_are_valid_for_an_hour(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def signed(sha256: str, seconds: int, kind: str) -> str:
        asked.append((sha256, seconds, kind))
        return f"https://store.example/{sha256}?sig=x"

    path = kept(studio, tmp_path, BODY)
    monkeypatch.setattr(studio.files, "signed_url", signed)
    app = create_app(studio, Settings(presign=True))
    call = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    reply = call.get(path)
    assert (reply.status_code, reply.headers["Cache-Control"]) == (307, "private, no-store")
    assert reply.headers["Location"].startswith("https://store.example/")
    assert asked == [(path.rpartition("/")[2], 3600, "application/octet-stream")]
    assert call.head(path).status_code == 200, "a signature is for GET only"
