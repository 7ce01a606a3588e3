"""The files that pages load: style sheets, scripts and icons, each under a URL with the hash of its content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

STATIC = Path(__file__).with_name("static")
FOREVER = "public, max-age=31536000, immutable"


@cache
def content_hash(name: str) -> str:
    """The first 12 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def asset_path(name: str) -> str:
    """The path of a file below the site's root, such as /static/0123456789ab/studio.css."""
    return f"/static/{content_hash(name)}/{name}"
