"""Formats by magic bytes, and the errors for files of no format."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from limner.imaging.formats import media_type, misnamed, png_chunks, unknown_format


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


def test_any_other_media_file_counts_as_heic() -> None:
    def file(*brands: bytes) -> bytes:
        size = (8 + 4 * len(brands) + 4).to_bytes(4, "big")
        return size + b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:])

    assert [media_type(file(brand)) for brand in (b"avif", b"heic", b"mif1")] == ["image/avif", *["image/heic"] * 2]
    assert media_type(file(b"mif1", b"miaf", b"avif")) == "image/avif"


@pytest.mark.parametrize(
    ("name", "found", "note"),
    [
        ("a.JPG", "JPEG", None),
        ("a.jfif", "JPEG", None),
        ("a", "PNG", None),
        ("a.data", "PNG", None),
        ("a.png", "JPEG", "named .png, and a JPEG inside"),
        ("a.PNG", "AVIF", "named .png, and an AVIF inside"),
    ],
)
def test_only_a_suffix_of_another_format_is_noted(name: str, found: str, note: str | None) -> None:
    assert misnamed(name, found) == note


def test_a_text_may_be_cut_within_its_last_letter() -> None:
    text = "x" * 511 + "é"
    for data, content in (
        (text.encode(), "text"),
        (b"a\x00b" * 9, "no image of a known format"),
        (b"\xff" * 9, "no image of a known format"),
    ):
        assert unknown_format(data, "a.png").problem == f"'a.png' holds {content}, whatever its name says"
    assert "is a damaged or unfinished PNG file" in unknown_format(b"\x89PNG rubbish", "a.png").problem
    assert "is a damaged or unfinished image file" in unknown_format(b"\0\0\0\x0cftypavif", "a.avif").problem
