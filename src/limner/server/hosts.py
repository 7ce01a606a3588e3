"""Allowed host names and origins: protects against DNS rebinding and requests that pages of other sites send."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from limner.server.problems import HTTPError, error_response


class HostsMiddleware:
    """Refuses requests for another host, and requests from pages of another origin.

    hosts: the allowed names. any_address: also allow every IP address, as a server needs that listens on all addresses
    of the machine; DNS rebinding needs a name.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], any_address: bool = False) -> None:
        self.app, self.hosts, self.any_address = app, {host.casefold() for host in hosts}, any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (error := self._error(dict(scope["headers"]))):
            return await error_response(error)(scope, receive, send)
        await self.app(scope, receive, send)

    def _error(self, headers: dict[bytes, bytes]) -> HTTPError | None:
        host = headers.get(b"host", b"").decode("latin-1").casefold()
        if not self._is_allowed(host):
            return HTTPError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"{host[:100]!r} is not a name of this server",
                "use its IP address, or start it with --names and this name",
            )
        origin = headers.get(b"origin", b"").decode("latin-1").casefold()
        if origin and origin.partition("://")[2] != host:
            return HTTPError(HTTPStatus.FORBIDDEN, f"pages of {origin[:100]!r} may not use this server")
        return None

    def _is_allowed(self, host: str) -> bool:
        name = without_port(host)
        return name in self.hosts or (self.any_address and _is_address(name))


def without_port(host: str) -> str:
    """Return the name or the address in a `Host` header, or in the authority of a URL."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
