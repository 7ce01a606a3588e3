"""Middleware of the application, webhooks with a local receiver, metrics and the request log."""

from __future__ import annotations

import http.server
import json
import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from sqlalchemy import update
from standardwebhooks import Webhook

from limner.core.accounts import Limits, Role
from limner.core.execution import Execution
from limner.core.logs import configure
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.server import app, monitoring
from limner.server.app import create_app
from limner.server.auth import CallerDep
from limner.server.dependencies import RunDep
from limner.server.settings import Settings
from limner.server.webhook_delivery import WebhookSender
from limner.store.idempotency import IdempotencyRecords
from limner.store.queue import Queue
from limner.store.tables import IdempotencyRow, RunRow
from limner.studio.studio import Studio

PAINT = {"kind": "generate", "prompt": "a cat in the park"}


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio(home)


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """A client without the background threads of the application's lifespan."""
    return TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")


def test_a_repeated_post_is_executed_once(client: TestClient, studio: Studio) -> None:
    key = {"Idempotency-Key": "order-1"}
    first, second = (client.post("/v1/runs", json=PAINT, headers=key) for _ in range(2))
    assert first.status_code == second.status_code == 202 and first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true" and second.headers["Location"] == first.headers["Location"]
    assert len(studio.runs.list()) == 1
    other = client.post("/v1/runs", json=PAINT | {"seed": 7}, headers=key)
    assert other.status_code == 422 and "was used for another call" in other.json()["detail"]
    assert client.post("/v1/runs", json=PAINT).json()["id"] != first.json()["id"]


