"""What the page Teach keeps when a connection breaks, when the server is killed, and for people without a mouse."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from anyio.to_thread import run_sync
from lxml import html
from PIL import Image
from playwright.sync_api import expect
from test_teach_images import begin, packed, photo, tiles
from test_teach_steps import filled

import serving
from browsing import heard, listen, opened
from limner.web import partial_uploads
from limner.web.partial_uploads import PartialUploads
from pages import text_of

UPLOAD = "0" * 32


def test_an_upload_goes_on_where_it_broke(site):
    at, data = begin(site), photo(1)
    parts = f"{at}/images/parts/{UPLOAD}"
    where = {"at": 0, "total": len(data)}
    assert site.client.get(parts).json() == {"bytes": 0}
    assert site.client.post(parts, params=where, content=data[:100]).status_code == 503
    assert site.client.get(parts).json() == {"bytes": 100} and not tiles(site.page(f"{at}/images"))
    refused = site.client.post(parts, params={"at": 200, "total": len(data)}, content=data[200:])
    assert refused.status_code == 409, "bytes are missing"
    headers = {"X-File-Name": "rex.png", "Accept": "application/json"}
    done = site.client.post(parts, params={**where, "at": 90}, content=data[90:], headers=headers)
    assert done.status_code == 200 and len(done.json()["tiles"]) == 1
    (tile,) = tiles(site.page(f"{at}/images"))
    assert tile.get("aria-label") == "rex.png"
    assert site.client.get(parts).json() == {"bytes": 0} and not unfinished(site)


@pytest.mark.parametrize(
    ("place", "status"),
    [
        (f"{UPLOAD}?at=0&total=100000000000", 413),
        (f"{UPLOAD}?at=0&total=5", 400),
        (f"{UPLOAD}?at=-1&total=50", 422),
        ("..%2F..%2Fx?at=0&total=50", 404),
        ("x?at=0&total=50", 422),
    ],
)
def test_a_hostile_part_of_an_upload_is_refused(site, place, status):
    at = begin(site)
    assert site.client.post(f"{at}/images/parts/{place}", content=b"x" * 50).status_code == status


def unfinished(site) -> dict[str, Path]:
    """The files of unfinished uploads, by the last digits of their names."""
    return {path.name[-2:]: path for path in (site.studio.home / "uploads").glob("*/*")}


def test_unfinished_uploads_do_not_pile_up(site):
    at, other = begin(site), begin(site)
    for number in range(60):
        part = f"{(at, other)[number % 2]}/images/parts/{number:032x}"
        site.client.post(part, params={"at": 0, "total": 50}, content=b"x")
    left = unfinished(site)
    assert len(left) <= 51 and "3b" in left, "the newest of all drafts stay"
    os.utime(left["3b"], (0, 0))
    site.client.post(f"{at}/images/parts/{UPLOAD}", params={"at": 0, "total": 50}, content=b"x")
    assert "3b" not in unfinished(site)


def test_unfinished_uploads_of_many_drafts_fill_no_disk(site, monkeypatch):
    monkeypatch.setattr(partial_uploads, "MOST_BYTES", 200)
    for number in range(12):
        part = f"{begin(site)}/images/parts/{number:032x}"
        site.client.post(part, params={"at": 0, "total": 100}, content=b"x" * 50)
        assert sum(path.stat().st_size for path in unfinished(site).values()) <= 250
    assert "0b" in unfinished(site), "the newest stays"


def test_what_an_earlier_file_left_behind_its_end_is_no_part_of_an_upload(site):
    at, data = begin(site), photo(1)
    parts = f"{at}/images/parts/{UPLOAD}"
    longer = {"at": 0, "total": len(data) + 100}
    assert site.client.post(parts, params=longer, content=b"x" * (len(data) + 50)).status_code == 503
    done = site.client.post(parts, params={"at": 0, "total": len(data)}, content=data)
    assert [tile["id"] for tile in done.json()["tiles"]] == [f"image-{hashlib.sha256(data).hexdigest()}"]


@pytest.mark.parametrize("place", [51, 10**18])
def test_a_part_beyond_the_end_of_its_file_is_refused_for_good(site, place):
    parts = f"{begin(site)}/images/parts/{UPLOAD}"
    site.client.post(parts, params={"at": 0, "total": 100}, content=b"x" * 60)
    answer = site.client.post(parts, params={"at": place, "total": 50}, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["remedy"]) == (400, "send it again")


def test_the_same_file_from_two_tabs_at_once_is_added_once(site, monkeypatch):
    """The first tab is done with the file while the second still sends it."""
    at, data = begin(site), photo(1)
    parts, where = f"{at}/images/parts/{UPLOAD}", {"at": 0, "total": len(data)}
    receive, answers = PartialUploads.receive, []

    async def slow(self, request, place, *numbers):
        complete = await receive(self, request, place, *numbers)
        if not answers:
            answers.append(0)
            answers[0] = await run_sync(lambda: site.client.post(parts, params=where, content=data).status_code)
        return complete

    monkeypatch.setattr(PartialUploads, "receive", slow)
    second = site.client.post(parts, params=where, content=data)
    assert (answers, second.status_code) == ([200], 503), "the browser sends it again"
    monkeypatch.undo()
    assert site.client.post(parts, params=where, content=data).status_code == 200
    assert len(tiles(site.page(f"{at}/images"))) == 1 and not unfinished(site)


class Cable:
    """A line to a server that is cut, with all its connections, when one has sent many bytes, twice.

    after: bytes. stored: how many the server has stored. The line is cut when half of `after` are: a busy server loses
    what it has not read. Once is not enough: a browser repeats a request by itself if its connection served others
    before.
    """

    def __init__(self, address: str, after: int, stored: Callable[[], int]) -> None:
        self._target = (urlsplit(address).hostname, urlsplit(address).port)
        self.after, self.sent, self.cut, self.stored = after, 0, 0, stored
        self._open: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open += [near, far]
            threading.Thread(target=self._copy, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, False), daemon=True).start()

    def _copy(self, near: socket.socket, far: socket.socket, counted: bool) -> None:
        own = 0
        try:
            while data := near.recv(65536):
                far.sendall(data)
                if counted:
                    self.sent += len(data)
                    own += len(data)
                    if self.cut < 2 and own > self.after:
                        self.cut += 1
                        self._wait()
                        break
        except OSError:
            pass
        for each in self._open if counted and own > self.after else (near, far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        for _ in range(500):
            if self.stored() > self.after / 2:
                return
            time.sleep(0.02)

    def close(self) -> None:
        for each in (self._socket, *self._open):
            each.close()


def noise(size: tuple[int, int]) -> bytes:
    """A picture that does not compress."""
    out = io.BytesIO()
    Image.frombytes("RGB", size, random.randbytes(3 * size[0] * size[1])).save(out, "PNG")
    return out.getvalue()


@contextmanager
def cable(address: str, after: int, stored: Callable[[], int]):
    made = Cable(address, after, stored)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["image", "zip"])
def test_only_the_rest_is_sent_after_the_connection_was_cut(served, browser, tmp_path, kind):
    if kind == "image":
        path = tmp_path / "dog.png"
        path.write_bytes(noise((1300, 1000)))
    else:
        path = tmp_path / "dogs.zip"
        path.write_bytes(packed({f"{n}.png": noise((700, 600)) for n in range(3)}))
    size = path.stat().st_size
    assert size > 3 * 2**20

    def stored() -> int:
        return sum(each.stat().st_size for each in (served.home / "uploads").glob("*/*"))

    with (
        cable(served.call.address, int(0.7 * size), stored) as line,
        opened(browser, line.address, allowed="net::ERR_") as page,
    ):
        listen(page)
        page.goto("/teach")
        page.get_by_role("button", name="Begin with your photos").click()
        page.locator("#files").set_input_files(path)
        heard(page, "connection lost, trying again")
        expect(page.locator("#photos article")).to_have_count(1 if kind == "image" else 3)
        expect(page.locator("#uploads li")).to_have_count(0)
        assert line.cut and line.sent < (1 + 0.7 * line.cut - 0.05) * size, "not all of it is sent again"


class Killed:
    """A server that is killed and started again on the same home."""

    def __init__(self, home) -> None:
        self.home, self.process = home, serving.start(home)

    def kill(self) -> None:
        os.killpg(self.process.process.pid, signal.SIGKILL)
        self.process.process.wait(30)
        self.process.process.stderr.close()
        self.process = serving.start(self.home)

    def get(self, path: str) -> html.HtmlElement:
        answer = self.process.call("GET", path, Accept="text/html")
        assert answer.status == 200, answer.body
        return html.fromstring(answer.body.decode())

    page = get

    def post(self, path: str, form: dict | bytes, **headers: str):
        data = form if isinstance(form, bytes) else urlencode(form, doseq=True).encode()
        kind = {} if isinstance(form, bytes) else {"Content-Type": "application/x-www-form-urlencoded"}
        return self.process.call("POST", path, data, Accept="text/html", **{**kind, **headers})

    def save(self, at: str, step: str, **values: str) -> None:
        answer = self.post(f"{at}/{step}", {**filled(self.get(f"{at}/{step}"), step), **values})
        assert answer.status == 200, answer.body

    def end(self) -> None:
        serving.end(self.process)


@pytest.mark.slow
def test_killing_the_server_at_any_step_loses_nothing(home):
    server = Killed(home)
    try:
        answer = server.post("/teach", {})
        at = re.search(r"/teach/[a-z0-9]{12}", answer.body.decode())[0]
        for number in range(3):
            server.post(f"{at}/images", photo(number), X_File_Name=f"{number}.png")
        data = photo(7)
        server.post(f"{at}/images/parts/{UPLOAD}?at=0&total={len(data)}", data[:500])
        server.kill()
        page = server.get(f"{at}/images")
        assert len(tiles(page)) == 3, "the images that were dropped"
        rest = server.process.call("GET", f"{at}/images/parts/{UPLOAD}").json["bytes"]
        assert 0 < rest <= 500, "and the part of one that had arrived"
        server.post(f"{at}/images/parts/{UPLOAD}?at={rest}&total={len(data)}", data[rest:], X_File_Name="7.png")
        assert len(tiles(server.get(f"{at}/images"))) == 4
        place = page.xpath("//article//form/@action")[0]
        server.post(place, {"caption": "a dog in the garden", "was": "", "since": "99"})
        server.save(at, "subject", class_word="dog", identifier="zorvik")
        server.kill()
        assert "a dog in the garden" in text_of(server.get(f"{at}/images"))
        assert server.get(f"{at}/subject").xpath("//input[@name='class_word']/@value") == ["dog"]
        server.save(at, "recipe", recipe="product", steps="77", **{"options.rank": "3"})
        server.kill()
        page = server.get(f"{at}/recipe")
        assert page.xpath("//input[@name='steps' or @name='options.rank']/@value") == ["77", "3"]
        assert page.xpath("//input[@name='recipe'][@checked]/@value") == ["product"]
        server.post(f"{at}/train", {})
        server.kill()
        page = server.get(f"{at}/train")
        assert not page.xpath("//button[text()='Start training']"), "the training goes on"
        assert page.xpath("//button[text()='Stop' or text()='Resume']")
    finally:
        server.end()


@pytest.mark.slow
def test_a_training_is_started_by_keys_alone(served, browser, tmp_path):
    with opened(browser, served.call.address) as page:

        def reach(text: str, key: str = "Tab", most: int = 120) -> None:
            """Press a key until an element with a name has the focus."""
            for _ in range(most):
                page.keyboard.press(key)
                name = page.evaluate(
                    """() => { const at = document.activeElement;
                    return [at.ariaLabel, at.labels?.[0]?.textContent, at.textContent].filter(Boolean).join(" ") }"""
                )
                if text in name:
                    return
            raise AssertionError(f"{text!r} cannot be reached by {key}")

        page.goto("/teach")
        reach("Try with a drawn cat")
        page.keyboard.press("Enter")
        page.wait_for_url("**/images")
        reach("Next: Subject")
        page.keyboard.press("Enter")
        page.wait_for_url("**/subject#step")
        reach("What do you call it?")
        page.keyboard.press("Control+a")
        with page.expect_response(lambda answer: "zorvik" in (answer.request.post_data or "")):
            page.keyboard.type("zorvik")
        assert page.evaluate("document.activeElement.id") == "identifier", "saving does not move the focus"
        reach("Next: Recipe")
        page.keyboard.press("Enter")
        page.wait_for_url("**/recipe#step")
        reach("Pet")
        with page.expect_response(lambda answer: "recipe=product" in (answer.request.post_data or "")):
            page.keyboard.press("ArrowDown")
        reach("Length")
        page.keyboard.press("Control+a")
        with page.expect_response(lambda answer: "steps=20" in (answer.request.post_data or "")):
            page.keyboard.type("20")
        reach("All other settings")
        page.keyboard.press("Enter")
        reach("Rank")
        with page.expect_response(lambda answer: "rank=3" in (answer.request.post_data or "")):
            page.keyboard.type("3")
        assert page.evaluate("document.activeElement.name") == "options.rank"
        reach("Next: Train", "Tab", 200)
        page.keyboard.press("Enter")
        page.wait_for_url("**/train#step")
        expect(page.locator(".facts")).to_contain_text("zorvik cat")
        reach("Start training")
        page.keyboard.press("Enter")
        page.locator("#progress").wait_for()
        reach("Stop")
        page.keyboard.press("Enter")
        ended = page.get_by_role("link", name="Start again").or_(page.get_by_role("button", name="Resume")).first
        ended.wait_for(timeout=240_000)
