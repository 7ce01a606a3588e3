"""Uploads that go on where their connection broke: what has arrived stays in a file, also when the server ends."""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from pathlib import Path

from anyio import open_file
from fastapi import Request
from starlette.requests import ClientDisconnect

from limner.server.problems import HTTPError
from limner.studio.files import discard

DAY = 86_400.0
MOST = 50
"""Unfinished uploads that a draft may have."""


class PartialUploads:
    """The unfinished uploads in a folder. A name is made of a draft and what the browser calls the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, draft: str, upload: str) -> Path:
        """The file of an upload, whether it exists or not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{draft}-{upload}"

    def received(self, draft: str, upload: str) -> int:
        """How many bytes of an upload have arrived."""
        place = self.place(draft, upload)
        return place.stat().st_size if place.exists() else 0

    def clean(self, draft: str) -> None:
        """Delete what nobody goes on with, and the oldest of too many."""
        files = sorted(self._folder.glob("*"), key=_age)
        own = [path for path in files if path.name.startswith(f"{draft}-")]
        for path in files:
            if time.time() - _age(path) > DAY or path in own[: max(0, len(own) - MOST)]:
                self.remove(path)

    def remove(self, place: Path) -> None:
        """Delete the file of an upload, if it exists."""
        discard(place, self._folder)

    async def receive(self, request: Request, place: Path, at: int, total: int, limit: int) -> bool:
        """Write the rest of an upload from a byte on; whether it is complete now.

        Raises HTTPError for one that is larger than `limit`, and for a byte that has not arrived yet.
        """
        if total > limit:
            raise HTTPError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the upload is larger than {limit:,} bytes", "send less"
            )
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
        return size == total


def _age(path: Path) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
