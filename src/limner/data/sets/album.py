"""Drawn images with captions -> a folder that `limner train` reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from limner.provenance.labels import write_png
from limner.store.files import atomic_file, make_folder


def write_album(folder: Path, images: Iterable[tuple[Image.Image, str]]) -> dict[Path, str]:
    """Write 01.png with its caption in 01.txt and so on, labelled as drawn by a program; returns paths and captions."""
    make_folder(folder)
    captions = {}
    for number, (image, caption) in enumerate(images, 1):
        path = folder / f"{number:02d}.png"
        captions[path] = caption
        with atomic_file(path) as partial:
            write_png(image, partial, source="algorithmicMedia")
        with atomic_file(path.with_suffix(".txt")) as partial:
            partial.write_text(caption + "\n", encoding="utf-8")
    return captions
