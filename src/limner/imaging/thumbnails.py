"""Small copies of images as WebP, and the mean colour that stands for an image until its copy is there."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

SIDES = (160, 512)
"""Longest sides in pixels: of a tile in a gallery, and of a large one or one on a fine screen."""
QUALITY = 82


def thumbnail(image: Image.Image, side: int, xmp: bytes = b"") -> bytes:
    """A copy with this longest side, as WebP; never larger than the image. xmp: an XMP packet that it gets."""
    copy = image.convert("RGB")
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    target = BytesIO()
    copy.save(target, format="WEBP", quality=QUALITY, method=4, xmp=xmp)
    return target.getvalue()


def mean_colour(image: Image.Image) -> str:
    """The mean colour as six hexadecimal digits, such as "a3b1c0"."""
    red, green, blue = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
    return f"{red:02x}{green:02x}{blue:02x}"
