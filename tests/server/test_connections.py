"""Connection limits: timeouts of slow clients, and limits per client and in total."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from limner.core.errors import LimnerError
from limner.server import serve
from limner.server.connections import ConnectionProtocol, Connections, client_of, server_config
from limner.server.serve import listen, raise_file_limit
from limner.server.settings import Settings

SOON = 0.15
"""Seconds that a client has in these tests."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body; /slow responds later than a client may be, /large with more than fits into socket buffers."""
    if scope["type"] == "lifespan":
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if message["type"] == "http.disconnect":
        scope["state"]["gone"].append(len(body))
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * SOON)
    answer = bytes(2**25) if scope["path"] == "/large" else str(len(body)).encode()
    length = str(len(answer)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": answer})


@contextmanager
def serving(**settings: Any) -> Iterator[tuple[int, list[int]]]:
    """A server on a free port, and the bytes received of each incomplete request."""
    gone: list[int] = []

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"gone": gone}
        await app(scope, receive, send)

    wanted = {"header_seconds": SOON, "body_seconds": SOON, **settings}
    server = uvicorn.Server(server_config(recording, Settings(**wanted)))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1], gone
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        yield sock


def answer_of(sock: socket.socket) -> bytes:
    """Everything received until the server closes the connection."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(2**16):
            pieces.append(piece)
    return b"".join(pieces)


def reply(sock: socket.socket) -> tuple[bytes, bytes]:
    """Status and body of one response."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += (piece := sock.recv(1))
        assert piece, found
    size = int(found.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < size:
        body += sock.recv(size - len(body))
    return found[9:12], body


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, list[int]]]:
    with serving() as found:
        yield found


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-Y: ", POST, POST + b"12345", POST[:-4]],
    ids=["nothing", "a letter", "half a header", "no body", "half a body", "no end of headers"],
)
def test_an_incomplete_request_times_out(server: tuple[int, list[int]], sent: bytes) -> None:
    with connected(server[0]) as sock:
        sock.sendall(sent)
        began = time.monotonic()
        answer = answer_of(sock)
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and answer.endswith(b"took too long to arrive")
        assert time.monotonic() - began < 5


