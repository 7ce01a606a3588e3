"""The real server over HTTP."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.core.events import Notice
from limner.core.requests import SweepRequest, TrainRequest
from limner.core.runs import Status
from limner.provenance.labels import read_label
from limner.studio.studio import Studio
from serving import CALL, PAINT, Client, Service, parsed, problem, refused
from serving import service as running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), unpacked_bytes=2**25) as found:
        yield found


@pytest.fixture
def call(service: Service) -> Client:
    return service.call


def test_generate_image(call: Client, tmp_path: Path) -> None:
    reply = call("POST", "/generate-image", CALL)
    assert reply.status == 200, reply.body
    assert reply.json.keys() == {"generated_image_url", "generated_image_urls", "generation_time", "seed"}
    assert re.fullmatch(r"\d+\.\ds", reply.json["generation_time"])
    assert reply.json["generated_image_url"].startswith(call.address)
    picture = call("GET", reply.json["generated_image_url"].removeprefix(call.address))
    assert picture.headers["Content-Type"] == "image/png"
    (tmp_path / "a.png").write_bytes(picture.body)
    label = read_label(tmp_path / "a.png")
    prompt = "a watercolour painting of a red mug on the beach, against an orange wall"
    assert label is not None and label.request.prompt == prompt
    run = call("GET", "/v1/runs?limit=1").json[0]
    assert run["tags"] == {"industry": "food", "style": "watercolour"}
    again = call("POST", "/generate-image", CALL).json["generated_image_url"]
    assert again != reply.json["generated_image_url"], "each call has its own seed"


def test_unknown_words_are_named_over_http(call: Client) -> None:
    """In the answer, in the run, in the list of runs and in its events; what the model knows can be asked."""
    reply = call("POST", "/generate-image", CALL | {"prompt": "an astronaut on the beech"})
    (notice,) = reply.json["notices"]
    assert "does not know: 'astronaut', 'beech' (nearest: 'beach')" in notice and "/v1/models/starter/words" in notice
    listed = call("GET", "/v1/runs?limit=1").json[0]
    assert listed["notices"] == [notice] == call("GET", listed["url"]).json["notices"]
    events = parsed(call("GET", f"{listed['url']}/events").body)
    assert [json.loads(event["data"])["text"] for event in events if event.get("event") == "notice"] == [notice]
    words = call("GET", "/v1/models/starter/words").json
    assert "cat" in words["subject"] and "on the beach" in words["place"]
    assert call("GET", "/v1/models/sdxl/words").json == {}, "more than can be listed"
    assert call("GET", "/v1/models/nosuch/words").status == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"industry": "mining"}, "choose one of: technology, fashion, food, health, finance, travel, real estate,"),
        ({"style": "cubism"}, "choose one of: photo, watercolour,"),
        ({"base_image_url": "http://169.254.169.254/a.png"}, "is not at a public address"),
        ({"base_image_url": "file:///etc/passwd"}, "is neither http nor https"),
    ],
)
def test_invalid_marketing_requests(call: Client, change: dict[str, str], message: str) -> None:
    error = problem(call("POST", "/generate-image", CALL | change), 422)
    assert message in error["detail"] + error["remedy"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/prompt"), (CALL | {"colour": "red"}, "/colour"), (CALL | {"prompt": ""}, "/prompt"), (b"{", "/")],
)
def test_errors_name_the_field(call: Client, body: Any, pointer: str) -> None:
    error = problem(call("POST", "/generate-image", body, Content_Type="application/json"), 422)
    assert any(error["pointer"].startswith(pointer) for error in error["errors"])


def test_submit_stream_and_download(call: Client) -> None:
    reply = call("POST", "/v1/runs", PAINT | {"count": 2})
    assert reply.status == 202 and reply.headers["Location"] == reply.json["url"]
    events = parsed(call("GET", f"{reply.json['url']}/events").body)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "stage" and kinds[-1] == "end" and kinds.count("made") == 2
    assert json.loads(events[-1]["data"]) == {"status": "done", "error": None}
    numbers = [int(event["id"]) for event in events if "id" in event]
    assert numbers == list(range(1, len(numbers) + 1))
    replayed = parsed(call("GET", f"{reply.json['url']}/events", Last_Event_ID=str(numbers[-2])).body)
    assert [(event["event"], event.get("id")) for event in replayed] == [("made", str(numbers[-1])), ("end", None)]
    run = call("GET", reply.json["url"]).json
    assert run["status"] == "done" and [made["details"]["seed"] for made in run["artifacts"]] == [42, 43]
    whole = call("GET", run["artifacts"][0]["url"])
    assert whole.status == 200 and whole.headers["ETag"] == f'"{run["artifacts"][0]["sha256"]}"'
    part = call("GET", run["artifacts"][0]["url"], Range="bytes=1-3")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"PNG", f"bytes 1-3/{len(whole.body)}")
    tail = call("GET", run["artifacts"][0]["url"], Range="bytes=-4")
    assert (tail.status, tail.body) == (206, whole.body[-4:])
    problem(call("GET", run["artifacts"][0]["url"], Range="bytes=99999999-"), 416)
    assert call("GET", run["artifacts"][0]["url"], If_None_Match=whole.headers["ETag"]).status == 304


def test_prefer_wait(call: Client) -> None:
    reply = call("POST", "/v1/runs", PAINT, Prefer="wait")
    assert (reply.status, reply.json["status"], reply.headers["Preference-Applied"]) == (200, "done", "wait")
    short = call("POST", "/v1/runs", PAINT | {"steps": 500, "count": 8}, Prefer="wait=1")
    assert (short.status, short.json["status"]) == (202, "running")
    assert call("POST", f"{short.json['url']}/cancel").status == 200
    events = parsed(call("GET", f"{short.json['url']}/events").body)
    assert json.loads(events[-1]["data"])["status"] == "cancelled"
    again = call("POST", f"{short.json['url']}/retry")
    assert (again.status, again.json["status"]) == (202, "queued")
    assert "only failed" in problem(call("POST", f"{short.json['url']}/retry"), 409)["remedy"]
    call("POST", f"{short.json['url']}/cancel")


def test_a_failed_run_has_a_short_error(call: Client) -> None:
    reply = call("POST", "/v1/runs", PAINT | {"guidance": 1, "guidance_method": "apg"}, Prefer="wait")
    assert reply.json["status"] == "failed"
    assert reply.json["error"].startswith("guidance_method (apg) has no effect at guidance 1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "generate", "prompt": "x", "model": "/etc"}, "is not a reference"),
        ({"kind": "generate", "prompt": "x", "image": "../secret.png"}, "is not a reference"),
        ({"kind": "train", "data": "/root", "class_word": "dog"}, "is not a reference"),
        ({"kind": "train", "data": "folder:" + "0" * 64, "class_word": "dog", "options": {"rnak": 2}}, "rnak"),
        ({"kind": "generate"}, "/generate/prompt"),
        ({"kind": "generate", "prompt": "x", "steps": 0}, "/generate/steps"),
        ({"kind": "paint", "prompt": "x"}, "kind"),
        ([], ""),
    ],
)
def test_invalid_requests(call: Client, body: Any, message: str) -> None:
    assert message in problem(call("POST", "/v1/runs", body), 422)["detail"]


@pytest.mark.parametrize("wish", ["wait=\u00b2", "wait=-1", "wait=1e9", "respond-async", "wait=x, wait"])
def test_unusual_prefer_headers(call: Client, wish: str) -> None:
    assert call("POST", "/v1/runs", PAINT, Prefer=wish).status in (200, 202)


def test_invalid_last_event_id(call: Client) -> None:
    run = call("POST", "/v1/runs", PAINT).json
    problem(call("GET", f"{run['url']}/events", Last_Event_ID="99999999999999999999"), 422)


def test_every_link_of_a_command_line_run_answers_without_paths(service: Service, tmp_path: Path) -> None:
    studio, out = Studio(service.home), tmp_path / "mine"
    run = studio.run(SweepRequest(prompt=("a cat",), axis=("guidance=1,2",), steps=1, metric=("clipping",)), out)
    links = [f"/v1/runs/{run.id}", f"/v1/runs/{run.id}/verdicts", f"/v1/runs/{run.id}/events", "/v1/runs"]
    found = service.call("GET", links[0]).json
    pages = [made for made in found["artifacts"] if made["kind"] == "report"]
    assert pages and any(made["kind"] == "picture" for made in found["artifacts"])
    assert service.call("GET", pages[0]["url"]).body == (out / pages[0]["name"]).read_bytes()
    for link in [*links, *(made["url"] for made in found["artifacts"])]:
        assert service.call("GET", link).status == 200, link
    for link in links:
        assert str(tmp_path) not in service.call("GET", link).body.decode(), link
    for method, path in (("POST", "/retry"), ("POST", "/cancel"), ("DELETE", "")):
        assert "command line" in problem(service.call(method, f"/v1/runs/{run.id}{path}"), 409)["detail"]
    studio.close()


def test_a_failed_run_of_the_command_line_names_no_path(service: Service) -> None:
    studio = Studio(service.home)
    run = studio.store.create(TrainRequest(data="/home/somebody/photos", class_word="dog"), out="/home/somebody/rex")
    error = "'/home/somebody/my photos' does not exist; check /home/somebody/x.png"
    studio.store.add_event(run.id, Notice(text="read '/home/somebody/photos/a.txt'"))
    studio.store.update(run.id, status=Status.FAILED, error=error)
    found = service.call("GET", f"/v1/runs/{run.id}")
    assert found.json["error"] == "'my photos' does not exist; check x.png"
    assert found.json["request"]["data"] == "photos" and found.json["notices"] == ["read 'a.txt'"]
    for path in (f"/v1/runs/{run.id}", f"/v1/runs/{run.id}/events", "/v1/runs?limit=1000"):
        assert b"somebody" not in service.call("GET", path).body, path
    studio.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/runs/nosuch", 404),
        ("POST", "/v1/runs/nosuch/cancel", 404),
        ("GET", "/v1/runs/nosuch/events", 404),
        ("GET", "/v1/files/" + "0" * 64, 404),
        ("GET", "/v1/folders/" + "0" * 64, 404),
        ("GET", "/v1/files/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/files/short", 422),
        ("GET", "/v1/runs?limit=0", 422),
        ("GET", "/v1/runs?status=asleep", 422),
        ("GET", "/nosuch", 404),
        ("DELETE", "/v1/runs", 405),
        ("POST", "/v1/files", 422),
        ("POST", "/v1/folders", 422),
    ],
)
def test_errors_are_problem_details(call: Client, method: str, path: str, status: int) -> None:
    problem(call(method, path, b"" if method == "POST" else None), status)


@pytest.mark.slow
def test_train_on_an_uploaded_dataset(call: Client, painted: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(painted.iterdir()):
            packed.write(path, path.name)
    kept = call("POST", "/v1/folders", archive.getvalue())
    assert kept.status == 201 and kept.json["reference"].startswith("folder:")
    body = {
        "kind": "train",
        "data": kept.json["reference"],
        "class_word": "dog",
        "steps": 2,
        "batch": 1,
        "prior": False,
    }
    trained = call("POST", "/v1/runs", body | {"options": {"rank": 2}}, Prefer="wait").json
    assert trained["status"] == "done", trained["error"]
    (adapter,) = [made for made in trained["artifacts"] if made["kind"] == "adapter"]
    assert adapter["name"] == "sks-dog" and adapter["details"]["trigger_words"] == ["sks"]
    with zipfile.ZipFile(io.BytesIO(call("GET", adapter["url"]).body)) as packed:
        assert {"README.md", "metrics.jsonl"} < set(packed.namelist())
    use = PAINT | {"prompt": "a photo of sks dog", "adapter": [{"path": adapter["reference"]}]}
    assert call("POST", "/v1/runs", use, Prefer="wait").json["status"] == "done"


def test_generate_from_an_uploaded_image(call: Client, painted: Path) -> None:
    kept = call("POST", "/v1/files", (painted / "0.png").read_bytes()).json
    assert kept["bytes"] == (painted / "0.png").stat().st_size
    done = call("POST", "/v1/runs", PAINT | {"image": kept["reference"], "steps": 4}, Prefer="wait").json
    assert done["status"] == "done", done["error"]
    with Image.open(io.BytesIO(call("GET", done["artifacts"][0]["url"]).body)) as image:
        assert image.size == (128, 128)


def zipped(**members: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return archive.getvalue()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no zip at all", "cannot be unpacked"),
        (zipped(**{"../../evil.png": b"x"}), "'../../evil.png'"),
        (zipped(**{"/etc/evil": b"x"}), "'/etc/evil'"),
        (zipped(**{"a\\..\\b": b"x"}), "the zip has the file name"),
        (zipped(), "has no files"),
        (b"bomb", "unpacks to more than"),
        (zipped(a=b"x")[:-30], "cannot be unpacked"),
        (zipped(aa=b"x", bb=b"y").replace(b"bb", b"aa"), "two files with the same name"),
        (zipped(a=b"x", **{"a/b": b"y"}), "the zip has two files with the same name"),
    ],
    ids=["plain", "up", "absolute", "backslash", "empty", "bomb", "cut", "twice", "both"],
)
def test_hostile_archives(call: Client, body: bytes, message: str) -> None:
    body = zipped(bomb=b"\0" * (2**25 + 1)) if body == b"bomb" else body  # large, so created when needed
    assert message in problem(call("POST", "/v1/folders", body), 422)["detail"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1"])
def test_other_hosts_are_refused(call: Client, host: str) -> None:
    problem(call("GET", "/v1/runs", Host=host), 421)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "http://[", "null"])
def test_pages_of_other_sites_are_refused(call: Client, origin: str) -> None:
    problem(call("GET", "/v1/runs", Origin=origin), 403)


def test_own_pages_are_allowed(call: Client) -> None:
    assert call("GET", "/v1/runs", Origin=call.address).status == 200


def test_health(call: Client) -> None:
    assert [call("GET", path).json for path in ("/healthz", "/readyz")] == [{"status": "ok"}] * 2


def test_the_openapi_document_is_served(call: Client) -> None:
    document = call("GET", "/openapi.json").json
    assert {"/generate-image", "/v1/runs", "/v1/files/{sha256}"} <= document["paths"].keys()


def test_a_port_in_use_is_reported(home: Path, call: Client) -> None:
    port = call.address.rsplit(":", 1)[1]
    message = f"limner: cannot listen on port {port} of '127.0.0.1': Address already in use"
    assert refused(home, "serve", "--port", port).startswith(message)
