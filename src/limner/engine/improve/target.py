"""The original that is improved: its model and adapter, the photos it was trained on, and how its images are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.core.requests import ImproveRequest
from limner.core.runs import CHECKPOINTS
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan, scan
from limner.engine.compare.contestants import ModelWithAdapters, find_target
from limner.engine.compare.subject import PromptSubject, trained_subject
from limner.engine.improve.learning_set import TargetImages
from limner.engine.influence.influence import training_images
from limner.engine.train.continuation import training_of
from limner.models.adapters import Adapter, open_adapter
from limner.store.blobs import REFERENCE
from limner.store.files import sha256_of


@dataclass(frozen=True)
class Original:
    """What is improved. adapter: None where it is a model itself. photos: that it was trained on, None if unknown."""

    version: ModelWithAdapters
    adapter: Adapter | None
    subject: PromptSubject
    photos: Scan | None
    images: TargetImages

    @property
    def references(self) -> tuple[Path, ...]:
        """The photos of the subject."""
        return () if self.photos is None else tuple(each.path for each in self.photos.images)


def find_original(request: ImproveRequest, workspace: Workspace) -> Original:
    """The target of a request; raises LimnerError where there is none, or its photos cannot be read."""
    version = find_target(request.target, request.model, workspace.called)
    adapter = open_adapter(version.adapters[0].path) if version.adapters else None
    subject = trained_subject(version.adapters)
    photos = _photos(request, adapter, workspace.local)
    return Original(version, adapter, subject, photos, _images_of(version, adapter, workspace))


def _photos(request: ImproveRequest, adapter: Adapter | None, local: bool) -> Scan | None:
    """The photos that the request names, or else the images that the adapter was trained on.

    local: whether the folder that an adapter names may be opened. None where they are not known, or changed meanwhile.
    """
    if request.references is not None:
        return scan(request.references)
    if adapter is None or not local:
        return None
    try:
        return training_images(adapter, training_of(adapter)[0], None)
    except LimnerError:  # they are elsewhere now
        return None


def _images_of(version: ModelWithAdapters, adapter: Adapter | None, workspace: Workspace) -> TargetImages:
    """By what the images of a version are known: its adapter's files, or its model."""
    models = frozenset({version.model, workspace.called(version.model)})
    if adapter is None:
        return TargetImages(version.name, models=models)
    checkpoints = (adapter.file.parent / CHECKPOINTS).glob(f"*/{adapter.file.name}")
    hashes = {adapter.sha256, *map(sha256_of, sorted(checkpoints))}
    if found := REFERENCE.fullmatch(workspace.called(version.adapters[0].path)):
        hashes.add(found[2])
    return TargetImages(version.name, frozenset(hashes), models)


def describe_photos(original: Original, request: ImproveRequest) -> str | None:
    """A line on photos that the request does not name; None if it names them."""
    if request.references is not None or original.adapter is None:
        return None
    if original.photos is None:
        return "the photos of the original are not on this machine, so the subject is not scored; give --references"
    place = quoted(original.photos.images[0].path.parent)
    return f"the subject is scored by the {len(original.photos.images)} images in {place}, which were trained on"
