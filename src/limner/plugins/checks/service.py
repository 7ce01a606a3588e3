"""An outside service, asked over HTTP as OpenAI's moderations endpoint is: it is shown each text, or each picture.

POST {"input": TEXT} or {"input": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}]} is
answered by {"results": [{"flagged": BOOL, "categories": {NAME: BOOL}, "category_scores": {NAME: NUMBER}}]}.
Who runs the studio names it, so it may be at a private address.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import ssl
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, StrictBool

from limner.core.errors import LimnerError, clean_line
from limner.core.moderation import Finding, JudgeFunction
from limner.core.requests import Frozen, Name

BYTES = 2**20
"""The longest answer that is read."""


class Options(Frozen):
    """url: http or https. model: named in each call, where the service has several. token: name of the environment
    variable that holds the bearer token. seconds: for each call in all.
    """

    url: Name
    model: Name | None = None
    token: Name | None = None
    seconds: float = Field(default=10.0, gt=0, le=120)


class Result(BaseModel):
    flagged: StrictBool
    categories: dict[str, StrictBool | None] = Field(default_factory=dict[str, bool | None])
    category_scores: dict[str, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = Field(
        default_factory=dict[str, float]
    )


class Answer(BaseModel):
    results: list[Result] = Field(min_length=1, max_length=100)


class Service:
    Options = Options
    texts = pictures = True

    def ready(self, options: Any) -> JudgeFunction:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        checked(options.url)
        if options.token is not None:
            if not (secret := os.environ.get(options.token, "").strip()):
                raise LimnerError(f"the environment variable {options.token!r} is not set", "put the token into it")
            headers["Authorization"] = f"Bearer {secret}"

        def judge(subject: Any) -> Finding:
            told = {"input": subject if isinstance(subject, str) else as_input(subject)}
            body = json.dumps(told | ({"model": options.model} if options.model else {})).encode()
            answer = Answer.model_validate_json(posted(options.url, body, headers, options.seconds))
            return found(answer)

        return judge


def checked(url: str) -> None:
    """Refuse what is no URL of a service."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        known = False
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise LimnerError(f"{url!r} is no URL of a service", "write it as https://host/path, without a password")


def as_input(picture: Any) -> list[dict[str, Any]]:
    """A picture as the service takes it."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return [{"type": "image_url", "image_url": {"url": url}}]


def found(answer: Answer) -> Finding:
    """The category of the highest score among those that are flagged."""
    scores = {name: score for result in answer.results for name, score in result.category_scores.items()}
    if not any(result.flagged for result in answer.results):
        return Finding(None, max(scores.values(), default=None))
    names = [name for result in answer.results if result.flagged for name, yes in result.categories.items() if yes]
    worst = max(names, key=lambda name: scores.get(name, 0.0), default=None)
    return Finding(clean_line(worst or "")[:80] or "flagged", scores.get(worst) if worst else None)


def posted(url: str, body: bytes, headers: dict[str, str], seconds: float) -> bytes:
    """The body of the answer to a POST: of status 200, of at most BYTES, in so many seconds, or OSError.

    Redirects are not followed, so that neither the token nor the prompt goes elsewhere. Proxies play no part.
    """
    parts = urlsplit(url)
    line = _Line(parts.scheme == "https", parts.hostname or "", parts.port, seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    answer: Future[bytes] = Future()

    def ask() -> None:
        try:
            answer.set_result(line.ask(path, body, headers))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except http.client.HTTPException as error:
        raise OSError("it does not speak HTTP") from error
    finally:
        line.cut()


class _Line(http.client.HTTPConnection):
    """A connection that another thread can cut, however slowly its bytes come."""

    def __init__(self, secure: bool, host: str, port: int | None, seconds: float) -> None:
        super().__init__(host, port or (443 if secure else 80), timeout=seconds)
        self.secure, self.over = secure, False
        self.line: socket.socket | None = None

    def connect(self) -> None:
        super().connect()
        self.line = self.sock
        if self.over:
            raise TimeoutError
        if self.secure:
            self.sock = self.line = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.request("POST", path, body, headers)
        with self.getresponse() as answer:
            if answer.status != 200:
                raise OSError(f"it answers {answer.status}")
            read = answer.read(BYTES + 1)
        if len(read) > BYTES:
            raise OSError(f"its answer is longer than {BYTES:,} bytes")
        return read

    def cut(self) -> None:
        self.over = True
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)
        self.close()


plugin = Service()
