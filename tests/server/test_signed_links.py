"""Signed links: what they allow, how long they are valid, and that they cannot be changed."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from fastapi import Request

from limner.server.auth import SignedLinks

BEGAN = 1_700_000_000.0
DAY = 24 * 3600


def opens(links: SignedLinks, url: str, method: str = "GET") -> bool:
    path, _, query = url.partition("?")
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": []}
    return links.verify(Request(scope | {"server": ("x", 80), "scheme": "http", "root_path": ""}))


def links(now: float = BEGAN, secret: bytes = b"secret") -> SignedLinks:
    return SignedLinks(lambda: secret, clock=lambda: now)


def test_links_are_valid_for_a_day() -> None:
    url = links().sign("/v1/files/a")
    until = int(BEGAN) + DAY
    signature = hmac.new(b"secret", f"/v1/files/a\n{until}".encode(), hashlib.sha256).hexdigest()
    assert url == f"/v1/files/a?until={until}&signature={signature}"
    assert [opens(links(BEGAN + seconds), url) for seconds in (0, DAY - 1, DAY, DAY + 1)] == [True, True, True, False]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_links_allow_reading(method: str) -> None:
    assert opens(links(), links().sign("/v1/files/a"), method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_links_allow_nothing_else(method: str) -> None:
    assert not opens(links(), links().sign("/v1/files/a"), method)


def test_changed_links_are_invalid() -> None:
    url = links().sign("/v1/files/a")
    path, _, query = url.partition("?")
    until = int(BEGAN) + DAY
    for bad in (
        path,
        f"/v1/files/b?{query}",
        f"{path}/?{query}",
        url.replace(f"until={until}", f"until={until + 1}"),
        url.replace(f"until={until}", "until=999999999999"),
        url.replace(f"until={until}", "until="),
        url.replace(f"until={until}", "until=x"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("&")[0],
        f"{url.partition('&')[0]}&signature=",
    ):
        assert not opens(links(), bad), bad
    assert not opens(links(secret=b"another"), url)
