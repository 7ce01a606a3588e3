"""/v1/files and /v1/folders: conditional requests, caching, and forged folder lists."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO

import pytest
from fastapi.testclient import TestClient

from limner.core.errors import Unavailable
from limner.server.app import create_app
from limner.server.files import matches
from limner.server.settings import Settings
from limner.store import manifests
from limner.studio.studio import Studio

BODY = b"\x89PNG and more"
NOTHING = "0" * 64


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def call(studio: Studio) -> Iterator[TestClient]:
    with TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1") as client:
        yield client


def kept(call: TestClient, body: bytes) -> str:
    return call.post("/v1/files", content=body).json()["url"]


def test_head_returns_the_headers_of_get(call: TestClient) -> None:
    url = kept(call, BODY)
    got, asked = call.get(url), call.head(url)
    assert got.content == BODY and asked.content == b""
    for reply in (got, asked):
        assert reply.headers.pop("X-Request-ID")
    assert (asked.status_code, dict(asked.headers)) == (got.status_code, dict(got.headers))
    assert call.head(url, headers={"Range": "bytes=1-2"}).headers["Content-Length"] == str(len(BODY))
    assert call.head(f"/v1/files/{NOTHING}").status_code == 404
    folder = folder_of(call, {"a.png": url.rpartition("/")[2]})
    assert call.head(folder).headers["ETag"] == call.get(folder).headers["ETag"] and call.head(folder).content == b""


def test_files_are_cached_privately_and_forever(call: TestClient) -> None:
    url = kept(call, BODY)
    for place in (url, folder_of(call, {"a.png": url.rpartition("/")[2]})):
        parts = call.get(place).headers["Cache-Control"].split(", ")
        assert "private" in parts and "public" not in parts and {"immutable", "max-age=31536000"} <= {*parts}


def test_browsers_run_no_folder(call: TestClient) -> None:
    folder = folder_of(call, {"a.png": kept(call, BODY).rpartition("/")[2]})
    for reply in (call.get(folder), call.get(folder, headers={"If-None-Match": "*"})):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Security-Policy"] == "sandbox"


def test_an_empty_upload_is_refused(call: TestClient) -> None:
    for place in ("/v1/files", "/v1/folders", "/v1/verify"):
        reply = call.post(place, content=b"")
        assert (reply.status_code, reply.json()["detail"]) == (422, "the upload is empty")


@pytest.mark.parametrize(
    ("header", "same"),
    [
        ('"{}"', True),
        ('W/"{}"', True),
        ('"other", W/"{}"', True),
        ('"a,b" , "{}"', True),
        ("*", True),
        ('"other"', False),
        ("{}", False),
        ('"x{}"', False),
        ('"*"', False),
        ("", False),
    ],
)
def test_if_none_match_returns_not_modified(call: TestClient, header: str, same: bool) -> None:
    url = kept(call, BODY)
    sha256 = url.rpartition("/")[2]
    for place, tag in ((url, sha256), (folder_of(call, {"a.png": sha256}), None)):
        tag = tag or call.get(place).headers["ETag"].strip('"')
        reply = call.get(place, headers={"If-None-Match": header.format(tag)})
        assert reply.status_code == (304 if same else 200)
        assert reply.headers["ETag"] == f'"{tag}"' and (reply.content == b"") == same
    assert call.get(f"/v1/files/{NOTHING}", headers={"If-None-Match": header.format(NOTHING)}).status_code == 404
    assert call.get(f"/v1/folders/{NOTHING}", headers={"If-None-Match": header.format(NOTHING)}).status_code == 404


def test_if_range_of_another_file_returns_the_whole(call: TestClient) -> None:
    url = kept(call, BODY)
    tag = call.get(url).headers["ETag"]
    for unless, status in ((tag, 206), (f"W/{tag}", 200), ('"other"', 200)):
        assert call.get(url, headers={"Range": "bytes=0-3", "If-Range": unless}).status_code == status


def test_entity_tags_are_parsed_in_linear_time() -> None:
    assert not matches('"' + '", "' * 50_000, "a" * 64)


def folder_of(call: TestClient, names: dict[str, str]) -> str:
    return kept(call, json.dumps(names).encode()).replace("files", "folders")


def test_a_folder_is_downloaded_as_a_zip(call: TestClient, studio: Studio) -> None:
    sha256 = kept(call, BODY).rpartition("/")[2]
    reply = call.get(folder_of(call, {"b.png": sha256, "in/a.png": sha256}))
    assert reply.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(reply.content)) as packed:
        assert packed.namelist() == ["b.png", "in/a.png"] and packed.read("in/a.png") == BODY
    assert not list((studio.home / "cache").rglob("*.folder")), "the zip was not built on disk"


def test_a_folder_is_uploaded_as_a_form(call: TestClient, studio: Studio) -> None:
    reply = call.post("/v1/folders", files=[("files", ("a.png", BODY)), ("files", ("deep/b.txt", b"a cat"))])
    assert (reply.status_code, reply.json()["bytes"]) == (201, len(BODY) + 5)
    folder = studio.files.local_path(reply.json()["reference"])
    assert (folder / "deep" / "b.txt").read_bytes() == b"a cat" and (folder / "a.png").read_bytes() == BODY
    refused = call.post("/v1/folders", files=[("files", ("a.png", BODY))], data={"name": "x"})
    assert refused.status_code == 400 and "Too many fields" in refused.text


def test_what_was_erased_is_counted(call: TestClient) -> None:
    files = [("files", ("a.png", b"one")), ("files", ("b.png", b"three"))]
    made = call.post("/v1/folders", files=files).json()
    manifest = len(call.get(made["url"].replace("folders", "files")).content)
    gone = {"runs": [], "derived": [], "pictures": [], "files": 3, "bytes": 8 + manifest}
    assert call.delete(made["url"]).json() == gone


def test_erasing_what_was_used_takes_along_what_was_made(call: TestClient) -> None:
    made = call.post("/v1/folders", files=[("files", ("c.png", b"a face"))]).json()
    body = {"kind": "train", "data": made["reference"], "class_word": "dog"}
    runs = [call.post("/v1/runs", json=body | {"seed": seed}).json()["id"] for seed in (1, 2)]
    refused = call.delete(made["url"])
    assert refused.status_code == 409 and refused.json()["remedy"] == "add ?derived=true to erase those too"
    assert [error["detail"] for error in refused.json()["errors"]] == [f"run {run} (train)" for run in sorted(runs)]
    erased = call.delete(f"{made['url']}?derived=true").json()
    assert (erased["runs"], erased["derived"]) == (sorted(runs), sorted(runs))
    file = call.post("/v1/files", content=b"a base", headers={"Content-Type": "image/png"}).json()
    run = call.post("/v1/runs", json={"kind": "generate", "prompt": "a", "image": file["reference"]}).json()["id"]
    assert call.delete(file["url"]).status_code == 409
    assert call.delete(f"{file['url']}?derived=true").json()["runs"] == [run]


@pytest.mark.parametrize("names", [{"a": NOTHING}, {"../a": NOTHING}, [], "text"])
def test_a_folder_with_missing_files_is_not_found(call: TestClient, names: object) -> None:
    reply = call.get(kept(call, json.dumps(names).encode()).replace("files", "folders"))
    assert reply.status_code == 404 and reply.json()["detail"].startswith("there is no folder ")


def test_one_large_file_with_many_names(call: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = kept(call, bytes(2**20)).rpartition("/")[2]
    names = {f"{number}": sha256 for number in range(1000)}
    assert call.get(folder_of(call, names)).status_code == 404
    assert call.get(folder_of(call, {name: its for name, its in list(names.items())[:3]})).status_code == 200
    small = kept(call, b"x").rpartition("/")[2]
    assert call.get(folder_of(call, {f"{number}": small for number in range(10_001)})).status_code == 404
    monkeypatch.setattr(manifests, "FOLDER_BYTES", 2**20)
    assert call.get(folder_of(call, {"a": sha256, "b": small})).status_code == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unavailable_storage(call: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def away(*arguments: object, **more: object) -> None:
        raise Unavailable("the files at 's3://secret-place' cannot be reached")

    for act in ("size", "exists"):
        monkeypatch.setattr(studio.files._files, act, away)
    for path in (f"/v1/files/{NOTHING}", f"/v1/folders/{NOTHING}"):
        reply = call.request(method, path)
        assert reply.status_code == 503 and reply.headers["Content-Type"] == "application/problem+json"
        assert "secret-place" not in reply.text
