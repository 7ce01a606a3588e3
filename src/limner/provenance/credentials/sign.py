"""Signing: the last thing that is done to a picture's file."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from limner.core.files import short_line
from limner.core.version import version
from limner.provenance.credentials.inspect import context, state_of
from limner.provenance.credentials.keys import Credentials, credentials, refused

SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
PNG = "image/png"


def sign(data: bytes, source: str, place: Path | None = None, kind: str = PNG) -> bytes:
    """A picture's bytes with content credentials. source: its IPTC digital source type. place: whose home's key signs;
    kind: the media type of the bytes, of PNG, JPEG or WebP.
    """
    return signed(data, source, credentials(place), kind)


def check(place: Path | None = None) -> None:
    """Raise LimnerError where a home's pictures could not be signed; its own key is made now where there is none."""
    found = credentials(place)
    with _checking:
        if found in _checked:
            return
        file = BytesIO()
        Image.new("RGB", (1, 1)).save(file, "PNG")
        _, problems = state_of(signed(file.getvalue(), "algorithmicMedia", found), PNG, context([found.root]))
        if problems:
            raise refused(found.place, f"C2PA does not take the certificate ({', '.join(problems)})")
        _checked.add(found)


_checking = threading.Lock()
_checked: set[Credentials] = set()


def signed(data: bytes, source: str, by: Credentials, kind: str = PNG) -> bytes:
    """A picture's bytes with credentials by a key: no thumbnail, no time-stamp, nothing of a prompt or a path."""
    import c2pa

    info = c2pa.C2paSignerInfo(by.algorithm.encode(), by.chain, by.key, None)
    file = BytesIO()
    try:
        told = json.dumps(manifest(source, kind))
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(told, context([])) as builder:
            builder.sign(signer, kind, BytesIO(data), file)
    except c2pa.C2paError as error:
        raise refused(by.place, f"C2PA does not take them ({short_line(str(error))})") from error
    return file.getvalue()


def manifest(source: str, kind: str = PNG) -> dict[str, Any]:
    """What the credentials say: that Limner created the picture, when, and in which way."""
    agent = {"name": "Limner", "version": version()}
    created = {
        "action": "c2pa.created",
        "when": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "softwareAgent": agent,
        "digitalSourceType": SOURCES + source,
    }
    return {
        "claim_generator_info": [agent],
        "format": kind,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
