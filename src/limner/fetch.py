"""HTTP requests to URLs from strangers, to public addresses only.

The address is checked on the connected socket, so that a second DNS answer cannot lead elsewhere. Every redirect is
checked again. Proxies of the environment are not used. This is built on http.client: an HTTP library that pins the
checked address and limits the total time would need its own sockets as well.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from limner.core.errors import LimnerError

REDIRECTS = 3
SECONDS = 20.0
BYTES = 32 * 2**20
PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?", re.I)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10")))
"""Never global, whatever the version of the standard library: IANA's special-purpose registries (RFC 6890)."""


def fetch(
    url: str,
    *,
    bytes_most: int = BYTES,
    seconds: float = SECONDS,
    public: Callable[[str], bool] | None = None,
    headed: Callable[[Mapping[str, str]], None] | None = None,
) -> bytes:
    """The body of a GET of an http or https URL.

    Raises LimnerError for an address that is not public, more than 3 redirects, more than `bytes_most` bytes, more than
    `seconds` in total, any status but 200, and invalid HTTP. public: whether an address may be connected to. headed:
    called with the headers of every response, also of redirects.
    """
    until = monotonic() + seconds
    for _ in range(REDIRECTS + 1):
        with _connected(url, until, public or is_public) as (connection, parts):
            body = _answer(connection, parts, bytes_most, until, headed)
            if isinstance(body, bytes):
                return body
            onward = urljoin(url, body)
        url = onward
    raise refused(url, f"redirects more than {REDIRECTS} times")


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, public: Callable[[str], bool] | None = None
) -> int:
    """The status of the response to a POST to an http or https URL; redirects are not followed.

    Raises LimnerError for an address that is not public, and if there is no response in time.
    """
    until = monotonic() + seconds
    with _connected(url, until, public or is_public) as (connection, parts), _deadline(connection, until):
        connection.request("POST", _target(parts), body, {"User-Agent": "limner", "Connection": "close", **headers})
        with connection.getresponse() as answer:
            return answer.status