def test_a_slow_request_times_out(server: tuple[int, list[int]]) -> None:
    """Each piece arrives in time, but the whole request never would."""
    for begin, piece in ((b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"), (POST.replace(b"10", b"9999"), b"a")):
        with connected(server[0]) as sock:
            sock.sendall(begin)
            began = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - began < 5:
                    sock.sendall(piece)
                    time.sleep(SOON / 5)
            assert time.monotonic() - began < 5


def test_the_application_sees_a_disconnect_after_a_timeout(server: tuple[int, list[int]]) -> None:
    server[1].clear()
    with connected(server[0]) as sock:
        sock.sendall(POST + b"1234")
        answer_of(sock)
    until = time.monotonic() + 5
    while not server[1] and time.monotonic() < until:
        time.sleep(0.01)
    assert server[1] == [4]


def test_responses_have_no_server_header(server: tuple[int, list[int]]) -> None:
    with connected(server[0]) as sock:
        sock.sendall(GET.replace(b"Host", b"Connection: close\r\nHost"))
        answer = answer_of(sock).lower()
    assert answer.startswith(b"http/1.1 200") and b"\r\nserver:" not in answer


def test_an_incomplete_second_request_times_out(server: tuple[int, list[int]]) -> None:
    with connected(server[0]) as sock:
        sock.sendall(GET)
        assert reply(sock) == (b"200", b"0")
        sock.sendall(GET[:-2])
        assert b"408 Request Timeout" in answer_of(sock)


def test_a_slow_response_does_not_time_out(server: tuple[int, list[int]]) -> None:
    with connected(server[0]) as sock:
        for request in (GET, POST + b"0123456789", GET.replace(b"/ ", b"/slow "), GET):
            sock.sendall(request)
            assert reply(sock)[0] == b"200"
        for request in (GET + GET, POST[:20], POST[20:], b"0123456789"):  # pipelined; in pieces
            sock.sendall(request)
        assert [reply(sock)[1] for _ in range(3)] == [b"0", b"0", b"10"]


def test_a_long_body_may_take_longer_than_the_time_for_one_piece(server: tuple[int, list[int]]) -> None:
    size = 8 * 4096
    with connected(server[0]) as sock:
        sock.sendall(POST.replace(b"10", str(size).encode()))
        for _ in range(8):
            time.sleep(SOON / 3)
            sock.sendall(bytes(4096))
        assert reply(sock) == (b"200", str(size).encode())


@pytest.mark.parametrize("paused", [True, False])
def test_no_timeout_while_the_server_is_slow(paused: bool) -> None:
    connection: Any = ConnectionProtocol.__new__(ConnectionProtocol)
    waits, answers = list[float](), list[int]()
    connection.all, connection.loop = Connections(Settings(body_seconds=30)), SimpleNamespace(time=lambda: 100.0)
    connection.flow, connection._receive_timer = (
        SimpleNamespace(read_paused=paused),
        SimpleNamespace(start=waits.append),
    )
    connection._in_body, connection._body_began, connection._last_data, connection._body_bytes = True, 0.0, 0.0, 10
    connection._reject = lambda status, *rest: answers.append(status)
    connection._receive_timeout()
    assert (waits, answers) == (([30.0], []) if paused else ([], [408]))


def test_a_response_that_is_not_read_times_out(server: tuple[int, list[int]]) -> None:
    with connected(server[0]) as sock:
        sock.sendall(GET.replace(b"/ ", b"/large "))
        time.sleep(3 * SOON)
        assert len(answer_of(sock)) < 2**25


def statuses(port: int, count: int) -> list[bytes]:
    """The statuses of requests on as many connections, which all stay open."""
    with ExitStack() as ending:
        socks = [ending.enter_context(connected(port)) for _ in range(count)]
        for sock in socks:
            sock.sendall(GET)
        return [reply(sock)[0] for sock in socks]


def test_connections_of_one_client_are_limited() -> None:
    with serving(connections=8, connections_each=4, header_seconds=20) as (port, _):
        assert sorted(statuses(port, 6)) == [b"200"] * 4 + [b"503"] * 2
        assert answered(port), "closed connections are not counted"


def test_zero_means_no_limit_per_client() -> None:
    with serving(connections=6, connections_each=0, header_seconds=20) as (port, _):
        assert sorted(statuses(port, 8)) == [b"200"] * 6 + [b"503"] * 2


def test_half_open_connections_time_out() -> None:
    """All connections are in use, and are released after the timeout."""
    with serving(connections=5, connections_each=0) as (port, _), ExitStack() as ending:
        for _ in range(5):
            ending.enter_context(connected(port)).sendall(POST)
        with connected(port) as sock:
            assert b"503 Service Unavailable" in answer_of(sock)
        assert answered(port)


def answered(port: int) -> bool:
    """Whether a new client gets a response soon."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with connected(port) as sock:
            sock.sendall(GET)
            if reply(sock)[0] == b"200":
                return True
        time.sleep(0.02)
    return False


def test_no_limit_per_client_with_a_tunnel() -> None:
    assert (Settings().connections_per_client, Settings(share=True).connections_per_client) == (250, 0)


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "", True),
    ],
)
def test_clients_are_ipv4_addresses_or_ipv6_networks(address: str, other: str, same: bool) -> None:
    assert (client_of(address) == client_of(other)) is same


def test_responses_are_sent_without_delay() -> None:
    """Without TCP_NODELAY, the body of a response on an open connection arrives 40 ms after its headers."""
    options: list[int] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            options.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def accept() -> None:
        sock = listen(Settings(port=0))
        async with await asyncio.get_running_loop().create_server(Accepted, sock=sock):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            await reader.read()
            writer.close()

    asyncio.run(accept())
    assert options == [1]


def test_the_file_limit_is_raised_for_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = {"soft": 100, "hard": 5000}
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(limits.values()))
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: limits.update(soft=to[0], hard=to[1]))
    raise_file_limit(1000)
    assert limits == {"soft": 1512, "hard": 5000}
    raise_file_limit(100)
    assert limits == {"soft": 1512, "hard": 5000}, "the limit is never lowered"
    raise_file_limit(100_000)
    assert limits == {"soft": 5000, "hard": 5000}


def test_the_first_free_port_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(serve, "PORT", port)
        with listen(Settings()) as found:
            assert port < found.getsockname()[1] < port + serve.PORTS_TRIED
        with pytest.raises(LimnerError, match=f"cannot listen on port {port} of '127.0.0.1'"):
            listen(Settings(port=port))


@pytest.mark.parametrize(("workers", "threads"), [(1, None), (2, "4"), (3, "2"), (16, "1")])
def test_workers_divide_the_cores(monkeypatch: pytest.MonkeyPatch, workers: int, threads: str | None) -> None:
    monkeypatch.setattr(serve.os, "cpu_count", lambda: 8)
    assert serve.thread_variables(workers).get("OMP_NUM_THREADS") == threads


def test_behind_a_tunnel_all_connections_are_of_one_client() -> None:
    for share, admitted in ((True, [True, True, True]), (False, [True, True, False])):
        connections = Connections(Settings(share=share, connections_each=2))
        assert [connections.admit("127.0.0.1") for _ in range(3)] == admitted


def test_a_response_has_the_time_of_a_body_to_be_read() -> None:
    connection: Any = ConnectionProtocol.__new__(ConnectionProtocol)
    steps: list[Any] = []
    connection.all = Connections(Settings(header_seconds=2, body_seconds=30))
    connection.flow = SimpleNamespace(pause_writing=lambda: None, resume_writing=lambda: None)
    connection._send_timer = SimpleNamespace(start=steps.append, stop=lambda: steps.append("stopped"))
    connection.pause_writing()
    connection.resume_writing()
    assert steps == [30.0, "stopped"]
