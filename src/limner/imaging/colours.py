"""Converts images of any mode, ICC profile (ICC.1:2022) and gamma (PNG's gAMA) to 8-bit sRGB."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms

from limner.core.files import short_line

log = logging.getLogger(__name__)

PROFILE_CAP = 16 * 2**20
"""The largest ICC profile that is used, in bytes; those of printing presses have up to 3 MB."""

SAME = 2
"""A profile that changes no colour by more than this many of 255 levels counts as sRGB: the difference is invisible."""

GAMMAS = (0.1, 10.0)
"""The smallest and the largest exponent of a PNG's gAMA that is used."""

SRGB_GAMMA, GAMMA_SAME = 1 / 2.2, 0.05
"""The exponent that stands for sRGB, and the share by which another may differ to mean the same, as in libpng."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Pillow's mode by a profile's colour space."""

_DEEP_SCALES = {"I": (255, 65_535, 2**31 - 1), "F": (1, 255, 65_535)}
"""By mode, the values that white may have."""


@dataclass(frozen=True, slots=True)
class ProfileConversion:
    """Conversion of a profile's colours to sRGB.

    mode: of the images that it converts. transform: None if the profile is sRGB.
    """

    name: str
    mode: str
    transform: ImageCms.ImageCmsTransform | None


class BrokenProfile(ValueError):
    """An ICC profile that cannot be used."""


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits per channel. Call it before `load`, after which Pillow no longer knows."""
    tiles = getattr(image, "tile", ())
    return _is_deep_mode(image.mode) or any(";16" in str(tile[3]) for tile in tiles)


def stored_gamma(image: Image.Image) -> float | None:
    """The exponent g in a PNG's gAMA (PNG, 3rd edition, 11.3.2.2): levels are light ** g. None if it is sRGB's."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or "srgb" in image.info or not GAMMAS[0] <= gamma <= GAMMAS[1]:
        return None
    return None if abs(gamma / SRGB_GAMMA - 1) < GAMMA_SAME else gamma


def to_rgb(image: Image.Image, profile: bytes | None, gamma: float | None = None) -> tuple[Image.Image, list[str]]:
    """A loaded image in 8-bit sRGB, and notes about the conversion of its colours; depth is not noted.

    gamma: as `stored_gamma` returns it; used where there is no profile that can be used.
    """
    if _is_deep_mode(image.mode):
        grey, note = to_srgb(_eight_bits(image), profile, gamma)
        return grey.convert("RGB"), _without_none(note)
    if image.mode in ("RGB", "L", "CMYK", "LAB") and not image.has_transparency_data:
        plain, note = to_srgb(image, profile, gamma)
        ink = "converted from CMYK" if image.mode == "CMYK" else None
        return plain.convert("RGB"), _without_none(ink, note)
    if not image.has_transparency_data:
        plain, note = to_srgb(image.convert("RGB"), profile, gamma)
        return plain, _without_none(note)
    return _flattened(image, profile, gamma)


def to_srgb(image: Image.Image, profile: bytes | None, gamma: float | None) -> tuple[Image.Image, str | None]:
    """An image without transparency in sRGB, and a note about the conversion, None if there was none.

    The result is RGB if a profile was used or the image was Lab; otherwise it is unchanged.
    """
    note = None
    if profile:
        try:
            return _converted(image, _conversion(profile))
        except (BrokenProfile, ImageCms.PyCMSError, OSError, ValueError) as error:
            log.debug("profile not used: %s", error)
            note = "its colour profile cannot be used, so it is taken for sRGB"
    if gamma is not None and image.mode in ("RGB", "L"):
        return image.point(_gamma_table(gamma) * len(image.getbands())), "brightness converted from its gamma"
    if image.mode == "LAB":
        return _lab().apply(image), "converted from Lab"
    return image, note


@lru_cache(maxsize=16)
def _gamma_table(gamma: float) -> list[int]:
    """The level in sRGB (IEC 61966-2-1) of each level that is stored with a gamma."""
    light = (np.arange(256) / 255) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * encoded).round().astype(int).tolist()


def _flattened(image: Image.Image, profile: bytes | None, gamma: float | None) -> tuple[Image.Image, list[str]]:
    """An image with transparency composited on white, which is the same white in sRGB."""
    layer = image.convert("RGBA")
    # A grey profile is for grey values, which the conversion to RGBA keeps in each channel.
    colours = layer.getchannel("R") if image.mode == "LA" else layer.convert("RGB")
    plain, note = to_srgb(colours, profile, gamma)
    alpha = layer.getchannel("A")
    flat = Image.new("RGB", layer.size, "white")
    if alpha.getextrema()[0] == 255:
        return plain.convert("RGB"), _without_none(note)
    plain = plain.convert("RGBA")
    plain.putalpha(alpha)
    flat = Image.alpha_composite(flat.convert("RGBA"), plain).convert("RGB")
    return flat, _without_none(note, "transparency laid on white")


def _without_none(*notes: str | None) -> list[str]:
    return [note for note in notes if note]


def _is_deep_mode(mode: str) -> bool:
    return mode in _DEEP_SCALES or mode.startswith("I;16")


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit, 32-bit or float grey image in mode L: 0 is black, full scale is white."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    full = _full_scale(image, float(values.max()))
    if isinstance(transparent := image.info.get("transparency"), int):
        values = np.where(values == transparent, full, values)
    return Image.fromarray(np.clip(values * (255.0 / full) + 0.5, 0, 255).astype(np.uint8))


def _full_scale(image: Image.Image, peak: float) -> float:
    """The value of white: 65535 for 16 bits, otherwise the smallest usual scale that includes `peak`."""
    if image.mode.startswith("I;16"):
        return 65_535
    return next((full for full in _DEEP_SCALES[image.mode] if peak <= full), peak)


def _converted(image: Image.Image, conversion: ProfileConversion) -> tuple[Image.Image, str | None]:
    """The image in sRGB. A grey image may carry the profile of a colour image."""
    if conversion.transform is None:
        return image, None
    source = image
    if image.mode != conversion.mode:
        if image.mode == "CMYK" or conversion.mode != "RGB":
            raise BrokenProfile(f"it is for {conversion.mode}, and the image is {image.mode}")
        source = image.convert("RGB")
    return conversion.transform.apply(source), f"colours converted from the profile {conversion.name!r}"


@lru_cache(maxsize=16)
def _conversion(profile: bytes) -> ProfileConversion:
    """The conversion of a profile's bytes. Cached: most images share a few profiles, and building one takes ms."""
    if len(profile) > PROFILE_CAP:
        raise BrokenProfile("it is too large")
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = cast(Any, source.profile).xcolor_space.strip()
    if (mode := _MODES.get(space)) is None:
        raise BrokenProfile(f"its colours are {short_line(space)}")
    transform = _transform(source, mode)
    same = mode == "RGB" and _is_identity(transform)
    return ProfileConversion(_name(source), mode, None if same else transform)


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    """Relative colorimetric with black point compensation, the default of image editors."""
    return ImageCms.buildTransform(
        source,
        _srgb(),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform of RGB leaves a 9 x 9 x 9 grid of colours unchanged, to within SAME levels."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
    moved = np.asarray(transform.apply(Image.fromarray(lattice)), np.int16)
    return bool(np.abs(moved - lattice).max() <= SAME)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _lab() -> ImageCms.ImageCmsTransform:
    """From Lab with white point D50 (ICC's connection space), as TIFF and PSD store it."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    """The description that a profile gives of itself."""
    try:
        return short_line(ImageCms.getProfileDescription(profile), 60) or "without a name"
    except ImageCms.PyCMSError:
        return "without a name"
