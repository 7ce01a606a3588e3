"""Images and adapter files that a form of the studio sends: checked, stored, and named in requests."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from PIL import ImageFilter

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.imaging.drawn_masks import open_mask
from limner.server.dependencies import ServerState
from limner.server.uploads import image_size
from limner.studio.adapter_files import describe_adapter
from limner.studio.files import REFERENCE

LONGEST_NAME = 80
SOFTEST = 200
"""Largest soft edge of a mask, in pixels."""


def store_form_image(state: ServerState, caller: Caller, name: str, content: bytes) -> str:
    """Store an image of a form and return its reference; raises LimnerError for a file that is no image or too large.

    name: of the file on the user's machine, for messages.
    """
    check_bytes(state, name, len(content))
    with tempfile.TemporaryDirectory() as folder:
        place = _written(Path(folder), name, content)
        try:
            image_size(state.studio, place)
        except LimnerError as error:
            raise _without_folder(error, folder) from error
        return state.studio.files.upload(place, caller)


def store_form_adapter(state: ServerState, caller: Caller, name: str, content: bytes) -> str:
    """Store an adapter file of a form and return its reference; raises LimnerError for any other file."""
    check_bytes(state, name, len(content))
    with tempfile.TemporaryDirectory() as folder:
        reference = state.studio.files.upload(_written(Path(folder), name, content), caller)
    if describe_adapter(state.studio.files, reference.removeprefix("sha256:")) is None:
        raise LimnerError(
            f"{_plain(name)!r} is not an adapter", "choose a LoRA or an embedding in the safetensors format"
        )
    return reference


def check_bytes(state: ServerState, name: str, size: int) -> None:
    """Raise LimnerError for a file that is larger than an upload may be."""
    limit = state.settings.upload_bytes
    if size > limit:
        raise LimnerError(
            f"{_plain(name)!r} has {size / 2**20:,.0f} MB, and the limit is {limit / 2**20:,.0f} MB",
            "choose a smaller file",
        )


def check_mask(state: ServerState, caller: Caller, image: str, mask: str) -> None:
    """Raise LimnerError where a mask has another size than its image, or selects nothing. Both are references.

    What the caller may not use is not read; the queue refuses it.
    """
    if not all(_may_read(state, caller, each) for each in (image, mask)):
        return
    shape, _ = (image_size(state.studio, state.studio.files.local_path(each)) for each in (image, mask))
    drawn = open_mask(state.studio.files.local_path(mask))
    if drawn.image.size != shape:
        sizes = " px, and the image ".join("{} x {}".format(*each) for each in (drawn.image.size, shape))
        raise LimnerError(f"the mask is {sizes}", "use a mask of the image's size, or paint it here")
    if drawn.selects_nothing:
        raise LimnerError("the mask is empty", "paint over what should be made anew")


def soften_mask(state: ServerState, caller: Caller, mask: str, pixels: float) -> str:
    """Store a mask with soft edges and return its reference; of a mask that the caller may not use, its own one.

    pixels: how wide the edge is.
    """
    if not _may_read(state, caller, mask):
        return mask
    drawn = open_mask(state.studio.files.local_path(mask))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "mask.png"
        drawn.image.filter(ImageFilter.GaussianBlur(min(pixels, SOFTEST) / 2)).save(place, format="PNG")
        return state.studio.files.upload(place, caller)


def _may_read(state: ServerState, caller: Caller, reference: str) -> bool:
    """Whether the caller may read a stored file."""
    found = REFERENCE.fullmatch(reference) is not None and reference.startswith("sha256:")
    return found and (reference in state.granted or state.studio.files.may_use(caller, reference))


def _written(folder: Path, name: str, content: bytes) -> Path:
    place = folder / _plain(name)
    place.write_bytes(content)
    return place


def _plain(name: str) -> str:
    """A file's name without folders and odd characters."""
    base = re.sub(r"[^\w .()-]", "_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(" .")
    return base[-LONGEST_NAME:] or "file"


def _without_folder(error: LimnerError, folder: str) -> LimnerError:
    return LimnerError(error.problem.replace(f"{folder}/", ""), error.remedy.replace(f"{folder}/", ""))
