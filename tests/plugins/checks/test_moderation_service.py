"""The check `service`: requests, valid and invalid responses, and timeouts."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, CheckUnavailable, CheckUse, Finding, Policy
from limner.moderation.moderator import Moderator
from limner.plugins.checks import service
from limner.plugins.checks.service import (
    MAX_BYTES,
    ServiceResponse,
    _ServiceConnection,
    check_url,
    finding_of,
    plugin,
)
from moderating import answering, serving

FINE = {"results": [{"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.01}}]}


def judged(url: str, subject: Any = "a cat", **options: Any) -> Finding:
    return plugin.ready(plugin.Options(url=url, seconds=options.pop("seconds", 5.0), **options))(subject)


def refused(url: str, seconds: float = 5.0) -> bool:
    """Whether a prompt is refused because the required service fails."""
    use = CheckUse(check="service", options={"url": url, "seconds": seconds})
    result = Moderator(Policy(prompt=(use,))).judge(CheckStage.PROMPT, "a cat", "0" * 64, "refused")
    return (
        isinstance(result.refusal, CheckUnavailable) and not result.verdicts[-1].allowed and result.verdicts[-1].skipped
    )


def test_findings_follow_the_response() -> None:
    scores = {"hate": 0.2, "violence": 0.9, "sexual": 0.95}
    flagged = {"flagged": True, "categories": {"hate": True, "violence": True}, "category_scores": scores}
    with answering(lambda subject: {"results": [flagged]} if "bad" in subject else FINE) as url:
        assert judged(url) == Finding(None, 0.01)
        assert judged(url, "bad") == Finding("violence", 0.9)


def test_images_are_sent_as_png() -> None:
    subjects: list[Any] = []
    with answering(lambda given: subjects.append(given) or FINE) as url:
        judged(url, Image.new("RGB", (8, 8)))
    assert subjects[0][0]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_the_token_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, Any]] = []

    def reply(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked.append((handler.headers["Authorization"], body))
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
        b'{"results": [{"flagged": false}], "more": "' + b"x" * MAX_BYTES + b'"}',
        b'{"results": [{"flagged": false}]}' + b" " * MAX_BYTES,
        b'{"results": [{"flagged": false}',
    ],
    ids=lambda answer: str(answer)[:50],
)
def test_invalid_responses_refuse(answer: Any) -> None:
    with answering(lambda subject: answer) as url:
        assert refused(url)


@pytest.mark.parametrize("status", [201, 203, 204, 206, 301, 307, 401, 404, 429, 500, 503])
def test_other_statuses_refuse(status: int) -> None:
    elsewhere: list[Any] = []

    def reply(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", other)
        body = json.dumps(FINE).encode() if status != 204 else b""
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with answering(lambda subject: elsewhere.append(subject) or FINE) as other, serving(reply) as url:
        assert refused(url)
    assert elsewhere == [], "no redirect is followed, so that the prompt goes nowhere else"


def drips(text: bytes) -> Iterator[bytes]:
    for number in range(2000):
        yield text[number : number + 1] or b" "


@pytest.mark.parametrize("where", ["silent", "head", "body"])
def test_a_slow_service_times_out(where: str) -> None:
    def reply(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
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
        assert time.monotonic() - began < 30, "the whole response would take 100 s"


def test_an_unreachable_service_refuses() -> None:
    with answering(lambda subject: FINE) as url:
        pass
    assert refused(url)


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "http://", "https://user:word@host/", "http://host:0/", "http://ho st/", "/etc/passwd", "x"]
)
def test_invalid_urls_are_reported_at_start(url: str) -> None:
    with pytest.raises(LimnerError, match="is not the URL of a service"):
        judged(url)


def test_categories_are_shortened_to_one_line() -> None:
    long = "hate\n" + "x" * 500
    with answering(lambda subject: {"results": [{"flagged": True, "categories": {long: True}}]}) as url:
        found = judged(url).category
    assert found is not None and len(found) <= 80 and "\n" not in found


def result(flagged: bool, **scores: float) -> dict[str, Any]:
    """A result whose categories with a score of at least 0.5 are true."""
    return {
        "flagged": flagged,
        "categories": {name: score >= 0.5 for name, score in scores.items()},
        "category_scores": scores,
    }


@pytest.mark.parametrize(
    ("results", "finding"),
    [
        ([result(False, hate=0.1, gore=0.3)], Finding(None, 0.3)),
        ([result(False)], Finding(None, None)),
        ([result(True, hate=0.6, gore=0.9, spam=0.4)], Finding("gore", 0.9)),
        ([result(True, hate=0.9, gore=0.6)], Finding("hate", 0.9)),
        ([result(False, hate=0.1), result(True, gore=0.7)], Finding("gore", 0.7)),
        ([result(True, gore=0.7), result(False, hate=0.1)], Finding("gore", 0.7)),
        ([result(True)], Finding("flagged", None)),
        ([result(True, hate=0.2)], Finding("flagged", None)),
        ([{"flagged": True, "categories": {"a\nb": True, "c": None}}], Finding("a b", None)),
        ([{"flagged": True, "categories": {"x" * 200: True}}], Finding("x" * 80, None)),
    ],
)
def test_findings_of_responses(results: list[dict[str, Any]], finding: Finding) -> None:
    assert finding_of(ServiceResponse.model_validate({"results": results})) == finding


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://moderation.example/v1?x=1", "http://10.0.0.7/a"])
def test_valid_urls(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "x",
        "http://x:0/",
        "http://user@x/",
        "http://user:word@x/",
        "http://x y/",
        "http://exämple/",
    ]
    + ["http://x/\n", "http://x:99999/", "http://[::1/"],
)
def test_invalid_urls(url: str) -> None:
    with pytest.raises(LimnerError, match="is not the URL of a service"):
        check_url(url)


def test_a_call_takes_ten_seconds_unless_the_policy_says_otherwise() -> None:
    options = plugin.Options
    assert options(url="http://x/").seconds == 10 and options(url="http://x/", seconds=120).seconds == 120
    for wrong in (0, 120.1):
        with pytest.raises(ValidationError):
            options(url="http://x/", seconds=wrong)


def test_without_a_model_none_is_named_and_the_query_of_the_url_is_kept() -> None:
    asked: list[tuple[str, str, Any]] = []

    def reply(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        asked.append((handler.path, handler.headers["Content-Type"], body))
        text = json.dumps(FINE).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    with serving(reply) as url:
        judged(f"{url}?kind=strict&x=1")
        judged(url.removesuffix("/v1/moderations"))
    assert asked == [
        ("/v1/moderations?kind=strict&x=1", "application/json", {"input": "a cat"}),
        ("/", "application/json", {"input": "a cat"}),
    ]


@pytest.mark.parametrize(("length", "allowed"), [(MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_a_response_has_at_most_a_mebibyte(length: int, allowed: bool) -> None:
    text = json.dumps(FINE).encode()
    with answering(lambda subject: text + b" " * (length - len(text))) as url:
        assert refused(url) is not allowed


@pytest.mark.parametrize(
    ("url", "port"),
    [("http://host/", 80), ("https://host/", 443), ("http://host:8443/", 8443), ("https://host:80/", 80)],
)
def test_the_port_is_that_of_the_url_or_its_scheme(url: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Connection(_ServiceConnection):
        def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
            made.append((self.host, self.port, self.secure, self.timeout))
            return json.dumps(FINE).encode()

    class Response(Future[bytes]):
        def result(self, timeout: float | None = None) -> bytes:
            made.append(timeout)
            return super().result(30)

    monkeypatch.setattr(service, "_ServiceConnection", Connection)
    monkeypatch.setattr(service, "Future", Response)
    judged(url, seconds=3.5)
    assert made.count(3.5) == 1, "the wait for all of it"
    assert ("host", port, url.startswith("https"), 3.5) in made


def test_a_call_ends_after_its_seconds_whatever_the_connection_does(monkeypatch: pytest.MonkeyPatch) -> None:
    aborted = Event()

    class Connection(_ServiceConnection):
        def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
            aborted.wait(30)
            return b""

        def abort(self) -> None:
            super().abort()
            aborted.set()

    monkeypatch.setattr(service, "_ServiceConnection", Connection)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        judged("http://host/", seconds=0.05)
    assert time.monotonic() - began < 5 and aborted.is_set(), "and its connection is closed"


def test_a_connection_that_is_aborted_before_it_is_made_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "connect", lambda self: None)
    connection = _ServiceConnection(False, "host", None, 1.0)
    connection.connect()
    connection.abort()
    with pytest.raises(TimeoutError):
        connection.connect()


@pytest.mark.parametrize(
    ("results", "finding"),
    [
        # A category of a result that is not flagged does not count, even where it is true.
        (
            [
                {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.6}},
                {"flagged": False, "categories": {"gore": True}, "category_scores": {"gore": 0.9}},
            ],
            Finding("hate", 0.6),
        ),
        # A category without a score is below one with a score.
        (
            [{"flagged": True, "categories": {"gore": True, "hate": True}, "category_scores": {"hate": 0.6}}],
            Finding("hate", 0.6),
        ),
    ],
)
def test_the_category_is_the_flagged_one_with_the_highest_score(
    results: list[dict[str, Any]], finding: Finding
) -> None:
    assert finding_of(ServiceResponse.model_validate({"results": results})) == finding


@pytest.mark.parametrize("score", [-0.01, 1.01])
def test_scores_are_from_zero_to_one(score: float) -> None:
    for at in (0, 1):
        ServiceResponse.model_validate({"results": [{"flagged": False, "category_scores": {"hate": at}}]})
    with pytest.raises(ValidationError):
        ServiceResponse.model_validate({"results": [{"flagged": False, "category_scores": {"hate": score}}]})


def test_a_response_has_one_to_a_hundred_results() -> None:
    one = {"flagged": False}
    assert len(ServiceResponse.model_validate({"results": [one] * 100}).results) == 100
    with pytest.raises(ValidationError):
        ServiceResponse.model_validate({"results": [one] * 101})
