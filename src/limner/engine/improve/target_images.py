"""Which images are those of the target of an improvement: an adapter, or a model without any."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.files import read_file
from limner.core.preferences import JudgedImage
from limner.core.runs import CHECKPOINTS
from limner.data.preferences.judged_images import with_label
from limner.plugins.registry import aliases
from limner.store.files import MARKER, sha256_of
from limner.store.manifests import write_manifest


@dataclass(frozen=True, slots=True)
class TargetImages:
    """What the images of the target of an improvement are recognised by.

    name: of the target, for messages. adapters: SHA-256 of all files of the adapter and of its checkpoints; empty where
    the target is a model. models: references of the base model, as requests may name it.
    """

    name: str
    adapters: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()

    def have(self, image: JudgedImage) -> bool | None:
        """Whether an image is one of the target's; None where nothing says what it was generated with.

        Of an image whose adapters are not known, the label in its file is read.
        """
        if image.adapters is None:
            image = _labelled(image)
        if image.adapters is not None:
            if self.adapters:
                return not self.adapters.isdisjoint(image.adapters)
            return not image.adapters and (image.model is None or image.model in self.models)
        return None if image.model is None or image.model in self.models else False


def images_of_adapter(name: str, file: Path, base: str) -> TargetImages:
    """What the images of an adapter are recognised by.

    file: of the adapter. In the folder that a training wrote, its checkpoints count too. base: reference of its base
    model.
    """
    folder = file.parent
    saved = [*folder.glob(f"{CHECKPOINTS}/*/{file.name}")]
    hashes = {sha256_of(each) for each in (file, *saved)}
    if saved or (folder / "README.md").is_file():  # a folder of one adapter, which references may name as a whole
        hashes |= {_stored_hash(each) for each in (folder, *(each.parent for each in saved))}
    return TargetImages(name, frozenset(hashes), names_of_model(base))


def images_of_model(reference: str) -> TargetImages:
    """What the images of a model without an adapter are recognised by."""
    return TargetImages(reference, models=names_of_model(reference))


def names_of_model(reference: str) -> frozenset[str]:
    """All references of a model: the one given, and the aliases and the repository that mean the same."""
    known = {name: {name, alias.reference} for name, (_, alias) in aliases().items()}
    return frozenset({reference}.union(*(names for names in known.values() if reference in names)))


def _stored_hash(folder: Path) -> str:
    """The hash that the reference of a folder has, which is that of the list of its files."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != MARKER]
    hashes = {file.relative_to(folder).as_posix(): sha256_of(file) for file in files}
    with tempfile.TemporaryDirectory() as place:
        return sha256_of(write_manifest(hashes, Path(place) / "files.json"))


def _labelled(image: JudgedImage) -> JudgedImage:
    try:
        data = read_file(image.location)
    except LimnerError:
        return image
    return with_label(image, data) if hashlib.sha256(data).hexdigest() == image.sha256 else image


def missing(images: Iterable[JudgedImage]) -> set[str]:
    """The locations of images that are no files on this machine."""
    return {place for place in {image.location for image in images} if not Path(place).is_file()}
