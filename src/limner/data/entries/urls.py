"""URLs of pictures as keys and as sources that may be told on."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl, urlsplit

_SECRET = re.compile(r"sig|token|key|secret|pass|cred|auth", re.I)


def is_url(text: str) -> bool:
    """Whether a text has the form of an http or https URL."""
    return re.match(r"https?://[^\s/]", text, re.I) is not None


def key_of(url: str) -> str:
    """Host and path of a URL, and a hash of it where it has more than those; never what may be secret in it."""
    plain = re.sub(r"^[^/]*@", "", url.split("://", 1)[-1])
    path = re.split(r"[?#]", plain)[0]
    more = "" if path == plain else f"#{hashlib.sha256(url.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
    return path.encode("utf-8", "backslashreplace").decode() + more


def told_of(url: str) -> str:
    """A URL as the source of a picture: without user, and without a query that may hold a secret."""
    plain = re.sub(r"//[^/@]*@", "//", url.encode("utf-8", "backslashreplace").decode(), count=1)
    try:
        names = [name for name, _ in parse_qsl(urlsplit(plain).query, keep_blank_values=True)]
    except ValueError:
        names = [""]
    return plain if names and not any(map(_SECRET.search, names)) else re.split(r"[?#]", plain)[0]
