"""Privacy between accounts, and erasure of everything that refers to erased data."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from hostile import BODIES
from limner.core.kinds import KINDS
from limner.core.requests.request import reference_kind_of
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.store.queue import Queue
from limner.studio.studio import Studio

PAINT = {"kind": "generate", "prompt": "a cat in the park"}
NAMED = {
    "compare": {"contestants": ["starter", "sd15"]},
    "evaluate": {"target": "starter"},
    "improve": {"target": "starter"},
}
"""Models that every machine has, so that the rest of a request is read too."""
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio(home)


@pytest.fixture
def accounts(studio: Studio) -> dict[str, TestClient]:
    """A client for each account."""
    app = create_app(studio, Settings(accounts=True))

    def client(name: str) -> TestClient:
        bearer = {"Authorization": f"Bearer {studio.accounts.add_key(name)[1]}"}
        return TestClient(app, base_url="http://127.0.0.1", headers=bearer)

    return {name: client(name) for name in ("ann", "bob", "vic")}


def uploaded(client: TestClient, body: bytes = b"a picture") -> str:
    return client.post("/v1/files", content=body, headers=RAW).json()["reference"]


def path_of(reference: str) -> str:
    return f"/v1/files/{reference.removeprefix('sha256:')}"


def test_ids_of_other_accounts_are_hidden(accounts: dict[str, TestClient]) -> None:
    run = accounts["ann"].post("/v1/runs", json=PAINT).json()["id"]
    for method, path in (
        ("GET", f"/v1/runs/{run[:-1]}"), ("DELETE", f"/v1/runs/{run[:-1]}"), ("GET", f"/v1/runs?before={run[:-1]}")
    ):  # fmt: skip
        for client in accounts.values():
            reply = client.request(method, path)
            assert reply.status_code == 404 and run not in reply.text, "the beginning of an id is not accepted"
    assert accounts["bob"].get(f"/v1/runs?before={run}").status_code == 404
    assert accounts["ann"].get(f"/v1/runs?before={run}").json() == []


def test_a_hash_in_a_text_is_no_reference(accounts: dict[str, TestClient], studio: Studio) -> None:
    reference = uploaded(accounts["ann"])
    sha256 = reference.removeprefix("sha256:")
    accounts["bob"].post("/v1/runs", json=PAINT | {"prompt": f"look: {reference}"})
    accounts["bob"].post("/v1/collections", json={"name": sha256})
    assert accounts["ann"].delete(path_of(reference)).json()["files"] == 1
    assert sha256 not in studio.files


@pytest.mark.parametrize("kind", ["sha256", "folder"])
@pytest.mark.parametrize("path", ["/v1/shares", "/v1/shares/revoke"])
def test_sharing_does_not_reveal_files_of_others(accounts: dict[str, TestClient], path: str, kind: str) -> None:
    sha256 = uploaded(accounts["ann"]).removeprefix("sha256:")
    body = {"reference": f"{kind}:{sha256}", "account": "vic"}
    kept = accounts["bob"].post(path, json=body)
    absent = accounts["bob"].post(path, json=body | {"reference": f"{kind}:{'0' * 64}"})
    assert kept.status_code == absent.status_code == 422
    assert kept.text.replace(sha256, "0" * 64) == absent.text


def test_a_revoked_share_cannot_be_used(accounts: dict[str, TestClient], studio: Studio) -> None:
    ann, bob, vic = accounts.values()
    share = {"reference": uploaded(ann), "account": "bob"}
    assert ann.post("/v1/shares", json=share).status_code == 201
    assert [held["owner"] for held in ann.get("/v1/shares").json()] == ["bob"]
    assert bob.post("/v1/shares", json=share | {"account": "vic"}).status_code == 422
    run = bob.post("/v1/runs", json=PAINT | {"image": share["reference"]}).json()
    bob.post(f"{run['url']}/cancel")
    assert ann.post("/v1/shares/revoke", json=share).status_code == 200
    again = bob.post(f"{run['url']}/retry")
    assert again.status_code == 422 and "is not yours" in again.json()["detail"]
    assert vic.get(path_of(share["reference"])).status_code == 404


def test_two_accounts_upload_the_same_file(accounts: dict[str, TestClient]) -> None:
    ann, bob, _ = accounts.values()
    reference = uploaded(ann)
    assert uploaded(bob) == reference
    assert ann.delete(path_of(reference)).status_code == 200
    assert ann.get(path_of(reference)).status_code == 404 and bob.get(path_of(reference)).status_code == 200


def test_responses_about_an_erased_run_are_erased(accounts: dict[str, TestClient], studio: Studio) -> None:
    ann, key = accounts["ann"], {"Idempotency-Key": "k"}
    first = ann.post("/v1/runs", json=PAINT, headers=key).json()
    ann.post(f"{first['url']}/cancel")
    assert ann.post("/v1/runs", json=PAINT, headers=key).json()["id"] == first["id"]
    assert ann.delete(first["url"]).status_code == 200
    second = ann.post("/v1/runs", json=PAINT, headers=key)
    assert second.json()["id"] != first["id"] and "Idempotent-Replayed" not in second.headers


def test_the_response_to_an_upload_is_erased_with_it(accounts: dict[str, TestClient], studio: Studio) -> None:
    ann, headers = accounts["ann"], {**RAW, "Idempotency-Key": "k"}
    first = ann.post("/v1/files", content=b"a picture", headers=headers).json()
    assert ann.delete(first["url"]).status_code == 200
    second = ann.post("/v1/files", content=b"a picture", headers=headers)
    assert "Idempotent-Replayed" not in second.headers
    assert first["reference"].removeprefix("sha256:") in studio.files, "it is uploaded again"


def test_private_webhook_addresses_are_refused(accounts: dict[str, TestClient]) -> None:
    for url in ("http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/x", "http://169.254.169.254/"):
        assert accounts["ann"].post("/v1/webhooks", json={"url": url}).status_code == 422


def test_an_upload_while_the_same_file_is_erased(studio: Studio, tmp_path: Path) -> None:
    """An upload that was accepted exists afterwards, whichever comes first."""
    from threading import Thread

    from limner.core.errors import LimnerError
    from limner.store.erase import EraseSelection

    (tmp_path / "a").write_bytes(b"one")
    reference = studio.files.upload(tmp_path / "a")

    def erase() -> None:
        for _ in range(20):
            try:
                studio.maintenance.erase(EraseSelection(references=(reference,)))
            except LimnerError:
                return

    for _ in range(5):
        erasing = Thread(target=erase)
        erasing.start()
        for _ in range(10):
            studio.files.upload(tmp_path / "a")
        erasing.join()
        studio.files.upload(tmp_path / "a")
        assert reference.removeprefix("sha256:") in studio.files


def test_an_unreadable_run_hides_no_others(accounts: dict[str, TestClient], studio: Studio) -> None:
    from sqlalchemy import update

    from limner.store.tables import RunRow

    ann, hook = accounts["ann"], {"url": "https://example.com/", "events": ["run.failed"]}
    made = ann.post("/v1/webhooks", json=hook).json()
    bad, good = (ann.post("/v1/runs", json=PAINT).json()["id"] for _ in range(2))
    with studio.store.session() as session:
        session.execute(update(RunRow).where(RunRow.id == bad).values(request={"kind": "generate", "colour": "red"}))
    ((claimed, _),) = Queue(studio.store).claim("w", 1)
    assert claimed.id == good
    assert [each["id"] for each in ann.get("/v1/runs").json()] == [good]
    assert [each["run"] for each in ann.get(f"/v1/webhooks/{made['id']}/deliveries").json()] == [bad]


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_names_a_path_of_the_server(accounts: dict[str, TestClient], studio: Studio, kind: str) -> None:
    """Whatever the file is that a field refers to: no text, nothing, too large, or a folder."""
    references = [uploaded(accounts["ann"], body) for body in (b"\xff\xfe\xfa", b" ", b"a cat\n" * 200_000)]
    folder = accounts["ann"].post("/v1/folders", files={"files": ("a.png", b"no image")}).json()["reference"]
    for name, field in KINDS[kind].load_request().model_fields.items():
        for reference in (*references, folder) if reference_kind_of(field) else ():
            for value in (reference, [reference]):
                least = {**BODIES[kind], **NAMED.get(kind, {})}
                body = {key: each for key, each in least.items() if name != "prompts" or key != "prompt"}
                answer = accounts["ann"].post("/v1/runs", json={"kind": kind, **body, name: value})
                assert answer.status_code < 500 and str(studio.home) not in answer.text, (name, answer.text)
