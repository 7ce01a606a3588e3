"""A folder of images as the target of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.metrics import ScoredImage
from limner.data.sets.folder import scan
from limner.imaging.decode import SUFFIXES
from limner.provenance.labels import read_label
from limner.store.blobs import REFERENCE


def items_of_folder(folder: Path) -> tuple[ScoredImage, ...]:
    """The images of a folder, each with the prompt of the text file next to it or of its label.

    Raises LimnerError if there are none.
    """
    with suppress(OSError):  # which scan reports
        if not any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir()):
            raise LimnerError(
                f"{str(folder)!r} is not a model or an adapter and contains no images",
                "give a model, an adapter or a folder of images",
            )
    images = scan(folder).images
    prompts = [image.caption or _labelled_prompt(image.path) for image in images]
    return tuple(
        ScoredImage(image.path, prompt, prompt or "all") for image, prompt in zip(images, prompts, strict=True)
    )


def folder_name(folder: Path, original_name: Callable[[str], str]) -> str:
    """The name of a folder in a report; of a reference by content, its first characters.

    original_name: how the user named a file.
    """
    found = REFERENCE.fullmatch(original_name(str(folder)))
    return found[2][:8] if found else folder.name or str(folder)


def _labelled_prompt(image: Path) -> str | None:
    try:
        label = read_label(image)
    except LimnerError:
        return None
    return getattr(label.request, "prompt", None) if label else None
