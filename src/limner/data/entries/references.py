"""References to sources: the kind that a path or name refers to, and URLs as keys and sources."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from limner.core.files import expand_home
from limner.data.entries.text_tables import TABLES
from limner.imaging.formats import ENDINGS, SUFFIXES, media_type

Kind = Literal["tree", "zip", "shards", "parquet", "table", "urls", "hub", "saved"]

SHARDS = (".tar", ".tar.gz", ".tgz")
HUB_ID = re.compile(
    r"(?P<name>[A-Za-z0-9]\w*(?:[.-]\w+)*/\w+(?:[.-]\w+)*)(?::(?P<config>[\w.-]+))?(?:@(?P<split>[\w.-]+))?"
)
"""OWNER/NAME, OWNER/NAME:CONFIG, OWNER/NAME@SPLIT or OWNER/NAME:CONFIG@SPLIT."""

_BY_SUFFIX: dict[str, Kind] = {
    ".zip": "zip",
    ".parquet": "parquet",
    ".txt": "urls",
    **{suffix: "table" for suffix in TABLES},
    **{suffix: "tree" for suffix in SUFFIXES},
}
_CONTENTS = ((b"PK\x03\x04", 0, ".zip"), (b"PAR1", 0, ".parquet"), (b"\x1f\x8b", 0, ".tar.gz"), (b"ustar", 257, ".tar"))
"""Magic bytes, where they are, and the suffix of such a file."""
_SAVED = ("state.json", "dataset_dict.json")
_DEPTH, _FOLDERS = 3, 64
_SECRET = re.compile(r"sig|token|key|secret|pass|cred|auth", re.I)


def reference_kind(reference: str) -> Kind | None:
    """The kind of a reference, exactly one; None if it does not exist and its name alone does not decide."""
    if not reference.strip():
        return None
    path = local_path(reference)
    if path.is_dir():
        return _folder_kind(path) or "tree"
    name = path.name.lower()
    if name.endswith(SHARDS):
        return "shards"
    if found := _BY_SUFFIX.get(path.suffix.lower()):
        return found
    return "hub" if HUB_ID.fullmatch(reference) and not os.path.lexists(path) else None


def suffix_by_content(head: bytes) -> str:
    """The suffix of a source's file by its first bytes, at least 512 if it has them; "" for what is no source.

    Distinguishes lists of URLs from tables, and JSON lines from CSV; no other text files.
    """
    if found := next((suffix for magic, at, suffix in _CONTENTS if head[at : at + len(magic)] == magic), None):
        return found
    if kind := media_type(head):
        return next(suffix for suffix, title in ENDINGS.items() if title.lower() == kind.removeprefix("image/"))
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or b"\0" in text:
        return ""
    return ".jsonl" if text.startswith(b"{") else ".txt" if is_url(text[:16].decode("latin-1")) else ".csv"


def local_path(reference: str) -> Path:
    """A reference as a path, with ~ expanded."""
    return expand_home(reference)


def _folder_kind(folder: Path) -> Kind | None:
    """The kind by the file names in a folder, or in folders below it; None if they do not decide."""
    ahead, looked = [(folder, 0)], 0
    while ahead and looked < _FOLDERS:
        (at, depth), *ahead = ahead
        looked += 1
        names = _names(at)
        if found := _kind_by_names(names):
            return found
        if depth < _DEPTH:
            ahead += [(at / name, depth + 1) for name in names if "." not in name and (at / name).is_dir()]
    return None


def _kind_by_names(names: Sequence[str]) -> Kind | None:
    lower = [name.lower() for name in names]
    if any(name in lower for name in _SAVED):
        return "saved"
    if any(Path(name).suffix in SUFFIXES for name in lower):
        return "tree"
    if any(name.endswith(SHARDS) for name in lower):
        return "shards"
    return "parquet" if any(name.endswith(".parquet") for name in lower) else None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def is_url(text: str) -> bool:
    """Whether a text is an http or https URL."""
    return re.match(r"https?://[^\s/]", text, re.I) is not None


def url_key(url: str) -> str:
    """Host and path of a URL, and a hash of the URL if it has further parts, which may be secret."""
    plain = re.sub(r"^[^/]*@", "", url.split("://", 1)[-1])
    path = re.split(r"[?#]", plain)[0]
    more = "" if path == plain else f"#{hashlib.sha256(url.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
    return path.encode("utf-8", "backslashreplace").decode() + more


def public_url(url: str) -> str:
    """A URL without user, and without its query if that may contain a secret."""
    plain = re.sub(r"^([^/]*//)[^/?#]*@", r"\1", url.encode("utf-8", "backslashreplace").decode())
    try:
        names = [name for name, _ in parse_qsl(urlsplit(plain).query, keep_blank_values=True)]
    except ValueError:
        names = []
    return plain if names and not any(map(_SECRET.search, names)) else re.split(r"[?#]", plain)[0]
