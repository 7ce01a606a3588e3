"""An outside service: believed when it speaks plainly, and not waited for when it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, CheckUse, Finding, Policy, Unable
from limner.moderation.moderator import Moderator
from limner.plugins.checks.service import BYTES, plugin
from moderating import answering, serving

FINE = {"results": [{"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.01}}]}


def judged(url: str, subject: Any = "a cat", **options: Any) -> Finding:
    return plugin.ready(plugin.Options(url=url, seconds=options.pop("seconds", 5.0), **options))(subject)


def refused(url: str, seconds: float = 5.0) -> bool:
    """Whether a prompt is refused because a service that is required cannot judge."""
    use = CheckUse(check="service", options={"url": url, "seconds": seconds})
    said = Moderator(Policy(prompt=(use,))).judge(CheckStage.PROMPT, "a cat", "0" * 64, "refused")
    return isinstance(said.refusal, Unable) and not said.verdicts[-1].allowed and said.verdicts[-1].skipped


def test_what_it_says_is_what_is_found() -> None:
    scores = {"hate": 0.2, "violence": 0.9, "sexual": 0.95}
    flagged = {"flagged": True, "categories": {"hate": True, "violence": True}, "category_scores": scores}
    with answering(lambda told: {"results": [flagged]} if "bad" in told else FINE) as url:
        assert judged(url) == Finding(None, 0.01)
        assert judged(url, "bad") == Finding("violence", 0.9)


def test_a_picture_is_shown_to_it() -> None:
    told: list[Any] = []
    with answering(lambda given: told.append(given) or FINE) as url:
        judged(url, Image.new("RGB", (8, 8)))
    assert told[0][0]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_it_is_asked_with_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, Any]] = []

    def reply(handler: BaseHTTPRequestHandler, told: dict[str, Any]) -> None:
        asked.append((handler.headers["Authorization"], told))
        body = b'{"results": [{"flagged": false}]}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(reply) as url:
        for blank in ("", " \n"):
            monkeypatch.setenv("MODERATION_KEY", blank)
            with pytest.raises(LimnerError, match="'MODERATION_KEY' is not set"):
                judged(url, token="MODERATION_KEY")
        monkeypatch.delenv("MODERATION_KEY")
        with pytest.raises(LimnerError, match="'MODERATION_KEY' is not set"):
            judged(url, token="MODERATION_KEY")
        monkeypatch.setenv("MODERATION_KEY", "secret")
        judged(url, token="MODERATION_KEY", model="strict")
    assert asked == [("Bearer secret", {"input": "a cat", "model": "strict"})]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"fine",
        b"null",
        b"[]",
        {},
        {"results": []},
        {"results": None},
        {"results": [{}]},
        {"results": [{"flagged": "no"}]},
        {"results": [{"flagged": 0}]},
        {"results": [{"flagged": False, "category_scores": {"hate": 7}}]},
        {"results": [{"flagged": False, "category_scores": {"hate": "low"}}]},
        b'{"results": [{"flagged": false, "category_scores": {"hate": NaN}}]}',
        b'{"results": [{"flagged": false}], "more": "' + b"x" * BYTES + b'"}',
        b'{"results": [{"flagged": false}]}' + b" " * BYTES,
        b'{"results": [{"flagged": false}',
    ],
    ids=lambda answer: str(answer)[:50],
)
def test_what_is_no_answer_is_not_believed(answer: Any) -> None:
    with answering(lambda told: answer) as url:
        assert refused(url)


@pytest.mark.parametrize("status", [201, 203, 204, 206, 301, 307, 401, 404, 429, 500, 503])
def test_no_other_status_is_an_answer(status: int) -> None:
    elsewhere: list[Any] = []

    def reply(handler: BaseHTTPRequestHandler, told: dict[str, Any]) -> None:
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", other)
        body = json.dumps(FINE).encode() if status != 204 else b""
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with answering(lambda told: elsewhere.append(told) or FINE) as other, serving(reply) as url:
        assert refused(url)
    assert elsewhere == [], "no redirect is followed, so that the prompt goes nowhere else"


def drips(text: bytes) -> Iterator[bytes]:
    for number in range(2000):
        yield text[number : number + 1] or b" "


@pytest.mark.parametrize("where", ["silent", "head", "body"])
def test_a_slow_service_is_not_waited_for(where: str) -> None:
    def reply(handler: BaseHTTPRequestHandler, told: dict[str, Any]) -> None:
        head = b"HTTP/1.1 200 OK\r\n"
        if where == "body":
            handler.wfile.write(head + b"\r\n")
        for sign in drips(b"" if where == "silent" else head + b"X: " if where == "head" else b"{"):
            if where != "silent":
                handler.wfile.write(sign)
            time.sleep(0.05)

    with serving(reply) as url:
        began = time.monotonic()
        assert refused(url, seconds=0.4)
        assert time.monotonic() - began < 30, "the whole would take 100 s"


def test_a_service_that_is_down() -> None:
    with answering(lambda told: FINE) as url:
        pass
    assert refused(url)


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "http://", "https://user:word@host/", "http://host:0/", "http://ho st/", "/etc/passwd", "x"]
)
def test_what_is_no_service_is_told_at_start(url: str) -> None:
    with pytest.raises(LimnerError, match="is no URL of a service"):
        judged(url)


def test_a_category_is_one_short_line() -> None:
    long = "hate\n" + "x" * 500
    with answering(lambda told: {"results": [{"flagged": True, "categories": {long: True}}]}) as url:
        found = judged(url).category
    assert found is not None and len(found) <= 80 and "\n" not in found
