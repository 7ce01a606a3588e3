"""A folder of pictures that is evaluated as it lies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limner.core.errors import LimnerError
from limner.data.sets.folder import ImageFile, scan
from limner.imaging.decode import SUFFIXES
from limner.store.blobs import REFERENCE


def pictures_of(folder: Path) -> tuple[ImageFile, ...]:
    """The pictures in a folder that was named as a target; raises LimnerError where it holds none."""
    with suppress(OSError):  # which scan tells
        if not any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir()):
            raise LimnerError(f"{str(folder)!r} is no model and no adapter, and holds no pictures", "name one of these")
    return scan(folder).images


def name_of(folder: Path, called: Callable[[str], str]) -> str:
    """What a folder is called in a report; of a reference by content, the beginning. called: how the user calls it."""
    found = REFERENCE.fullmatch(called(str(folder)))
    return found[2][:8] if found else folder.name or str(folder)
