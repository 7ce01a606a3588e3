"""Drawn pictures with captions -> a folder as `limner train` reads it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from limner.provenance.labels import write_png
from limner.store.files import atomic_file, make_folder


def write_album(folder: Path, pictures: Iterable[tuple[Image.Image, str]]) -> dict[Path, str]:
    """Write 01.png with its caption in 01.txt and so on, labelled as drawn by a program; returns paths and captions."""
    make_folder(folder)
    captions = {}
    for number, (picture, caption) in enumerate(pictures, 1):
        path = folder / f"{number:02d}.png"
        captions[path] = caption
        with atomic_file(path) as partial:
            write_png(picture, partial, source="algorithmicMedia")
        with atomic_file(path.with_suffix(".txt")) as partial:
            partial.write_text(caption + "\n", encoding="utf-8")
    return captions
