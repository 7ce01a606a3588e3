"""What is kept of a picture to find its copies among a million others: a few hundred bytes."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from limner.data.duplicates.copies import SIDE, forms, small_luma

COLOUR_SIDE = 8
REDUCED = 256
"""A picture is made smaller by a whole factor first, as long as its shorter side keeps so many pixels."""
DIGEST, LUMA, CHROMA = slice(0, 16), slice(16, 16 + SIDE**2), slice(16 + SIDE**2, 16 + SIDE**2 + 2 * COLOUR_SIDE**2)
LENGTH = CHROMA.stop
HASH_BITS = 128

NOISE = 4.0
"""How far the colours of two copies differ at most by JPEG alone, root mean square in levels of chroma."""
PALE = 3.0
"""Below so many levels of chroma a picture is grey: it may be a copy of one in colour."""
STRETCH = (0.5, 2.0)
FLAT_LUMA = 6.0

Orientation = tuple[bool, bool, bool]
"""How a picture is laid on another: whether its rows and columns change places, and then, whether it is put upside
down and whether it is mirrored.
"""
UPRIGHT: Orientation = (False, False, False)
MIRRORED: Orientation = (False, False, True)
TURNED: tuple[Orientation, ...] = tuple((t, d, m) for t in (False, True) for d in (False, True) for m in (False, True))[
    2:
]
ORIENTATIONS: tuple[Orientation, ...] = (UPRIGHT, MIRRORED, *TURNED)


def signature(image: Image.Image) -> np.ndarray:
    """What tells copies of an upright RGB picture of any size, (720,) in uint8.

    16 bytes digest of its size and pixels as they are given; luma at 24 x 24; chroma (Cb, Cr) at 8 x 8.
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


def laid(values: np.ndarray, way: Orientation) -> np.ndarray:
    """Pictures (n, h, w, ...) turned in a way."""
    swapped, down, across = way
    values = values.swapaxes(1, 2) if swapped else values
    return values[:, :: -1 if down else 1, :: -1 if across else 1]


def perceptual_hashes(signatures: np.ndarray, ways: tuple[Orientation, ...] = (UPRIGHT,)) -> np.ndarray:
    """Perceptual hashes (n, ways, 2) in uint64 of the pictures as they would be in every way.

    The signs of the 128 lowest frequencies of luma's cosine transform but the mean. Imagehash's pHash compares with
    the median instead: the sign is what turning a picture changes in a known way, so that one signature serves all.
    """
    rows = _cosines(12)
    found = rows @ lumas(signatures) @ rows.T
    down, across = np.indices((12, 12))
    kept = (down + across <= 17) & (down + across > 0)
    assert kept.sum() == HASH_BITS
    # Above rounding errors: a flat picture, or one that is even, shall have the same bits however it is turned.
    bits = np.stack([_turned(found, way)[:, kept] > 1 for way in ways], axis=1)
    return np.ascontiguousarray(np.packbits(bits, axis=2)).view(np.uint64)


def _cosines(count: int) -> np.ndarray:
    """The lowest rows (count, 24) of the DCT-II."""
    return np.cos(np.pi / SIDE * (np.arange(SIDE) + 0.5) * np.arange(count)[:, None]).astype(np.float32)


def _turned(coefficients: np.ndarray, way: Orientation) -> np.ndarray:
    """What `laid` does, to the coefficients (n, 12, 12): a reflection changes the sign of the odd ones."""
    swapped, down, across = way
    found = coefficients.swapaxes(1, 2) if swapped else coefficients
    signs = 1 - 2 * (np.arange(12) % 2)
    return found * (signs[:, None] if down else 1) * (signs if across else 1)


def similarity(first: np.ndarray, second: np.ndarray, way: Orientation = UPRIGHT) -> np.ndarray:
    """How alike pictures are, (n,) from 0 to 1, by signatures (n, 720) and (n, 720), the second laid on the first.

    The cosine of their gradients, as in `copies`, less a hundredth for every level by which their colours differ more
    than JPEG makes them, where both have any. Flat pictures are alike if they have one colour.
    """
    shown, there = lumas(first), laid(lumas(second), way)
    left, right = forms(shown), forms(there)
    flat = np.logical_not(np.concatenate([left, right], axis=1).any(axis=1))
    cosines = (left * right).sum(axis=1)
    cosines[flat] = np.abs(shown.mean(axis=(1, 2)) - there.mean(axis=(1, 2)))[flat] < FLAT_LUMA
    apart = _colours_apart(chromas(first), laid(chromas(second), way), flat)
    return np.clip(cosines - np.maximum(0, apart - NOISE) / 100, 0, 1)


def _colours_apart(first: np.ndarray, second: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Root mean square difference (n,) of chroma, whatever the saturation; 0 where one is grey and not `flat`."""
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    size, other = ((each**2).mean(axis=1) ** 0.5 for each in (first, second))
    stretch = np.clip((first * second).sum(axis=1) / np.maximum((first**2).sum(axis=1), 1), *STRETCH)
    # In both directions, or a pale picture would be near to any other.
    apart = ((second - stretch[:, None] * first) ** 2).mean(axis=1) ** 0.5
    apart = np.maximum(apart, apart / stretch)
    grey = (size < PALE) | (other < PALE)
    plain = ((second - first) ** 2).mean(axis=1) ** 0.5
    return np.where(flat, 100 * (plain > 2 * NOISE), np.where(grey, 0, apart))
