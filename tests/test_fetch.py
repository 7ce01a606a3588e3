"""The fetcher reaches public addresses and nothing else, in bounded time and size."""

import http.client
import http.server
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from limner import fetch as fetching
from limner.core.errors import LimnerError
from limner.data.entries.byte_sources import UrlBytes
from limner.fetch import fetch, is_public, post

HOSTILE = [
    # this machine
    "http://127.0.0.1/", "http://127.0.0.1:22/", "http://127.255.255.254/", "http://localhost/", "http://LOCALHOST./",
    "https://127.0.0.1/", "http://0.0.0.0/", "http://0.1.2.3/", "http://[::1]/", "http://[::]/",
    # this machine, spelt oddly
    "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/",
    "http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.1./", "http://127.0.0.01/", "http://1/", "http://0/",
    "http://0x7f.1/", "http://127.0.0.1.:80/", "http://256.256.256.256/", "http://127.0.0.0x1/",
    # private and special networks
    "http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://100.64.0.1/",
    "http://192.0.0.8/", "http://192.0.2.1/", "http://198.18.0.1/", "http://198.51.100.7/", "http://203.0.113.7/",
    "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/",
    # the clouds' own addresses
    "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://[fd00:ec2::254]/",
    # private ones in IPv6, plain and wrapped
    "http://[fc00::1]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[fec0::1]/", "http://[ff02::1]/",
    "http://[2001:db8::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:169.254.169.254]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/", "http://[64:ff9b:1::a00:1]/", "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/", "http://[2001:0:7f00:1:0:0:80ff:fffe]/", "http://[100::1]/",
    # not http, or not a URL
    "file:///etc/passwd", "ftp://example.com/a.png", "gopher://127.0.0.1:6379/_x", "data:image/png;base64,AA",
    "javascript:alert(1)", "//127.0.0.1/", "127.0.0.1", "", "http://", "http:///a", "http:127.0.0.1", "unix:/var/run/x",
    "http+unix://%2Fvar%2Frun%2Fx/", "HTTP:\\\\127.0.0.1\\a", "jar:http://example.com!/",
    # read as one thing here and as another elsewhere
    "http://example.com@127.0.0.1/", "http://user:word@example.com/", "http://example.com\\@127.0.0.1/",
    "http://exam ple.com/", "http://example.com\r\nHost: 127.0.0.1/", "http://example.com\t/", "http://ex\u212aample.com/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://127\u30020\u30020\u30021/", "http://example.com:99999/",
    "http://example.com:0/", "http://example.com:a/", "http://[::1/", "http://[127.0.0.1]/", "http://[v1.a]/",
    "http://127.0.0.1%00.example.com/", "http://%31%32%37.0.0.1/", "http://-a.example/", "http://a..b/",
    "http://" + "a" * 300 + ".com/", "http://example.com/" + "a" * 3000,
]  # fmt: skip


def test_the_list_is_long_enough() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


