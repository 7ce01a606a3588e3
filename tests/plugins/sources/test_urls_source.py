"""Lists of URLs, read from a local server in place of the public network."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gathering import entries, kept, lost, png, put
from limner import fetch as fetching
from limner.core.datasets import TrainingRefused
from limner.core.errors import LimnerError
from limner.core.requests import PrepareRequest
from limner.data.entries import byte_sources
from limner.data.entries.byte_sources import UrlBytes
from limner.engine.prepare.image import prepare_image
from limner.engine.prepare.plan import plan_of


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = png(int(self.path.split("/")[1])) if ".png" in self.path else None
        self.send_response(200 if found else 404)
        if "noai" in self.path:
            self.send_header("X-Robots-Tag", "noindex, limner: noai")
            self.send_header("X-Robots-Tag", "all")  # as a cache in front may add
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pictures_are_fetched(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(
        tmp_path / "list.txt",
        f"\ufeffhttp://{site}/0/a.png\ta dog\n\n# no\nhttp://{site}/1/a.png?v=2\r\nhttp://{site}/x",
    )
    first, second, third = entries(path).values()
    with pytest.raises(LimnerError, match="is not at a public address"):
        first.data.read()
    monkeypatch.setattr(byte_sources, "fetch", partial(fetching.fetch, public=lambda address: address == "127.0.0.1"))
    assert (first.caption, second.caption) == ("a dog", None)
    assert (first.data.read(), second.data.read()) == (png(0), png(1))
    assert (first.key, first.data.name, first.rights.source) == (f"{site}/0/a.png", "a.png", f"http://{site}/0/a.png")
    assert second.key.startswith(f"{site}/1/a.png#") and first.data.stamp != second.data.stamp
    with pytest.raises(LimnerError, match="answers 404"):
        third.data.read()


def test_a_refusal_of_a_server_has_the_bytes(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = entries(put(tmp_path / "list.txt", f"http://{site}/7/noai.png")).values()
    monkeypatch.setattr(byte_sources, "fetch", partial(fetching.fetch, public=lambda address: address == "127.0.0.1"))
    with pytest.raises(TrainingRefused, match="not to be trained on") as refused:
        entry.data.read()
    assert refused.value.data == png(7) and "noai" in refused.value.statement
    (tmp_path / "out").mkdir()
    plan = plan_of(PrepareRequest(sources=("x",), size=32, limit=("small=0",), ignore=("flat",)), tmp_path / "out")
    record = prepare_image((0, entry, "stamp"), plan)
    assert "refused" in {fault.kind for fault in record.faults} and record.picture is None


def test_lines_that_are_no_urls(tmp_path: Path) -> None:
    text = b"a dog on grass\nfile:///etc/passwd\nhttps://a.example/0.png\tcaf\xe9\nhttps://a.example/0.png\n"
    path = put(
        tmp_path / "list.txt", text + b"x" * 2**21 + b"\nhttps://\xff.example/1.png\nftp://a.example/2.png\nhttps://\n"
    )
    found = kept(path)
    assert list(found) == ["a.example/0.png", "\\udcff.example/1.png"] and found["a.example/0.png"].caption is None
    with pytest.raises(LimnerError, match="is not a plain URL"):
        found["\\udcff.example/1.png"].data.read()
    assert {key: kind for key, (kind, _) in lost(path).items()} == {
        **{f"list.txt line {number}": "stray" for number in (1, 2, 5, 7, 8)},
        "a.example/0.png": "stray",
    }


def test_secrets_are_not_in_keys_or_sources(tmp_path: Path) -> None:
    lines = ("https://ann:word@a.example/0.png", "https://a.example/1.png?X-Amz-Signature=word&a=1#word")
    found = entries(put(tmp_path / "list.txt", "\n".join(lines)))
    assert len(found) == len(lines)
    for key, entry in found.items():
        assert "word" not in key + str(entry.rights.source) + entry.data.name
        assert str(entry.rights.source).startswith("https://a.example/")


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n"])
def test_empty_lists(tmp_path: Path, text: str) -> None:
    assert entries(put(tmp_path / "list.txt", text)) == {}


def test_a_url_ends_before_the_spaces_in_front_of_its_caption(tmp_path: Path) -> None:
    path = put(tmp_path / "list.txt", "\n#\n  https://a.example/0.png \t a  dog \nnothing\n")
    ((key, entry),) = kept(path).items()
    assert (key, entry.caption) == ("a.example/0.png", "a dog")
    assert isinstance(entry.data, UrlBytes) and entry.data.url == "https://a.example/0.png"
    assert "line 4 of " in lost(path)["list.txt line 4"][1]
