"""By what name a server may be called, and from whose pages (against DNS rebinding, and calls that a page slips in)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from limner.server.problems import Refusal, refusal


class Guard:
    """Refuses requests that name another host, or that come from a page of another origin.

    hosts: the names that are its own. literal: whether any address will do, as it must where it listens to all of the
    machine's; no name server has a say in those.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], literal: bool = False) -> None:
        self.app, self.hosts, self.literal = app, {host.casefold() for host in hosts}, literal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._problem(dict(scope["headers"]))):
            return await refusal(problem)(scope, receive, send)
        await self.app(scope, receive, send)

    def _problem(self, headers: dict[bytes, bytes]) -> Refusal | None:
        host = headers.get(b"host", b"").decode("latin-1").casefold()
        if not self._known(host):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this server is not {host[:100]!r}",
                "call it by its address, or start it with --names and this name",
            )
        origin = headers.get(b"origin", b"").decode("latin-1").casefold()
        if origin and origin.partition("://")[2] != host:
            return Refusal(HTTPStatus.FORBIDDEN, f"pages of {origin[:100]!r} may not use this server")
        return None

    def _known(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return name in self.hosts or (self.literal and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
