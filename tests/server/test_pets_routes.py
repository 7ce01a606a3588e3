"""/v1/pets: the catalogue, runs by choices, their tags, and whose adapters may be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.core.accounts import Role
from limner.core.errors import LimnerError
from limner.server import pets
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio
from serving import service as running

CALL = {"species": "dog", "breed": "corgi", "background": "beach", "extras": ["red scarf"]}
PROMPT = "a photo of a corgi dog wearing a red scarf on the beach"
TAGS = {"species": "dog", "breed": "corgi", "background": "beach", "extras": "red scarf", "style": "illustration"}
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    studio = Studio(home)
    yield studio
    studio.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")


@pytest.fixture
def two(studio: Studio) -> tuple[TestClient, TestClient]:
    """Clients of two accounts of one service."""
    app = create_app(studio, Settings(accounts=True))
    keys = [studio.accounts.add_key(name, Role.MAKER)[1] for name in ("ann", "bob")]
    ann, bob = (
        TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"}) for key in keys
    )
    return ann, bob


def test_a_call_becomes_a_run_with_a_prompt_and_tags(client: TestClient, studio: Studio) -> None:
    reply = client.post("/v1/pets", json=CALL | {"count": 3, "seed": 7, "size": "64x64"})
    assert reply.status_code == 202 and reply.headers["location"] == f"/v1/runs/{reply.json()['id']}"
    run = studio.runs.get(reply.json()["id"])
    assert (run.request.prompt, run.request.count, run.request.seed, run.request.width) == (PROMPT, 3, 7, 64)
    assert run.tags == TAGS


def test_without_a_seed_it_is_random(client: TestClient) -> None:
    seeds = {client.post("/v1/pets", json=CALL).json()["request"]["seed"] for _ in range(4)}
    assert len(seeds) == 4


def test_the_image_has_the_tags(home: Path, starter: Path) -> None:
    with running(home) as service:
        reply = service.call("POST", "/v1/pets", CALL | {"count": 1}, Prefer="wait")
        assert reply.status == 200 and reply.headers["Preference-Applied"] == "wait"
        assert reply.json["status"] == "done"
        (picture,) = service.call("GET", "/v1/pictures").json
        assert picture["tags"] == TAGS and picture["request"]["prompt"] == PROMPT
        assert service.call("GET", "/v1/pictures?style=illustration").json == [picture]
        assert service.call("GET", "/v1/pictures?style=watercolour").json == []


def test_the_catalogue_of_a_model_is_listed(client: TestClient) -> None:
    starter, other = client.get("/v1/pets").json(), client.get("/v1/pets?model=sdxl").json()
    assert starter["species"] == ["cat", "dog"] and starter["most_extras"] == 1
    assert starter == client.get("/v1/pets?model=starter").json()
    assert len(other["breeds"]["dog"]) >= 60 and len(other["breeds"]["cat"]) >= 30
    for name in ("backgrounds", "extras", "styles", "colours"):
        assert {*starter[name]} <= {*other[name]}
    unknown = client.get("/v1/pets?model=nosuch")
    assert unknown.status_code == 404 and "nosuch" in unknown.json()["detail"]


def test_every_listed_choice_is_accepted(client: TestClient, studio: Studio) -> None:
    listed = client.get("/v1/pets").json()
    calls = [{"species": species, "breed": breed} for species, names in listed["breeds"].items() for breed in names]
    calls += [{"species": "cat", "background": name} for name in listed["backgrounds"]]
    calls += [{"species": "cat", "extras": [name]} for name in listed["extras"]]
    calls += [{"species": "cat", "extras": [f"{listed['colours'][0]} {name}"]} for name in listed["coloured"]]
    calls += [{"species": "cat", "style": name} for name in listed["styles"]]
    for call in calls:
        reply = client.post("/v1/pets", json=call)
        assert reply.status_code == 202, (call, reply.text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"breed": "corgy"}, "did you mean 'corgi'"),
        ({"breed": "akita"}, "unknown breed of a dog 'akita'"),
        ({"background": "garden"}, "did you mean 'park'"),
        ({"extras": ["scarf", "crown"]}, "draws at most 1"),
        ({"style": "photo"}, "unknown style 'photo'"),
        ({"species": "<script>"}, "unknown species '<script>'"),
        ({"count": 101}, "count"),
        ({"colour": "red"}, "colour"),
        ({"adapter": "/etc/passwd"}, "/etc/passwd"),
        ({"adapter": "sha256:" + "a" * 64}, "sha256:aaa"),
        ({"model": "/etc"}, "/etc"),
    ],
)
def test_what_the_model_cannot_draw_is_refused(client: TestClient, studio: Studio, fields: dict, text: str) -> None:
    reply = client.post("/v1/pets", json={**CALL, **fields})
    assert reply.status_code == 422 and text in reply.text and not studio.runs.list()


def test_the_whole_catalogue_is_open_to_other_models(client: TestClient) -> None:
    call = {"species": "dog", "breed": "akita", "background": "garden", "extras": ["ball", "hat"], "model": "sdxl"}
    reply = client.post("/v1/pets", json=call)
    assert reply.json()["request"]["prompt"] == "a photo of an akita dog with a ball wearing a hat in the garden"


def upload(client: TestClient, content: bytes) -> str:
    return client.post("/v1/files", content=content, headers=RAW).json()["reference"]


def test_the_prompt_has_the_identifier_of_the_adapter(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = upload(client, b"an adapter")
    read: list[str] = []
    monkeypatch.setattr(pets, "adapter_identifier", lambda path: read.append(path) or "sks")
    reply = client.post("/v1/pets", json={"species": "dog", "adapter": f"{reference}:0.8"})
    request = reply.json()["request"]
    assert request["prompt"] == "a photo of sks dog"
    assert request["adapter"] == [{"path": reference, "weight": 0.8}]
    assert read == [str(studio.files.local_path(reference))]
    for own in ({"prompt": "a dog"}, {"identifier": "rex"}):
        client.post("/v1/pets", json={"species": "dog", "adapter": reference, **own})
    assert len(read) == 1, "no other call needs it"


def test_a_file_that_is_no_adapter_is_refused_without_its_path(client: TestClient, studio: Studio) -> None:
    reference = upload(client, b"no adapter")
    reply = client.post("/v1/pets", json={"species": "dog", "adapter": reference})
    assert reply.status_code == 422 and str(studio.home) not in reply.text
    assert "cannot be read" in reply.json()["detail"] and "file of an adapter" in reply.json()["remedy"]


def test_an_adapter_of_another_account_is_neither_used_nor_read(
    two: tuple[TestClient, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = two
    reference = upload(ann, b"an adapter")
    read: list[str] = []
    monkeypatch.setattr(pets, "adapter_identifier", lambda path: read.append(path) or "secret")
    reply = bob.post("/v1/pets", json={"species": "dog", "adapter": reference})
    assert reply.status_code == 422 and "is not yours" in reply.text and "secret" not in reply.text and not read
    assert ann.post("/v1/pets", json={"species": "dog", "adapter": reference}).status_code == 202


def test_accounts_do_not_see_each_others_runs(two: tuple[TestClient, TestClient]) -> None:
    ann, bob = two
    run = ann.post("/v1/pets", json=CALL).json()["id"]
    assert ann.get(f"/v1/runs/{run}").status_code == 200 and bob.get(f"/v1/runs/{run}").status_code == 404


def test_the_policy_judges_an_edited_prompt(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def admit(request, owner, run=None):
        judged.append(request.prompt)
        raise LimnerError("refused", "write something else")

    monkeypatch.setattr(studio.gate, "admit", admit)
    assert client.post("/v1/pets", json=CALL | {"prompt": "something else"}).status_code == 422
    assert judged == ["something else"] and not studio.runs.list()
