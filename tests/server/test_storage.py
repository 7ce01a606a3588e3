"""The server with files in S3, from upload to erasure, and the commands for stored files."""

from __future__ import annotations

import io
import re
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3
from limner.store.blobs import Blobs
from serving import PAINT, Client, Reply, Service, problem, refused
from serving import service as running


class Straight(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


@pytest.fixture(scope="module")
def place(s3_server: s3.Server) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        yield s3.fresh()
        s3.forget()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, place: str, starter: Path) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), {"LIMNER_FILES": place}, presign=True) as found:
        yield found


@pytest.fixture
def call(service: Service) -> Client:
    return service.call


def dataset(painted: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(painted.iterdir()):
            packed.write(path, path.name)
    return archive.getvalue()


def done(reply: Reply) -> dict[str, Any]:
    assert reply.json["status"] == "done", reply.json["error"]
    return reply.json


@pytest.mark.slow
def test_upload_train_generate_and_erase(service: Service, call: Client, place: str, painted: Path) -> None:
    data = call("POST", "/v1/folders", dataset(painted)).json
    body = {"kind": "train", "data": data["reference"], "class_word": "dog", "steps": 1, "batch": 1, "prior": False}
    trained = done(call("POST", "/v1/runs", body | {"options": {"rank": 2}}, Prefer="wait"))
    (adapter,) = [made for made in trained["artifacts"] if made["kind"] == "adapter"]
    use = {"prompt": "a photo of sks dog", "adapter": [{"path": adapter["reference"]}]}
    painting = done(call("POST", "/v1/runs", PAINT | use, Prefer="wait"))
    (picture,) = painting["artifacts"]

    straight = urllib.request.build_opener(Straight)
    with pytest.raises(urllib.error.HTTPError) as sent:
        straight.open(call.address + picture["url"])
    assert sent.value.code == 307 and place.removeprefix("s3://") in sent.value.headers["Location"]
    assert sent.value.headers["Cache-Control"] == "private, no-store"
    sent.value.close()
    fetched = call("GET", picture["url"])  # follows the redirect
    assert fetched.body.startswith(b"\x89PNG") and fetched.headers["Content-Type"] == "image/png"
    assert call("HEAD", picture["url"]).headers["Content-Length"] == str(len(fetched.body))
    assert call("GET", picture["url"], If_None_Match="*").status == 304
    with zipfile.ZipFile(io.BytesIO(call("GET", adapter["url"]).body)) as packed:
        assert packed.testzip() is None and "README.md" in packed.namelist()

    refused = problem(call("DELETE", data["url"]), 409)
    assert [error["detail"] for error in refused["errors"]] == [
        f"run {trained['id']} (train)",
        f"run {painting['id']} (generate)",
    ]
    problem(call("DELETE", trained["url"]), 409)
    gone = call("DELETE", f"{data['url']}?derived=true")
    assert gone.status == 200 and gone.json["derived"] == [trained["id"], painting["id"]]
    for url in (data["url"], adapter["url"], picture["url"], trained["url"], painting["url"]):
        problem(call("GET", url), 404)
        problem(call("DELETE", url), 404)
    assert list(Blobs(place, service.home / "none")) == []
    assert not list((service.home / "runs").iterdir()) and not list((service.home / "cache" / "files").iterdir())


def test_running_runs_are_not_erased(call: Client) -> None:
    run = call("POST", "/v1/runs", PAINT | {"steps": 500, "count": 8}, Prefer="wait=1").json
    assert "cancel it first" in problem(call("DELETE", run["url"]), 409)["remedy"]
    call("POST", f"{run['url']}/cancel")
    call("GET", f"{run['url']}/events")  # until it ends
    assert call("DELETE", run["url"]).json["runs"] == [run["id"]]
    problem(call("GET", run["url"]), 404)


def test_an_unused_upload_is_erased(call: Client) -> None:
    kept = call("POST", "/v1/files", b"\x89PNG").json
    assert call("DELETE", kept["url"]).json == {"runs": [], "derived": [], "pictures": [], "files": 1, "bytes": 4}
    problem(call("GET", kept["url"]), 404)


def test_unavailable_storage_is_reported_at_start(home: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_FILES", "s3://nosuch/place")
    message = "limner: there is no place for files at 's3://nosuch/place'; create that bucket, or name another"
    assert [refused(home, command) for command in ("serve", "worker")] == [message] * 2


def test_the_commands(limner: Any, tmp_path: Path) -> None:
    from limner.core.requests import GenerateRequest
    from limner.studio.studio import Studio

    studio = Studio()
    (tmp_path / "a.png").write_bytes(b"one")
    reference = studio.files.upload(tmp_path / "a.png")
    run = studio.enqueue(GenerateRequest(prompt="a", image=reference))
    assert limner("backup", "b.zip").code == 0
    assert limner("restore", "b.zip").error.startswith("the database is not empty (")
    assert limner("erase", reference).error == (
        f"{reference[:19]} cannot go alone: 1 was made with it (run {run.id} (generate)); "
        "erase those too, with --derived"
    )
    result = limner("erase", reference, "--derived", "--dry-run")
    assert f"derived run {run.id}" in result.out and "would be erased: 1 runs, 1 files" in result.out
    assert limner("erase", reference, "--derived").code == 0 and studio.store.list(1) == []
    assert limner("restore", "b.zip", "--replace").code == 0 and studio.store.get(run.id).id == run.id
    assert limner("erase", "owner:nobody").out == "erased: 0 runs, 0 files (0.0 MB)\n"
    assert "nothing to erase" in limner("erase").error
    assert limner("prune", "--older-than", "soon").error == "'soon' is not an age; write 12h, 30d or 8w"
    assert re.match("erased: 0 runs", limner("prune", "--older-than", "0h").out), "it is still queued"
    assert limner("restore", "nosuch.zip").error.endswith("does not exist; check the name")
    studio.store.close()
