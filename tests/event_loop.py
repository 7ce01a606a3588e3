"""The event loop that test clients share: most tests of the server and its pages send a few requests."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial

from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.testclient import TestClient


def share_event_loop() -> Callable[[], None]:
    """Let test clients outside a `with` share one event loop and its threads; returns what ends them.

    A client otherwise starts both for each request, which takes 3 ms.
    """
    kept: list[BlockingPortal] = []
    stack = ExitStack()

    @contextmanager
    def portal_of(client: TestClient) -> Generator[BlockingPortal]:
        if client.portal is not None:
            yield client.portal
            return
        if not kept:
            portal = stack.enter_context(start_blocking_portal(**client.async_backend))
            stack.callback(partial(portal.call, partial(portal.stop, cancel_remaining=True)))
            kept.append(portal)
        yield kept[0]

    TestClient._portal_factory = portal_of  # type: ignore[method-assign]
    return stack.close