@contextmanager
def _connected(url: str, until: float, public: Callable[[str], bool]) -> Iterator[tuple[_Connection, SplitResult]]:
    """A connection for one exchange with the host of a URL; its exceptions become LimnerErrors."""
    parts = vetted(url)
    connection = _Connection(parts, until, public)
    try:
        yield connection, parts
    except LimnerError:
        raise
    except Exception as error:  # hostile responses make http.client and urllib raise nearly anything
        late = isinstance(error, TimeoutError) or monotonic() >= until
        answered = not isinstance(error, (OSError, http.client.HTTPException))
        why = "took too long" if late else "sends a response that cannot be read" if answered else "cannot be reached"
        raise refused(url, why) from error
    finally:
        connection.close()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def vetted(url: str) -> SplitResult:
    """The parts of a valid URL; raises LimnerError for one that other programs might parse differently."""
    if len(url) > 2048 or not url.isascii() or re.search(r"[\x00-\x20\\\x7f]", url):
        raise refused(url, "is not a plain URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refused(url, "is not a URL") from error
    if parts.scheme not in PORTS:
        raise refused(url, "is neither http nor https")
    if parts.username is not None or parts.password is not None:
        raise refused(url, "contains a user name or a password")
    host = parts.hostname or ""
    if port == 0:
        raise refused(url, "has an invalid port")
    if "[" in parts.netloc:
        if "%" in host or _literal(host) is None:
            raise refused(url, "has an invalid host")
    elif not _HOST.fullmatch(host) or (_odd(host) and _literal(host) is None):
        raise refused(url, "has an invalid host")
    return parts


def check_public(url: str) -> None:
    """Raise LimnerError for an invalid URL or one with a private address, without asking a name server."""
    host = vetted(url).hostname or ""
    if _literal(host) is not None and not is_public(host):
        raise refused(url, "is not at a public address")


def _odd(host: str) -> bool:
    """Whether a host ends in a number, like an address: 127.1, 0x7f.0.0.1, 2130706433, 0177.0.0.1."""
    last = host.rstrip(".").rsplit(".", 1)[-1]
    return bool(re.fullmatch(r"\d+|0x[0-9a-f]*", last, re.I))


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Whether an address, and any inside it (IPv4-mapped, NAT64, 6to4, Teredo), is a global unicast address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        inner = [found.sixtofour, *(found.teredo or ())]
        if found in _NAT64 or int(found) < 2**32:  # the latter are deprecated IPv4-compatible addresses
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        if not all(is_public(str(part)) for part in inner if part is not None):
            return False
    special = any(found in network for network in _SPECIAL if network.version == found.version)
    return found.is_global and not (special or found.is_multicast or found.is_reserved)


class _Connection(http.client.HTTPConnection):
    """A connection to a public address of the host, within the time left."""

    def __init__(self, parts: SplitResult, until: float, public: Callable[[str], bool]) -> None:
        super().__init__(parts.hostname or "", parts.port or PORTS[parts.scheme], timeout=_left(until))
        self.secure, self.until, self.public = parts.scheme == "https", until, public

        self.line: socket.socket | None = None
        """The socket; `sock` becomes None when a response begins that ends with the connection."""

    def connect(self) -> None:
        self.sock = self.line = self._dial()
        if self.secure:
            self.sock = self.line = _tls().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Shut the connection down, also while another thread reads from it."""
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)

    def _vet(self, address: tuple[Any, ...]) -> None:
        if not self.public(str(address[0])):
            raise LimnerError(f"{self.host!r} is not at a public address", "give an address that anyone can reach")

    def _dial(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, address in _addresses(self.host, self.port, self.until):
            self._vet(address)
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(self.until))
                sock.connect(address)
                self._vet(sock.getpeername())
                return sock
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
        raise problem


def _addresses(host: str, port: int, until: float) -> list[tuple[Any, ...]]:
    """The addresses of a host. getaddrinfo cannot be cancelled, so a thread asks, and is abandoned if it is slow."""
    answers: SimpleQueue[list[tuple[Any, ...]] | OSError | UnicodeError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_left(until))
    except Empty as error:
        raise TimeoutError from error
    if isinstance(answer, list):
        return answer
    raise answer


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@contextmanager
def _deadline(connection: _Connection, until: float) -> Iterator[None]:
    """Shut the connection down when its time is over, however slowly a server sends."""
    timer = Timer(_left(until), connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
        _left(until)  # a response that was cut off may look complete
    finally:
        timer.cancel()


def refused(url: str, why: str) -> LimnerError:
    """The error for a URL, without the parts that may be secret."""
    shown = re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", url[:200])[0])
    return LimnerError(f"{shown!r} {why}", "give a URL that anyone can reach")


def _answer(
    connection: _Connection,
    parts: SplitResult,
    most: int,
    until: float,
    headed: Callable[[Mapping[str, str]], None] | None,
) -> bytes | str:
    """The body, or the target of a redirect."""
    with _deadline(connection, until):
        connection.request(
            "GET", _target(parts), headers={"Accept": "image/*", "User-Agent": "limner", "Connection": "close"}
        )
        with connection.getresponse() as answer:
            if headed is not None:
                headed({name: ", ".join(answer.headers.get_all(name, [])) for name in answer.headers})
            if answer.status in (301, 302, 303, 307, 308) and (place := answer.headers.get("Location")):
                return place
            if answer.status != 200:
                raise refused(parts.geturl(), f"answers {answer.status}")
            body = bytearray()
            while piece := answer.read1(2**16):
                body += piece
                if len(body) > most:
                    raise refused(parts.geturl(), f"is larger than {most:,} bytes")
            if answer.length:
                raise http.client.IncompleteRead(bytes(body), answer.length)
            return bytes(body)
