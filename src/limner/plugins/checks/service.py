"""Check `service`: a moderation service over HTTP with the interface of OpenAI's moderations endpoint.

POST {"input": TEXT} or {"input": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}]} returns
{"results": [{"flagged": BOOL, "categories": {NAME: BOOL}, "category_scores": {NAME: NUMBER}}]}.
The URL is part of the policy, so it may be at a private address.
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

MAX_BYTES = 2**20
"""Longest response that is read."""


class ServiceOptions(Frozen):
    """url: http or https. model: sent with each call, for services with several models. token: name of the environment
    variable with the bearer token. seconds: time limit of a call.
    """

    url: Name
    model: Name | None = None
    token: Name | None = None
    seconds: float = Field(default=10.0, gt=0, le=120)


class ServiceResult(BaseModel):
    flagged: StrictBool
    categories: dict[str, StrictBool | None] = Field(default_factory=dict[str, bool | None])
    category_scores: dict[str, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = Field(
        default_factory=dict[str, float]
    )


class ServiceResponse(BaseModel):
    results: list[ServiceResult] = Field(min_length=1, max_length=100)


class Service:
    Options = ServiceOptions
    texts = pictures = True

    def ready(self, options: Any) -> JudgeFunction:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        check_url(options.url)
        if options.token is not None:
            if not (secret := os.environ.get(options.token, "").strip()):
                raise LimnerError(f"the environment variable {options.token!r} is not set", "set it to the token")
            headers["Authorization"] = f"Bearer {secret}"

        def judge(subject: Any) -> Finding:
            fields = {"input": subject if isinstance(subject, str) else image_input(subject)}
            body = json.dumps(fields | ({"model": options.model} if options.model else {})).encode()
            response = ServiceResponse.model_validate_json(post(options.url, body, headers, options.seconds))
            return finding_of(response)

        return judge


def check_url(url: str) -> None:
    """Raise LimnerError for a URL that cannot be that of a service."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise LimnerError(f"{url!r} is not the URL of a service", "write it as https://host/path, without a password")


def image_input(image: Any) -> list[dict[str, Any]]:
    """Return a PIL image as the service expects it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return [{"type": "image_url", "image_url": {"url": url}}]


def finding_of(response: ServiceResponse) -> Finding:
    """Return the flagged category with the highest score, or no category where nothing is flagged."""
    scores = {name: score for result in response.results for name, score in result.category_scores.items()}
    if not any(result.flagged for result in response.results):
        return Finding(None, max(scores.values(), default=None))
    names = [name for result in response.results if result.flagged for name, yes in result.categories.items() if yes]
    worst = max(names, key=lambda name: scores.get(name, 0.0), default=None)
    return Finding(clean_line(worst or "")[:80] or "flagged", scores.get(worst) if worst else None)


def post(url: str, body: bytes, headers: dict[str, str], seconds: float) -> bytes:
    """POST and return the body of the response; raises OSError unless it is of status 200, has at most MAX_BYTES and
    arrives within `seconds`.

    Redirects are not followed, so that the token and the prompt go nowhere else. Proxies are not used.
    """
    parts = urlsplit(url)
    connection = _ServiceConnection(parts.scheme == "https", parts.hostname or "", parts.port, seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    response: Future[bytes] = Future()

    def run() -> None:
        try:
            response.set_result(connection.post(path, body, headers))
        except BaseException as error:
            response.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return response.result(seconds)
    except http.client.HTTPException as error:
        raise OSError("the service does not speak HTTP") from error
    finally:
        connection.abort()


class _ServiceConnection(http.client.HTTPConnection):
    """A connection that another thread can abort, however slowly bytes arrive."""

    def __init__(self, secure: bool, host: str, port: int | None, seconds: float) -> None:
        super().__init__(host, port or (443 if secure else 80), timeout=seconds)
        self.secure, self.aborted = secure, False
        self.connected: socket.socket | None = None

    def connect(self) -> None:
        super().connect()
        self.connected = self.sock
        if self.aborted:
            raise TimeoutError
        if self.secure:
            context = ssl.create_default_context()
            self.sock = self.connected = context.wrap_socket(self.sock, server_hostname=self.host)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.request("POST", path, body, headers)
        with self.getresponse() as response:
            if response.status != 200:
                raise OSError(f"the service answers {response.status}")
            data = response.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise OSError(f"the response is longer than {MAX_BYTES:,} bytes")
        return data

    def abort(self) -> None:
        self.aborted = True
        if self.connected is not None:
            with suppress(OSError):
                self.connected.shutdown(socket.SHUT_RDWR)
        self.close()


plugin = Service()
