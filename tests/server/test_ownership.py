"""Access control: things of one account, used by another account, a viewer and an admin."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from limner.core.accounts import Caller, Limits, Role
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio

PAINT = {"kind": "generate", "prompt": "a cat in the park"}
RAW = {"Content-Type": "application/octet-stream"}
UPLOAD_BYTES = 2000


@dataclass(frozen=True)
class House:
    """A server with accounts, and things that belong to ann."""

    studio: Studio
    ann: TestClient
    bob: TestClient
    vic: TestClient
    root: TestClient
    file: str
    folder: str
    run: str
    picture: int
    webhook: str
    mine: str
    theirs: int

    @property
    def others(self) -> tuple[TestClient, TestClient]:
        """A maker and a viewer who have nothing."""
        return self.bob, self.vic


def png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, "PNG")
    return out.getvalue()


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def path_of(reference: str) -> str:
    kind, _, sha256 = reference.partition(":")
    return f"/v1/{'files' if kind == 'sha256' else 'folders'}/{sha256}"


def picture_of(studio: Studio, run: str, body: bytes) -> int:
    sha256 = hashlib.sha256(body).hexdigest()
    details = {"width": 32, "height": 32, "reference": f"sha256:{sha256}", "base": "/srv/models/secret"}
    made = studio.store.add_artifact(run, "picture", f"/srv/{run}.png", sha256, details)
    assert made.id is not None
    return made.id


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    studio = Studio(tmp_path_factory.mktemp("house") / "home")
    app = create_app(studio, Settings(accounts=True, upload_bytes=UPLOAD_BYTES))

    def client(name: str, role: Role | None = None) -> TestClient:
        bearer = {"Authorization": f"Bearer {studio.accounts.add_key(name, role)[1]}"}
        return TestClient(app, base_url="http://127.0.0.1", headers=bearer)

    ann, root = client("ann"), client("root", Role.ADMIN)
    file = ann.post("/v1/files", content=png("red"), headers=RAW).json()["reference"]
    folder = ann.post("/v1/folders", content=zipped(a=b"a face"), headers=RAW).json()["reference"]
    run = ann.post("/v1/runs", json=PAINT).json()["id"]
    webhook = ann.post("/v1/webhooks", json={"url": "https://example.com/"}).json()["id"]
    mine = studio.store.create(GenerateRequest(prompt="of the command line")).id
    yield House(
        studio=studio,
        ann=ann,
        bob=client("bob"),
        vic=client("vic", Role.VIEWER),
        root=root,
        file=file,
        folder=folder,
        run=run,
        picture=picture_of(studio, run, png("red")),
        webhook=webhook,
        mine=mine,
        theirs=picture_of(studio, mine, png("blue")),
    )
    studio.store.close()


def looked_at(house: House) -> list[str]:
    """All paths that show something of ann."""
    return [
        path_of(house.file),
        path_of(house.folder),
        f"/v1/runs/{house.run}",
        f"/v1/runs/{house.run}/verdicts",
        f"/v1/pictures/{house.picture}",
        f"/v1/pictures/{house.file.partition(':')[2]}",
        f"/v1/webhooks/{house.webhook}/deliveries",
    ]


def test_only_the_owner_and_admins_see_things(house: House) -> None:
    for path in looked_at(house):
        assert house.ann.get(path).status_code == house.root.get(path).status_code == 200, path
        for other in house.others:
            assert other.get(path).status_code in (404, 422), path
            assert house.ann.get(path).text not in other.get(path).text
    for path in (path_of(house.file), path_of(house.folder)):
        assert (house.ann.head(path).status_code, house.bob.head(path).status_code) == (200, 404)
    for other in house.others:
        assert other.get(f"/v1/runs/{house.run}/events").status_code == 404


def test_nobody_else_changes_or_deletes_things(house: House) -> None:
    calls = [
        ("DELETE", path_of(house.file)),
        ("DELETE", path_of(house.folder)),
        ("DELETE", f"/v1/runs/{house.run}"),
        ("DELETE", f"/v1/runs/{house.run}?derived=true"),
        ("POST", f"/v1/runs/{house.run}/cancel"),
        ("POST", f"/v1/runs/{house.run}/retry"),
        ("DELETE", f"/v1/webhooks/{house.webhook}"),
        ("PUT", f"/v1/pictures/{house.picture}/favourite"),
    ]
    for method, path in calls:
        assert house.bob.request(method, path).status_code in (404, 422), path
    assert house.bob.put(f"/v1/pictures/{house.picture}/rating", json={"stars": 1}).status_code == 404
    for path in looked_at(house):
        assert house.ann.get(path).status_code == 200, path
    assert house.studio.store.get(house.run).status is Status.QUEUED


def test_lists_contain_own_things_and_an_admins_contain_all(house: House) -> None:
    house.ann.post("/v1/shares", json={"reference": house.folder, "account": "root"}).raise_for_status()
    wanted = {
        "/v1/runs": ("id", house.run),
        "/v1/pictures": ("id", house.picture),
        "/v1/webhooks": ("id", house.webhook),
        "/v1/shares": ("reference", house.folder),
    }
    for path, (name, mine) in wanted.items():
        assert [each[name] for each in house.ann.get(path).json()] == [mine], path
        assert mine in [each[name] for each in house.root.get(path).json()], path
        assert [other.get(path).json() for other in house.others] == [[], []], path
    assert {held["reference"] for held in house.ann.get("/v1/holdings").json()} == {house.file, house.folder}
    assert house.bob.get("/v1/holdings").json() == []
    house.ann.post("/v1/shares/revoke", json={"reference": house.folder, "account": "root"}).raise_for_status()


def test_runs_of_the_command_line_are_hidden(house: House) -> None:
    for client in (house.ann, house.root):
        assert client.get(f"/v1/runs/{house.mine}").status_code == 404
        assert client.get(f"/v1/runs/{house.mine}/verdicts").status_code == 404
        assert client.get(f"/v1/pictures/{house.theirs}").status_code == 404


def test_runs_are_found_by_complete_ids_only(house: House) -> None:
    assert house.ann.get(f"/v1/runs/{house.run[:-1]}").status_code == 404
    assert house.ann.post(f"/v1/runs/{house.run[:-1]}/cancel").status_code == 404
    assert house.studio.store.get(house.run[:-1]).status is Status.QUEUED


def test_a_viewer_reads_and_gives_feedback_only(house: House) -> None:
    for path in ("/v1/runs", "/v1/pictures", "/v1/holdings", "/v1/account", "/v1/collections", "/v1/ratings/summary"):
        assert house.vic.get(path).status_code == 200, path
    assert house.vic.post("/v1/collections", json={"name": "Summer"}).status_code == 201
    for method, path in (
        ("POST", "/v1/runs"),
        ("POST", "/v1/files"),
        ("POST", "/v1/folders"),
        ("POST", "/v1/webhooks"),
        ("POST", "/v1/shares"),
        ("POST", "/generate-image"),
        ("POST", "/v1/images/generations"),
        ("DELETE", f"/v1/runs/{house.run}"),
        ("DELETE", path_of(house.file)),
    ):
        assert house.vic.request(method, path, json={}).status_code == 403, path


def test_routes_for_admins(house: House) -> None:
    for path in ("/v1/verdicts", "/metrics"):
        assert [client.get(path).status_code for client in (house.vic, house.ann, house.root)] == [403, 403, 200], path


def test_only_own_files_can_be_shared(house: House) -> None:
    share = {"reference": house.file, "account": "vic"}
    refused = house.bob.post("/v1/shares", json=share)
    assert refused.status_code == 422 and "is not yours" in refused.json()["detail"]
    assert house.vic.get(path_of(house.file)).status_code == 404
    assert house.ann.post("/v1/shares", json=share).status_code == 201
    assert house.vic.get(path_of(house.file)).content == png("red")
    assert house.bob.post("/v1/shares/revoke", json=share).status_code == 422
    assert house.ann.post("/v1/shares/revoke", json=share).status_code == 200
    assert house.vic.get(path_of(house.file)).status_code == 404


def test_files_that_others_used_are_not_erased(house: House) -> None:
    run = house.ann.post("/v1/runs", json=PAINT).json()["id"]
    body = png("green")
    reference = house.ann.post("/v1/files", content=body, headers=RAW).json()["reference"]
    picture_of(house.studio, run, body)
    house.studio.store.update(run, status=Status.DONE)
    house.ann.post("/v1/shares", json={"reference": reference, "account": "bob"}).raise_for_status()
    over = house.bob.post("/v1/runs", json=PAINT | {"image": reference}).json()["id"]
    refused = house.ann.delete(f"/v1/runs/{run}?derived=true")
    assert refused.status_code == 409 and "is used by others (1)" in refused.json()["detail"]
    assert house.bob.get(f"/v1/runs/{over}").status_code == 200
    assert house.bob.delete(f"/v1/runs/{over}").status_code == 200
    assert house.ann.delete(f"/v1/runs/{run}?derived=true").json()["runs"] == [run]
    house.ann.delete(path_of(reference))


def test_verification_names_the_run_to_those_who_may_see_it(house: House) -> None:
    headers = {"Content-Type": "image/png"}
    told = {
        name: client.post("/v1/verify", content=png("red"), headers=headers).json()["run"]
        for name, client in (("ann", house.ann), ("bob", house.bob), ("root", house.root))
    }
    assert told == {"ann": house.run, "bob": None, "root": house.run}
    assert house.root.post("/v1/verify", content=png("blue"), headers=headers).json()["run"] is None


def test_size_limit_of_uploads(house: House) -> None:
    assert house.bob.post("/v1/files", content=b"x" * UPLOAD_BYTES, headers=RAW).status_code == 201
    assert house.bob.post("/v1/files", content=b"x" * (UPLOAD_BYTES + 1), headers=RAW).status_code == 413


def test_requests_beyond_a_keys_limits(house: House) -> None:
    _, secret = house.studio.accounts.add_key("dan", limits=Limits(kept_bytes=10, pictures_per_day=1))
    dan = {"Authorization": f"Bearer {secret}"}
    statuses = [house.bob.post("/v1/files", content=b"d" * size, headers=RAW | dan).status_code for size in (10, 1)]
    assert statuses == [201, 429]
    assert house.bob.post("/v1/runs", json=PAINT | {"count": 2}, headers=dan).status_code == 429
    assert [house.bob.post("/v1/runs", json=PAINT, headers=dan).status_code for _ in range(2)] == [202, 429]


def test_no_path_of_this_machine_is_returned(house: House) -> None:
    for client, path in ((house.ann, "/v1/pictures"), (house.ann, f"/v1/runs/{house.run}"), (house.root, "/v1/runs")):
        assert "/srv/" not in client.get(path).text and str(house.studio.home) not in client.get(path).text


def test_without_accounts_every_caller_is_an_admin() -> None:
    assert Caller().scope is None
    assert [Caller(account="a", role=role).scope for role in Role] == ["a", "a", None]
