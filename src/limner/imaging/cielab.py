"""Colours of sRGB in CIELAB, where distances are about as large as people see them (CIE 15)."""

from __future__ import annotations

import numpy as np

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_RELATIVE = (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
"""From linear sRGB to X, Y and Z relative to the white of sRGB, D65."""


def linear_light(values: np.ndarray) -> np.ndarray:
    """sRGB values from 0 to 1 as linear light from 0 to 1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab_of_light(linear: np.ndarray) -> np.ndarray:
    """L, a and b (..., 3) of linear sRGB (..., 3) from 0 to 1."""
    xyz = linear @ _RELATIVE.astype(linear.dtype)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_of(colours: np.ndarray) -> np.ndarray:
    """L, a and b (..., 3) of sRGB colours (..., 3) from 0 to 255."""
    return lab_of_light(linear_light(colours / 255))
