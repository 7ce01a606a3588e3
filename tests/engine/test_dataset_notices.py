"""Notices about masks before training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.events import Notice
from limner.data.sets.folder import scan
from limner.data.sets.pixels import CroppedFiles
from limner.engine.train.dataset_notices import check_masks
from limner.engine.train.plan import TrainPlan

PLAN = cast(TrainPlan, SimpleNamespace(shape_of=lambda image: (16, 16)))


@pytest.fixture
def folder(tmp_path):
    """Photos of 32 x 32 pixels."""
    (tmp_path / "masks").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def drawn(colour) -> Image.Image:
    mask = Image.new("RGBA", (32, 32))
    mask.paste(colour, (0, 0, 16, 32))
    return mask


def notices(folder) -> list[str]:
    events: list[object] = []
    check_masks(scan(folder).images, PLAN, events.append)
    return [event.text for event in events if isinstance(event, Notice)]


def test_masks_on_transparent_layers_train_what_is_drawn(folder):
    drawn("white").save(folder / "masks/0.png")
    drawn("black").save(folder / "masks/1.png")
    drawn("red").save(folder / "masks/2.png")
    assert notices(folder) == [
        "the mask '1.png' and 1 more: what is drawn on its transparent ground was taken as white"
    ]
    masks = CroppedFiles(scan(folder).images, (16, 16), masked=True)[:].masks
    assert masks is not None and (masks[:, :, :7] > 250).all() and (masks[:, :, 9:] < 5).all()


def test_a_mask_that_selects_everything_is_reported_and_nothing_refused(folder):
    Image.new("L", (32, 32), 255).save(folder / "masks/0.png")
    assert notices(folder) == ["the mask '0.png': all of it is white, so the whole image is trained on"]
    Image.new("RGBA", (32, 32)).save(folder / "masks/1.png")
    with pytest.raises(LimnerError, match=r"the mask '1.png' is all black; paint the part to train on white"):
        notices(folder)
