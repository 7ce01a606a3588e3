"""What a reference names, by its name and by the names in its folder: exactly one kind, or none."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from limner.data.entries.text_tables import TABLES
from limner.imaging.decode import SUFFIXES

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
_SAVED = ("state.json", "dataset_dict.json")
_DEPTH, _FOLDERS = 3, 64


def reference_kind(reference: str) -> Kind | None:
    """The kind of a reference; None for what is not there, unless its name alone tells."""
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


def local_path(reference: str) -> Path:
    """A reference as a path."""
    return Path(os.path.expanduser(reference))


def _folder_kind(folder: Path) -> Kind | None:
    """What the names in a folder tell, or those in the folders below it; None where they tell nothing."""
    ahead, looked = [(folder, 0)], 0
    while ahead and looked < _FOLDERS:
        (at, depth), *ahead = ahead
        looked += 1
        names = _names(at)
        if found := _told_by(names):
            return found
        if depth < _DEPTH:
            ahead += [(at / name, depth + 1) for name in names if "." not in name and (at / name).is_dir()]
    return None


def _told_by(names: Sequence[str]) -> Kind | None:
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
