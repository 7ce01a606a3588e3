"""Masks of pictures, white where the subject is: read, made, and cut as their pictures are."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from limner.core.datasets import Box, Fault
from limner.core.errors import LimnerError
from limner.core.files import quoted, short_line
from limner.imaging.crop import cut
from limner.imaging.decode import SUFFIXES, decode
from limner.imaging.otsu import otsu

SIDE = 160
"""Masks are made on about SIDE x SIDE pixels in the picture's shape."""
ROUNDS = 3
"""Of GrabCut."""
REACH = 0.3
"""Deviation of the prior around the middle of what was found, as a part of the picture's side."""
SURE, DOUBTED = 0.95, 0.35
"""Of the values that were found, the quantile from which on a pixel is the subject's; of the threshold, the part below
which one is background."""
FAINT, SOFT = 0.1, 0.25
"""A map is soft where more than SOFT of what is above FAINT of its peak is not near the peak."""
PART = 0.15
"""Parts that are smaller than this share of the largest one are left out."""
LEAST, MOST = 0.005, 0.95
"""A mask that was made is none where it covers less or more of the picture than this."""


def beside(folder: Path, key: str) -> Path | None:
    """The mask in a folder of a picture that is called `key`, such as "dog/01.jpg": dog/01.* or else 01.*."""
    inner = PurePosixPath(key)
    if inner.is_absolute() or ".." in inner.parts or not inner.stem or "\0" in key:
        return None
    for place in dict.fromkeys((folder / inner.parent, folder)):
        for suffix in sorted(SUFFIXES):
            if (path := place / (inner.stem + suffix)).is_file():
                return path
    return None


def given(data: bytes, name: str, size: tuple[int, int]) -> Image.Image | Fault:
    """The mask in a file's bytes for a picture of this (width, height), in mode L; or what is wrong with it."""
    try:
        mask = decode(data, name).convert("L")
    except LimnerError as error:
        return Fault("mask", f"the mask {error.problem}")
    if mask.size != size:
        return Fault(
            "mask",
            f"the mask {quoted(name)} is {mask.width} x {mask.height}, and its picture {size[0]} x {size[1]}",
        )
    return fault_of(mask, f"the mask {quoted(name)}") or mask


def fault_of(mask: Image.Image, what: str = "the mask") -> Fault | None:
    """What is wrong with a mask in mode L: nothing of it is white, or all of it is."""
    low, high = mask.getextrema()
    white = 255
    if isinstance(high, int) and high <= white // 2:
        return Fault("mask", f"{what} is all black", 0.0)
    if isinstance(low, int) and low > white // 2:
        return Fault("mask", f"{what} is all white", 1.0)
    return None


def cut_mask(mask: Image.Image, box: Box, shape: tuple[int, int], soft: bool = True) -> Image.Image | Fault:
    """A mask in mode L, cut as its picture is; soft keeps edges smooth, else all is black or white.

    A Fault where nothing white is in the box. One that is all white there is right: the subject fills the box.
    """
    part = cut(mask, box, shape)
    if not soft:
        part = part.point([0] * 128 + [255] * 128)
    peak = part.getextrema()[1]
    if isinstance(peak, int) and peak <= 127:
        return Fault("mask", "nothing of the mask is in what is cut out", 0.0)
    return part


def made(picture: Image.Image, found: np.ndarray | None) -> Image.Image | Fault:
    """A mask of an RGB picture in mode L, of what a detector found in it: (h, w) from 0 to 1, in the picture's shape.

    What lies above the map's threshold (`otsu`) is refined by GrabCut (Rother et al. 2004), which parts the colours of
    the subject from those around; a map that leaves little open stays as it is. Then holes are filled, and small parts
    left out.
    """
    if found is None or not found.max() > found.min():
        return Fault("mask", "no mask was made: the subject was not found")
    cv2 = _cv2()
    scale = min(1.0, SIDE / math.sqrt(picture.width * picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.convert("RGB").resize(size, Image.Resampling.BOX, reducing_gap=3.0)
    told = cv2.resize(found.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    parts = _whole_parts(_grabcut(np.asarray(small), told * _near(told) if _is_soft(told) else told))
    covered = float(parts.mean())
    if not LEAST <= covered <= MOST:
        return Fault("mask", f"no mask was made: what was found covers {covered:.0%} of the picture", covered)
    return Image.fromarray(_enlarged(parts, picture.size))


def _is_soft(told: np.ndarray) -> bool:
    """Whether a map is a guess, much of it neither yes nor no, rather than what a network drew round the subject."""
    said = told[told > FAINT * told.max()]
    return float((said < (1 - FAINT) * told.max()).mean()) > SOFT


def _near(told: np.ndarray) -> np.ndarray:
    """1 where the middle of what was found is, less further away: what stands out elsewhere is hardly the subject."""
    weight = np.maximum(told - otsu(told), 0)
    rows, columns = np.mgrid[: told.shape[0], : told.shape[1]]
    total = max(float(weight.sum()), 1e-9)
    away = (rows - (rows * weight).sum() / total) ** 2 + (columns - (columns * weight).sum() / total) ** 2
    return np.exp(-away / (2 * REACH**2 * told.size))


def _grabcut(pixels: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Which of the pixels (h, w, 3) are the subject's, (h, w), by a first guess; that, where colours tell nothing."""
    cv2: Any = _cv2()
    threshold = otsu(told)
    guess = told > threshold
    labels = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[told <= DOUBTED * threshold] = cv2.GC_BGD
    if guess.any() and not _is_boxes(guess):
        labels[told >= np.quantile(told[guess], SURE)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its clustering draws from the process's generator
    try:
        labels, _, _ = cv2.grabCut(
            np.ascontiguousarray(pixels),
            labels,
            None,
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:  # of too few pixels, or all of one colour
        return guess
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _is_boxes(mask: np.ndarray) -> bool:
    """Whether a mask (h, w) is nothing but upright boxes, in which the subject is yet to be told from the corners."""
    cv2 = _cv2()
    _, _, told, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    boxes = told[1:]
    return bool((boxes[:, cv2.CC_STAT_AREA] >= 0.97 * boxes[:, cv2.CC_STAT_WIDTH] * boxes[:, cv2.CC_STAT_HEIGHT]).all())


def _whole_parts(mask: np.ndarray) -> np.ndarray:
    """A mask (h, w) without specks, with its largest parts and their holes filled."""
    cv2 = _cv2()
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, ball)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area > 0 and area >= PART * max(areas)]
    return cv2.drawContours(np.zeros_like(smooth), kept, -1, 1, cv2.FILLED).astype(bool)


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (h, w) at another (width, height), 0 or 255 in uint8 with a smooth outline."""
    cv2 = _cv2()
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    large = cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC)
    return np.where(large > 0.5, 255, 0).astype(np.uint8)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise LimnerError(
            f"making masks needs OpenCV, which is missing ({short_line(str(error))})", "pip install 'limner[prepare]'"
        ) from error
    return cv2