def is_address(host: str) -> bool:
    """Whether a host needs no name server; any other name stands for a public address in these tests."""
    return host.lower().rstrip(".") == "localhost" or not any(
        letter in "ghijklmnopqrstuvwyz" for letter in host.lower()
    )


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_before_a_byte_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: object, address: object) -> None:
        raise AssertionError(f"connected to {address}")

    def answers(host: str, port: int, *rest: object, **more: object) -> list[object]:
        found = real(host, port, *rest, **more) if is_address(host) else []
        return found or [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(fetching.socket, "getaddrinfo", answers)
    monkeypatch.setattr(socket.socket, "connect", never)
    with pytest.raises(LimnerError) as caught:
        fetch(url)
    assert "\n" not in str(caught.value) and "anyone can reach" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        assert self.headers["User-Agent"] == "limner" and "Authorization" not in self.headers
        kind, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, kind)(rest)

    do_POST = do_GET

    def picture(self, rest: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"picture")

    def status(self, rest: str) -> None:
        self.send_response(int(rest))
        self.send_header("Location" if rest.startswith("3") else "X-Location", "/picture")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def missing(self, rest: str) -> None:
        self.send_error(404)

    def to(self, rest: str) -> None:
        self.send_response(302)
        self.send_header("Location", rest)
        self.end_headers()

    def times(self, rest: str) -> None:
        self.to("/picture" if rest == "1" else f"/times/{int(rest) - 1}")

    def endless(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def drops(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def slow_head(self, rest: str) -> None:
        while True:
            self.wfile.write(b"H")
            time.sleep(0.05)

    def head_of_5_seconds(self, rest: str) -> None:
        for _ in range(100):
            self.wfile.write(b"H")
            time.sleep(0.05)

    def many_heads(self, rest: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-A: " + b"a" * 1000 + b"\r\n")

    def continues(self, rest: str) -> None:
        while True:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def silent(self, rest: str) -> None:
        self.connection.settimeout(20)
        self.rfile.read(1)  # until the client goes away

    def short(self, rest: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"half")

    def garbage(self, rest: str) -> None:
        self.wfile.write(b"\x00\x01\x02 not http\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients go away in the middle here


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def only(address: str) -> bool:
    """For these tests, the test's own server is the public network."""
    return address == "127.0.0.1"


def test_a_picture_is_fetched_and_redirects_are_followed(site: str) -> None:
    assert fetch(f"{site}/picture", public=only) == b"picture"
    assert fetch(f"{site}/times/3", public=only) == b"picture"


@pytest.mark.parametrize("status", [200, 201, 204, 206, 301, 302, 303, 307, 308, 305, 410, 500])
def test_a_body_comes_with_200_and_five_statuses_lead_elsewhere(site: str, status: int) -> None:
    url = f"{site}/status/{status}"
    if status in (200, 301, 302, 303, 307, 308):
        assert fetch(url, public=only) == (b"" if status == 200 else b"picture")
    else:
        with pytest.raises(LimnerError, match=f"answers {status}"):
            fetch(url, public=only)


def test_a_body_of_the_most_bytes_is_taken_and_no_larger_one(site: str) -> None:
    assert fetch(f"{site}/picture", bytes_most=7, public=only) == b"picture"
    with pytest.raises(LimnerError, match="is larger than 6 bytes"):
        fetch(f"{site}/picture", bytes_most=6, public=only)


def test_a_post_is_answered_in_time_or_not_at_all(site: str) -> None:
    assert post(f"{site}/status/204", b"{}", {}, seconds=20, public=only) == 204
    began = time.monotonic()
    with pytest.raises(LimnerError, match="took too long"):
        post(f"{site}/head_of_5_seconds", b"{}", {}, seconds=0.1, public=only)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("times/4", "redirects more than 3 times"),
        ("to/http://127.0.0.2/", "is not at a public address"),
        ("to/http://[::1]/", "is not at a public address"),
        ("to/file:///etc/passwd", "is neither http nor https"),
        ("to/http://169.254.169.254/", "is not at a public address"),
        ("to///127.1/", "has an invalid host"),
        ("missing", "answers 404"),
        ("endless", "is larger than 1,000,000 bytes"),
        ("drops", "took too long"),
        ("slow_head", "took too long"),
        ("many_heads", "cannot be reached"),
        ("continues", "took too long"),
        ("silent", "took too long"),
        ("short", "cannot be reached"),
        ("garbage", "cannot be reached"),
    ],
)
def test_what_a_server_may_try(site: str, path: str, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(LimnerError, match=said):
        fetch(f"{site}/{path}", bytes_most=1_000_000, seconds=0.3 if said == "took too long" else 20, public=only)
    assert time.monotonic() - began < 20


def test_a_name_that_stands_for_a_private_address_among_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("10.0.0.1", "8.8.8.8")]
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *a, **k: rows)
    with pytest.raises(LimnerError, match=r"'pictures\.example' is not at a public address"):
        fetch("http://pictures.example/a.png")


def test_a_name_server_that_changes_its_mind_changes_nothing(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: the name is asked once, and the address that was vetted is the one that is connected to."""
    port, asked = int(site.rsplit(":", 1)[1]), []

    def answers(host: str, *rest: object, **more: object) -> list[object]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(fetching.socket, "getaddrinfo", answers)
    assert fetch(f"http://rebinding.example:{port}/picture", public=only) == b"picture"
    assert asked == ["rebinding.example"]


def test_the_peer_is_checked_where_it_is_connected(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("10.0.0.1", 80))
    with pytest.raises(LimnerError, match="is not at a public address"):
        fetch(f"{site}/picture", public=only)


def test_proxies_of_the_environment_play_no_part(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(f"{site}/picture", public=only) == b"picture"


def test_what_may_be_secret_in_a_url_is_not_repeated() -> None:
    with pytest.raises(LimnerError) as caught:
        fetch("ftp://name:word@example.com/a.png?token=abc#def")
    assert "word" not in str(caught.value) and "abc" not in str(caught.value)


OK, MOVED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Found\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "nothing": b"",
    "bytes": bytes(range(256)) * 4,
    "no status": b"HTTP/1.1\r\n\r\n",
    "a negative status": b"HTTP/1.1 -1 x\r\n\r\n",
    "a large status": b"HTTP/1.1 99999 x\r\n\r\n",
    "status 000": b"HTTP/1.1 000 x\r\n\r\n",
    "a status in other digits": "HTTP/1.1 \u0662\u0660\u0660 x\r\n\r\n".encode(),
    "another version": b"HTTP/9.9 200 OK\r\n\r\nabc",
    "a long status line": b"HTTP/1.1 200 " + b"x" * 70_000,
    "a long header": OK + b"a: " + b"b" * 70_000 + b"\r\n\r\n",
    "many headers": OK + b"a: b\r\n" * 200 + b"\r\n",
    "a long length": OK + b"Content-Length: 999999999999\r\n\r\nabc",
    "chunks of no size": CHUNKED + b"zz\r\nabc",
    "chunks of a negative size": CHUNKED + b"-5\r\nabc",
    "chunks of a huge size": CHUNKED + b"f" * 400 + b"\r\nabc",
    "a long line of a chunk": CHUNKED + b"1" * 70_000 + b"\r\n",
    "half a chunk": CHUNKED + b"10\r\nabc",
    "no last chunk": CHUNKED + b"3\r\nabc\r\n",
    "moved nowhere": MOVED + b"\r\n",
    **{
        f"moved to {place!r}": MOVED + b"Location: " + place + b"\r\n\r\n"
        for place in (
            *(b"http://[", b"http://[::1", b"http://]", b"//[", b"http://[v1.x]/", b"http://a:b/", b"http://a:99999/"),
            *(b"http://xn--\xff.example/", b"http://xn--a.b.example/", b"http://" + b"a" * 70 + b".example/"),
            *(b"http://\xbc\xe2\x84\x80/", b"\xed\xa0\x80", b"?\x7f", b"/a\r\n b", b"http:", b"=?utf-8?b?////?="),
            *(b"file:///etc/passwd", b"data:image/png;base64,AA", b"javascript:1", b"/" + b"a" * 3000, b"http://a..b/"),
        )
    },
}


@pytest.fixture(scope="module")
def answering() -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers whatever stands first in the list, byte for byte."""
    answers, ending = [b""], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as sock:

        def serve() -> None:
            while not ending.is_set():
                with suppress(OSError), sock.accept()[0] as line:
                    line.settimeout(2)
                    line.recv(65536)
                    line.sendall(answers[0])
                    line.shutdown(socket.SHUT_WR)
                    line.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        yield url, answers
        ending.set()
        with suppress(LimnerError):
            fetch(url, public=only)
        thread.join(5)


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_is_more_than_a_failure(answering: tuple[str, list[bytes]], answer: str) -> None:
    url, answers = answering
    answers[0] = ANSWERS[answer]
    with pytest.raises(LimnerError) as caught:
        fetch(url, seconds=2.0, public=only)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


def test_no_change_of_an_answer_is_more_than_a_failure(answering: tuple[str, list[bytes]]) -> None:
    """Answers with bytes put in, taken out and exchanged."""
    url, answers = answering
    chance = random.Random(7)
    seeds = [OK + b"Content-Length: 3\r\n\r\nabc", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"]
    seeds.append(MOVED + b"Location: http://[::1]/a\r\n\r\n")
    for number in range(150):
        answer = bytearray(seeds[number % 3])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(answer))
            put = chance.choice([b"", b"[", b"]", b":", b"\x00", b"\xff", b"-", b"9", b"\r\n", b"%", b"@", b"#"])
            answer[at : at + chance.randint(0, 2)] = put
        answers[0] = bytes(answer)
        with suppress(LimnerError):
            assert len(fetch(url, seconds=2.0, bytes_most=1000, public=only)) <= 1000


def test_the_status_of_a_post_is_all_that_an_answer_gives(answering: tuple[str, list[bytes]]) -> None:
    url, answers = answering
    for answer in ANSWERS.values():
        answers[0] = answer
        with suppress(LimnerError):
            assert post(url, b"{}", {}, seconds=2.0, public=only) in range(100, 1000)


def test_a_picture_whose_server_answers_nonsense_is_lost_alone(
    answering: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, answers = answering
    monkeypatch.setattr(fetching, "is_public", only)
    answers[0] = ANSWERS["moved to b'http://['"]
    with pytest.raises(LimnerError, match="sends a response that cannot be read"):
        UrlBytes(f"{url}cat.jpg").read()


def test_limits_of_a_fetch() -> None:
    assert (fetching.REDIRECTS, fetching.SECONDS, fetching.BYTES) == (3, 20.0, 32 * 1024**2)


def test_a_post_sends_its_headers_and_query(
    answering: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[object, ...]] = []
    request = http.client.HTTPConnection.request

    def record(self: http.client.HTTPConnection, *given: object, **more: object) -> None:
        sent.append((*given, *more.values()))
        request(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(http.client.HTTPConnection, "request", record)
    url, answers = answering
    answers[0] = OK + b"Content-Length: 0\r\n\r\n"
    for target, path in (("a?b=c", "/a?b=c"), ("a#d", "/a"), ("", "/")):
        assert post(f"{url}{target}", b"body", {"webhook-id": "7"}, seconds=5, public=only) == 200
        headers = {"User-Agent": "limner", "Connection": "close", "webhook-id": "7"}
        assert sent.pop() == ("POST", path, b"body", headers)
        assert fetch(f"{url}{target}", public=only) == b"" and sent.pop()[:2] == ("GET", path)


def test_redirects_are_relative_to_their_page(
    answering: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, answers = answering
    asked: list[str] = []
    connected = fetching._connected

    def following(place: str, *rest: object) -> object:
        asked.append(place)
        answers[0] = MOVED + b"Location: b.png?x=1\r\n\r\n" if len(asked) == 1 else OK + b"Content-Length: 1\r\n\r\nx"
        return connected(place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fetching, "_connected", following)
    assert fetch(f"{url}deep/a.png", public=only) == b"x"
    assert asked == [f"{url}deep/a.png", f"{url}deep/b.png?x=1"]


def test_headers_of_every_response_are_shown(answering: tuple[str, list[bytes]]) -> None:
    url, answers = answering
    answers[0] = OK + b"X-Robots-Tag: noai\r\nX-Robots-Tag: noindex\r\nContent-Length: 1\r\n\r\nx"
    seen: list[object] = []
    assert fetch(url, public=only, headed=lambda headers: seen.append(headers["X-Robots-Tag"])) == b"x"
    assert seen == ["noai, noindex"]


def test_the_certificate_must_be_of_the_host(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped: list[object] = []

    class Context:
        def wrap_socket(self, sock: socket.socket, server_hostname: str) -> socket.socket:
            wrapped.append(server_hostname)
            return sock

    found = fetching._tls()
    assert found.check_hostname and found.verify_mode is ssl.CERT_REQUIRED
    port = int(site.rsplit(":", 1)[1])
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    asked: list[object] = []
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda host, at, **more: asked.append((host, at)) or rows)
    monkeypatch.setattr(fetching, "_tls", Context)
    assert fetch("https://pictures.example/picture", public=only) == b"picture"
    assert fetch(f"http://pictures.example:{port}/picture", public=only) == b"picture"
    assert wrapped == ["pictures.example"] and asked == [("pictures.example", 443), ("pictures.example", port)]


def test_the_next_address_is_tried(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(site.rsplit(":", 1)[1])
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at)) for at in (nobody, port)]
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *given, **more: rows)
    assert fetch("http://pictures.example/picture", public=only) == b"picture"
    rows[:] = rows[:1]
    with pytest.raises(LimnerError, match="cannot be reached"):
        fetch("http://pictures.example/picture", public=only)


def test_a_slow_name_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *given, **more: [][: released.wait(20)])
    began = time.monotonic()
    with pytest.raises(LimnerError, match="took too long"):
        fetch("http://pictures.example/a.png", seconds=0.1)
    assert time.monotonic() - began < 10
    released.set()
