"""Tells webhooks what became of runs: signed as Standard Webhooks has it, again and again until it arrives.

https://github.com/standard-webhooks/standard-webhooks: the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, an HMAC-SHA256 of "id.timestamp.body".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from limner import fetch
from limner.core.errors import LimnerError
from limner.core.webhooks import Delivery
from limner.server.replies import RunReply
from limner.studio.studio import Studio

SECONDS = 15.0
"""How long a receiver may take."""
IDLE = 0.5
THREADS = 4
"""So many receivers may be slow without keeping the others waiting."""
log = logging.getLogger("limner.server")


def signature(secret: bytes, message: str, moment: int, body: bytes) -> str:
    """What the header `webhook-signature` holds."""
    signed = hmac.new(secret, f"{message}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def secret_of(hexadecimal: str) -> str:
    """A secret as its owner is told it, once."""
    return f"whsec_{base64.b64encode(bytes.fromhex(hexadecimal)).decode()}"


class Herald:
    """Delivers what is due. public: tells whether an address may be connected to."""

    def __init__(self, studio: Studio, public: Callable[[str], bool] = fetch.is_public) -> None:
        self.studio, self.public = studio, public
        self._end = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Deliver in threads of its own until the block ends; a delivery that is cut off is tried again."""
        for _ in range(THREADS):
            threading.Thread(target=self._work, daemon=True).start()
        try:
            yield
        finally:
            self._end.set()

    def _work(self) -> None:
        while not self._end.is_set():
            try:
                busy = self.deliver()
            except LimnerError as error:  # the database is away for a while
                log.error("%s", error)
                busy = False
            except Exception:
                log.exception("a webhook could not be told")
                busy = False
            if not busy:
                self._end.wait(IDLE)

    def deliver(self) -> bool:
        """Try one delivery that is due; whether there was one."""
        found = self.studio.webhooks.claim()
        if found is None:
            return False
        delivery, url, secret = found
        try:
            status = self._post(delivery, url, bytes.fromhex(secret))
            error = None if 200 <= status < 300 else f"it answered {status}"
        except LimnerError as problem:
            error = str(problem)
        self.studio.webhooks.settle(delivery.id, delivery.attempts, error)
        return True

    def _post(self, delivery: Delivery, url: str, secret: bytes) -> int:
        run, artifacts = self.studio.runs.show(delivery.run)
        told = RunReply.of(run, artifacts).model_dump(mode="json")
        body = {"type": delivery.event, "timestamp": delivery.created.isoformat(), "data": told}
        sent, moment = json.dumps(body).encode(), int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(secret, delivery.id, moment, sent),
        }
        return fetch.post(url, sent, headers, seconds=SECONDS, public=self.public)
