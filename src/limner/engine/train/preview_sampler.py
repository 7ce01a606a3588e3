"""The preview sampler: images by a model in training, from prompts that are encoded before the encoders are freed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.protocols import Components
from limner.engine.generate.sampling import sample_images
from limner.models.conditioning import conditioning
from limner.models.loading import Model
from limner.provenance import watermark
from limner.provenance.labels import write_png
from limner.store.files import atomic_file


class PreviewSampler:
    """Generates the same prompts from the same seeds each time.

    side: of the images in pixels. batch: how many images go through the model together. home: Limner's own folder,
    whose credentials sign the images.
    """

    def __init__(
        self,
        model: Model,
        components: Components,
        prompts: Sequence[str],
        seeds: Sequence[int],
        side: int,
        batch: int = 1,
        home: Path | None = None,
    ) -> None:
        self.model, self.components, self.prompts, self.seeds = model, components, prompts, seeds
        self.side, self.batch, self.home = side, batch, home
        self.conditioning = conditioning(model.family, components, prompts)

    def sample(self) -> list[np.ndarray]:
        """An image (h, w, 3) uint8 of each prompt, by the model as it is now."""
        family, sampling = self.model.family, self.model.sampling
        if self.components.parts.get("text_encoder") is not None:  # it is still there where it is trained
            self.conditioning = conditioning(family, self.components, self.prompts)
        pipeline, side = family.pipeline(self.components), self.side
        return list(sample_images(pipeline, self.conditioning, self.seeds, sampling, (side, side), batch=self.batch))


def write_labelled(pixels: np.ndarray, path: Path, home: Path | None) -> None:
    """Write pixels (h, w, 3) uint8 as a PNG that is labelled as made by AI, in its metadata and by a watermark."""
    pixels = watermark.embed(pixels, watermark.payload_for(pixels))
    with atomic_file(path) as partial:
        write_png(Image.fromarray(pixels), partial, home=home)
