"""Who may speak to a server on this machine: only pages of its own, by its own name (against DNS rebinding)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from .problems import reply

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """Refuses requests that name another host, or that come from a page of another origin."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK) -> None:
        self.app, self.hosts = app, {host.casefold() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._problem(dict(scope["headers"]))):
            return await reply(421, problem)(scope, receive, send)
        await self.app(scope, receive, send)

    def _problem(self, headers: dict[bytes, bytes]) -> str | None:
        host = headers.get(b"host", b"").decode("latin-1").casefold()
        if not self._known(host):
            return f"this server is not {host[:100]!r}"
        origin = headers.get(b"origin", b"").decode("latin-1").casefold()
        if origin and origin.partition("://")[2] != host:
            return f"pages of {origin[:100]!r} may not use this server"
        return None

    def _known(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return name in self.hosts
