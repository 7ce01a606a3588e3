"""Formats by magic bytes, and the errors for files of no format."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from limner.imaging.formats import media_type, png_chunks


def encoded(kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_the_media_type_is_that_of_the_content(kind: str) -> None:
    assert media_type(encoded(kind)) == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1", "image/avif"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"MM\0*\0\0\0\x08", "image/tiff"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_media_types_by_the_first_bytes(data: bytes, kind: str | None) -> None:
    assert media_type(data) == kind


def test_chunks_of_a_png() -> None:
    data = encoded("PNG")
    chunks = list(png_chunks(data))
    assert [kind for kind, _, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[0][1:] == (16, 13) and data[16:20] == b"\0\0\0\x08"
