"""Erasures from Gallery and Library, which can be taken back for some seconds. Until then they are kept in memory."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import FastAPI

from limner.core.errors import LimnerError
from limner.studio.maintenance import EraseSelection, ErasureResult

SECONDS = 10.0
"""How long an erasure can be taken back."""
log = logging.getLogger("limner.web")


class Erase(Protocol):
    """Erases runs, as `Maintenance.erase` does."""

    def __call__(self, selection: EraseSelection, *, derived: bool) -> ErasureResult: ...


@dataclass(frozen=True)
class Erasure:
    """What will be erased.

    account: who chose it. derived: whether what was made with it is erased too. runs: those that go, of both. images:
    those that go while their runs stay. what: in words, such as "3 images were". due: by the monotonic clock.
    """

    id: str
    account: str
    selection: EraseSelection
    derived: bool
    runs: frozenset[str]
    images: frozenset[int]
    what: str
    due: float

    @property
    def seconds(self) -> int:
        """For how much longer it can be taken back."""
        return max(1, round(self.due - time.monotonic()))


class Erasures:
    """The erasures of all accounts that can still be taken back."""

    def __init__(self, erase: Erase, seconds: float = SECONDS) -> None:
        self._erase, self.seconds = erase, seconds
        self._lock, self._erasing = threading.Lock(), threading.Lock()
        self._waiting: dict[str, Erasure] = {}
        self._begun: set[str] = set()
        self._working = False
        self._problems: dict[str, str] = {}

    def add(
        self,
        account: str,
        selection: EraseSelection,
        *,
        derived: bool,
        runs: Iterable[str],
        what: str,
        images: Iterable[int] = (),
    ) -> Erasure:
        """Erase a selection in some seconds; its runs and images are hidden from now on."""
        due = time.monotonic() + self.seconds
        going = frozenset(runs), frozenset(images)
        made = Erasure(secrets.token_hex(8), account, selection, derived, *going, what, due)
        with self._lock:
            self._waiting[made.id] = made
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, daemon=True, name="erasures").start()
        return made

    def undo(self, account: str, id: str) -> Erasure | None:
        """Take an erasure of an account back; None if it is too late."""
        with self._lock:
            found = self._waiting.get(id)
            if found is None or found.account != account or id in self._begun:
                return None
            return self._waiting.pop(id)

    def of(self, account: str) -> list[Erasure]:
        """The erasures of an account that can be taken back, in the order in which they were chosen."""
        with self._lock:
            found = [each for each in self._waiting.values() if each.account == account]
            return [each for each in found if each.id not in self._begun]

    def hidden(self) -> frozenset[str]:
        """The runs that are not shown any more."""
        with self._lock:
            return frozenset[str]().union(*(each.runs for each in self._waiting.values()))

    def hidden_images(self) -> frozenset[int]:
        """The images that are not shown any more although their runs are."""
        with self._lock:
            return frozenset[int]().union(*(each.images for each in self._waiting.values()))

    def problem(self, account: str) -> str:
        """Why the last erasure of an account failed; "" if it did not. Returned once."""
        with self._lock:
            return self._problems.pop(account, "")

    def finish(self) -> None:
        """Carry out at once what waits, as before the server ends."""
        for each in [*self._waiting.values()]:
            self._carry_out(each)

    def _work(self) -> None:
        """Carry out one after the other as they are due; one thread does so for all accounts, while there are any."""
        while True:
            with self._lock:
                waiting = [each for each in self._waiting.values() if each.id not in self._begun]
                if not waiting:
                    self._working = False
                    return
            first = min(waiting, key=lambda each: each.due)
            left = first.due - time.monotonic()
            if left > 0:
                time.sleep(left)
            self._carry_out(first)

    def _carry_out(self, erasure: Erasure) -> None:
        with self._erasing:
            with self._lock:
                if self._waiting.get(erasure.id) is not erasure:
                    return
                self._begun.add(erasure.id)
            problem = ""
            try:
                self._erase(erasure.selection, derived=erasure.derived)
            except LimnerError as error:
                problem = str(error)
            except Exception as error:
                log.exception("an erasure failed")
                problem = f"the erasure failed ({type(error).__name__}); try again, and look into the server's log"
            with self._lock:
                self._waiting.pop(erasure.id, None)
                self._begun.discard(erasure.id)
                if problem:
                    self._problems[erasure.account] = problem


def finish_erasures(app: FastAPI) -> None:
    """Carry out the erasures of an application that wait when it ends."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(given: Any) -> AsyncIterator[Any]:
        async with inner(given) as state:
            try:
                yield state
            finally:
                app.state.erasures.finish()

    app.router.lifespan_context = lifespan
