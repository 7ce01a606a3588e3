"""Uploads that go on where their connection broke: what has arrived stays in a file, also when the server ends."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from http import HTTPStatus
from pathlib import Path

from anyio import open_file
from fastapi import Request
from starlette.requests import ClientDisconnect

from limner.server.problems import HTTPError
from limner.studio.files import discard

DAY = 86_400.0
MOST, MOST_BYTES = 50, 2 * 2**30
"""Unfinished uploads that an account may have, and their bytes."""


class PartialUploads:
    """The unfinished uploads of an account. A name is made of a draft and what the browser calls the file."""

    def __init__(self, home: Path, account: str) -> None:
        self._all = home / "uploads"
        self._folder = self._all / hashlib.sha256(account.encode()).hexdigest()[:16]

    def place(self, draft: str, upload: str) -> Path:
        """The file of an upload, whether it exists or not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{draft}-{upload}"

    def received(self, draft: str, upload: str) -> int:
        """How many bytes of an upload have arrived."""
        place = self.place(draft, upload)
        return place.stat().st_size if place.exists() else 0

    def clean(self) -> None:
        """Delete what nobody goes on with, and the oldest of too many of the account."""
        now = time.time()
        for path in self._all.glob("*/*"):
            if now - _facts(path)[0] > DAY:
                self.remove(path)
        count, size = 0, 0
        for path in sorted(self._folder.glob("*"), key=_facts, reverse=True):
            count, size = count + 1, size + _facts(path)[1]
            if count >= MOST or size > MOST_BYTES:
                self.remove(path)

    def remove(self, place: Path) -> None:
        """Delete the file of an upload, if it exists."""
        discard(place, self._all)

    def take(self, place: Path) -> Path:
        """Another place of an upload that is complete, where no other request writes to it.

        Raises HTTPError if it is gone, because another tab sent the same file.
        """
        taken = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
        try:
            return place.rename(taken)
        except FileNotFoundError as error:
            problem = "the upload was taken by another tab, or was too old"
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, problem, "send it again") from error

    async def receive(self, request: Request, place: Path, at: int, total: int, limit: int) -> bool:
        """Write the rest of an upload from a byte on; whether it is complete now.

        Raises HTTPError for one that is larger than `limit`, and for a byte that has not arrived yet.
        """
        if total > limit:
            raise HTTPError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the upload is larger than {limit:,} bytes", "send less"
            )
        if at > total:
            raise HTTPError(HTTPStatus.BAD_REQUEST, f"the file has no byte {at:,}", "send it again")
        if at > (place.stat().st_size if place.exists() else 0):
            raise HTTPError(HTTPStatus.CONFLICT, f"the upload has not arrived up to byte {at:,}", "send it again")
        size = at
        async with await open_file(place, "r+b" if place.exists() else "w+b") as file:
            await file.seek(at)
            try:
                async for piece in request.stream():
                    size += len(piece)
                    if size > total:
                        raise HTTPError(HTTPStatus.BAD_REQUEST, "more bytes than the file has", "send it again")
                    await file.write(piece)
            except ClientDisconnect:
                return False
            finally:
                await file.flush()
            if size == total:
                await file.truncate(total)  # what another file left behind its end
        return size == total


def _facts(path: Path) -> tuple[float, int]:
    """When a file changed last, and its bytes; zeros for one that is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return 0.0, 0
    return found.st_mtime, found.st_size
