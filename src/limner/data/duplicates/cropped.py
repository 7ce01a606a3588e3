"""Finds images that are crops of others: candidates by signatures, then by matching points (SIFT)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from limner.data.duplicates.near_duplicates import NearDuplicate
from limner.data.duplicates.signatures import chromas, lumas, signature, similarity
from limner.imaging.opencv import opencv

SIDE = 256
"""Points are detected in images of about 256 x 256 pixels."""
POINTS = 400
RATIO = 0.8
"""The most that the distance of a point's best match may be of that of its second best (Lowe, IJCV 2004, section
7.1)."""
ERROR = 3.0
"""The most that a matched point may deviate from the transformation, in pixels."""
AGREEING = 40
SPREAD = 0.4
"""The least share of the crop's width and height over which the points are spread: one object on a plain background,
larger in another image, is not a crop."""
SHARE = 0.4
"""The least share of the area of an image that a crop has."""
MARGIN = 0.03
TILT = 0.03
"""The most rotation of a crop, as its sine."""
CROP_SIMILARITY = 0.95
"""The least similarity of a crop and its part of the image; real crops exceed it by far."""
WHOLE_SIMILARITY = 0.88
"""The least similarity of whole images; less than by signatures alone, because their points match too."""
CACHED = 2000
"""Images whose points are cached, about 50 kB each."""

CELLS = 8
CHROMA_WEIGHT = 0.5
SCALES = (1.0, 0.93, 0.86, 0.79, 0.72)
LIKELY = 0.88
BLOCK = 64


def crop_candidates(signatures: np.ndarray, nearest: int = 2, least: float = LIKELY) -> Iterator[tuple[int, int]]:
    """Pairs of an image and a possible crop of it, also mirrored, by signatures (n, 720) alone.

    The crops of each image, at five sizes and up to nine positions, are compared with all other images at 8 x 8 pixels.
    Each image gets the `nearest` ones that it may be cropped from, if their cosine is at least `least`. The time grows
    with the square of n: use it for a few thousand images at most.
    """
    count = len(signatures)
    parts = np.concatenate([_cells(signatures, mirrored)[:, 0] for mirrored in (False, True)]).T
    scores, whole = np.full((count, nearest), -1.0, dtype=np.float32), np.zeros((count, nearest), dtype=np.int64)
    for at in range(0, count, BLOCK):
        crops = _cells(signatures[at : at + BLOCK], False)
        alike = np.empty((len(crops), count), dtype=np.float32)
        for row, each in enumerate(crops):
            both = (each @ parts).max(axis=0).reshape(2, count)
            alike[row] = both.max(axis=0)
        alike[np.arange(len(crops)), at + np.arange(len(crops))] = -1
        scores, whole = _best(scores, whole, alike.T, at, nearest)
    for part in range(count):
        yield from ((int(w), part) for s, w in zip(scores[part], whole[part], strict=True) if s >= least)


def find_crops(
    candidates: Iterable[tuple[int, int]], open_small: Callable[[int], Image.Image]
) -> Iterator[NearDuplicate]:
    """The pairs of images of which one is a crop of the other, with at least 40% of its area, also mirrored.

    Matching points (SIFT) must agree on a scale and translation that puts one image inside the other (RANSAC), and that
    part must be similar to it. If it is the whole image, the kind is "same" or "mirrored". open_small: returns an image
    by its index, RGB; 256 to 400 pixels are enough. Sorted by the first image, then by the second; each pair once.
    """
    keypoints = lru_cache(CACHED)(lambda number, mirrored: _detect(open_small(number), mirrored))
    pairs = sorted({(min(pair), max(pair)) for pair in candidates if pair[0] != pair[1]})
    found = (_compare(one, other, keypoints, open_small) for one, other in pairs)
    yield from sorted(pair for pair in found if pair is not None)


@dataclass(frozen=True, slots=True)
class _Keypoints:
    """SIFT keypoints. size: (width, height) of the image. at: (n, 2) in pixels. features: (n, 128) in uint8."""

    size: tuple[int, int]
    at: np.ndarray
    features: np.ndarray


def _compare(
    one: int,
    other: int,
    keypoints: Callable[[int, bool], _Keypoints],
    open_small: Callable[[int], Image.Image],
) -> NearDuplicate | None:
    for mirrored in (False, True):
        left, right = keypoints(one, False), keypoints(other, mirrored)
        for whole, part, swapped in ((left, right, False), (right, left, True)):
            box = _box(whole, part)
            if box is None:
                continue
            images = _small(open_small(one)), _small(open_small(other), mirrored)
            large, crop = images[::-1] if swapped else images
            alike = float(similarity(signature(large.crop(box))[None], signature(crop)[None])[0])
            is_whole = _share(box, whole.size) > (1 - MARGIN) ** 2
            if alike >= (WHOLE_SIMILARITY if is_whole else CROP_SIMILARITY):
                numbers = (other, one) if swapped and not is_whole else (one, other)
                return NearDuplicate(*numbers, alike, ("mirrored" if mirrored else "same") if is_whole else "cropped")
    return None


def _share(box: tuple[int, int, int, int], size: tuple[int, int]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])


def _small(image: Image.Image, mirrored: bool = False) -> Image.Image:
    """The image at about 256 x 256 pixels in its own aspect ratio."""
    scale = SIDE / (image.width * image.height) ** 0.5
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    return ImageOps.mirror(small) if mirrored else small


def _detect(image: Image.Image, mirrored: bool) -> _Keypoints:
    small = _small(image, mirrored)
    # The contrast is stretched first: pale images would have few points.
    points, features = _sift().detectAndCompute(np.asarray(ImageOps.autocontrast(small.convert("L"))), None)
    if features is None:
        return _Keypoints(small.size, np.zeros((0, 2)), np.zeros((0, 128), dtype=np.uint8))
    return _Keypoints(small.size, np.array([point.pt for point in points]), features.astype(np.uint8))


def _box(whole: _Keypoints, part: _Keypoints) -> tuple[int, int, int, int] | None:
    """The box of `part` in `whole` as left, top, right, bottom; None if it is not a part of it."""
    matched = _matched(part.features, whole.features)
    if len(matched) < AGREEING:
        return None
    moved, agreeing = opencv().estimateAffinePartial2D(
        part.at[matched[:, 0]], whole.at[matched[:, 1]], ransacReprojThreshold=ERROR
    )
    if moved is None or agreeing.sum() < AGREEING or _spread(part, matched[agreeing.ravel() > 0, 0]) < SPREAD:
        return None
    scale, sine = moved[0, 0], moved[1, 0]
    left, top = moved[0, 2], moved[1, 2]
    right, bottom = left + scale * part.size[0], top + scale * part.size[1]
    width, height = whole.size
    inside = min(left / width, top / height, 1 - right / width, 1 - bottom / height) >= -MARGIN
    if not inside or abs(sine) > TILT * scale:
        return None
    box = max(0, round(left)), max(0, round(top)), min(width, round(right)), min(height, round(bottom))
    return box if box[2] > box[0] and box[3] > box[1] and _share(box, whole.size) >= SHARE else None


def _spread(part: _Keypoints, which: np.ndarray) -> float:
    """The share of width or height over which some points of an image are spread, the lesser one, 0 to 1."""
    return float((np.ptp(part.at[which], axis=0) / part.size).min())


def _matched(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Indices of points (n, 2) that match by Lowe's ratio test; each point of `whole` at most once."""
    if len(part) < AGREEING or len(whole) < AGREEING:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = opencv().BFMatcher(opencv().NORM_L2).knnMatch(part.astype(np.float32), whole.astype(np.float32), k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    nearest: dict[int, Any] = {}
    for match in good:
        if match.trainIdx not in nearest or match.distance < nearest[match.trainIdx].distance:
            nearest[match.trainIdx] = match
    return np.array([(match.queryIdx, match.trainIdx) for match in nearest.values()], dtype=np.int64).reshape(-1, 2)


@lru_cache(1)
def _sift() -> Any:
    return opencv().SIFT_create(nfeatures=POINTS, contrastThreshold=0.02)


def _cells(signatures: np.ndarray, mirrored: bool) -> np.ndarray:
    """Luma and chroma of all crops at 8 x 8, (n, crops, 3 * 64) in fp32 of length 1; the first is the whole image."""
    luma, chroma = lumas(signatures), chromas(signatures)
    if mirrored:
        luma, chroma = luma[:, :, ::-1], chroma[:, :, ::-1]
    found: list[np.ndarray] = []
    for scale in SCALES:
        starts = (0.0,) if scale == 1 else (0.0, (1 - scale) / 2, 1 - scale)
        for top in starts:
            for left in starts:
                cut = [_cut(each, top, left, scale) for each in (luma, chroma[..., 0], chroma[..., 1])]
                cut[0] = cut[0] - cut[0].mean(axis=1, keepdims=True)
                found.append(np.concatenate([cut[0], *(CHROMA_WEIGHT * each for each in cut[1:])], axis=1))
    cells = np.stack(found, axis=1)
    return cells / np.maximum(np.linalg.norm(cells, axis=2, keepdims=True), 1e-3)


def _cut(values: np.ndarray, top: float, left: float, scale: float) -> np.ndarray:
    """Means (n, 64) over the cells of a crop of (n, side, side)."""
    side = values.shape[1]
    rows, columns = (_covered(start, scale, side) for start in (top, left))
    return (rows @ values @ columns.T).reshape(len(values), CELLS**2)


def _covered(start: float, scale: float, side: int) -> np.ndarray:
    """The weight of each pixel in each of 8 cells, (8, side); each row has the sum 1."""
    edges = side * (start + scale * np.arange(CELLS + 1) / CELLS)
    below = np.clip(edges[:, None] - np.arange(side), 0, 1)
    cover = np.diff(below, axis=0)
    return (cover / cover.sum(axis=1, keepdims=True)).astype(np.float32)


def _best(
    scores: np.ndarray, whole: np.ndarray, alike: np.ndarray, at: int, nearest: int
) -> tuple[np.ndarray, np.ndarray]:
    """The scores and indices (n, k) of the best among those so far and (n, m) more, whose indices start at `at`."""
    both = np.concatenate([scores, alike], axis=1)
    numbers = np.concatenate([whole, np.broadcast_to(at + np.arange(alike.shape[1]), alike.shape)], axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :nearest]
    return np.take_along_axis(both, order, axis=1), np.take_along_axis(numbers, order, axis=1)
