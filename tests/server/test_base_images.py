"""Base images: stored ones by reference or URL, without a request, for those who may see them; others by download."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from limner.core.accounts import Limits, Role
from limner.server import uploads
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio

HOST = "http://127.0.0.1:7412"
RAW = {"Content-Type": "application/octet-stream"}


def png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True)
class Setup:
    studio: Studio
    app: Any
    ann: TestClient
    bob: TestClient
    image: str
    """SHA-256 of an image of ann."""

    def signed(self) -> str:
        return HOST + self.app.state.server.links.sign(f"/v1/files/{self.image}")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    studio = Studio(tmp_path_factory.mktemp("base") / "home")
    app = create_app(studio, Settings(accounts=True, wait_seconds=0.01, names=("pictures.example.com",)))
    secrets = [studio.accounts.add_key(name, Role.MAKER)[1] for name in ("ann", "bob")]
    ann, bob = (TestClient(app, base_url=HOST, headers={"Authorization": f"Bearer {secret}"}) for secret in secrets)
    image = ann.post("/v1/files", content=png("red"), headers=RAW).json()["reference"].partition(":")[2]
    yield Setup(studio, app, ann, bob, image)
    studio.store.close()


@pytest.fixture(autouse=True)
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that are requested."""
    urls: list[str] = []

    def fetch(url: str, *, bytes_most: int) -> bytes:
        urls.append(url)
        return png("blue")

    monkeypatch.setattr(uploads, "fetch", fetch)
    return urls


def started(setup: Setup, client: TestClient, url: str, **headers: str) -> Any:
    """The image that the run of a call starts from, or the reply of a call that is refused."""
    before = {run.id for run in setup.studio.runs.list(100)}
    reply = client.post(
        "/generate-image", json={"prompt": "a mug", "industry": "food", "style": "photo", "base_image_url": url},
        headers=headers,
    )  # fmt: skip
    new = [run for run in setup.studio.runs.list(100) if run.id not in before]
    assert bool(new) == (reply.status_code == 504), reply.text
    return new[0].request.image if new else reply  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "form",
    [
        "sha256:{}",
        "SHA256:{}",
        "{}",
        HOST + "/v1/files/{}",
        "http://localhost:7412/v1/files/{}",
        "http://LOCALHOST/v1/files/{}",
        "https://pictures.example.com/v1/files/{}",
        "/v1/files/{}",
        HOST + "/v1/files/{}?until=1&signature=expired",
    ],
)
def test_own_images_are_used_without_a_request(setup: Setup, fetched: list[str], form: str) -> None:
    named = form.format(setup.image)
    assert started(setup, setup.ann, named) == f"sha256:{setup.image}"
    foreign, missing = (started(setup, setup.bob, form.format(each)) for each in (setup.image, "0" * 64))
    assert foreign.status_code == missing.status_code == 422 and "that you may use" in foreign.text
    assert foreign.text.replace(setup.image[:12], "?") == missing.text.replace("0" * 12, "?")
    assert foreign.json()["errors"][0]["pointer"] == "/base_image_url" and fetched == []


def test_a_hash_may_be_in_capitals(setup: Setup) -> None:
    assert started(setup, setup.ann, f"SHA256:{setup.image.upper()}") == f"sha256:{setup.image}"


@pytest.mark.parametrize("name", ["sha256:{:.20}", "sha256:", "{:.40}", "sha256:{}0", "sha256:{:.63}g"])
def test_what_is_no_whole_hash_is_named(setup: Setup, fetched: list[str], name: str) -> None:
    reply = started(setup, setup.ann, name.format(setup.image))
    assert reply.status_code == 422 and fetched == []
    assert "is not a whole SHA-256" in reply.json()["detail"] and "64 digits" in reply.json()["remedy"]


def test_a_signed_url_gives_its_image_to_the_account(setup: Setup, fetched: list[str]) -> None:
    _, secret = setup.studio.accounts.add_key("dan", Role.MAKER, limits=Limits(kept_bytes=10))
    bearer = {"Authorization": f"Bearer {secret}"}
    assert started(setup, setup.bob, setup.signed(), **bearer).status_code == 429, "it counts as an upload"
    url = setup.signed()
    assert started(setup, setup.bob, url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 422
    assert started(setup, setup.bob, url) == f"sha256:{setup.image}"
    held = {grant.reference for grant in setup.studio.files.grants.list("bob")}
    assert held == {f"sha256:{setup.image}"} and fetched == []
    assert started(setup, setup.bob, f"sha256:{setup.image}") == f"sha256:{setup.image}", "from now on"


@pytest.mark.parametrize(
    "named", [HOST + "/v1/pictures/1", HOST + "/v1/files/../runs", "/v1/files/x", HOST + "/v1/folders/" + "0" * 64]
)
def test_other_urls_of_this_server_are_refused_without_a_request(setup: Setup, fetched: list[str], named: str) -> None:
    reply = started(setup, setup.ann, named)
    assert reply.status_code == 422 and "is not the URL of an image of this server" in reply.text and fetched == []


def test_what_is_no_image_is_refused(setup: Setup, tmp_path: Path) -> None:
    text = setup.ann.post("/v1/files", content=b"no image", headers=RAW).json()["reference"]
    assert started(setup, setup.ann, text).status_code == 422
    large = setup.ann.post("/v1/files", content=b"x" * 100, headers=RAW).json()["reference"]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(png("red"))
    from limner.core.accounts import Caller

    folder = setup.studio.files.upload(tmp_path / "set", Caller(account="ann", role=Role.MAKER))
    assert "is a folder" in started(setup, setup.ann, folder).text
    app = create_app(setup.studio, Settings(upload_bytes=99))
    reply = TestClient(app, base_url=HOST).post(
        "/generate-image", json={"prompt": "a", "industry": "food", "style": "photo", "base_image_url": large}
    )
    assert reply.status_code == 422 and "has 100 bytes, more than 99" in reply.text


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/v1/files/{}",
        "https://pictures.example.com/logo.png",
        "ftp://127.0.0.1:7412/v1/files/{}",
        "http://[::1/v1/files/{}",
    ],
)
def test_other_urls_are_downloaded(setup: Setup, fetched: list[str], url: str) -> None:
    url = url.format(setup.image)
    assert started(setup, setup.ann, url) != f"sha256:{setup.image}" and fetched == [url]
