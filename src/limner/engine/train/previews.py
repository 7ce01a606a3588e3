"""What a model paints while it learns, as rows of pictures to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.events import ArtifactKind, Emit, Made
from limner.engine.train.preview_sampler import Glimpses
from limner.provenance import watermark
from limner.provenance.labels import write_png
from limner.store.files import atomic_file, sha256_of


class Previews:
    """Writes one row of pictures whenever it is asked. home: Limner's own folder, whose credentials sign them."""

    def __init__(self, glimpses: Glimpses, home: Path | None = None) -> None:
        self.glimpses, self.home = glimpses, home

    def paint(self, step: int, folder: Path, emit: Emit) -> None:
        """Write `preview-<step>.png` into the folder."""
        path = folder / f"preview-{step:08d}.png"
        write_marked(np.concatenate(self.glimpses.paint(), axis=1), path, self.home)
        emit(Made(what=ArtifactKind.PREVIEW, path=str(path), sha256=sha256_of(path), details={"step": step}))


def write_marked(pixels: np.ndarray, path: Path, home: Path | None) -> None:
    """Write pixels (h, w, 3) uint8 as a PNG that says it was made by AI, visibly to machines and in its pixels."""
    pixels = watermark.embed(pixels, watermark.name_of(pixels))
    with atomic_file(path) as partial:
        write_png(Image.fromarray(pixels), partial, home=home)
