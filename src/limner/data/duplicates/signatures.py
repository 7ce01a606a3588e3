"""Signatures of images, 720 bytes each, and their similarity: enough to find copies among a million images."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from limner.data.duplicates.copies import SIDE, gradients, small_luma

COLOUR_SIDE = 8
REDUCED = 256
"""An image is first reduced by an integer factor, as long as its shorter side keeps this many pixels."""
DIGEST, LUMA, CHROMA = slice(0, 16), slice(16, 16 + SIDE**2), slice(16 + SIDE**2, 16 + SIDE**2 + 2 * COLOUR_SIDE**2)
LENGTH = CHROMA.stop
HASH_BITS = 128

NOISE = 4.0
"""The most that JPEG alone changes the colours of a copy, root mean square in levels of chroma."""
PALE = 3.0
"""Below this many levels of chroma an image is grey: it may be a copy of one in colour."""
STRETCH = (0.5, 2.0)
FLAT_LUMA = 6.0

Orientation = tuple[bool, bool, bool]
"""How an image is turned: whether it is transposed, and then whether it is flipped vertically and horizontally."""
UPRIGHT: Orientation = (False, False, False)
MIRRORED: Orientation = (False, False, True)
TURNED: tuple[Orientation, ...] = tuple((t, d, m) for t in (False, True) for d in (False, True) for m in (False, True))[
    2:
]
ORIENTATIONS: tuple[Orientation, ...] = (UPRIGHT, MIRRORED, *TURNED)


def signature(image: Image.Image) -> np.ndarray:
    """The signature of an upright RGB image of any size, (720,) in uint8.

    A digest of its size and pixels in 16 bytes; luma at 24 x 24; chroma (Cb, Cr) at 8 x 8.
    """
    image = image if image.mode == "RGB" else image.convert("RGB")
    pixels = hashlib.blake2b(repr(image.size).encode(), digest_size=16)
    pixels.update(image.tobytes())
    small = image.reduce(max(1, min(image.size) // REDUCED))
    colours = small.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX).convert("YCbCr")
    digest = np.frombuffer(pixels.digest(), dtype=np.uint8)
    return np.concatenate([digest, small_luma(small).ravel(), np.asarray(colours)[..., 1:].ravel()])


def lumas(signatures: np.ndarray) -> np.ndarray:
    """Luma (n, 24, 24) in fp32."""
    return signatures[:, LUMA].reshape(-1, SIDE, SIDE).astype(np.float32)


def chromas(signatures: np.ndarray) -> np.ndarray:
    """Chroma (n, 8, 8, 2) in fp32, 0 for grey."""
    return signatures[:, CHROMA].reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2).astype(np.float32) - 128


def turned(values: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Images (n, h, w, ...) in an orientation."""
    swapped, down, across = orientation
    values = values.swapaxes(1, 2) if swapped else values
    return values[:, :: -1 if down else 1, :: -1 if across else 1]


def perceptual_hashes(signatures: np.ndarray) -> np.ndarray:
    """Perceptual hashes (n, orientations, 2) in uint64 of the images in all ORIENTATIONS.

    The signs of the 128 lowest frequencies of the cosine transform of luma, without the mean. The pHash of imagehash
    compares with the median instead; signs change in a known way if an image is turned, so one signature is enough.
    """
    rows = _cosines(12)
    found = rows @ lumas(signatures) @ rows.T
    down, across = np.indices((12, 12))
    kept = (down + across <= 17) & (down + across > 0)
    assert kept.sum() == HASH_BITS
    # Above rounding errors, so that flat and symmetric images have the same bits in all orientations.
    bits = np.stack([_turned_frequencies(found, each)[:, kept] > 1 for each in ORIENTATIONS], axis=1)
    return np.ascontiguousarray(np.packbits(bits, axis=2)).view(np.uint64)


def _cosines(count: int) -> np.ndarray:
    """The lowest rows (count, 24) of the DCT-II."""
    return np.cos(np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(count)[:, None]).astype(np.float32)


def _turned_frequencies(coefficients: np.ndarray, orientation: Orientation) -> np.ndarray:
    """`turned` for DCT coefficients (n, 12, 12): a reflection changes the sign of the odd ones."""
    swapped, down, across = orientation
    found = coefficients.swapaxes(1, 2) if swapped else coefficients
    signs = 1 - 2 * (np.arange(12) % 2)
    return found * (signs[:, None] if down else 1) * (signs if across else 1)


def similarity(first: np.ndarray, second: np.ndarray, orientation: Orientation = UPRIGHT) -> np.ndarray:
    """The similarity (n,) of images, 0 to 1, by signatures (n, 720) and (n, 720), the second ones turned.

    The cosine of their gradients, as in `copies`, minus 0.01 for each level by which their colours differ by more than
    JPEG causes, if both have colours. Flat images are similar if they have the same colour.
    """
    shown, there = lumas(first), turned(lumas(second), orientation)
    left, right = gradients(shown), gradients(there)
    flat = np.logical_not(np.concatenate([left, right], axis=1).any(axis=1))
    cosines = (left * right).sum(axis=1)
    cosines[flat] = np.abs(shown.mean(axis=(1, 2)) - there.mean(axis=(1, 2)))[flat] < FLAT_LUMA
    apart = _colour_difference(chromas(first), turned(chromas(second), orientation), flat)
    return np.clip(cosines - np.maximum(0, apart - NOISE) / 100, 0, 1)


def _colour_difference(first: np.ndarray, second: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Root mean square difference (n,) of chroma up to saturation; 0 if one is grey and not `flat`."""
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    size, other = ((each**2).mean(axis=1) ** 0.5 for each in (first, second))
    stretch = np.clip((first * second).sum(axis=1) / np.maximum((first**2).sum(axis=1), 1), *STRETCH)
    # In both directions, or a pale image would be similar to any other.
    apart = ((second - stretch[:, None] * first) ** 2).mean(axis=1) ** 0.5
    apart = np.maximum(apart, apart / stretch)
    grey = (size < PALE) | (other < PALE)
    plain = ((second - first) ** 2).mean(axis=1) ** 0.5
    return np.where(flat, 100 * (plain > 2 * NOISE), np.where(grey, 0, apart))
