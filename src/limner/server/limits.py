"""Limits of the server: requests per minute of a key, body sizes, and submissions and examinations at a time.

Quotas of images and stored bytes are checked in `limner.store.quota`.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from threading import Lock
from typing import TypeVar

from anyio import CapacityLimiter, move_on_after
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.server.problems import HTTPError

Result = TypeVar("Result")
JSON_BYTES = 2**20
JSON_BRACKETS = 100_000
"""Most lists and objects in a JSON body; each takes far more time and memory than its bytes."""
UPLOAD_PATHS = (
    "/v1/files",
    "/v1/folders",
    "/v1/verify",
    "/v1/images/edits",
)
"""Paths that take files. All others parse the body as JSON, whatever its media type."""
PAGE_UPLOADS = re.compile(r"/create(/copy|/files)?|/discover|/gallery|/teach/[a-z0-9]+/images(/parts/[0-9a-f]+)?")
"""Paths of pages that take files."""
UPLOAD_TYPES = ("application/octet-stream", "application/zip", "multipart/form-data")
"""Media types of uploads, besides those of images."""
SUBMISSIONS = CapacityLimiter(8)
"""Moderation of a request may take seconds; eight at a time leave threads for all other requests."""
EXAMINATIONS = 2
"""Images that are examined at a time, each in its own process; one takes a second of a core."""
EXAMINATION_WAIT = 60.0
"""Seconds that a request waits for other examinations to end."""


class RateLimit:
    """A token bucket for each key: `per_minute` requests at once, refilled over a minute.

    The buckets belong to one process; several servers behind one name allow this many each. buckets: the most that are
    stored; the least recently used ones are dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, buckets: int = 10_000) -> None:
        self._clock, self._capacity, self._lock = clock, buckets, Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, per_minute: int) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.pop(key, (float(per_minute), now))
            tokens = min(per_minute, tokens + (now - since) * per_minute / 60)
            allowed = tokens >= 1
            self._buckets[key] = (tokens - allowed, now)
            while len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (1 - tokens) * 60 / per_minute


class BodyLimitMiddleware:
    """Refuses bodies larger than `upload_bytes`, and than 1 MiB if the request is not an upload."""

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self.app, self.upload_bytes = app, upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        upload = is_upload(scope)
        limit = self.upload_bytes if upload else JSON_BYTES
        size = brackets = 0

        async def count() -> Message:
            nonlocal size, brackets
            message = await receive()
            body = message.get("body", b"")
            size += len(body)
            if size > limit:
                raise HTTPException(413, f"the body is larger than {limit:,} bytes")
            brackets += 0 if upload else body.count(b"[") + body.count(b"{")
            if brackets > JSON_BRACKETS:
                raise HTTPException(413, f"the body has more than {JSON_BRACKETS:,} opening brackets")
            return message

        await self.app(scope, count, send)


def is_upload(scope: Scope) -> bool:
    """Return whether the body of a request holds files, by its path and its media type."""
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().casefold()
    path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
    takes_files = path in UPLOAD_PATHS or PAGE_UPLOADS.fullmatch(path) is not None
    return takes_files and (media_type in UPLOAD_TYPES or media_type.startswith("image/"))


async def run_submission(submit: Callable[[], Result]) -> Result:
    """Call `submit`, which moderates and queues a request, in a thread, at most SUBMISSIONS at a time."""
    return await run_sync(submit, limiter=SUBMISSIONS)


class ExaminationLimit:
    """Limits examinations of images: one at a time for each account, and EXAMINATIONS in all."""

    def __init__(self) -> None:
        self._all = CapacityLimiter(EXAMINATIONS)
        self._accounts: defaultdict[str, CapacityLimiter] = defaultdict(lambda: CapacityLimiter(1))

    @asynccontextmanager
    async def slot(self, account: str) -> AsyncIterator[None]:
        """Hold a slot for one examination; raises HTTPError (503) if none is free in time."""
        async with AsyncExitStack() as stack:
            with move_on_after(EXAMINATION_WAIT) as timeout:
                for limiter in (self._accounts[account], self._all):
                    await stack.enter_async_context(limiter)
            if timeout.cancelled_caught:
                problem, headers = "the server is examining other images", {"Retry-After": "30"}
                raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, problem, "try again in 30 seconds", headers=headers)
            yield
