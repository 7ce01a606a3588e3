"""Pixel limit of uploaded images."""

from pathlib import Path

import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.server.uploads import UPLOAD_PIXELS, image_size
from limner.studio.studio import Studio


def test_pixel_limit_of_uploads(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "home", most_pixels=100)
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40)).save(tmp_path / "most.png")
    Image.new("RGB", (40, 100 * UPLOAD_PIXELS // 40 + 1)).save(tmp_path / "more.png")
    assert image_size(studio, tmp_path / "most.png") == (40, 40)
    with pytest.raises(LimnerError, match="40 x 41 = 1640"):
        image_size(studio, tmp_path / "more.png")
    studio.store.close()
