"""Masks, white where the subject is: reads, makes and crops them."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from limner.core.datasets import Box, Fault
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.imaging.crop import crop_and_resize
from limner.imaging.decode import SUFFIXES
from limner.imaging.drawn_masks import DrawnMask, decode_mask
from limner.imaging.luminance import otsu
from limner.imaging.opencv import opencv

SIDE = 160
"""Masks are made at about SIDE x SIDE pixels in the aspect ratio of the image."""
ROUNDS = 3
"""Iterations of GrabCut."""
REACH = 0.3
"""Standard deviation of the prior around the centre of the subject, as a share of the image's side."""
SURE, DOUBTED = 0.95, 0.35
"""Pixels above the quantile SURE of the map are subject; pixels below DOUBTED times the threshold are background."""
FAINT, SOFT = 0.1, 0.25
"""A map is soft if more than a share SOFT of the pixels above FAINT times its peak are not near the peak."""
PART = 0.15
"""Parts smaller than this share of the largest one are removed."""
MIN_COVERED, MAX_COVERED = 0.005, 0.95
"""A mask that covers less or more of the image than this is rejected."""


def find_mask(folder: Path, key: str) -> Path | None:
    """The path of the mask of the image `key`, such as "dog/01.jpg", in a folder: dog/01.* or else 01.*."""
    inner = PurePosixPath(key)
    if inner.is_absolute() or ".." in inner.parts or not inner.stem or "\0" in key:
        return None
    for place in dict.fromkeys((folder / inner.parent, folder)):
        for suffix in sorted(SUFFIXES):
            if (path := place / (inner.stem + suffix)).is_file():
                return path
    return None


def read_mask(data: bytes, name: str, size: tuple[int, int]) -> DrawnMask | Fault:
    """The mask in a file's bytes, or a Fault. size: (width, height) of its image, which it must have."""
    try:
        mask = decode_mask(data, name)
    except LimnerError as error:
        return Fault("mask", f"the mask {error.problem}")
    width, height = mask.image.size
    if mask.image.size != size:
        return Fault("mask", f"the mask {quoted(name)} is {width} x {height}, and its image {size[0]} x {size[1]}")
    if mask.selects_nothing:
        return Fault("mask", f"the mask {quoted(name)} is all black", 0.0)
    return Fault("mask", f"the mask {quoted(name)} is all white", 1.0) if mask.selects_everything else mask


def crop_mask(mask: Image.Image, box: Box, shape: tuple[int, int]) -> Image.Image | Fault:
    """A mask in mode L, cropped like its image, with smooth edges.

    Returns a Fault if nothing in the box is white. All white is valid: the subject fills the box.
    """
    part = crop_and_resize(mask, box, shape)
    peak = part.getextrema()[1]
    if isinstance(peak, int) and peak <= 127:
        return Fault("mask", "nothing of the mask is inside the crop", 0.0)
    return part


def make_mask(image: Image.Image, found: np.ndarray | None) -> Image.Image | Fault:
    """A mask in mode L of an RGB image, or a Fault.

    found: the map of a detector, (h, w) from 0 to 1, in the image's aspect ratio. What is above its threshold (`otsu`)
    is refined by GrabCut (Rother et al. 2004), which separates the colours of the subject from the background. Then
    holes are filled and small parts removed.
    """
    if found is None or not found.max() > found.min():
        return Fault("mask", "no mask was made: the subject was not found")
    cv2 = opencv()
    scale = min(1.0, SIDE / math.sqrt(image.width * image.height))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.convert("RGB").resize(size, Image.Resampling.BOX, reducing_gap=3.0)
    values = cv2.resize(found.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    parts = _whole_parts(_grabcut(np.asarray(small), values * _center_prior(values) if _is_soft(values) else values))
    covered = float(parts.mean())
    if not MIN_COVERED <= covered <= MAX_COVERED:
        return Fault("mask", f"no mask was made: what was found covers {covered:.0%} of the image", covered)
    return Image.fromarray(_enlarged(parts, image.size))


def _is_soft(values: np.ndarray) -> bool:
    """Whether a map has many undecided values, unlike the segments that a network draws."""
    present = values[values > FAINT * values.max()]
    return float((present < (1 - FAINT) * values.max()).mean()) > SOFT


def _center_prior(values: np.ndarray) -> np.ndarray:
    """A Gaussian around the centre of what was found: responses far from it are hardly the subject."""
    weight = np.maximum(values - otsu(values), 0)
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
    total = max(float(weight.sum()), 1e-9)
    away = (rows - (rows * weight).sum() / total) ** 2 + (columns - (columns * weight).sum() / total) ** 2
    return np.exp(-away / (2 * REACH**2 * values.size))


def _grabcut(pixels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which of the pixels (h, w, 3) are subject, (h, w) bool, refined from a map; unrefined if GrabCut fails."""
    cv2 = opencv()
    threshold = otsu(values)
    guess = values > threshold
    labels = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[values <= DOUBTED * threshold] = cv2.GC_BGD
    if guess.any() and not _is_boxes(guess):
        labels[values >= np.quantile(values[guess], SURE)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its clustering uses the process-wide generator
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
    except cv2.error:  # too few pixels, or all of one colour
        return guess
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _is_boxes(mask: np.ndarray) -> bool:
    """Whether a mask (h, w) consists of upright boxes, whose corners are background."""
    cv2 = opencv()
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    boxes = stats[1:]
    return bool((boxes[:, cv2.CC_STAT_AREA] >= 0.97 * boxes[:, cv2.CC_STAT_WIDTH] * boxes[:, cv2.CC_STAT_HEIGHT]).all())


def _whole_parts(mask: np.ndarray) -> np.ndarray:
    """A mask (h, w) with only its largest parts, and their holes filled."""
    cv2 = opencv()
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    smooth = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, ball)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area > 0 and area >= PART * max(areas)]
    return cv2.drawContours(np.zeros_like(smooth), kept, -1, 1, cv2.FILLED).astype(bool)


def _enlarged(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (h, w) at another (width, height), uint8 0 or 255, with a smooth outline."""
    cv2 = opencv()
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    large = cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC)
    return np.where(large > 0.5, 255, 0).astype(np.uint8)
