"""Carries out the erasures that the pages recorded, once they are due; also those of a server that was killed."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from fastapi import FastAPI, Request

from limner.core.errors import LimnerError
from limner.core.text import counted
from limner.studio.maintenance import Erasure, Erasures
from limner.web.background import repeat

IMAGES = timedelta(seconds=10)
"""How long an erasure of images can be undone."""
ADAPTERS = timedelta(days=7)
"""How long a deleted adapter can be put back."""
log = logging.getLogger("limner.web")


def erased_text(erasure: Erasure) -> str:
    """What goes by an erasure: "3 images were erased", "Comet and 1 image were deleted"."""
    images = counted(erasure.images, "image")
    if not erasure.name:
        return f"{images} {'was' if erasure.images == 1 else 'were'} erased."
    return f"{erasure.name} and {images} were deleted." if erasure.images else f"{erasure.name} was deleted."


class ErasureWorker:
    """Carries out recorded erasures, and remembers which could not be carried out."""

    def __init__(self, recorded: Erasures) -> None:
        self._recorded, self._lock = recorded, threading.Lock()
        self._problems: dict[str, str] = {}

    def work(self) -> None:
        """Carry out what is due, and remove files that a killed server left."""
        self._recorded.finish()
        for each in self._recorded.due():
            self.carry_out(each.id, each.account)

    def carry_out(self, id: str, account: str) -> bool:
        """Carry out an erasure of an account; returns whether it did. It is shown again if it cannot be erased."""
        try:
            return self._recorded.carry_out(id, account)
        except LimnerError as error:
            log.warning("erasure %s failed: %s", id, error)
            with self._lock:
                self._problems[account] = str(error)
            return False

    def problem(self, account: str) -> str:
        """Why the last erasure of an account failed; "" if it did not. Returned once."""
        with self._lock:
            return self._problems.pop(account, "")

    def finish(self) -> None:
        """Carry out at once the erasures of images, as before the server ends."""
        for each in self._recorded.list(None, adapters=False):
            self.carry_out(each.id, each.account)


def worker_of(request: Request) -> ErasureWorker:
    """The worker of the application that answers a request."""
    return request.app.state.erasures


def carry_out_erasures(app: FastAPI) -> None:
    """Carry out the erasures of an application while it runs. A server that starts again goes on with them."""
    worker: ErasureWorker = app.state.erasures
    repeat(app, "carry out an erasure", worker.work, worker.finish)
