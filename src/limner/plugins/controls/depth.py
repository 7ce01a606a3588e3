"""Depth map of an image, near is white (Depth Anything V2, arXiv 2406.09414)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.models.hub import why_not_fetched

ESTIMATOR = "depth-anything/Depth-Anything-V2-Small-hf"


@cache
def _estimator() -> Any:
    from transformers import pipeline

    try:
        return pipeline("depth-estimation", model=ESTIMATOR)
    except (OSError, ValueError) as error:
        raise LimnerError(
            f"the depth estimator {ESTIMATOR!r} is not on disk and could not be fetched ({why_not_fetched(error)})",
            "connect to the network, or make the depth map with another tool and use --control given=MAP with its "
            "--control-model",
        ) from error


class Depth:
    def guide(self, image: Image.Image) -> Image.Image:
        depth = np.asarray(_estimator()(image)["depth"].resize(image.size), dtype=np.float32)
        spread = float(depth.max() - depth.min()) or 1.0
        return Image.fromarray(((depth - depth.min()) / spread * 255).astype(np.uint8)).convert("RGB")


plugin = Depth()
