"""What a webhook is sent: signed as Standard Webhooks publishes it, and stamped with the moment of the try."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks import Webhook

from limner import fetch
from limner.core.requests import GenerateRequest
from limner.server.webhook_delivery import SECONDS, Herald, secret_of, signature
from limner.store.queue import Queue
from limner.store.tables import DeliveryRow
from limner.store.webhooks import LEASE
from limner.studio.studio import Studio


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, Mapping[str, str]]]:
    """What is POSTed, in place of a network."""
    found: list[tuple[str, bytes, Mapping[str, str]]] = []

    def post(url: str, body: bytes, headers: Mapping[str, str], **more: Any) -> int:
        found.append((url, body, headers))
        return 204 if len(found) > 1 else 500

    monkeypatch.setattr(fetch, "post", post)
    return found


def test_the_signature_is_the_published_one() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, as its own libraries test it."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert secret_of(key.hex()) == secret
    told = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_try_is_stamped_with_its_own_moment(studio: Studio, sent: list[Any]) -> None:
    hook, secret = studio.webhooks.add("", "https://example.com/hook", ("run.cancelled",))
    run = studio.enqueue(GenerateRequest(prompt="a cat"))
    Queue(studio.store).cancel(run.id)
    for attempt in range(2):
        began = datetime.now(UTC) - timedelta(hours=5)
        with studio.store.session() as session:
            session.execute(update(DeliveryRow).values(created=began, due=began))
        assert Herald(studio).deliver()
        url, body, headers = sent[attempt]
        moment = int(headers["webhook-timestamp"])
        assert abs(moment - time.time()) < 60, "receivers refuse what is older than five minutes"
        assert url == "https://example.com/hook" and headers["Content-Type"] == "application/json"
        told = Webhook(secret_of(secret)).verify(body, dict(headers))
        assert (told["type"], told["data"]["id"]) == ("run.cancelled", run.id) and json.loads(body) == told
        assert datetime.fromisoformat(told["timestamp"]) == began, "when the run ended, whenever that arrives"
    assert sent[0][2]["webhook-id"] == sent[1][2]["webhook-id"] == studio.webhooks.deliveries(hook.id, None)[0].id
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert delivery.delivered is not None and delivery.attempts == 2


@pytest.mark.parametrize(
    ("status", "arrived"), [(199, False), (200, True), (204, True), (299, True), (300, False), (410, False)]
)
def test_what_arrived_is_what_was_answered_by_2xx(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, status: int, arrived: bool
) -> None:
    monkeypatch.setattr(fetch, "post", lambda *given, **more: status)
    hook, _ = studio.webhooks.add("", "https://example.com/", ("run.cancelled",))
    Queue(studio.store).cancel(studio.enqueue(GenerateRequest(prompt="a cat")).id)
    assert Herald(studio).deliver()
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert (delivery.delivered is not None, delivery.error) == (arrived, None if arrived else f"it answered {status}")


def test_a_delivery_is_left_to_its_thread_for_longer_than_a_receiver_may_take() -> None:
    assert LEASE.total_seconds() > 2 * SECONDS


def test_a_private_address_is_told_nothing(studio: Studio) -> None:
    hook, _ = studio.webhooks.add("", "http://127.0.0.1:9/", ("run.cancelled",))
    Queue(studio.store).cancel(studio.enqueue(GenerateRequest(prompt="a cat")).id)
    assert Herald(studio).deliver()
    (delivery,) = studio.webhooks.deliveries(hook.id, None)
    assert "'127.0.0.1' is not at a public address" in (delivery.error or "")


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio(home)
