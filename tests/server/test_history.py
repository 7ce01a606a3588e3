"""The image history, feedback and its export, over HTTP and from the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as parquet
import pytest
from PIL import Image

from serving import CALL, PAINT, Client, Service, problem
from serving import service as running

REASONS = ["wrong_subject", "bad_anatomy"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture
def call(service: Service) -> Client:
    return service.call


@pytest.fixture(scope="module")
def pictures(service: Service) -> list[dict[str, Any]]:
    """Three images of one prompt and one of another, newest first."""
    for body in (PAINT | {"count": 3}, PAINT | {"prompt": "a Teapot, 100% red"}):
        done = service.call("POST", "/v1/runs", body, Prefer="wait").json
        assert done["status"] == "done", done["error"]
    return service.call("GET", "/v1/pictures").json


def ids(reply: Any) -> list[int]:
    assert reply.status == 200, reply.body
    return [picture["id"] for picture in reply.json]


def test_images_are_listed_and_searched(call: Client, pictures: list[dict[str, Any]]) -> None:
    assert [picture["request"]["prompt"] for picture in pictures] == ["a Teapot, 100% red", *[PAINT["prompt"]] * 3]
    assert ids(call("GET", f"/v1/pictures?search={quote('TEAPOT, 100%')}")) == [pictures[0]["id"]]
    assert ids(call("GET", f"/v1/pictures?before={pictures[1]['id']}&limit=1")) == [pictures[2]["id"]]
    assert ids(call("GET", "/v1/pictures?model=sdxl")) == ids(call("GET", "/v1/pictures?since=2999-01-01")) == []
    one = call("GET", f"/v1/pictures/{pictures[0]['id']}").json
    assert one == call("GET", f"/v1/pictures/{one['sha256']}").json
    assert one["label"]["model"]["licence"] and one["label"]["request"]["prompt"] == "a Teapot, 100% red"
    assert len(one["details"].pop("mark")) == 8
    assert one["details"] == {"seed": 42, "index": 0, "prompt": "a Teapot, 100% red"} | {
        name: one["label"]["request"][name] for name in ("steps", "guidance", "width", "height")
    }
    assert call("GET", one["url"]).headers["Content-Type"] == "image/png"


@pytest.mark.parametrize("name", ["0", "999999", "9999999999", "0" * 64])
def test_an_unknown_image(call: Client, name: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "/rating", {"stars": 3}),
        ("DELETE", "/rating", None),
        ("PUT", "/favourite", None),
    ):
        problem(call(method, f"/v1/pictures/{name}{path}", body), 404)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/v1/pictures/no-such", "/path/picture"),
        ("/v1/pictures?colour=reddish", "/query/colour"),
        ("/v1/pictures?limit=1001", "/query/limit"),
        ("/v1/pictures?since=0001-01-01T00:00:00%2B14:00", "/query/since"),
        ("/v1/pictures?collection=99999999999999999999", "/query/collection"),
        ("/v1/ratings/summary?by=colour", "/query/by"),
        ("/v1/feedback/export?format=csv", "/query/format"),
        ("/v1/collections/0", "/path/collection"),
    ],
)
def test_invalid_queries(call: Client, path: str, pointer: str) -> None:
    assert problem(call("GET", path), 422)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("path", ["/v1/pictures?search=%00", "/v1/pictures?model=%00&run=%00&adapter=%00"])
def test_unusual_characters_in_queries(call: Client, path: str) -> None:
    assert call("GET", path).status == 200


def test_ratings_favourites_and_comparisons(call: Client, pictures: list[dict[str, Any]]) -> None:
    other, best, middle, worst = pictures
    place = f"/v1/pictures/{best['id']}"
    assert call("PUT", f"{place}/rating", {"stars": 1}).json["rating"] == {"mean": 1.0, "count": 1}
    rating = {"stars": 5, "reasons": REASONS, "comment": "eyes"}
    image = call("PUT", f"/v1/pictures/{best['sha256']}/rating", rating).json
    assert (image["rating"], image["mine"]["reasons"]) == ({"mean": 5.0, "count": 1}, sorted(REASONS))
    for picture, stars in ((middle, 4), (worst, 2), (other, 3)):
        call("PUT", f"/v1/pictures/{picture['id']}/rating", {"stars": stars})
    assert ids(call("GET", "/v1/pictures?order=best")) == [best["id"], middle["id"], other["id"], worst["id"]]
    assert ids(call("GET", "/v1/pictures?at_least=4")) == [best["id"], middle["id"]]
    assert call("PUT", f"{place}/favourite").json["favourite"] is True
    assert ids(call("GET", "/v1/pictures?favourite=true")) == [best["id"]]
    assert call("DELETE", f"{place}/favourite").json["favourite"] is False
    better = {"better": best["id"], "worse": worst["sha256"], "reasons": ["blurred"]}
    assert call("POST", "/v1/comparisons", better).status == 201
    call("POST", "/v1/comparisons", {"better": best["id"], "worse": other["id"]})
    (standing,) = call("GET", "/v1/ratings/summary").json
    assert (standing["name"], standing["ratings"], standing["mean"]) == ("starter", 4, 3.5)
    assert (standing["wins"], standing["losses"], standing["reasons"]) == (2, 2, {"bad_anatomy": 1, "wrong_subject": 1})
    assert 0 < standing["standard_error"] < 1 and standing["low"] < 3.5 < standing["high"]


@pytest.mark.parametrize(
    "body",
    [{}, {"stars": 0}, {"stars": 3, "reasons": ["ugly"]}, {"stars": 3, "comment": "x" * 2001}, {"stars": 3, "x": 1}],
)
def test_invalid_ratings(call: Client, pictures: list[dict[str, Any]], body: dict[str, Any]) -> None:
    problem(call("PUT", f"/v1/pictures/{pictures[0]['id']}/rating", body), 422)


def test_invalid_comparisons(call: Client, pictures: list[dict[str, Any]]) -> None:
    one = pictures[0]
    problem(call("POST", "/v1/comparisons", {"better": one["id"], "worse": one["sha256"]}), 422)
    problem(call("POST", "/v1/comparisons", {"better": one["id"], "worse": 10**9}), 404)
    problem(call("POST", "/v1/comparisons", {"better": -1, "worse": one["id"]}), 422)
    problem(call("POST", "/v1/comparisons", []), 422)


def test_collections(call: Client, pictures: list[dict[str, Any]]) -> None:
    made = call("POST", "/v1/collections", {"name": " Summer "})
    assert made.status == 201 and made.json["name"] == "Summer"
    place = made.headers["Location"]
    problem(call("POST", "/v1/collections", {"name": "Summer"}), 422)
    problem(call("POST", "/v1/collections", {"name": "  "}), 422)
    assert call("PUT", f"{place}/pictures/{pictures[1]['sha256']}").json["pictures"] == 1
    assert ids(call("GET", f"/v1/pictures?collection={made.json['id']}")) == [pictures[1]["id"]]
    assert call("PUT", place, {"name": "Winter"}).json["name"] == "Winter"
    assert [each["name"] for each in call("GET", "/v1/collections").json] == ["Winter"]
    assert call("DELETE", f"{place}/pictures/{pictures[1]['id']}").json["pictures"] == 0
    assert call("DELETE", place).status == 204
    problem(call("GET", place), 404)


def test_feedback_export(call: Client, pictures: list[dict[str, Any]]) -> None:
    test_ratings_favourites_and_comparisons(call, pictures)
    reply = call("GET", "/v1/feedback/export")
    assert reply.headers["Content-Type"] == "application/jsonl"
    rows = [json.loads(line) for line in reply.body.splitlines()]
    row = next(row for row in rows if row["image_uid"] == pictures[1]["sha256"])
    wanted = {"prompt": PAINT["prompt"], "model": "starter", "adapters": [], "stars": 5, "comment": "eyes"}
    assert row.items() >= (wanted | {"seed": 44, "steps": 2, "width": 128, "height": 128}).items()
    assert row["image_url"] == call.address + pictures[1]["url"] and row["reasons"] == sorted(REASONS)
    (pair,) = map(json.loads, call("GET", "/v1/feedback/export?kind=pairs").body.splitlines())
    assert (pair["caption"], pair["label_0"], pair["label_1"]) == (PAINT["prompt"], 1.0, 0.0)
    assert (pair["image_0_uid"], pair["image_1_uid"]) == (pictures[1]["sha256"], pictures[3]["sha256"])
    assert (pair["best_image_uid"], pair["seed_1"], pair["source"]) == (pair["image_0_uid"], 42, "comparison")
    starred = call("GET", "/v1/feedback/export?kind=pairs&stars=true").body.splitlines()
    assert [json.loads(line)["source"] for line in starred] == ["comparison", "stars"]


@pytest.mark.parametrize(("kind", "column"), [("ratings", "image"), ("pairs", "jpg_0")])
def test_parquet_export_includes_images(call: Client, pictures: list[dict[str, Any]], kind: str, column: str) -> None:
    test_ratings_favourites_and_comparisons(call, pictures)
    place = f"/v1/feedback/export?format=parquet&kind={kind}&embed="
    plain, image, raw = (
        parquet.read_table(io.BytesIO(call("GET", place + embed).body)) for embed in ("no", "image", "bytes")
    )
    lines = call("GET", f"/v1/feedback/export?kind={kind}").body.splitlines()
    assert plain.num_rows == len(lines) and set(plain.column_names) == set(json.loads(lines[0]))
    features = json.loads(image.schema.metadata[b"huggingface"])["info"]["features"]
    assert features[column] == {"_type": "Image"} and b"huggingface" not in (plain.schema.metadata or {})
    first = image.column(column)[0].as_py()
    assert first["bytes"] == raw.column(column)[0].as_py()
    with Image.open(io.BytesIO(first["bytes"])) as opened:
        assert opened.size == (128, 128)


def test_jsonl_export_includes_no_images(call: Client) -> None:
    problem(call("GET", "/v1/feedback/export?embed=image"), 422)


def test_a_marketing_image_is_rated_by_its_url(call: Client) -> None:
    url = call("POST", "/generate-image", CALL).json["generated_image_url"]
    sha256 = url.rsplit("/", 1)[1]
    assert call("PUT", f"/v1/pictures/{sha256}/rating", {"stars": 5}).json["tags"]["industry"] == "food"
    assert sha256 in [picture["sha256"] for picture in call("GET", "/v1/pictures?industry=food&style=watercolour").json]
    assert call("GET", "/v1/ratings/summary?by=industry").json[0]["name"] == "food"


def test_command_line_images_are_rated_by_file(limner: Any, tmp_path: Path, starter: Path) -> None:
    limner("generate", "a dog", "--steps", 1, "--count", 2)
    limner("generate", "a cat", "--steps", 1)
    assert limner("rate", "pictures/0001.png", 5).out == "Rated image 1 with 5 stars.\n"
    run = limner("history", "--search", "DOG").out
    assert "5.0 (1)" in run and "a cat" not in run
    rated = limner("rate", "2", "3", 1, "--reason", "blurred", "--comment", "dull").out
    assert rated == "Rated 2 images (2, 3) with 1 star.\n"
    assert limner("history", "--at-least", 6).error.startswith("--at-least")
    assert "unknown reason 'ugly'" in limner("rate", "1", "2", "--reason", "ugly").error
    assert "give images or runs" in limner("rate", "1").error
    assert "stars" in limner("rate", "1", "9").error
    assert "no image meets the conditions" in limner("history", "--unrated").out
    assert limner("feedback", "export", "all.jsonl").out.strip() == "all.jsonl"
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [(row["prompt"], row["stars"]) for row in rows] == [("a dog", 5), ("a dog", 1), ("a cat", 1)]
    assert Path(rows[0]["image_url"].removeprefix("file://")) == tmp_path / "pictures/0001.png"
    result = limner("feedback", "export", "all.parquet", "--kind", "pairs", "--stars", "--embed", "bytes")
    assert result.code == 0, result.err
    (row,) = parquet.read_table(tmp_path / "all.parquet").to_pylist()
    assert row["jpg_0"] == (tmp_path / "pictures/0001.png").read_bytes()
    assert "neither a .jsonl nor a .parquet" in limner("feedback", "export", "all.csv").error


def test_the_command_line_and_the_service_have_one_history(limner: Any, tmp_path: Path, starter: Path) -> None:
    from fastapi.testclient import TestClient

    from limner.core.accounts import Role
    from limner.core.requests import AdapterUse, GenerateRequest
    from limner.server.app import create_app
    from limner.server.settings import Settings
    from limner.studio.studio import Studio

    assert limner("generate", "a dog", "--steps", 1).code == 0
    studio, file = Studio(), tmp_path / "pictures" / "0001.png"
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    (listed,) = client.get("/v1/pictures").json()
    written = file.read_bytes()
    assert listed["request"]["prompt"] == "a dog" and client.get(listed["url"]).content == written
    file.write_bytes(b"edited")  # in place: the stored copy stays
    assert client.get(listed["url"]).content == written
    assert limner("favourite", listed["id"]).code == 0
    assert client.get(f"/v1/pictures/{listed['id']}").json()["favourite"]
    client.put(f"/v1/pictures/{listed['id']}/rating", json={"stars": 4}).raise_for_status()
    assert "4.0 (1)" in limner("history").out
    made = studio.enqueue(GenerateRequest(prompt="a cat of the service"))
    studio.store.add_artifact(made.id, "picture", "/srv/1.png", "a" * 64, {"reference": "sha256:" + "a" * 64})
    assert "no image" not in limner("history", "--search", "of the service").out

    use = AdapterUse(path=str(tmp_path / "secret" / "rex"))
    run = studio.store.create(GenerateRequest(prompt="a pet", model=str(tmp_path / "secret" / "mine"), adapter=(use,)))
    studio.store.add_artifact(run.id, "picture", tmp_path / "1.png", "b" * 64, {"reference": "sha256:" + "b" * 64})
    reply = client.get("/v1/pictures?search=pet").json()[0]["request"]
    assert (reply["model"], reply["adapter"][0]["path"]) == ("mine", "rex"), "names, no paths"
    old = studio.store.create(GenerateRequest(prompt="of an older version"))
    studio.store.add_artifact(old.id, "picture", tmp_path / "2.png", "c" * 64)
    assert client.get("/v1/pictures?search=older").json() == [], "its file is not stored"

    app = create_app(studio, Settings(accounts=True))
    found = {}
    for name, role in (("root", Role.ADMIN), ("ann", Role.MAKER)):
        bearer = {"Authorization": f"Bearer {studio.accounts.add_key(name, role)[1]}"}
        found[name] = TestClient(app, base_url="http://127.0.0.1", headers=bearer).get("/v1/pictures").json()
    assert len(found["root"]) == 3 and found["ann"] == []
    studio.store.close()


def test_an_image_that_cannot_be_stored_is_reported(limner: Any, starter: Path, monkeypatch: Any) -> None:
    from limner.core.errors import Unavailable
    from limner.store.blobs import Blobs

    def fail(*_: object) -> str:
        raise Unavailable("the files at 's3://away' cannot be reached")

    monkeypatch.setattr(Blobs, "save", fail)
    said = limner("generate", "a dog", "--steps", 1)
    assert said.code == 0 and "the service will not list 0001.png: the files at 's3://away'" in said.err


def test_favourites_and_collections_of_the_command_line(limner: Any) -> None:
    from limner.core.requests import GenerateRequest
    from limner.studio.studio import Studio

    studio = Studio()
    for digit, prompt in (("a", "a cat"), ("b", "a dog")):
        run = studio.store.create(GenerateRequest(prompt=prompt)).id
        studio.store.add_artifact(run, "picture", f"/nowhere/{prompt}.png", digit * 64)
    studio.store.close()

    def listed(*conditions: object) -> list[bool]:
        out = limner("history", *conditions).out
        return ["a cat" in out, "a dog" in out]

    assert limner("favourite", "1").out == "Added image 1 to the favourites.\n"
    assert listed("--favourite") == [True, False]
    assert limner("favourite", "1", "2").out == "Added 2 images (1, 2) to the favourites.\n"
    assert limner("favourite", "1", "--remove").out == "Removed image 1 from the favourites.\n"
    assert listed("--favourite") == [False, True]
    assert "there is no collection; create one" in limner("collection").out
    assert limner("collection", "create", " Summer ").out == "Created the collection 'Summer' (id 1).\n"
    added = limner("collection", "add", "Summer", "1", "2", "1").out
    assert added == "Added 2 images (1, 2) to the collection 'Summer', which has 2 images.\n"
    removed = limner("collection", "remove", 1, "2").out
    assert removed == "Removed image 2 from the collection 'Summer', which has 1 image.\n"
    assert listed("--collection", 1) == [True, False]
    assert limner("collection", "rename", "Summer", "Beach").out == "Renamed the collection 'Summer' to 'Beach'.\n"
    table = limner("collection").out.splitlines()[1].split()
    assert table[:3] == ["1", "Beach", "1"]
    assert limner("collection", "delete", "Beach").out == "Deleted the collection 'Beach'; its images stay.\n"
    for arguments, message in (
        (("favourite",), "no image is given; write: limner favourite"),
        (("favourite", "9"), "'9' is not a file, and not the id"),
        (("collection", "add", "Beach", "1"), "unknown collection 'Beach'; there is none yet"),
        (("collection", "create", "a\nb"), "is not a name"),
    ):
        assert message in limner(*arguments).error, arguments
    limner("collection", "create", "Winter")
    assert "did you mean 'Winter'" in limner("collection", "add", "Wintr", "1").error
    assert "no image is given" in limner("collection", "add", "Winter").error


def test_parquet_export_needs_pyarrow(limner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'limner[export]'" in limner("feedback", "export", "a.parquet").error
