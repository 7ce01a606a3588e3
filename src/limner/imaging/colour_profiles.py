"""The colours of a picture brought to sRGB by its ICC profile (ICC.1:2022)."""

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
"""The largest profile that is used, in bytes; those of printing presses have up to 3 MB."""

SAME = 2
"""So many of 255 levels may a profile be from sRGB at most to be taken for sRGB: nobody sees them."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Pillow's mode by a profile's colour space."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A profile's way to sRGB. transform: None where it is sRGB already. mode: of the pictures that it takes."""

    name: str
    mode: str
    transform: ImageCms.ImageCmsTransform | None


class BrokenProfile(ValueError):
    """A profile that cannot be used."""


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """A picture of a mode without transparency in sRGB, and a clause on what was done, None where nothing was.

    What comes back is RGB where a profile was used, and else as it was, but for Lab, which says its colours by itself.
    """
    note = None
    if profile:
        try:
            return _converted(image, _conversion(profile))
        except (BrokenProfile, ImageCms.PyCMSError, OSError, ValueError) as error:
            log.debug("profile not used: %s", error)
            note = "its colour profile cannot be used, so it is taken for sRGB"
    if image.mode == "LAB":
        return _lab().apply(image), "converted from Lab"
    return image, note


def _converted(image: Image.Image, conversion: Conversion) -> tuple[Image.Image, str | None]:
    """The picture by its profile; grey ones may carry that of a colour picture."""
    if conversion.transform is None:
        return image, None
    source = image
    if image.mode != conversion.mode:
        if image.mode == "CMYK" or conversion.mode != "RGB":
            raise BrokenProfile(f"it is for {conversion.mode}, and the picture is {image.mode}")
        source = image.convert("RGB")
    return conversion.transform.apply(source), f"colours converted from the profile {conversion.name!r}"


@lru_cache(maxsize=16)
def _conversion(profile: bytes) -> Conversion:
    """The way to sRGB of a profile's bytes; few profiles serve most pictures, and making one takes milliseconds."""
    if len(profile) > PROFILE_CAP:
        raise BrokenProfile("it is too large")
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = cast(Any, source.profile).xcolor_space.strip()
    if (mode := _MODES.get(space)) is None:
        raise BrokenProfile(f"its colours are {short_line(space)}")
    transform = _transform(source, mode)
    same = mode == "RGB" and _is_identity(transform)
    return Conversion(_name(source), mode, None if same else transform)


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    """Relative colorimetric with black point compensation, as image editors do by default."""
    return ImageCms.buildTransform(
        source,
        _srgb(),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform of RGB leaves a lattice of colours as they are."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
    moved = np.asarray(transform.apply(Image.fromarray(lattice)), np.int16)
    return bool(np.abs(moved - lattice).max() <= SAME)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _lab() -> ImageCms.ImageCmsTransform:
    """TIFF and PSD keep Lab of the white D50 (ICC's connection space)."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    """What a profile calls itself."""
    try:
        return short_line(ImageCms.getProfileDescription(profile), 60) or "without a name"
    except ImageCms.PyCMSError:
        return "without a name"