def test_client_errors_are_stored_and_server_errors_are_not(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [client.post("/v1/runs", json={"kind": "generate"}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [reply.status_code for reply in bad] == [422, 422] and "Idempotent-Replayed" in bad[1].headers

    def broken(*args: Any, **more: Any) -> None:
        raise RuntimeError("broken")

    calls = TestClient(client.app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    with monkeypatch.context() as patched:
        patched.setattr(studio, "enqueue", broken)
        assert calls.post("/v1/runs", json=PAINT, headers={"Idempotency-Key": "m"}).status_code == 500
    assert calls.post("/v1/runs", json=PAINT, headers={"Idempotency-Key": "m"}).status_code == 202


def test_conflict_while_the_first_call_runs(client: TestClient) -> None:
    key = {"Idempotency-Key": "slow", "Prefer": "wait=60"}
    with ThreadPoolExecutor(1) as another:
        slow = another.submit(client.post, "/v1/runs", json=PAINT, headers=key)
        while not (runs := client.get("/v1/runs").json()):
            assert not slow.done(), slow.result().text
        try:
            reply = client.post("/v1/runs", json=PAINT, headers=key)
            assert reply.status_code == 409 and "still runs" in reply.json()["detail"]
        finally:
            client.post(f"{runs[0]['url']}/cancel")
    assert slow.result().json()["id"] == runs[0]["id"] and len(client.get("/v1/runs").json()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e4".encode()])
def test_invalid_idempotency_keys(client: TestClient, key: str | bytes) -> None:
    reply = client.post("/v1/runs", json=PAINT, headers={"Idempotency-Key": key})
    assert reply.status_code == 422 and "is invalid" in reply.json()["detail"]


def test_uploads_and_forms_are_compared_by_content(client: TestClient) -> None:
    key = {"Idempotency-Key": "u", "Content-Type": "application/octet-stream"}
    replies = [client.post("/v1/files", content=body, headers=key) for body in (b"a" * 3_000_000,) * 2 + (b"b",)]
    assert [reply.status_code for reply in replies] == [201, 201, 422]
    forms = [
        client.post("/v1/files", content=f"--{mark}\r\nx\r\n--{mark}--".encode(), headers={
            "Idempotency-Key": "f", "Content-Type": f"multipart/form-data; boundary={mark}"
        })
        for mark in ("first", "second")
    ]  # fmt: skip
    assert [reply.status_code for reply in forms] == [201, 201] and forms[0].json() == forms[1].json()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Receives webhook deliveries; fails as often as it is asked to."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)  # type: ignore[attr-defined]
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def receiver() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.answers = [], []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_queued_runs_change_places_and_stop_after_one(client: TestClient, studio: Studio) -> None:
    urls = [client.post("/v1/runs", json=PAINT).json()["url"] for _ in range(3)]
    ids = [url.rpartition("/")[2] for url in urls]
    assert client.post(f"{urls[2]}/move", params={"up": True}).json()["id"] == ids[2]
    assert [run.id for run in studio.runs.waiting(9)] == [ids[0], ids[2], ids[1]]
    client.post(f"{urls[0]}/move", params={"up": False})
    assert [run.id for run in studio.runs.waiting(9)] == [ids[2], ids[0], ids[1]]
    assert client.post(f"{urls[0]}/stop-after").json() == [ids[1]]
    assert [run.id for run in studio.runs.waiting(9)] == [ids[2], ids[0]]
    late = client.post(f"{urls[1]}/move", params={"up": True})
    assert late.status_code == 409 and "does not wait any more" in late.json()["detail"]


def test_a_webhook_is_delivered_with_a_valid_signature(client: TestClient, studio: Studio, receiver: Any) -> None:
    url = f"http://localhost:{receiver.server_port}/hook?of=mine"
    made = client.post("/v1/webhooks", json={"url": url, "events": ["run.cancelled"]}).json()
    run = client.post("/v1/runs", json=PAINT).json()
    client.post(f"{run['url']}/cancel")
    sender = WebhookSender(studio, is_public=lambda address: True)
    assert sender.send_one() and not sender.send_one()
    ((headers, body),) = receiver.received
    event = Webhook(made["secret"]).verify(body, {name.lower(): value for name, value in headers.items()})
    assert event["type"] == "run.cancelled" and event["data"]["id"] == run["id"]
    (delivery,) = client.get(f"/v1/webhooks/{made['id']}/deliveries").json()
    assert delivery["delivered"] and delivery["attempts"] == 1
    listed = client.get("/v1/webhooks").json()
    assert [hook["id"] for hook in listed] == [made["id"]] and "secret" not in listed[0]
    assert client.delete(f"/v1/webhooks/{made['id']}").status_code == 204 and client.get("/v1/webhooks").json() == []


@pytest.mark.parametrize(("answer", "error"), [(500, "the receiver answered 500"), (302, "the receiver answered 302")])
def test_a_failed_delivery_is_retried(
    client: TestClient, studio: Studio, receiver: Any, answer: int, error: str
) -> None:
    receiver.answers.append(answer)
    made = client.post("/v1/webhooks", json={"url": f"http://localhost:{receiver.server_port}/"}).json()
    client.post(client.post("/v1/runs", json=PAINT).json()["url"] + "/cancel")
    assert WebhookSender(studio, is_public=lambda address: True).send_one()
    (delivery,) = client.get(f"/v1/webhooks/{made['id']}/deliveries").json()
    assert (delivery["error"], delivery["delivered"]) == (error, None) and delivery["due"]
    assert len(receiver.received) == 1, "no redirect is followed"


def test_webhooks_need_a_public_address(client: TestClient, studio: Studio, receiver: Any) -> None:
    made = client.post("/v1/webhooks", json={"url": f"http://localhost:{receiver.server_port}/"}).json()
    client.post(client.post("/v1/runs", json=PAINT).json()["url"] + "/cancel")
    assert WebhookSender(studio).send_one()
    (delivery,) = client.get(f"/v1/webhooks/{made['id']}/deliveries").json()
    assert "is not at a public address" in delivery["error"] and receiver.received == []
    for url in (
        "file:///etc/passwd",
        "http://user:pass@example.com/",
        "http://127.1/",
        "gopher://x",
        "http://127.0.0.1/",
        "http://[::1]/",
    ):
        assert client.post("/v1/webhooks", json={"url": url}).status_code == 422


def test_metrics(client: TestClient, studio: Studio) -> None:
    run = client.post("/v1/runs", json=PAINT).json()
    client.get(f"/v1/runs/{run['id']}")
    client.get("/v1/runs/nosuch")
    figures = client.get("/metrics").text.splitlines()
    assert 'limner_runs{kind="generate",status="queued"} 1.0' in figures
    assert 'limner_http_requests_total{method="GET",route="/v1/runs/{run_id}",status="404"} 1.0' in figures
    assert "limner_workers_busy 0.0" in figures and run["id"] not in "".join(figures)
    ((_, lease),) = Queue(studio.store).claim("w", 1)
    assert "limner_workers_busy 1.0" in client.get("/metrics").text
    Queue(studio.store).finish(lease, Status.DONE)
    assert 'limner_runs{kind="generate",status="done"} 1.0' in client.get("/metrics").text


def test_metrics_of_artifacts_the_queue_and_deliveries(client: TestClient, studio: Studio) -> None:
    client.post("/v1/webhooks", json={"url": "https://example.com/", "events": ["run.cancelled"]})
    run, waiting = (client.post("/v1/runs", json=PAINT).json() for _ in range(2))
    for name in "abc":
        studio.store.add_artifact(run["id"], "picture", f"/{name}.png", "0" * 64)
    ended = [client.post("/v1/runs", json=PAINT).json()["url"] for _ in range(2)]
    for url in ended:
        client.post(f"{url}/cancel")
    with studio.store.session() as session:
        created = datetime.now(UTC) - timedelta(hours=1)
        session.execute(update(RunRow).where(RunRow.id == waiting["id"]).values(created=created))
    figures = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert figures['limner_runs{kind="generate",status="cancelled"}'] == "2.0"
    assert figures["limner_artifacts_total"] == "3.0" and figures["limner_deliveries_due"] == "2.0"
    assert 3600 <= float(figures["limner_queue_oldest_seconds"]) < 3660


class Clock:
    """A clock that advances by a second and a half with each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.5
        return self.now


def test_metrics_have_few_labels_and_seconds(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.get("/v1/runs")
    monkeypatch.setattr(monitoring, "time", Clock())
    for method, path in (("GET", "/no/such/path"), ("BREW", "/v1/runs"), ("HEAD", "/healthz")):
        client.request(method, path)
    monkeypatch.undo()
    text = client.get("/metrics").text
    assert 'limner_http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'method="other"' in text and "BREW" not in text and "/no/such" not in text
    assert 'limner_http_requests_total{method="HEAD",route="/healthz",status="405"} 1.0' in text
    assert 0 < float(re.findall(r'limner_http_seconds_sum{method="GET",route="unknown"} (\S+)', text)[0]) < 10


def test_metrics_are_for_admins(studio: Studio) -> None:
    keys = {role: studio.accounts.add_key(role, role)[1] for role in (Role.MAKER, Role.ADMIN)}
    asking = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    for role, status in ((Role.MAKER, 403), (Role.ADMIN, 200)):
        assert asking.get("/metrics", headers={"Authorization": f"Bearer {keys[role]}"}).status_code == status


def test_requests_are_logged_with_their_id(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("limner").handlers
    configure("json")
    try:
        assert client.get("/v1/runs?limit=1", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"
        assert client.get("/healthz", headers={"X-Request-ID": "a\tb"}).headers["X-Request-ID"] != "a\tb"
        first, second = map(json.loads, capsys.readouterr().err.splitlines())
    finally:
        logging.getLogger("limner").handlers = before
    assert (first["call"], first["method"], first["path"], first["status"]) == ("mine", "GET", "/v1/runs", 200)
    assert "limit" not in json.dumps(first) and len(second["call"]) == 16


def test_requests_are_logged_with_account_and_milliseconds(
    studio: Studio, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    bearer = {"Authorization": f"Bearer {studio.accounts.add_key('ann')[1]}"}
    before = logging.getLogger("limner").handlers
    monkeypatch.setattr(monitoring, "time", Clock())
    configure("json")
    try:
        for headers in (bearer, {}):
            asking.get("/v1/runs", headers=headers)
        known, unknown = map(json.loads, capsys.readouterr().err.splitlines())
    finally:
        logging.getLogger("limner").handlers = before
    assert (known["account"], known["status"], known["milliseconds"]) == ("ann", 200, 4500.0), "of three looks"
    assert "account" not in unknown and unknown["status"] == 401


@pytest.mark.parametrize(("length", "taken"), [(64, True), (65, False)])
def test_the_length_of_a_request_id(client: TestClient, length: int, taken: bool) -> None:
    asked = "a" * length
    assert (client.get("/healthz", headers={"X-Request-ID": asked}).headers["X-Request-ID"] == asked) is taken


def test_the_application_delivers_webhooks_while_it_runs(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    @contextmanager
    def running(self: WebhookSender) -> Iterator[None]:
        steps.append("began")
        yield
        steps.append("ended")

    monkeypatch.setattr(WebhookSender, "running", running)
    with TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1"):
        assert steps == ["began"]
    assert steps == ["began", "ended"]


def test_a_lost_call_is_repeated_a_minute_after_the_longest_wait(studio: Studio) -> None:
    settings = Settings(wait_seconds=100)
    client = TestClient(create_app(studio, settings), base_url="http://127.0.0.1")
    for seconds, status in ((155, 409), (165, 202)):
        key = f"after {seconds}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IdempotencyRecords, "save", lambda *given: None)  # its response is lost
            client.post("/v1/runs", json=PAINT, headers={"Idempotency-Key": key})
        began = datetime.now(UTC) - timedelta(seconds=seconds)
        with studio.store.session() as session:
            session.execute(update(IdempotencyRow).values(began=began))
        assert client.post("/v1/runs", json=PAINT, headers={"Idempotency-Key": key}).status_code == status


@pytest.mark.parametrize(("host", "status"), [("0.0.0.0", 200), ("::", 200), ("192.0.2.1", 421)])
def test_other_addresses_are_allowed_where_the_server_listens_on_all(studio: Studio, host: str, status: int) -> None:
    client = TestClient(create_app(studio, Settings(host=host)), base_url="http://127.0.0.1")
    assert client.get("/healthz", headers={"Host": "10.1.2.3"}).status_code == status
    assert client.get("/healthz").status_code == client.get("/healthz", headers={"Host": host}).status_code == 200


def test_execution_and_request_are_shown_together(client: TestClient, studio: Studio) -> None:
    run = client.post("/v1/runs", json=PAINT | {"memory": "low"}).json()
    assert studio.store.get(run["id"]).execution == Execution(memory="low")
    studio.store.add_artifact(run["id"], "picture", "/a.png", "0" * 64, {"reference": f"sha256:{'0' * 64}"})
    (picture,) = client.get("/v1/pictures").json()
    for shown in (run, client.get(run["url"]).json(), client.get("/v1/runs").json()[0], picture):
        assert shown["request"]["memory"] == "low"


def test_runs_are_listed_by_kind_and_status_in_pages(client: TestClient, studio: Studio) -> None:
    painted = [studio.enqueue(GenerateRequest(prompt=f"a cat {number}")).id for number in range(51)]
    trained = studio.enqueue(TrainRequest(data=f"folder:{'0' * 64}", class_word="dog")).id
    studio.store.update(painted[0], status=Status.DONE)
    studio.store.add_artifact(painted[0], "picture", "/a.png", "0" * 64)

    def listed(query: str) -> list[str]:
        return [run["id"] for run in client.get(f"/v1/runs{query}").json()]

    newest = [trained, *painted[::-1]]
    assert listed("") == newest[:50] and listed("?limit=3") == newest[:3]
    assert listed(f"?limit=2&before={newest[2]}") == newest[3:5]
    assert listed("?kind=train") == [trained] and listed("?status=done") == [painted[0]]
    (done,) = client.get("/v1/runs?status=done").json()
    assert [made["name"] for made in done["artifacts"]] == ["a.png"]


def test_a_retry_is_charged_to_the_key(studio: Studio) -> None:
    client = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    limits = Limits(pictures_per_day=2)
    client.headers["Authorization"] = f"Bearer {studio.accounts.add_key('ann', limits=limits)[1]}"
    url = client.post("/v1/runs", json=PAINT).json()["url"]
    statuses = [client.post(f"{url}/{act}").status_code for act in ("cancel", "retry", "cancel", "retry")]
    assert statuses == [200, 202, 200, 429]


def test_webhooks_are_called_for_every_end_by_default(client: TestClient) -> None:
    made = client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()
    assert made["events"] == ["run.done", "run.failed", "run.cancelled"] and made["secret"].startswith("whsec_")
    assert client.post("/v1/webhooks", json={"url": "https://example.com/", "events": []}).status_code == 422


def test_the_docs_page_needs_no_other_host(studio: Studio) -> None:
    client = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    page = client.get("/docs").text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(needed) == 3
    assert all(link.startswith("/docs/files/") and client.get(link).status_code == 200 for link in needed)


@pytest.mark.parametrize(
    "asked",
    [
        PAINT | {"width": 4096},
        PAINT | {"hires": 4, "width": 600},
        {"kind": "train", "data": "x", "class_word": "cat", "resolution": 2049},
    ],
)
def test_images_above_the_pixel_limit_are_refused(home: Path, asked: dict[str, object]) -> None:
    client = TestClient(create_app(Studio(home, most_pixels=2048 * 2048), Settings()), base_url="http://127.0.0.1")
    refused = client.post("/v1/runs", json=asked)
    assert refused.status_code == 422
    assert "the limit is 4,194,304" in refused.json()["detail"]
    assert not Studio(home).runs.list()


def test_an_unavailable_database(client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.store.close()
    (studio.home / "limner.db").write_bytes(b"no database at all" * 100)
    for extra in ("-wal", "-shm"):
        (studio.home / f"limner.db{extra}").unlink(missing_ok=True)
    reply = client.get("/readyz")
    assert reply.status_code == 503 and str(studio.home) not in reply.text


def test_a_route_is_added_by_a_router_in_the_list(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter(prefix="/v1/dummy", tags=["dummy"])

    @router.get("/{run_id}")
    def show_dummy(run: RunDep, caller: CallerDep) -> str:
        """Show a dummy."""
        return f"{caller.account} {run.id}"

    monkeypatch.setattr(app, "ROUTERS", (*app.ROUTERS, router))
    client = TestClient(create_app(studio, Settings(accounts=True)), base_url="http://127.0.0.1")
    path = f"/v1/dummy/{studio.enqueue(GenerateRequest(prompt='a cat')).id}"
    assert client.get(path).status_code == 401, "it needs a key"
    client.headers["Authorization"] = f"Bearer {studio.accounts.add_key('ann')[1]}"
    refused = client.get(path)
    assert refused.status_code == 404 and refused.headers["Content-Type"] == "application/problem+json"
    client.headers["Authorization"] = f"Bearer {studio.accounts.add_key('root', Role.ADMIN)[1]}"
    assert client.get(path).json().startswith("root ")
    described = client.get("/openapi.json").json()["paths"]["/v1/dummy/{run_id}"]["get"]
    assert described["description"] == "Show a dummy." and "5XX" in described["responses"]
