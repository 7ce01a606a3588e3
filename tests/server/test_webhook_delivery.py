"""Webhook deliveries: signature and timestamp as Standard Webhooks specifies, results, and addresses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook

from limner import fetch
from limner.core.requests import GenerateRequest
from limner.server import webhook_delivery
from limner.server.webhook_delivery import TIMEOUT, WebhookSender, encoded_secret
from limner.store.queue import Queue
from limner.store.tables import DeliveryRow
from limner.store.webhook_deliveries import LEASE
from limner.studio.studio import Studio
from waiting import until


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, Mapping[str, str]]]:
    """The requests that are sent, without a network."""
    found: list[tuple[str, bytes, Mapping[str, str]]] = []

    def post(url: str, body: bytes, headers: Mapping[str, str], **more: Any) -> int:
        found.append((url, body, headers))
        return 204 if len(found) > 1 else 500

    monkeypatch.setattr(fetch, "post", post)
    return found


def signature(secret: bytes, message: str, timestamp: str, body: bytes) -> str:
    """The signature of a delivery as Standard Webhooks publishes it."""
    digest = hmac.new(secret, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def test_the_signature_is_the_published_one() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, which its own libraries test."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert encoded_secret(key.hex()) == secret
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_attempt_has_its_own_timestamp(studio: Studio, sent: list[Any]) -> None:
    hook, secret = studio.webhooks.add("", "https://example.com/hook", ("run.cancelled",))
    run = studio.enqueue(GenerateRequest(prompt="a cat"))
    Queue(studio.store).cancel(run.id)
    for attempt in range(2):
        began = datetime.now(UTC) - timedelta(hours=5)
        with studio.store.session() as session:
            session.execute(update(DeliveryRow).values(created=began, due=began))
        assert WebhookSender(studio).send_one()
        url, body, headers = sent[attempt]
        moment = int(headers["webhook-timestamp"])
        assert abs(moment - time.time()) < 60, "receivers refuse what is older than five minutes"
        assert url == "https://example.com/hook" and headers["Content-Type"] == "application/json"
        event = Webhook(encoded_secret(secret)).verify(body, dict(headers))
        stamp = headers["webhook-timestamp"]
        assert headers["webhook-signature"] == signature(bytes.fromhex(secret), headers["webhook-id"], stamp, body)
        assert (event["type"], event["data"]["id"]) == ("run.cancelled", run.id) and json.loads(body) == event
        assert datetime.fromisoformat(event["timestamp"]) == began, "when the run ended, not when it is delivered"
    assert sent[0][2]["webhook-id"] == sent[1][2]["webhook-id"] == studio.webhooks.deliveries(hook.id, None)[0].id
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert delivery.delivered is not None and delivery.attempts == 2


def test_a_receiver_has_15_seconds_at_a_public_address(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(fetch, "post", lambda *given, **more: asked.append(more) or 204)
    studio.webhooks.add("", "https://example.com/", ("run.cancelled",))
    for public in (fetch.is_public, str.isdigit):
        Queue(studio.store).cancel(studio.enqueue(GenerateRequest(prompt="a cat")).id)
        assert WebhookSender(studio, public).send_one()
        assert asked.pop() == {"seconds": 15.0, "public": public}


def test_four_deliveries_are_sent_at_a_time_until_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    together, calls = threading.Barrier(4), list[int]()

    def send_one(self: WebhookSender) -> bool:
        calls.append(1)
        if len(calls) <= 4:
            together.wait(10)
        return False

    monkeypatch.setattr(WebhookSender, "send_one", send_one)
    monkeypatch.setattr(webhook_delivery, "POLL", 0.001)
    with WebhookSender(cast(Studio, None)).running():
        until("more searches", lambda: len(calls) > 8)
    assert not together.broken
    ended = len(calls)
    time.sleep(0.1)
    assert len(calls) <= ended + 4, "each thread may be at its last"


@pytest.mark.parametrize(
    ("status", "arrived"), [(199, False), (200, True), (204, True), (299, True), (300, False), (410, False)]
)
def test_only_status_2xx_is_success(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, status: int, arrived: bool
) -> None:
    monkeypatch.setattr(fetch, "post", lambda *given, **more: status)
    hook, _ = studio.webhooks.add("", "https://example.com/", ("run.cancelled",))
    Queue(studio.store).cancel(studio.enqueue(GenerateRequest(prompt="a cat")).id)
    assert WebhookSender(studio).send_one()
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert (delivery.delivered is not None, delivery.error) == (
        arrived,
        None if arrived else f"the receiver answered {status}",
    )


def test_delivery_leases_are_longer_than_the_timeout() -> None:
    assert LEASE.total_seconds() > 2 * TIMEOUT


def test_private_addresses_receive_nothing(studio: Studio) -> None:
    hook, _ = studio.webhooks.add("", "http://127.0.0.1:9/", ("run.cancelled",))
    Queue(studio.store).cancel(studio.enqueue(GenerateRequest(prompt="a cat")).id)
    assert WebhookSender(studio).send_one()
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert "'127.0.0.1' is not at a public address" in (delivery.error or "")


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio(home)
