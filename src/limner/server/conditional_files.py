"""What a client asks of a file by its headers: only if it changed, only a part of it (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from http import HTTPStatus

from limner.server.problems import Refusal

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def known(wish: str | None, tag: str) -> bool:
    """Whether `If-None-Match` names the file that is there, of this entity tag (without quotes): `*` names any, a list
    one of several, and a weak tag is as good as a strong one.
    """
    told = (wish or "").strip()
    return told == "*" or tag in _TAG.findall(told)


def span(wish: str | None, size: int, unless: str | None = None, tag: str = "") -> tuple[int, int]:
    """First and last byte of a range that a client asks for; all where it asks for none.

    Only one range is served; several, and other units, are answered by the whole, as the RFC allows. unless: the
    client's `If-Range`, which must be this very tag, and no weak one.
    """
    unit, _, span_text = (wish or "").partition("=")
    first, dash, last = map(str.strip, span_text.partition("-"))
    wished = unit.strip() == "bytes" and dash and (first or last) and all(map(_is_offset, (first, last)))
    if not wished or (unless is not None and unless.strip() != f'"{tag}"'):
        return 0, size - 1
    begin, end = (int(first), int(last or size - 1)) if first else (max(0, size - int(last)), size - 1)
    if first and last and begin > end:  # no valid range at all
        return 0, size - 1
    if begin >= size or begin > end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"the file has {size} bytes", headers=headers)
    return begin, min(end, size - 1)


def _is_offset(text: str) -> bool:
    """Whether a text is an offset in a file, or empty."""
    return not text or (text.isdecimal() and len(text) <= 18)
