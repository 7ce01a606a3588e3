"""The images of a file of feedback: in its cells, or files that it names; checked, and with what their labels say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from limner.core.errors import LimnerError
from limner.core.files import file_error, read_file, too_large
from limner.core.initial_noise import seed_of_noise
from limner.core.preferences import JudgedImage
from limner.core.requests import GenerateRequest
from limner.data.entries.references import is_url
from limner.imaging.decode import decode
from limner.imaging.formats import media_type
from limner.provenance.labels import Label, parse_label
from limner.store.blobs import REFERENCE
from limner.store.files import atomic_file

MAX_PIXELS = 2**25
"""The largest image that is used, in pixels."""
MAX_BYTES = 64 * 2**20
"""The largest file of an image that is used, in bytes."""
MAX_EMBEDDED = 32 * 2**30
"""The most bytes that all images of a file of feedback may have."""
REMOTE = "their images are not fetched; export them with the images, or download these and name the files"
NOT_LOCAL = "images are named by path, which a file that was sent in may not do; send one with the images in it"
STORED = "their images are stored elsewhere; export them with the images"
NONE = "an image is missing"
NO_FILE = "the file of an image does not exist or cannot be read"
DAMAGED = "an image is damaged, too large, or no image"


class ImageLeftOut(Exception):
    """An image that cannot be used. reason: a clause for a line of what is left out. example: what it says."""

    def __init__(self, reason: str, example: str = "") -> None:
        super().__init__(reason)
        self.reason, self.example = reason, example


class JudgedImages:
    """Reads the images of one file of feedback. Each file is decoded once.

    file: of the feedback. folder: where images are written that the file contains, named by their hash. local: whether
    the file may name other files on this machine.
    """

    def __init__(self, file: Path, folder: Path, local: bool) -> None:
        self._base, self._folder, self._local = file.absolute().parent, folder, local
        self._known: dict[str, JudgedImage] = {}
        self._named: dict[str, JudgedImage | ImageLeftOut] = {}
        self._written = 0

    def embedded(self, read: Callable[[], bytes]) -> JudgedImage:
        """The image in a cell, written as a file. Raises ImageLeftOut."""
        try:
            data = read()
        except LimnerError as error:
            raise ImageLeftOut(NONE, error.problem) from error
        image = self._checked(data, "")
        if not image.location:
            path = self._folder / f"{image.sha256}.{(media_type(data) or 'image/bin').partition('/')[2]}"
            self._written += len(data)
            if self._written > MAX_EMBEDDED:
                raise ImageLeftOut(f"the images have more than {MAX_EMBEDDED // 2**30} GiB together")
            if not path.is_file():
                with atomic_file(path) as partial:
                    partial.write_bytes(data)
            image = self._known[image.sha256] = image.model_copy(update={"location": str(path)})
        return image

    def named(self, name: str) -> JudgedImage:
        """The image in a file, by a path relative to that of the feedback, or by a file URL. Raises ImageLeftOut."""
        if name not in self._named:
            try:
                self._named[name] = self._read(name)
            except ImageLeftOut as error:
                self._named[name] = error
        found = self._named[name]
        if isinstance(found, ImageLeftOut):
            raise found
        return found

    def _read(self, name: str) -> JudgedImage:
        path = self._path(name)
        try:
            if os.stat(path).st_size > MAX_BYTES:
                raise too_large(path)
            data = read_file(path)
        except (OSError, ValueError) as error:
            error = error if isinstance(error, LimnerError) else file_error(path, error)
            raise ImageLeftOut(NO_FILE, error.problem) from error
        return self._checked(data, str(path)).model_copy(update={"location": str(path)})

    def _path(self, name: str) -> Path:
        """The path of a file. Raises ImageLeftOut for what is none, and where the feedback may not name files."""
        if is_url(name):
            raise ImageLeftOut(REMOTE)
        if REFERENCE.fullmatch(name):
            raise ImageLeftOut(STORED)
        if not self._local:
            raise ImageLeftOut(NOT_LOCAL)
        if name.lower().startswith("file:"):
            try:
                url = urlsplit(name)
            except ValueError as error:
                raise ImageLeftOut(NO_FILE, name) from error
            if url.netloc not in ("", "localhost"):
                raise ImageLeftOut(REMOTE)
            name = unquote(url.path)
        return self._base / name

    def _checked(self, data: bytes, where: str) -> JudgedImage:
        """An image whose pixels can be decoded, with what its label says. Raises ImageLeftOut."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._known:
            try:
                if len(data) > MAX_BYTES:
                    raise too_large(where or sha256)
                width, height = decode(data, where or "image", MAX_PIXELS).size
            except LimnerError as error:
                raise ImageLeftOut(DAMAGED, error.problem) from error
            image = JudgedImage(sha256=sha256, location="", prompt="", width=width, height=height)
            self._known[sha256] = with_label(image, data)
        return self._known[sha256]


def with_label(image: JudgedImage, data: bytes) -> JudgedImage:
    """An image with what its label says of prompt, model, adapters and seed; as it is where it has none.

    data: the bytes of its file. What is known of prompt and model already stays.
    """
    try:
        label = parse_label(data, image.location or "image")
    except LimnerError:
        label = None
    if label is None or not isinstance(request := label.request, GenerateRequest):
        return image
    return image.model_copy(update=_said(label, request, image.prompt or request.prompt))


def _said(label: Label, request: GenerateRequest, prompt: str) -> Mapping[str, object]:
    return {
        "prompt": prompt,
        "negative_prompt": request.negative_prompt,
        "model": label.model["reference"],
        "adapters": tuple(adapter["sha256"] for adapter in label.adapters),
        "seed": seed_of_noise(request, label.seed),
    }
