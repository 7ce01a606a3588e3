"""Pictures of any mode in 8-bit RGB: deep ones scaled, transparency laid on white."""

from __future__ import annotations

import numpy as np
from PIL import Image

from limner.imaging.colour_profiles import to_srgb

_DEEP_SCALES = {"I": (255, 65_535, 2**31 - 1), "F": (1, 255, 65_535)}


def is_deep(image: Image.Image) -> bool:
    """Whether a picture holds more than 8 bits a channel; ask before it is loaded, for Pillow forgets it then."""
    tiles = getattr(image, "tile", ())
    return _is_deep_mode(image.mode) or any(";16" in str(tile[3]) for tile in tiles)


def to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """A loaded picture in 8-bit sRGB, and clauses on what was done to its colours, but for its depth."""
    if _is_deep_mode(image.mode):
        grey, note = to_srgb(_eight_bits(image), profile)
        return grey.convert("RGB"), _told(note)
    if image.mode in ("RGB", "L", "CMYK", "LAB") and not image.has_transparency_data:
        plain, note = to_srgb(image, profile)
        ink = "converted from CMYK" if image.mode == "CMYK" else None
        return plain.convert("RGB"), _told(ink, note)
    if not image.has_transparency_data:
        plain, note = to_srgb(image.convert("RGB"), profile)
        return plain, _told(note)
    return _flattened(image, profile)


def _flattened(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """A picture with transparency on white, which is the same white in sRGB."""
    layer = image.convert("RGBA")
    # A grey profile is for grey values, which the conversion to RGBA keeps in any one channel.
    colours = layer.getchannel("R") if image.mode == "LA" else layer.convert("RGB")
    plain, note = to_srgb(colours, profile)
    alpha = layer.getchannel("A")
    flat = Image.new("RGB", layer.size, "white")
    if alpha.getextrema()[0] == 255:
        return plain.convert("RGB"), _told(note)
    plain = plain.convert("RGBA")
    plain.putalpha(alpha)
    flat = Image.alpha_composite(flat.convert("RGBA"), plain).convert("RGB")
    return flat, _told(note, "transparency laid on white")


def _told(*notes: str | None) -> list[str]:
    return [note for note in notes if note]


def _is_deep_mode(mode: str) -> bool:
    return mode in _DEEP_SCALES or mode.startswith("I;16")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or float grey picture in mode L, from black at 0 to white at full scale."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    full = _full_scale(image, float(values.max()))
    if isinstance(transparent := image.info.get("transparency"), int):
        values = np.where(values == transparent, full, values)
    return Image.fromarray(np.clip(values * (255.0 / full) + 0.5, 0, 255).astype(np.uint8))


def _full_scale(image: Image.Image, peak: float) -> float:
    """The value of white: known for 16 bits; elsewhere the smallest customary one that holds the `peak`."""
    if image.mode.startswith("I;16"):
        return 65_535
    return next((full for full in _DEEP_SCALES[image.mode] if peak <= full), peak)
