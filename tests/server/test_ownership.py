"""Access control: things of one account, used by another account, a viewer and an admin."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import update

from limner.core.accounts import Caller, Limits, Role
from limner.core.requests import GenerateRequest
from limner.core.runs import Status
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.store.tables import RunRow
from limner.studio.studio import Studio

PAINT = {"kind": "generate", "prompt": "a cat in the park"}
RAW = {"Content-Type": "application/octet-stream"}
UPLOAD_BYTES = 2000


@dataclass(frozen=True)
class Setup:
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
    made = studio.store.add_artifact(run, "picture", f"/srv/{run}-{sha256[:8]}.png", sha256, details)
    assert made.id is not None
    return made.id


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    studio = Studio(tmp_path_factory.mktemp("setup") / "home")
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
    yield Setup(
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


def paths_of(setup: Setup) -> list[str]:
    """All paths that show something of ann."""
    return [
        path_of(setup.file),
        path_of(setup.folder),
        f"/v1/runs/{setup.run}",
        f"/v1/runs/{setup.run}/verdicts",
        f"/v1/pictures/{setup.picture}",
        f"/v1/pictures/{setup.file.partition(':')[2]}",
        f"/v1/webhooks/{setup.webhook}/deliveries",
    ]


def test_only_the_owner_and_admins_see_things(setup: Setup) -> None:
    for path in paths_of(setup):
        assert setup.ann.get(path).status_code == setup.root.get(path).status_code == 200, path
        for other in setup.others:
            assert other.get(path).status_code in (404, 422), path
            assert setup.ann.get(path).text not in other.get(path).text
    for path in (path_of(setup.file), path_of(setup.folder)):
        assert (setup.ann.head(path).status_code, setup.bob.head(path).status_code) == (200, 404)
    for other in setup.others:
        assert other.get(f"/v1/runs/{setup.run}/events").status_code == 404


def test_nobody_else_changes_or_deletes_things(setup: Setup) -> None:
    calls = [
        ("DELETE", path_of(setup.file)),
        ("DELETE", path_of(setup.folder)),
        ("DELETE", f"/v1/runs/{setup.run}"),
        ("DELETE", f"/v1/runs/{setup.run}?derived=true"),
        ("POST", f"/v1/runs/{setup.run}/cancel"),
        ("POST", f"/v1/runs/{setup.run}/retry"),
        ("POST", f"/v1/runs/{setup.run}/move?up=true"),
        ("POST", f"/v1/runs/{setup.run}/stop-after"),
        ("DELETE", f"/v1/webhooks/{setup.webhook}"),
        ("PUT", f"/v1/pictures/{setup.picture}/favourite"),
    ]
    for method, path in calls:
        assert setup.bob.request(method, path).status_code in (404, 422), path
    assert setup.bob.put(f"/v1/pictures/{setup.picture}/rating", json={"stars": 1}).status_code == 404
    for path in paths_of(setup):
        assert setup.ann.get(path).status_code == 200, path
    assert setup.studio.store.get(setup.run).status is Status.QUEUED


def test_lists_contain_own_things_and_an_admins_contain_all(setup: Setup) -> None:
    setup.ann.post("/v1/shares", json={"reference": setup.folder, "account": "root"}).raise_for_status()
    wanted = {
        "/v1/runs": ("id", setup.run),
        "/v1/pictures": ("id", setup.picture),
        "/v1/webhooks": ("id", setup.webhook),
        "/v1/shares": ("reference", setup.folder),
    }
    for path, (name, mine) in wanted.items():
        assert [each[name] for each in setup.ann.get(path).json()] == [mine], path
        assert mine in [each[name] for each in setup.root.get(path).json()], path
        assert [other.get(path).json() for other in setup.others] == [[], []], path
    assert {held["reference"] for held in setup.ann.get("/v1/holdings").json()} == {setup.file, setup.folder}
    assert setup.bob.get("/v1/holdings").json() == []
    setup.ann.post("/v1/shares/revoke", json={"reference": setup.folder, "account": "root"}).raise_for_status()


def test_runs_and_images_of_the_command_line_are_those_of_admins(setup: Setup) -> None:
    run = f"/v1/runs/{setup.mine}"
    for path in (run, f"{run}/verdicts", f"/v1/pictures/{setup.theirs}", f"/v1/runs?before={setup.mine}"):
        statuses = [client.get(path).status_code for client in (setup.ann, setup.bob, setup.vic, setup.root)]
        assert statuses == [404, 404, 404, 200], path
    assert setup.ann.get(f"{run}/events").status_code == 404
    for client, listed in ((setup.ann, False), (setup.vic, False), (setup.root, True)):
        assert (setup.mine in [each["id"] for each in client.get("/v1/runs").json()]) is listed
    picture = setup.root.get(f"/v1/pictures/{setup.theirs}").json()
    assert setup.root.get(f"/v1/runs/{picture['run']}").json()["id"] == setup.mine
    for method, path in (
        *(("POST", f"{run}/{action}") for action in ("cancel", "retry", "move?up=true", "stop-after")),
        ("DELETE", run),
    ):
        assert setup.ann.request(method, path).status_code == 404
        refused = setup.root.request(method, path)
        assert refused.status_code == 409 and f"limner erase {setup.mine}" in refused.json()["remedy"]
    assert setup.studio.store.get(setup.mine).status is Status.QUEUED


def test_runs_are_found_by_complete_ids_only(setup: Setup) -> None:
    assert setup.ann.get(f"/v1/runs/{setup.run[:-1]}").status_code == 404
    assert setup.ann.post(f"/v1/runs/{setup.run[:-1]}/cancel").status_code == 404
    assert setup.studio.store.get(setup.run[:-1]).status is Status.QUEUED


def test_a_viewer_reads_and_gives_feedback_only(setup: Setup) -> None:
    for path in ("/v1/runs", "/v1/pictures", "/v1/holdings", "/v1/account", "/v1/collections", "/v1/ratings/summary"):
        assert setup.vic.get(path).status_code == 200, path
    assert setup.vic.post("/v1/collections", json={"name": "Summer"}).status_code == 201
    assert setup.vic.post("/v1/comparisons", json={"better": 10**9, "worse": 10**9 - 1}).status_code == 404
    assert setup.vic.head(path_of(setup.file)).status_code == 404
    assert setup.vic.post("/v1/verify", content=png("red"), headers={"Content-Type": "image/png"}).status_code == 200
    for method, path in (
        ("POST", "/v1/runs"),
        ("POST", "/v1/files"),
        ("POST", "/v1/folders"),
        ("POST", "/v1/webhooks"),
        ("POST", "/v1/shares"),
        ("POST", "/generate-image"),
        ("POST", "/v1/images/generations"),
        ("DELETE", f"/v1/runs/{setup.run}"),
        ("DELETE", path_of(setup.file)),
    ):
        assert setup.vic.request(method, path, json={}).status_code == 403, path


def test_an_account_is_shown_with_its_key_and_stored_bytes(setup: Setup) -> None:
    limits = Limits(per_minute=100, pictures_per_day=5, kept_bytes=500)
    key, secret = setup.studio.accounts.add_key("kim", limits=limits)
    kim = {"Authorization": f"Bearer {secret}"}
    setup.bob.post("/v1/files", content=b"k" * 30, headers=RAW | kim)
    assert setup.bob.get("/v1/account", headers=kim).json() == {
        "name": "kim",
        "role": "maker",
        "key": key.id,
        "limits": limits.model_dump(),
        "kept_bytes": 30,
    }


def test_holdings_are_of_the_account_only_also_for_an_admin(setup: Setup) -> None:
    mine = setup.root.post("/v1/files", content=b"of an admin", headers=RAW).json()["reference"]
    setup.ann.post("/v1/shares", json={"reference": setup.folder, "account": "root"}).raise_for_status()
    held = {each["reference"]: (each["bytes"], each["giver"]) for each in setup.root.get("/v1/holdings").json()}
    assert held == {mine: (11, None), setup.folder: (6, "ann")}
    setup.ann.post("/v1/shares/revoke", json={"reference": setup.folder, "account": "root"}).raise_for_status()
    setup.root.delete(path_of(mine)).raise_for_status()


def test_summaries_and_exports_of_feedback_are_of_own_images(setup: Setup) -> None:
    setup.ann.put(f"/v1/pictures/{setup.picture}/rating", json={"stars": 4}).raise_for_status()
    for path in ("/v1/ratings/summary", "/v1/feedback/export"):
        assert [len(each.get(path).text) > 2 for each in (setup.ann, setup.bob, setup.root)] == [True, False, True]
    setup.ann.delete(f"/v1/pictures/{setup.picture}/rating").raise_for_status()


def test_a_rating_is_deleted_by_its_account_only(setup: Setup) -> None:
    path = f"/v1/pictures/{setup.picture}/rating"
    for client, stars in ((setup.ann, 5), (setup.root, 1)):
        client.put(path, json={"stars": stars}).raise_for_status()
    shown = setup.ann.get(f"/v1/pictures/{setup.picture}").json()
    assert (shown["rating"], shown["mine"]["stars"]) == ({"mean": 3.0, "count": 2}, 5)
    shown = setup.ann.delete(path).json()
    assert (shown["rating"], shown["mine"]) == ({"mean": 1.0, "count": 1}, None)
    assert setup.root.delete(path).json()["rating"] == {"mean": None, "count": 0}


def test_a_comparison_is_stored_as_it_was_sent(setup: Setup) -> None:
    run = setup.ann.post("/v1/runs", json=PAINT).json()["id"]
    first, other = (
        setup.studio.store.add_artifact(
            run, "picture", f"/{name}.png", name * 64, {"width": 8, "height": 8, "reference": f"sha256:{name * 64}"}
        ).id
        for name in "ef"
    )
    body = {"better": first, "worse": other, "tie": True, "reasons": ["blurred"], "comment": "hm"}
    assert setup.ann.post("/v1/comparisons", json=body).json() == body
    row = setup.ann.get("/v1/feedback/export?kind=pairs").json()
    assert (row["source"], row["best_image_uid"], row["reasons"]) == ("comparison", "tie", ["blurred"])
    plain = setup.ann.post("/v1/comparisons", json={"better": other, "worse": first}).json()
    assert (plain["better"], plain["tie"]) == (other, False)
    for query, name in (("", "ratings.jsonl"), ("?kind=pairs&format=parquet", "pairs.parquet")):
        header = setup.ann.get(f"/v1/feedback/export{query}").headers["Content-Disposition"]
        assert header == f'attachment; filename="{name}"'
    assert setup.ann.delete(f"/v1/runs/{run}").json()["runs"] == [run]


def test_routes_for_admins(setup: Setup) -> None:
    for path in ("/v1/verdicts", "/metrics"):
        assert [client.get(path).status_code for client in (setup.vic, setup.ann, setup.root)] == [403, 403, 200], path


def test_only_own_files_can_be_shared(setup: Setup) -> None:
    share = {"reference": setup.file, "account": "vic"}
    refused = setup.bob.post("/v1/shares", json=share)
    assert refused.status_code == 422 and "is not yours" in refused.json()["detail"]
    assert setup.vic.get(path_of(setup.file)).status_code == 404
    assert setup.ann.post("/v1/shares", json=share).status_code == 201
    assert setup.vic.get(path_of(setup.file)).content == png("red")
    assert setup.bob.post("/v1/shares/revoke", json=share).status_code == 422
    assert setup.ann.post("/v1/shares/revoke", json=share).status_code == 200
    assert setup.vic.get(path_of(setup.file)).status_code == 404


def test_no_answer_reveals_what_others_have(setup: Setup) -> None:
    """A file, folder, run, image or webhook of another account is answered like one that does not exist."""
    sha256, folder_sha256 = setup.file.partition(":")[2], setup.folder.partition(":")[2]
    nothing = hashlib.sha256(b"nothing").hexdigest()
    newer = setup.studio.store.create(GenerateRequest(prompt="of a newer version"), queue="default").id
    with setup.studio.store.writing() as session:
        values = {"owner": "ann", "request": {"kind": "generate", "brush": 1}}
        session.execute(update(RunRow).where(RunRow.id == newer).values(**values))
    assert setup.ann.get(f"/v1/runs/{newer}").status_code == setup.root.get(f"/v1/runs/{newer}").status_code == 409
    calls: list[tuple[str, str, dict[str, object] | None, list[str]]] = [
        ("POST", "/v1/shares", {"reference": "sha256:NAME", "account": "vic"}, [sha256]),
        ("POST", "/v1/shares", {"reference": "folder:NAME", "account": "nobody"}, [folder_sha256, sha256]),
        ("POST", "/v1/shares/revoke", {"reference": "sha256:NAME"}, [sha256]),
        ("POST", "/v1/runs", {**PAINT, "image": "sha256:NAME"}, [sha256]),
        ("POST", "/v1/runs", {**PAINT, "adapter": [{"path": "folder:NAME"}]}, [folder_sha256]),
        ("POST", "/v1/images/generations", {"prompt": "a", "model": "folder:NAME"}, [folder_sha256]),
        ("POST", "/v1/comparisons", {"better": "NAME", "worse": "NAME"}, [sha256]),
        *((method, "/v1/files/NAME", None, [sha256, folder_sha256]) for method in ("GET", "HEAD", "DELETE")),
        *((method, "/v1/folders/NAME", None, [folder_sha256, sha256]) for method in ("GET", "HEAD", "DELETE")),
        *((method, "/v1/pictures/NAME", None, [sha256]) for method in ("GET", "DELETE")),
    ]
    for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/verdicts"), ("DELETE", ""), ("POST", "/cancel")):
        calls.append((method, f"/v1/runs/NAME{path}", None, [setup.run, newer]))
    calls += [("GET", "/v1/runs?before=NAME", None, [setup.run, newer])]
    calls += [("GET", f"/v1/webhooks/NAME{path}", None, [setup.webhook]) for path in ("", "/deliveries")]
    for method, path, body, names in calls:
        for name in names:
            replies = [
                setup.bob.request(
                    method,
                    path.replace("NAME", each),
                    json=None if body is None else json.loads(json.dumps(body).replace("NAME", each)),
                )
                for each in (name, nothing[: len(name)])
            ]
            texts = [reply.text.replace(name[:12], "?").replace(nothing[:12], "?") for reply in replies]
            texts = [text.replace(name[12:], "").replace(nothing[12 : len(name)], "") for text in texts]
            statuses = [reply.status_code for reply in replies]
            assert statuses[0] == statuses[1] and texts[0] == texts[1], (method, path, body, texts)
            assert statuses[0] >= 400, (method, path)


def test_files_that_others_used_are_not_erased(setup: Setup) -> None:
    run = setup.ann.post("/v1/runs", json=PAINT).json()["id"]
    body = png("green")
    reference = setup.ann.post("/v1/files", content=body, headers=RAW).json()["reference"]
    picture_of(setup.studio, run, body)
    setup.studio.store.update(run, status=Status.DONE)
    setup.ann.post("/v1/shares", json={"reference": reference, "account": "bob"}).raise_for_status()
    over = setup.bob.post("/v1/runs", json=PAINT | {"image": reference}).json()["id"]
    refused = setup.ann.delete(f"/v1/runs/{run}?derived=true")
    assert refused.status_code == 409 and "is used by others (1)" in refused.json()["detail"]
    assert setup.bob.get(f"/v1/runs/{over}").status_code == 200
    assert setup.bob.delete(f"/v1/runs/{over}").status_code == 200
    assert setup.ann.delete(f"/v1/runs/{run}?derived=true").json()["runs"] == [run]
    setup.ann.delete(path_of(reference))


def test_one_image_is_erased_by_its_account_only_and_alone(setup: Setup, tmp_path: Path) -> None:
    run = setup.ann.post("/v1/runs", json=PAINT | {"count": 2}).json()["id"]
    second, third = (picture_of(setup.studio, run, png(colour)) for colour in ("gold", "plum"))
    (tmp_path / "gold").write_bytes(png("gold"))
    setup.studio.files.put(tmp_path / "gold")
    setup.studio.store.update(run, status=Status.RUNNING)
    assert setup.ann.delete(f"/v1/pictures/{second}").status_code == 409
    setup.studio.store.update(run, status=Status.DONE)
    assert setup.bob.delete(f"/v1/pictures/{second}").status_code == 404
    reply = setup.ann.delete(f"/v1/pictures/{second}").json()
    assert (reply["runs"], reply["pictures"], reply["files"]) == ([], [second], 1)
    assert setup.ann.get(f"/v1/pictures/{second}").status_code == 404
    assert [each["id"] for each in setup.ann.get(f"/v1/pictures?run={run}").json()] == [third]
    assert setup.ann.delete(f"/v1/pictures/{third}").json()["runs"] == [run], "no image is left"


def test_a_viewer_erases_no_image_of_its_account(setup: Setup) -> None:
    run = setup.studio.enqueue(GenerateRequest(prompt="a"), caller=Caller(account="vic")).id
    picture = picture_of(setup.studio, run, png("green"))
    assert setup.vic.get(f"/v1/pictures/{picture}").status_code == 200
    assert setup.vic.delete(f"/v1/pictures/{picture}").status_code == 403
    setup.root.delete(f"/v1/pictures/{picture}").raise_for_status()


def test_an_image_of_the_command_line_is_erased_there(setup: Setup) -> None:
    run = setup.studio.store.create(GenerateRequest(prompt="a")).id
    picture = picture_of(setup.studio, run, png("green"))
    refused = setup.root.delete(f"/v1/pictures/{picture}")
    assert refused.status_code == 409 and "command line" in refused.json()["detail"]


def test_an_image_that_others_used_is_not_erased(setup: Setup) -> None:
    run = setup.ann.post("/v1/runs", json=PAINT | {"count": 2}).json()["id"]
    body = png("teal")
    reference = setup.ann.post("/v1/files", content=body, headers=RAW).json()["reference"]
    picture = picture_of(setup.studio, run, body)
    picture_of(setup.studio, run, png("navy"))
    setup.studio.store.update(run, status=Status.DONE)
    setup.ann.post("/v1/shares", json={"reference": reference, "account": "bob"}).raise_for_status()
    over = setup.bob.post("/v1/runs", json=PAINT | {"image": reference}).json()["id"]
    assert setup.ann.delete(f"/v1/pictures/{picture}").status_code == 409
    refused = setup.ann.delete(f"/v1/pictures/{picture}?derived=true")
    assert refused.status_code == 409 and "is used by others (1)" in refused.json()["detail"]
    assert setup.bob.get(f"/v1/runs/{over}").status_code == 200
    setup.root.delete(f"/v1/pictures/{picture}?derived=true").raise_for_status()
    assert setup.bob.get(f"/v1/runs/{over}").status_code == 404
    assert setup.ann.get(f"/v1/runs/{run}").status_code == 200


def test_verification_names_the_run_to_those_who_may_see_it(setup: Setup) -> None:
    headers = {"Content-Type": "image/png"}
    runs = {
        name: client.post("/v1/verify", content=png("red"), headers=headers).json()["run"]
        for name, client in (("ann", setup.ann), ("bob", setup.bob), ("root", setup.root))
    }
    assert runs == {"ann": setup.run, "bob": None, "root": setup.run}
    found = [
        each.post("/v1/verify", content=png("blue"), headers=headers).json()["run"] for each in (setup.ann, setup.root)
    ]
    assert found == [None, setup.mine], "runs of the command line are those of admins"


def test_size_limit_of_uploads(setup: Setup) -> None:
    assert setup.bob.post("/v1/files", content=b"x" * UPLOAD_BYTES, headers=RAW).status_code == 201
    assert setup.bob.post("/v1/files", content=b"x" * (UPLOAD_BYTES + 1), headers=RAW).status_code == 413


def test_requests_beyond_a_keys_limits(setup: Setup) -> None:
    _, secret = setup.studio.accounts.add_key("dan", limits=Limits(kept_bytes=10, pictures_per_day=1))
    dan = {"Authorization": f"Bearer {secret}"}
    statuses = [setup.bob.post("/v1/files", content=b"d" * size, headers=RAW | dan).status_code for size in (10, 1)]
    assert statuses == [201, 429]
    assert setup.bob.post("/v1/runs", json=PAINT | {"count": 2}, headers=dan).status_code == 429
    assert [setup.bob.post("/v1/runs", json=PAINT, headers=dan).status_code for _ in range(2)] == [202, 429]


def test_no_path_of_this_machine_is_returned(setup: Setup) -> None:
    for client, path in ((setup.ann, "/v1/pictures"), (setup.ann, f"/v1/runs/{setup.run}"), (setup.root, "/v1/runs")):
        assert "/srv/" not in client.get(path).text and str(setup.studio.home) not in client.get(path).text


def test_without_accounts_every_caller_is_an_admin() -> None:
    assert Caller().scope is None
    assert [Caller(account="a", role=role).scope for role in Role] == ["a", "a", None]
