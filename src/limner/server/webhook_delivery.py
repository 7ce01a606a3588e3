"""Delivers webhooks when runs end: signed as Standard Webhooks specifies, and retried until a receiver accepts them.

https://github.com/standard-webhooks/standard-webhooks: the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, an HMAC-SHA256 of "id.timestamp.body". The store decides when a delivery is due again.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from standardwebhooks import Webhook as Signer

from limner import fetch
from limner.core.errors import LimnerError
from limner.core.webhooks import Delivery
from limner.server.runs import run_reply
from limner.studio.studio import Studio

TIMEOUT = 15.0
"""Seconds that a receiver may take."""
POLL = 0.5
"""Seconds between two searches for a delivery that is due."""
THREADS = 4
"""Deliveries at a time, so that slow receivers do not delay the others."""
log = logging.getLogger("limner.server")


def encoded_secret(hexadecimal: str) -> str:
    """Return a webhook's secret as receivers need it."""
    return f"whsec_{base64.b64encode(bytes.fromhex(hexadecimal)).decode()}"


class WebhookSender:
    """Sends the deliveries that are due. is_public: returns whether an address may be connected to."""

    def __init__(self, studio: Studio, is_public: Callable[[str], bool] = fetch.is_public) -> None:
        self.studio, self.is_public = studio, is_public
        self._stopping = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send deliveries in threads until the block ends. A delivery that is cut off is retried later."""
        for _ in range(THREADS):
            threading.Thread(target=self._send_all, daemon=True).start()
        try:
            yield
        finally:
            self._stopping.set()

    def _send_all(self) -> None:
        while not self._stopping.is_set():
            found = False
            try:
                found = self.send_one()
            except LimnerError as error:  # the database does not respond
                log.error("%s", error)
            except Exception:
                log.exception("a webhook could not be delivered")
            if not found:
                self._stopping.wait(POLL)

    def send_one(self) -> bool:
        """Send one delivery that is due and record the result; return whether there was one."""
        claimed = self.studio.webhooks.claim()
        if claimed is None:
            return False
        delivery, url, secret = claimed
        try:
            status = self._post(delivery, url, bytes.fromhex(secret))
            error = None if 200 <= status < 300 else f"the receiver answered {status}"
        except LimnerError as problem:
            error = str(problem)
        self.studio.webhooks.settle(delivery.id, delivery.attempts, error)
        return True

    def _post(self, delivery: Delivery, url: str, secret: bytes) -> int:
        """Send a delivery and return the HTTP status. The timestamp is the attempt's: receivers refuse old ones."""
        data = run_reply(self.studio, self.studio.runs.get(delivery.run)).model_dump(mode="json")
        body = json.dumps({"type": delivery.event, "timestamp": delivery.created.isoformat(), "data": data})
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Signer(secret).sign(delivery.id, now, body),
        }
        return fetch.post(url, body.encode(), headers, seconds=TIMEOUT, public=self.is_public)
