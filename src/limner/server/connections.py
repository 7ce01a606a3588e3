"""Limits on clients' connections: their number, and the time to send a request and to read an answer.

uvicorn times out only idle connections. It would wait for ever for a client that sends half a request or reads no
answer, and enough of those would keep everybody else out.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from limner.server.settings import Settings

RATE = 1024
"""Bytes per second that a client must send of a body, and read of an answer, at least, on average."""


class Connections:
    """All open connections of a service, counted in all and by client."""

    def __init__(self, settings: Settings) -> None:
        self.header_seconds, self.body_seconds = settings.header_seconds, settings.body_seconds
        self.most, self.each = settings.connections, settings.each_client
        self.open: Counter[str] = Counter()

    def admit(self, client: str) -> bool:
        """Count a client's new connection and return whether it may stay."""
        self.open[client] += 1
        return self.open.total() <= self.most and (not self.each or self.open[client] <= self.each)

    def release(self, client: str) -> None:
        """Stop counting a client's connection."""
        self.open[client] -= 1
        if not self.open[client]:
            del self.open[client]

    def protocol(self, *args: Any, **kwargs: Any) -> asyncio.Protocol:
        """A connection, as uvicorn makes one."""
        return Connection(self, *args, **kwargs)


def client_of(address: str) -> str:
    """Whom connections from an address are counted for: an IPv4 address, or a network of IPv6, of which one client has
    all addresses.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


class Connection(H11Protocol):
    """A connection that is closed where its client sends a request, or reads an answer, too slowly."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.all = connections
        self.counted: str | None = None
        self._reading = _Clock(self.loop, self._sent_too_slowly)
        self._writing = _Clock(self.loop, self._read_too_slowly)
        self._in_body = False
        self._body_began = self._last = 0.0
        self._got = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.counted = client_of(self.client[0] if self.client else "")
        if self.all.admit(self.counted):
            self._reading.start(self.all.header_seconds)
        else:
            self._answer(503, "there are too many connections; try again soon", "Retry-After: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading.stop()
        self._writing.stop()
        if self.counted is not None:
            self.all.release(self.counted)
            self.counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._got, self._last = self._got + len(data), self.loop.time()
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing.start(self.all.body_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing.stop()

    def _look(self) -> None:
        """Start the clock for what the client is sending now, and stop it where nothing is left to send."""
        state = self.conn.their_state
        began, self._in_body = self._in_body, state is h11.SEND_BODY
        if self._in_body and not began:
            self._body_began, self._got = self._last, 0
            self._reading.start(self.all.body_seconds)
        elif state is h11.IDLE and self.timeout_keep_alive_task is None:
            if began or not self._reading.running:
                self._reading.start(self.all.header_seconds)
        elif not self._in_body:
            self._reading.stop()

    def _sent_too_slowly(self) -> None:
        if self._in_body:
            if self.flow.read_paused:  # it is us who are slow
                self._body_began, self._last, self._got = self.loop.time(), self.loop.time(), 0
            seconds = self.all.body_seconds
            due = min(self._last + seconds, self._body_began + seconds + self._got / RATE)
            if due > self.loop.time():
                return self._reading.start(due - self.loop.time())
        self._answer(408, "the request took too long to arrive", "")

    def _read_too_slowly(self) -> None:
        self.transport.abort()

    def _answer(self, status: int, said: str, header: str) -> None:
        """Close the connection, with a few words where no answer has begun."""
        self._reading.stop()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            line = f"HTTP/1.1 {status} {'Request Timeout' if status == 408 else 'Service Unavailable'}\r\n"
            headers = f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(said)}\r\n{header}"
            self.transport.write(f"{line}{headers}Connection: close\r\n\r\n{said}".encode())
        self.transport.close()


class _Clock:
    """Calls `late` when its time is over, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop, self._late = loop, late
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Begin anew."""
        self.stop()
        self._handle = self._loop.call_later(seconds, self._ring)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._late()


def config_of(app: Any, settings: Settings) -> Config:
    """How uvicorn serves an application."""
    protocol = cast(type[asyncio.Protocol], Connections(settings).protocol)
    return Config(app, http=protocol, ws="none", log_config=None, timeout_graceful_shutdown=5, server_header=False)
