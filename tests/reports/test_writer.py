"""Pictures in a page: as small as asked, and never larger than they are."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from limner.reports.writer import data_url


@pytest.mark.parametrize(
    ("size", "side", "shown"),
    [
        ((100, 50), 40, (40, 20)),
        ((50, 100), 40, (20, 40)),
        ((40, 30), 40, (40, 30)),
        ((20, 10), 40, (20, 10)),
        ((100, 50), None, (100, 50)),
    ],
)
def test_an_embedded_picture_is_made_smaller_only(size, side, shown):
    head, _, data = data_url(Image.new("RGBA", size, "red"), side).partition(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (head, picture.format, picture.size) == ("data:image/webp;base64", "WEBP", shown)
