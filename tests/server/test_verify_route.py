"""POST /v1/verify."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from limner.core.requests import GenerateRequest
from limner.studio.studio import Studio
from serving import Service, problem
from serving import service as running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("verifying")) as found:
        yield found


@pytest.fixture(scope="module")
def painted(service: Service) -> tuple[str, bytes]:
    """The id of a run of the server, and its image."""
    body = {"kind": "generate", "prompt": "a cat in the park", "steps": 4}
    run = service.call("POST", "/v1/runs", body, Prefer="wait").json
    return run["id"], service.call("GET", run["artifacts"][0]["url"]).body


def test_a_signing_key_is_created_at_start(service: Service) -> None:
    assert (service.home / "credentials" / "own" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_an_own_image(service: Service, painted: tuple[str, bytes]) -> None:
    run, data = painted
    reply = service.call("POST", "/v1/verify", data)
    assert reply.status == 200 and reply.json["state"] == "ours" and reply.json["unchanged"] is True
    assert reply.json["run"] == run and reply.json["label"]["model"] == "starter"
    assert str(service.home) not in reply.body.decode()
    changed = data.replace(b"cat in the park", b"dog in the park", 1)
    reply = service.call("POST", "/v1/verify", changed).json
    assert reply["state"] == "changed" and reply["unchanged"] is False and reply["problems"]


def test_other_formats_and_foreign_images(service: Service) -> None:
    for kind in ("JPEG", "WEBP", "PNG"):
        file = io.BytesIO()
        Image.new("RGB", (70, 60), "green").save(file, kind)
        assert service.call("POST", "/v1/verify", file.getvalue()).json["state"] == "unknown"


@pytest.mark.parametrize("body", [b"hello", b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, b"GIF89a" + b"\0" * 50, b""])
def test_files_that_are_no_images(service: Service, body: bytes) -> None:
    error = problem(service.call("POST", "/v1/verify", body), 422)
    assert "/tmp" not in str(error) and error["remedy"]


def test_command_line_runs_are_named(service: Service, tmp_path: Path) -> None:
    studio = Studio(service.home)
    run = studio.run(GenerateRequest(prompt="a dog", steps=2), tmp_path)
    reply = service.call("POST", "/v1/verify", (tmp_path / "0001.png").read_bytes())
    assert reply.json["state"] == "ours" and reply.json["run"] == run.id
    assert service.call("GET", f"/v1/runs/{run.id}").json["id"] == run.id
