"""Access to pages: what one account has, used by another account and by a viewer."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from PIL import Image
from sqlalchemy import inspect, text

from gallery import add_image, add_run
from improvements import voting
from limner.core.accounts import Caller, Role
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.server.auth import VIEWER_PAGES
from limner.store.queue import Queue
from limner.web.partial_uploads import PartialUploads
from limner.web.site import PAGES
from pages import PART, finish_teaching, picture_folder
from prompt_libraries import add_library

ANN = Caller(account="ann")
IGNORED = ("browser_sessions", "keys", "accounts")
PUBLIC = ("/sign-in", "/sign-out")


def png(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(out, "PNG")
    return out.getvalue()


@dataclass
class Things:
    """What ann has. ids: values of fields and of parts of paths, by name; nobody: the same of nobody."""

    ids: dict[str, str]
    nobody: dict[str, str]


def signed_in(site, account: str, role: Role | None = None) -> None:
    _, secret = site.studio.accounts.add_key(account, role)
    site.client.cookies.clear()
    assert site.client.post("/sign-in", data={"key": secret}).status_code == 303


def things(site) -> Things:
    studio = site.studio
    promotion, _, _ = voting(studio, prompts=("the secret of ann",))
    signed_in(site, "ann")
    draft = site.client.post("/teach").headers["location"].split("/")[2]
    picture = png()
    added = site.client.post(f"/teach/{draft}/images", content=picture, headers={"X-File-Name": "mine.png"})
    sha256 = re.findall("image-([0-9a-f]{64})", added.json()["tiles"][0]["id"])[0]
    crop = {"left": 0, "top": 0, "width": 64, "height": 64}
    assert site.client.post(f"/teach/{draft}/images/{sha256}/crop", data=crop).status_code == 303
    run = add_run(studio, GenerateRequest(prompt="the secret of ann"), ANN)
    image, other = add_image(studio, owner="ann", run=run), add_image(studio, owner="ann", prompt="hers")
    data = studio.files.upload(picture_folder(site), ANN)
    studio.enqueue(TrainRequest(data=data, class_word="cat", identifier="sks"), caller=ANN)
    ((trained, lease),) = Queue(studio.store, lease=timedelta(minutes=5)).claim("worker", 1)
    adapter = finish_teaching(site, trained, lease)
    studio.files.grants.add(ANN, adapter, 10)
    first, second = (studio.enqueue(GenerateRequest(prompt=f"waits {n}"), caller=ANN) for n in (1, 2))
    failed = add_run(studio, GenerateRequest(prompt="failed"), ANN)
    studio.store.update(failed.id, status=Status.FAILED, error="it failed; try again")
    site.client.post("/gallery/collections", data={"name": "of ann", "ids": str(image)})
    (collection,) = re.findall(
        "collection=([0-9]+)", site.client.post("/gallery/collections", data={"name": "other"}).headers["location"]
    )
    erased = add_image(studio, owner="ann", prompt="going")
    assert site.client.post("/gallery/erase", data={"ids": str(erased)}).status_code == 303
    (erasure,) = studio.maintenance.erasures.list("ann", adapters=False)
    add_library(studio, "library-of-ann", "the words of ann", owner="ann")
    site.client.get("/discover")  # indexes all that is there
    part = "0" * 31 + "1"
    place = PartialUploads(studio.home, "ann").place(draft, part)
    place.write_bytes(picture[:20])
    return Things(
        {
            "draft_id": draft, "sha256": sha256, "picture": str(image), "other": str(other), "run_id": trained.id,
            "waiting": second.id, "first": first.id, "failed": failed.id, "collection": collection,
            "erasure": erasure.id,
            "adapter": adapter, "reference": f"sha256:{sha256}", "upload": part, "image_run": run.id,
            "library": "library-of-ann", "prompt": "1", "number": "0", "promotion": str(promotion.id),
        },
        {
            "draft_id": "zzzzzzzzzzzz", "sha256": "f" * 64, "picture": "999999", "other": "999998",
            "run_id": f"{trained.id[:-4]}zzzz", "waiting": f"{second.id[:-4]}yyyy", "first": "",
            "failed": f"{failed.id[:-4]}xxxx",
            "collection": "999999", "erasure": "abcdef" * 2 + "0000", "adapter": "folder:" + "e" * 64,
            "reference": "sha256:" + "f" * 64,
            "upload": "f" * 32, "image_run": f"{run.id[:-4]}wwww",
            "library": "library-of-none", "prompt": "1", "number": "0", "promotion": "999999",
        },
    )  # fmt: skip


def contents(site) -> dict[str, list[Any]]:
    """All rows of the database, and all files."""
    found: dict[str, list[Any]] = {}
    with site.studio.store.snapshot() as connection:
        for table in inspect(connection).get_table_names():
            if table not in IGNORED and not table.startswith(("browser", "sqlite")):
                found[table] = sorted(map(repr, connection.execute(text(f'select * from "{table}"'))))
    files = (path for path in site.studio.home.rglob("*") if path.is_file())
    found["files"] = sorted(str(path) for path in files if ".db" not in path.name and "database" not in path.name)
    return found


def masked(answer: Any, ids: dict[str, str]) -> tuple[int, str, str]:
    """Status, place and text of an answer, without the ids that were asked for."""
    shown, place = answer.text, answer.headers.get("location", "")
    values = [value for value in ids.values() if len(value) > 10]
    whole = [form for value in values for form in (value, quote_plus(value), value.partition(":")[2])]
    parts = [form for value in values for form in (value[:40], value[:19], value[:12], value[7:19], value[7:15])]
    for form in filter(None, (*whole, *parts)):
        shown, place = shown.replace(form, "ID"), place.replace(form, "ID")
    return answer.status_code, place, re.sub(r"[0-9]+", "0", shown)


def difference(found: Any, other: Any) -> str:
    """Where two answers differ; "" if they do not."""
    if found == other:
        return ""
    at = next((at for at, pair in enumerate(zip(found[2], other[2], strict=False)) if len(set(pair)) > 1), 0)
    at = max(at, 60)
    return f"{found[:2]} {other[:2]}: {found[2][at - 60 : at + 60]!r} {other[2][at - 60 : at + 60]!r}"


def routes() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for router in PAGES
        for route in router.routes
        for method in sorted(route.methods)
        if route.path not in PUBLIC
    ]


OPEN = ("/drawings/", "/create/words/")  # the same for everybody
NAMED = [(method, path) for method, path in routes() if "{" in path and not any(each in path for each in OPEN)]
FILLED = {"prompt": "a cat", "seed": "1", "do": "favourite"}
FORM = {"caption": "stolen", "before": "stolen", "class_word": "stolen", "author": "bob", "name": "stolen",
        "step": "1", "left": "1", "top": "1", "width": "40", "height": "40",
        "pair": "0", "choice": "left", "on": "true", "stars": "5", "do": "favourite", "sure": "yes"}  # fmt: skip


def asked(site, method: str, path: str, ids: dict[str, str], **options):
    site.client.app.state.server.waiter.stopping = True  # no stream waits
    made = path
    for name in re.findall(r"\{(\w+)\}", path):
        values = {"action": "remove", "side": "256", **ids}
        made = made.replace(f"{{{name}}}", values[name])
    query = "?at=20&total=100" if method == "POST" and "/parts/" in path else ""
    if method == "GET":
        return site.client.get(
            made + query, params={"model": "starter"} if "subject/images" in path else None, **options
        )
    if "/parts/" in path:
        return site.client.post(made + query, content=b"x" * 80, **options)
    return site.client.post(made, data={**FORM, "sha256": ids["sha256"]}, **options)


def test_ids_of_another_account_are_answered_like_those_of_nobody(guarded):
    ann, wrong = things(guarded), []
    signed_in(guarded, "bob")
    before = contents(guarded)
    for method, path in NAMED:
        for run in ("run_id", "waiting", "failed", "image_run") if "{run_id}" in path else ("run_id",):
            for headers in ({}, PART):
                theirs, nobodys = ({**ids, "run_id": ids[run]} for ids in (ann.ids, ann.nobody))
                found = masked(asked(guarded, method, path, theirs, headers=headers), theirs)
                other = masked(asked(guarded, method, path, nobodys, headers=headers), nobodys)
                if differs := difference(found, other):
                    wrong.append((method, path, run, differs))
                if found[0] not in (404, 422):
                    wrong.append((method, path, run, found[0]))
        if contents(guarded) != before:
            wrong.append((method, path, "changes"))
            before = contents(guarded)
    guarded.studio.maintenance.erasures.undo("ann", ann.ids["erasure"])
    assert not wrong, "\n".join(map(str, wrong))


FIELDS = [
    ("GET", "/gallery/compare", "id", ("picture", "other")),
    ("GET", "/gallery/compare", "ids", ("picture",)),
    ("GET", "/gallery/tiles", "ids", ("picture",)),
    ("GET", "/gallery", "collection", ("collection",)),
    ("GET", "/gallery", "run", ("image_run",)),
    ("GET", "/gallery/ids", "run", ("image_run",)),
    ("GET", "/gallery", "adapter", ("adapter",)),
    ("GET", "/gallery/newer", "collection", ("collection",)),
    ("GET", "/discover", "library", ("library",)),
    ("GET", "/queue", "before", ("waiting",)),
    ("GET", "/queue", "stopped", ("waiting",)),
    ("GET", "/library", "before", ("run_id",)),
    ("GET", "/library", "removed", ("run_id",)),
    ("GET", "/teach", "deleted", ("draft_id",)),
    ("GET", "/jobs/events", "run", ("run_id",)),
    ("GET", "/jobs/events", "run", ("waiting",)),
    ("GET", "/create", "adapter", ("adapter",)),
    ("GET", "/create", "image", ("reference",)),
    ("GET", "/create", "subject", ("adapter",)),
    ("GET", "/create/pets", "adapter", ("adapter",)),
    ("GET", "/create/marketing", "adapter", ("adapter",)),
    ("POST", "/gallery/mark", "ids", ("picture",)),
    ("POST", "/gallery/erase", "ids", ("picture",)),
    ("POST", "/gallery/export", "ids", ("picture",)),
    ("POST", "/gallery/erase/undo", "erasure", ("erasure",)),
    ("POST", "/library/undo", "erasure", ("erasure",)),
    ("POST", "/queue/restore", "run", ("failed",)),
    ("POST", "/queue/restore", "run", ("waiting",)),
    ("POST", "/first-portrait", "adapter", ("adapter",)),
    ("POST", "/create", "adapter", ("adapter",)),
    ("POST", "/create", "subject", ("adapter",)),
    ("POST", "/create", "image", ("reference",)),
    ("POST", "/create", "model", ("adapter",)),
    ("POST", "/create", "guide", ("reference",)),
    ("POST", "/create/copy", "image", ("reference",)),
    ("POST", "/create/copy", "subject", ("adapter",)),
    ("POST", "/create/pets", "adapter", ("adapter",)),
    ("GET", "/feedback/improve", "target", ("adapter",)),
    ("POST", "/feedback/improve", "target", ("adapter",)),
]  # fmt: skip


def test_values_of_another_account_are_answered_like_those_of_nobody(guarded):
    ann, wrong = things(guarded), []
    signed_in(guarded, "bob")
    guarded.client.app.state.server.waiter.stopping = True
    before = contents(guarded)
    for method, path, field, names in FIELDS:
        answers = []
        for ids in (ann.ids, ann.nobody):
            values = {"image": ids["reference"]} if field == "guide" else {}
            values |= {field: [ids[name] for name in names]}
            send = guarded.client.get if method == "GET" else guarded.client.post
            filled = {"params": values} if method == "GET" else {"data": {**FILLED, **values}}
            answer = send(path, **filled)
            if b"of ann" in answer.content:
                wrong.append((method, path, field, "shows"))
            answers.append(masked(answer, ids))
        if differs := difference(*answers):
            wrong.append((method, path, field, differs))
        if contents(guarded) != before:
            wrong.append((method, path, field, "changes"))
            before = contents(guarded)
    undone = guarded.studio.maintenance.erasures.undo("ann", ann.ids["erasure"])
    assert not wrong, "\n".join(map(str, wrong))
    assert undone


@pytest.mark.parametrize(("field", "thing"), [("adapter", "adapter"), ("model", "adapter"), ("model", "reference")])
def test_a_draft_tells_nothing_of_files_of_another_account(guarded, field, thing):
    ann = things(guarded)
    signed_in(guarded, "bob")
    mine = guarded.client.post("/teach").headers["location"].split("/")[2]
    answers = []
    for ids in (ann.ids, ann.nobody):
        for step in ("subject", "recipe"):
            base = json.dumps({field: [99, ""]})
            answer = guarded.client.post(f"/teach/{mine}/{step}", data={field: ids[thing], "base": base})
            answers.append(masked(answer, {**ids, "draft_id": mine}))
            answers.append(masked(guarded.client.get(f"/teach/{mine}/{step}"), {**ids, "draft_id": mine}))
    assert [difference(*each) for each in zip(answers[:4], answers[4:], strict=True)] == [""] * 4


def test_a_viewer_changes_nothing_but_its_own_marks(guarded):
    ann, wrong = things(guarded), []
    signed_in(guarded, "vic", Role.VIEWER)
    own = ("favourites", "ratings", "collections", "collection_items")
    before = contents(guarded)
    for method, path in routes():
        if method != "POST":
            continue
        answer = asked(guarded, method, path, ann.ids)
        if answer.status_code != 403 and not path.startswith(VIEWER_PAGES):
            wrong.append((path, answer.status_code))
        after = contents(guarded)
        if any(after[name] != rows for name, rows in before.items() if name not in own):
            wrong.append((path, "changes"))
        before = after
    guarded.studio.maintenance.erasures.undo("ann", ann.ids["erasure"])
    assert not wrong, "\n".join(map(str, wrong))
