"""Pictures in other formats, with the label that every format holds: where they come from."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image

from limner.provenance.credentials import sign
from limner.provenance.xmp import source_type

Format = Literal["png", "jpeg", "webp"]
XMP = "XML:com.adobe.xmp"
"""Where a PNG keeps its XMP packet."""


def converted(png: bytes, format: Format, quality: int = 95, home: Path | None = None) -> bytes:
    """A PNG of ours in another format, with its XMP packet and new credentials; the PNG itself where that is asked for.

    quality: of JPEG and WebP, 0 to 100. home: whose key signs.
    """
    if format == "png":
        return png
    target = BytesIO()
    with Image.open(BytesIO(png), formats=("PNG",)) as image:
        xmp = str(image.info.get(XMP, "")).encode()
        image.convert("RGB").save(target, format=format.upper(), quality=quality, xmp=xmp)
    data = target.getvalue()
    source = source_type(data) or "trainedAlgorithmicMedia"
    return sign(data, source, home, f"image/{format}")
