"""Pictures of a model while it learns, from conditioning that was encoded before the encoders went, if they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limner.core.protocols import Components, Family
from limner.engine.generate.sampling import sample_images
from limner.models.conditioning import conditioning


class Glimpses:
    """Paints the same prompts from the same seeds whenever it is asked.

    side: of the pictures in pixels. sampling: steps and guidance. batch: how many go through the model together.
    """

    def __init__(
        self,
        family: Family,
        components: Components,
        prompts: Sequence[str],
        seeds: Sequence[int],
        side: int,
        sampling: Mapping[str, Any],
        batch: int = 1,
    ) -> None:
        self.family, self.components, self.prompts = family, components, prompts
        self.seeds, self.side, self.sampling, self.batch = seeds, side, sampling, batch
        self.conditioning = conditioning(family, components, prompts)

    def paint(self) -> list[np.ndarray]:
        """A picture (h, w, 3) uint8 of each prompt, by the model as it stands."""
        pipeline = self.family.pipeline(self.components)
        if self.components.parts.get("text_encoder") is not None:  # it is still there where it learns
            self.conditioning = conditioning(self.family, self.components, self.prompts)
        return list(
            sample_images(
                pipeline,
                self.conditioning,
                self.seeds,
                self.sampling,
                (self.side, self.side),
                batch=self.batch,
            )
        )
