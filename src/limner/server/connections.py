"""Limits on clients' connections: their number, and the time to send a request and to read a response.

uvicorn closes only idle connections. It would wait forever for a client that sends half a request or reads no
response, and enough of these would block all other clients.
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

MIN_RATE = 1024
"""Bytes per second that a client must send of a body, and read of a response, on average."""


class Connections:
    """All open connections of a server, counted in total and by client."""

    def __init__(self, settings: Settings) -> None:
        self.header_seconds, self.body_seconds = settings.header_seconds, settings.body_seconds
        self.limit, self.limit_per_client = settings.connections, settings.connections_per_client
        self.open: Counter[str] = Counter()

    def admit(self, client: str) -> bool:
        """Count a client's new connection and return whether it may stay."""
        self.open[client] += 1
        limit = self.limit_per_client
        return self.open.total() <= self.limit and (not limit or self.open[client] <= limit)

    def release(self, client: str) -> None:
        """Stop counting a client's connection."""
        self.open[client] -= 1
        if not self.open[client]:
            del self.open[client]

    def protocol(self, *args: Any, **kwargs: Any) -> asyncio.Protocol:
        """Return the protocol of a new connection, with uvicorn's arguments."""
        return ConnectionProtocol(self, *args, **kwargs)


def client_of(address: str) -> str:
    """Return the client that an address is counted for: an IPv4 address, or a /64 network of IPv6, all addresses of
    which belong to one client.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)


class ConnectionProtocol(H11Protocol):
    """A connection that is closed if its client sends a request, or reads a response, too slowly."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.all = connections
        self.client_id: str | None = None
        self._receive_timer = _Timer(self.loop, self._receive_timeout)
        self._send_timer = _Timer(self.loop, self._send_timeout)
        self._in_body = False
        self._body_began = self._last_data = 0.0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.client_id = client_of(self.client[0] if self.client else "")
        if self.all.admit(self.client_id):
            self._receive_timer.start(self.all.header_seconds)
        else:
            self._reject(503, "there are too many connections; try again in 5 seconds", "Retry-After: 5\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._receive_timer.stop()
        self._send_timer.stop()
        if self.client_id is not None:
            self.all.release(self.client_id)
            self.client_id = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._body_bytes, self._last_data = self._body_bytes + len(data), self.loop.time()
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer.start(self.all.body_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._send_timer.stop()

    def _update_timer(self) -> None:
        """Start the timer for what the client is sending now, and stop it if nothing is left to send."""
        state = self.conn.their_state
        began, self._in_body = self._in_body, state is h11.SEND_BODY
        if self._in_body and not began:
            self._body_began, self._body_bytes = self._last_data, 0
            self._receive_timer.start(self.all.body_seconds)
        elif state is h11.IDLE and self.timeout_keep_alive_task is None:
            if began or not self._receive_timer.running:
                self._receive_timer.start(self.all.header_seconds)
        elif not self._in_body:
            self._receive_timer.stop()

    def _receive_timeout(self) -> None:
        if self._in_body:
            if self.flow.read_paused:  # the server is slow, not the client
                self._body_began, self._last_data, self._body_bytes = self.loop.time(), self.loop.time(), 0
            seconds = self.all.body_seconds
            due = min(self._last_data + seconds, self._body_began + seconds + self._body_bytes / MIN_RATE)
            if due > self.loop.time():
                return self._receive_timer.start(due - self.loop.time())
        self._reject(408, "the request took too long to arrive", "")

    def _send_timeout(self) -> None:
        self.transport.abort()

    def _reject(self, status: int, reason: str, header: str) -> None:
        """Close the connection, after an error response if no response has begun."""
        self._receive_timer.stop()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            line = f"HTTP/1.1 {status} {'Request Timeout' if status == 408 else 'Service Unavailable'}\r\n"
            headers = f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(reason)}\r\n{header}"
            self.transport.write(f"{line}{headers}Connection: close\r\n\r\n{reason}".encode())
        self.transport.close()


class _Timer:
    """Calls `timeout` after some seconds, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: Callable[[], None]) -> None:
        self._loop, self._timeout = loop, timeout
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Start, or start again."""
        self.stop()
        self._handle = self._loop.call_later(seconds, self._expire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _expire(self) -> None:
        self._handle = None
        self._timeout()


def server_config(app: Any, settings: Settings) -> Config:
    """Return uvicorn's configuration for an application."""
    protocol = cast(type[asyncio.Protocol], Connections(settings).protocol)
    return Config(
        app,
        http=protocol,
        ws="none",
        root_path=settings.root_path,
        log_config=None,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
