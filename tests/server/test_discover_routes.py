"""/v1/discover: searches with filters, their pages, structure, changed prompts, libraries, and two accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gallery import add_image, png
from limner.core.accounts import Role
from limner.core.discover import colour_of
from limner.core.prompt_records import PromptRecord
from limner.core.requests import GenerateRequest
from limner.server.app import create_app
from limner.server.discover import FARTHEST, MOST_HITS, public_name
from limner.server.settings import Settings
from limner.studio import discover
from limner.studio.prompts import PARTS
from limner.studio.studio import Studio
from pages import adapter_file
from prompt_libraries import HOSTILE, QUERIES, add_library

CORGI = "a photo of a corgi on a beach, soft light"
RECORDS = (
    PromptRecord(
        CORGI, "blurry", "/srv/secret/1.png", "/srv/models/my.safetensors", "", "ddim", 512, 768, 30, 7.5, 1, 4
    ),
    PromptRecord("an oil painting of a castle on a hill, golden hour", width=512, height=512, steps=20),
    PromptRecord("a naked corgi", unsafe=True),
)


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    studio = Studio(home)
    yield studio
    studio.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1", raise_server_exceptions=False)


def clients(studio: Studio, *names: str, role: Role | None = None) -> list[TestClient]:
    """Clients of accounts of one service."""
    app = create_app(studio, Settings(accounts=True))
    keys = [studio.accounts.add_key(name, role)[1] for name in names]
    return [TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"}) for key in keys]


def texts(client: TestClient, **query: Any) -> list[str]:
    reply = client.get("/v1/discover", params=query)
    assert reply.status_code == 200, reply.text
    return [hit["text"] for hit in reply.json()["hits"]]


def test_a_hit_says_why_it_was_found_and_where_it_is_from(studio: Studio, client: TestClient) -> None:
    add_library(studio, "collected", *RECORDS, source="/srv/private/prompts.csv", licence="CC0-1.0")
    reply = client.get("/v1/discover?q=a+CORGI+on+beaches&limit=1").json()
    (hit,) = reply["hits"]
    assert (hit["text"], hit["negative"], hit["words"]) == (CORGI, "blurry", ["corgi", "beaches"])
    assert 0.2 < hit["meaning"] <= 1
    assert (hit["library"], hit["source"], hit["licence"]) == ("collected", "prompts.csv", "CC0-1.0")
    (image,) = hit["images"]
    assert image == {
        "url": None, "name": "1.png", "model": "my.safetensors", "adapter": "", "sampler": "ddim", "width": 512,
        "height": 768, "steps": 30, "guidance": 7.5, "seed": 1, "stars": 4, "created": None,
    }  # fmt: skip
    assert "/srv" not in client.get("/v1/discover?q=corgi").text + client.get("/v1/discover/libraries").text


def test_own_images_are_found_with_their_url(studio: Studio, client: TestClient) -> None:
    image = add_image(studio, CORGI)
    (hit,) = client.get("/v1/discover?q=corgi").json()["hits"]
    assert (hit["library"], hit["prompt"]) == ("history", image)
    assert client.get(hit["images"][0]["url"]).headers["content-type"] == "image/png"


def test_images_of_the_command_line_have_neither_url_nor_path(studio: Studio, client: TestClient) -> None:
    run = studio.store.create(GenerateRequest(prompt=CORGI, model="/srv/models/mine", adapter=("/srv/rex:0.5",)))
    studio.store.add_artifact(run.id, "picture", "/srv/pictures/0001.png", "0" * 64, {"seed": 1})
    reply = client.get("/v1/discover?q=corgi")
    ((image,),) = [hit["images"] for hit in reply.json()["hits"]]
    assert (image["url"], image["name"], image["model"]) == (None, "", "mine") and "/srv" not in reply.text


FILTERED: list[tuple[dict[str, Any], set[str]]] = [
    ({"size": "portrait"}, {CORGI}),
    ({"size": "512x768"}, {CORGI}),
    ({"size": "square", "steps": "10-20"}, {RECORDS[1].prompt}),
    ({"steps": "20-40"}, {CORGI, RECORDS[1].prompt}),
    ({"guidance": "7-8"}, {CORGI}),
    ({"stars": 4}, {CORGI}),
    ({"stars": 5}, set()),
    ({"model": "MY"}, {CORGI}),
    ({"sampler": "ddim"}, {CORGI}),
    ({"library": "history"}, {"of mine"}),
    ({"library": ["history", "collected"], "size": "portrait"}, {CORGI}),
    ({"unsafe": True}, {CORGI, RECORDS[1].prompt, "a naked corgi", "of mine"}),
    ({"since": "2999-01-01"}, set()),
    ({"size": "", "steps": " "}, {CORGI, RECORDS[1].prompt, "of mine"}),
]


def test_filters(studio: Studio, client: TestClient) -> None:
    add_library(studio, "collected", *RECORDS)
    add_image(studio, "of mine")
    for query, expected in FILTERED:
        assert set(texts(client, **query)) == expected, query


WRONG = [
    ("steps=x", "steps"),
    ("steps=40-20", "steps"),
    ("guidance=-", "guidance"),
    ("size=round", "size"),
    ("since=yesterday", "since"),
    ("until=2026-02-31", "until"),
    ("stars=6", "stars"),
    ("unsafe=maybe", "unsafe"),
    (f"limit={MOST_HITS + 1}", "limit"),
    ("limit=0", "limit"),
    (f"offset={FARTHEST + 1}", "offset"),
    ("shade=red", "shade"),
    ("colour=reddish", "colour"),
    (f"q={'a' * 10_001}", "q"),
    (f"model={'a' * 201}", "model"),
]


def test_a_wrong_filter_is_named(client: TestClient) -> None:
    for query, pointer in WRONG:
        reply = client.get(f"/v1/discover?{query}")
        assert reply.status_code == 422, query[:40]
        assert [each["pointer"] for each in reply.json()["errors"]] == [f"/query/{pointer}"]


def test_an_unknown_library_is_refused(client: TestClient) -> None:
    reply = client.get("/v1/discover?library=nosuch")
    assert reply.status_code == 422 and "there is no library 'nosuch'" in reply.json()["detail"]


def test_pages_hold_every_prompt_once(studio: Studio, client: TestClient) -> None:
    prompts = [f"a lamp number {number}" for number in range(60)]
    add_library(studio, "lamps", *prompts)
    for query in ("", "lamp"):
        found: list[str] = []
        offset: int | None = 0
        while offset is not None:
            reply = client.get("/v1/discover", params={"q": query, "limit": 25, "offset": offset}).json()
            found += [hit["text"] for hit in reply["hits"]]
            offset = reply["following"]
        assert sorted(found) == sorted(prompts)
        assert texts(client, q=query, limit=100) == found, "the order does not depend on the length of a page"


def test_hostile_searches_find_something(studio: Studio, client: TestClient) -> None:
    add_library(studio, "collected", *RECORDS, HOSTILE)
    for query in QUERIES:
        reply = client.get("/v1/discover", params={"q": query})
        assert reply.status_code == 200 and reply.json()["hits"], (query[:40], reply.text)


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_hostile_prompts_are_changed(client: TestClient, query: str) -> None:
    assert client.get("/v1/discover/structure", params={"prompt": query}).status_code == 200
    replace = {"part": "lighting", "text": query[:2000]}
    for change in (replace, {"do": "style", "text": "x"}, {"do": "subject", "identifier": "sks"}):
        reply = client.post("/v1/discover/rewrite", json={"prompt": query, **change})
        assert reply.status_code == 200, reply.text


OTHERS = ("model", "adapter", "library", "since", "sampler", "steps", "guidance")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in OTHERS]


@pytest.mark.parametrize("name", ["size", *SLOW])
def test_hostile_filters_are_used_or_refused(client: TestClient, name: str) -> None:
    for value in QUERIES:
        reply = client.get("/v1/discover", params={name: value})
        assert reply.status_code in (200, 422) and "Internal" not in reply.text, (name, value[:40])


def test_the_structure_of_a_prompt(client: TestClient) -> None:
    reply = client.get("/v1/discover/structure", params={"prompt": CORGI}).json()
    assert {piece["part"]: piece["text"] for piece in reply["pieces"]} == {
        "medium": "photo", "subject": "a corgi", "setting": "on a beach", "lighting": "soft light"
    }  # fmt: skip
    assert all(CORGI[piece["start"] : piece["end"]] == piece["text"] for piece in reply["pieces"])
    assert reply["template"] == "a photo of {}, soft light"
    assert client.get("/v1/discover/structure", params={"prompt": "a" * 10_001}).status_code == 422


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"part": "lighting", "text": "neon light"}, "a photo of a corgi on a beach, neon light"),
        ({"part": "lighting"}, "a photo of a corgi on a beach"),
        ({"do": "style", "text": " a red mug "}, "a photo of a red mug, soft light"),
        ({"do": "subject", "identifier": "sks", "class_word": "dog"}, "a photo of sks dog on a beach, soft light"),
    ],
)
def test_a_prompt_is_changed(client: TestClient, asked: dict[str, str], expected: str) -> None:
    reply = client.post("/v1/discover/rewrite", json={"prompt": CORGI, **asked})
    assert reply.json() == {"prompt": expected}


WRONG_CHANGES = [
    {"prompt": CORGI},
    {"prompt": CORGI, "part": "smell", "text": "x"},
    {"prompt": CORGI, "do": "style", "text": " "},
    {"prompt": CORGI, "do": "subject"},
    {"prompt": CORGI, "do": "sing"},
    {"prompt": "", "part": "style"},
    {"prompt": "a" * 20_001, "part": "style"},
    {"prompt": CORGI, "part": "style", "text": "a" * 2001},
    {"prompt": "\ud800", "part": "style"},
    {"part": "style"},
]


def test_a_wrong_change_is_refused(client: TestClient) -> None:
    for asked in WRONG_CHANGES:
        headers = {"Content-Type": "application/json"}
        reply = client.post("/v1/discover/rewrite", content=json.dumps(asked), headers=headers)
        assert reply.status_code == 422 and reply.json()["detail"], asked


def test_a_prompt_that_was_found_is_changed_and_generated_with_a_subject(studio: Studio, client: TestClient) -> None:
    add_library(studio, "collected", *RECORDS)
    place = studio.home / "adapter"
    place.mkdir()
    (place / "adapter.safetensors").write_bytes(adapter_file(run="1"))
    adapter = studio.files.upload(place)
    hit = client.get("/v1/discover?q=corgi+beach&size=portrait").json()["hits"][0]
    subject = {"prompt": hit["text"], "do": "subject", "identifier": "sks", "class_word": "dog"}
    prompt = client.post("/v1/discover/rewrite", json=subject).json()["prompt"]
    light = {"prompt": prompt, "part": "lighting", "text": "golden hour"}
    prompt = client.post("/v1/discover/rewrite", json=light).json()["prompt"]
    settings = {"steps": hit["images"][0]["steps"], "negative_prompt": hit["negative"], "adapter": [{"path": adapter}]}
    run = client.post("/v1/runs", json={"kind": "generate", "prompt": prompt, **settings})
    assert run.status_code in (201, 202), run.text
    request = studio.runs.get(run.json()["id"]).request
    assert (request.prompt, request.steps) == ("a photo of sks dog on a beach, golden hour", 30)
    assert (request.negative_prompt, [use.path for use in request.adapter]) == ("blurry", [adapter])


def test_every_part_can_be_replaced(client: TestClient) -> None:
    for part in PARTS:
        reply = client.post("/v1/discover/rewrite", json={"prompt": CORGI, "part": part, "text": "zebra"})
        assert "zebra" in reply.json()["prompt"], part


def test_libraries_are_listed_and_removed(studio: Studio, client: TestClient) -> None:
    add_library(studio, "collected", *RECORDS, source="owner/name", licence="CC0-1.0")
    (library,) = client.get("/v1/discover/libraries").json()
    assert library == {
        "name": "collected", "source": "owner/name", "licence": "CC0-1.0", "shared": True, "prompts": 3, "images": 1,
        "unsafe": 1, "skipped": 0, "complete": True,
    }  # fmt: skip
    assert texts(client, q="corgi")
    assert client.delete("/v1/discover/libraries/collected").status_code == 204
    assert client.get("/v1/discover/libraries").json() == texts(client, q="corgi") == []
    for name in ("collected", "..", "a" * 100, "history"):
        assert client.delete(f"/v1/discover/libraries/{name}").status_code in (404, 405, 422), name


def test_accounts_find_their_own_images_and_shared_libraries(studio: Studio) -> None:
    ann, bob = clients(studio, "ann", "bob")
    (root,) = clients(studio, "root", role=Role.ADMIN)
    add_library(studio, "shared", "a corgi of the library")
    add_library(studio, "of-ann", "a corgi of ann's library", owner="ann")
    for owner in ("ann", "bob", ""):
        add_image(studio, f"a corgi of {owner or 'the command line'}", owner=owner)
    assert set(texts(ann, q="corgi")) == {"a corgi of the library", "a corgi of ann's library", "a corgi of ann"}
    assert set(texts(bob, q="corgi")) == {"a corgi of the library", "a corgi of bob"}
    assert set(texts(root, q="corgi")) >= {"a corgi of the library", "a corgi of the command line"}
    assert [each["name"] for each in ann.get("/v1/discover/libraries").json()] == ["of-ann", "shared"]
    assert [each["name"] for each in bob.get("/v1/discover/libraries").json()] == ["shared"]
    assert texts(bob, library="history") == ["a corgi of bob"]
    assert bob.get("/v1/discover?library=of-ann").text == bob.get("/v1/discover?library=of-nob").text.replace(
        "of-nob", "of-ann"
    )


def test_what_others_own_takes_no_place_among_the_hits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "FOUND", 5)
    (bob,) = clients(studio, "bob")
    for number in range(30):
        add_image(studio, f"a corgi number {number}")
    add_image(studio, "a castle", owner="bob")
    reply = bob.get("/v1/discover?q=corgi&limit=5").json()
    assert ([hit["text"] for hit in reply["hits"]], reply["following"]) == (["a castle"], None)


def test_only_admins_remove_libraries_and_viewers_may_rewrite(studio: Studio) -> None:
    add_library(studio, "shared", "a corgi")
    (ann,) = clients(studio, "ann")
    (vic,) = clients(studio, "vic", role=Role.VIEWER)
    (root,) = clients(studio, "root", role=Role.ADMIN)
    for client in (ann, vic):
        assert client.delete("/v1/discover/libraries/shared").status_code == 403
    body = {"prompt": CORGI, "part": "lighting", "text": ""}
    assert vic.post("/v1/discover/rewrite", json=body).status_code == 200
    assert root.delete("/v1/discover/libraries/shared").status_code == 204


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/srv/a/b.csv", "b.csv"), ("~/b", "b"), ("C:\\a\\b.csv", "b.csv"), ("owner/name", "owner/name"),
        ("https://example.com/a.png", "https://example.com/a.png"), ("sub/1.png", "sub/1.png"), ("", ""),
    ],
)  # fmt: skip
def test_paths_of_this_machine_lose_their_folders(name: str, shown: str) -> None:
    assert public_name(name) == shown


def test_a_picture_and_a_colour_are_searched_for(studio: Studio, client: TestClient, starter: Path) -> None:
    red, blue = add_image(studio, "a red wall", colour_of("red")), add_image(studio, "a blue wall", "blue")
    (hit,) = client.get("/v1/discover?colour=red").json()["hits"]
    assert (hit["prompt"], hit["words"], hit["meaning"], hit["look"]) == (red, [], None, None) and hit["colour"] > 0.9
    sent = client.post("/v1/files", content=png("blue"), headers={"Content-Type": "image/png"})
    (first, _) = client.get("/v1/discover", params={"like": sent.json()["reference"]}).json()["hits"]
    assert first["prompt"] == blue and first["look"] > 0.95 and first["colour"] is None
    assert [hit["prompt"] for hit in client.get(f"/v1/discover?like=history/{red}").json()["hits"]] == [blue]
    both = client.get(f"/v1/discover?like=history/{red}&colour=red").json()["hits"]
    assert both == [], "the one that is red is the one that is compared with"
    found = client.get("/v1/pictures?colour=%2300f").json()
    assert [each["id"] for each in found] == [blue]


def test_pictures_of_others_are_not_compared(studio: Studio, starter: Path) -> None:
    ann, bob = clients(studio, "ann", "bob", role=Role.MAKER)
    image = add_image(studio, "a secret", "red", owner="ann")
    sent = ann.post("/v1/files", content=png(), headers={"Content-Type": "image/png"}).json()["reference"]
    for like in (f"history/{image}", sent, "history/x", "../../etc/passwd", "sha256:0"):
        for path in ("/v1/discover", "/v1/pictures"):
            reply = bob.get(path, params={"like": like})
            assert reply.status_code == 422 and "secret" not in reply.text, (like, reply.text)
    assert ann.get("/v1/discover", params={"like": sent}).json()["hits"][0]["prompt"] == image
