"""Generated images as surfaces use them: find them, verify image files, store converted copies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from limner.core.feedback import ImageFacets, ImageQuery
from limner.core.files import read_file
from limner.core.runs import Artifact, Run
from limner.imaging.thumbnails import SIDES, mean_colour, thumbnail
from limner.store.facets import FacetCache
from limner.store.files import atomic_file, sha256_of
from limner.store.images import ImageIndex, Viewer
from limner.store.runs import Store
from limner.studio.files import StudioFiles

if TYPE_CHECKING:
    from limner.provenance.verify import Verification

__all__ = ["SIDES", "StudioImages", "Viewer", "examine"]
DECODED_AT_ONCE = 2
"""Images that a process decodes at the same time for thumbnails: a large one takes much memory."""
decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)


class StudioImages(ImageIndex):
    """The images that runs generated. `list`, `get` and `some` find them by query, name and ids."""

    def __init__(self, store: Store, files: StudioFiles) -> None:
        super().__init__(store)
        self._store, self._files, self._facets = store, files, FacetCache(store)

    def verify(self, image: str | Path, visible: Callable[[Run], bool] = lambda run: True) -> Verification:
        """Whether Limner generated an image, and whether it was changed since; what its labels say.

        visible: which runs may be named as its maker. Raises LimnerError if the file is no image.
        """
        return self.with_maker(examine(image, self._store.home), image, visible)

    def with_maker(
        self, verification: Verification, image: str | Path, visible: Callable[[Run], bool] = lambda run: True
    ) -> Verification:
        """A verification with the visible run that made the image."""

        def maker(**known: str) -> str | None:
            runs = (self._store.get(made.run) for made in self._store.artifacts(limit=10, **known))
            return next((run.id for run in runs if visible(run)), None)

        mark = verification.mark
        if mark is not None and mark.name is not None:
            mark = mark.model_copy(update={"run": maker(mark=mark.name, kind="picture")})
        return verification.model_copy(update={"mark": mark, "run": maker(sha256=sha256_of(Path(image)))})

    def facets(self, viewer: Viewer, query: ImageQuery) -> ImageFacets:
        """How many images of a query have which model, adapter, size, month and stars."""
        return self._facets.facets(viewer, query)

    def thumbnail(self, sha256: str, side: int) -> Path:
        """The WebP of a stored image whose longest side is one of SIDES; made once, when it is first asked for.

        Size and mean colour of the image are recorded with it. Raises LimnerError if there is no such image.
        """
        place = self._files.thumbnail_path(sha256, side)
        if not place.exists():
            with decoding:
                if not place.exists():
                    self._make_thumbnails(sha256)
        return place

    def _make_thumbnails(self, sha256: str) -> None:
        from limner.imaging.decode import decode
        from limner.provenance.xmp import SourceType, source_type, write_packet

        source = self._files.path(sha256)
        data = read_file(source)
        image = decode(data, source)
        kind = source_type(data)
        packet = write_packet(cast(SourceType, kind)).encode() if kind in get_args(SourceType) else b""
        for side in reversed(SIDES):  # the smallest last, by which the others are found
            with atomic_file(self._files.thumbnail_path(sha256, side)) as partial:
                partial.write_bytes(thumbnail(image, side, packet))
        self.record_look(sha256, image.size, mean_colour(image))

    def add_copy(self, artifact: Artifact, copy: Path, suffix: str) -> str:
        """Store a converted copy of an image as a result of the same run; returns its reference."""
        reference = self._files.save(copy)
        details = {"reference": reference, "of": artifact.sha256}
        path = f"{artifact.path}.{suffix}"
        self._store.add_artifact(artifact.run, "copy", path, reference.removeprefix("sha256:"), details)
        return reference


def examine(image: str | Path, home: Path) -> Verification:
    """What the labels, credentials and watermark of an image say. Uses no database, so any process can call it."""
    from limner.provenance.verify import verify

    return verify(image, home)
