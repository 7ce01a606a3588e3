"""Pictures as an encoder sees them, kept on disk, so that their number does not matter."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from limner.core.events import Emit, Progress, Stage
from limner.core.workspace import Workspace
from limner.engine.scoring.encoders import open_encoder

BATCH = 32
FP32 = 4
"""Bytes of a number."""


def features_of(
    count: int, picture: Callable[[int], Path], encoder: str, place: Path, workspace: Workspace, emit: Emit
) -> np.ndarray:
    """Directions (count, d) of pictures in fp32, mapped from a file; what is in the file is not looked at again.

    picture: where the i-th one is.
    """
    emit(Stage(name="looking at pictures", total=count))
    tower = open_encoder(encoder)
    width = tower.see([_opened(picture(0))]).shape[1]
    with place.open("ab") as file, ThreadPoolExecutor(2) as threads:
        done = file.tell() // (FP32 * width)
        file.truncate(done * FP32 * width)

        def opened(start: int) -> list[Future[Image.Image]]:
            return [threads.submit(_opened, picture(i)) for i in range(start, min(start + BATCH, count))]

        following = opened(done)
        while part := following:
            following = opened(done + len(part))  # while the network is at work
            seen = tower.see([each.result() for each in part])
            file.write(seen.numpy().astype(np.float32).tobytes())
            done += len(part)
            emit(Progress(done=done))
            workspace.check()
    return np.memmap(place, dtype=np.float32, mode="r", shape=(count, width))


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
