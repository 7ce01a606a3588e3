"""Pictures that are parts of others: who may be, and whether it is so by the points that both show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from limner.core.errors import LimnerError
from limner.data.duplicates.near_duplicates import NearDuplicate
from limner.data.duplicates.signatures import chromas, lumas, signature, similarity

SIDE = 256
"""Points are sought in pictures of about 256 x 256 pixels."""
POINTS = 400
RATIO = 0.8
"""How much nearer the best match of a point must be than the second best (Lowe, IJCV 2004, section 7.1)."""
ERROR = 3.0
"""In pixels, how far a matched point may lie from where the others say."""
AGREEING = 40
SPREAD = 0.4
"""Over how much of the width and height of the crop the points must be spread: one thing alone on a plain backdrop,
shown larger in another picture, is no crop.
"""
SHARE = 0.4
"""The least part of a picture's area that a crop of it has."""
MARGIN = 0.03
TILT = 0.03
"""The most that a crop is rotated, as the sine."""
CROP_LIKENESS = 0.95
"""Of a crop to what it is cut from, which real ones exceed by far: they are laid on each other exactly."""
WHOLE_LIKENESS = 0.88
"""Of whole pictures, less than by signatures alone: points agree besides."""
KEPT = 2000
"""Pictures whose points are remembered, some 50 kB each."""

CELLS = 8
CHROMA_WEIGHT = 0.5
SCALES = (1.0, 0.93, 0.86, 0.79, 0.72)
LIKELY = 0.88
BLOCK = 64


def crop_candidates(signatures: np.ndarray, nearest: int = 2, least: float = LIKELY) -> Iterator[tuple[int, int]]:
    """Pairs of a picture and what may be a crop of it, mirrored or not, by signatures (n, 720) alone.

    The crops of each, at five sizes and in up to nine places, are compared with every other as a whole, at 8 x 8
    pixels: for each the `nearest` that it may be cut from, where the cosine is at least `least`. The time grows with
    the square of n, some thousands at most.
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
    """Of pairs of pictures those of which one is a part of the other, of 40% of its area or more, mirrored or not.

    Points that both show (SIFT) must lie so that scaling and moving one lays it within the other (RANSAC), and what
    it then covers must be alike by `likeness`. Where it is all of the other, "same" or "mirrored" is told. open_small:
    a picture by its number, RGB; some 256 to 400 pixels are enough. Each pair is told once, sorted by the first
    picture, then by the second.
    """
    look = lru_cache(KEPT)(lambda number, mirrored: _points(open_small(number), mirrored))
    pairs = sorted({(min(pair), max(pair)) for pair in candidates if pair[0] != pair[1]})
    found = (_twin(one, other, look, open_small) for one, other in pairs)
    yield from sorted(twin for twin in found if twin is not None)


@dataclass(frozen=True, slots=True)
class _Seen:
    """size: width and height. at: (n, 2) in pixels. features: (n, 128) in uint8."""

    size: tuple[int, int]
    at: np.ndarray
    features: np.ndarray


def _twin(
    one: int,
    other: int,
    look: Callable[[int, bool], _Seen],
    open_small: Callable[[int], Image.Image],
) -> NearDuplicate | None:
    for mirrored in (False, True):
        left, right = look(one, False), look(other, mirrored)
        for whole, part, swapped in ((left, right, False), (right, left, True)):
            box = _box(whole, part)
            if box is None:
                continue
            pictures = _small(open_small(one)), _small(open_small(other), mirrored)
            shown, cut = pictures[::-1] if swapped else pictures
            alike = float(similarity(signature(shown.crop(box))[None], signature(cut)[None])[0])
            all_of_it = _share(box, whole.size) > (1 - MARGIN) ** 2
            if alike >= (WHOLE_LIKENESS if all_of_it else CROP_LIKENESS):
                numbers = (other, one) if swapped and not all_of_it else (one, other)
                return NearDuplicate(*numbers, alike, ("mirrored" if mirrored else "same") if all_of_it else "cropped")
    return None


def _share(box: tuple[int, int, int, int], size: tuple[int, int]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])


def _small(picture: Image.Image, mirrored: bool = False) -> Image.Image:
    """The picture at about 256 x 256 pixels in its own shape."""
    scale = SIDE / (picture.width * picture.height) ** 0.5
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    return ImageOps.mirror(small) if mirrored else small


def _points(picture: Image.Image, mirrored: bool) -> _Seen:
    small = _small(picture, mirrored)
    # The contrast is evened out first: in pale pictures few points would be found.
    points, features = _sift().detectAndCompute(np.asarray(ImageOps.autocontrast(small.convert("L"))), None)
    if features is None:
        return _Seen(small.size, np.zeros((0, 2)), np.zeros((0, 128), dtype=np.uint8))
    return _Seen(small.size, np.array([point.pt for point in points]), features.astype(np.uint8))


def _box(whole: _Seen, part: _Seen) -> tuple[int, int, int, int] | None:
    """Where in the whole the part is, as left, top, right, bottom; None where it is not."""
    matched = _matched(part.features, whole.features)
    if len(matched) < AGREEING:
        return None
    moved, agreeing = _cv2().estimateAffinePartial2D(
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


def _spread(part: _Seen, which: np.ndarray) -> float:
    """The lesser share of its width and height over which some of a picture's points are spread, 0 to 1."""
    return float((np.ptp(part.at[which], axis=0) / part.size).min())


def _matched(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Numbers of points (n, 2) that match by Lowe's ratio test, each point of the whole once."""
    if len(part) < AGREEING or len(whole) < AGREEING:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = _cv2().BFMatcher(_cv2().NORM_L2).knnMatch(part.astype(np.float32), whole.astype(np.float32), k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    nearest: dict[int, Any] = {}
    for match in good:
        if match.trainIdx not in nearest or match.distance < nearest[match.trainIdx].distance:
            nearest[match.trainIdx] = match
    return np.array([(match.queryIdx, match.trainIdx) for match in nearest.values()], dtype=np.int64).reshape(-1, 2)


@lru_cache(1)
def _sift() -> Any:
    return _cv2().SIFT_create(nfeatures=POINTS, contrastThreshold=0.02)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise LimnerError("cropped copies are found by OpenCV", "to have it: pip install 'limner[prepare]'") from error
    return cv2


def _cells(signatures: np.ndarray, mirrored: bool) -> np.ndarray:
    """Luma and chroma at 8 x 8 of every crop, of length 1: (n, crops, 3 * 64) in fp32; the whole is the first."""
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
    """(n, 64) means over the cells of a crop of (n, side, side)."""
    side = values.shape[1]
    rows, columns = (_covered(start, scale, side) for start in (top, left))
    return (rows @ values @ columns.T).reshape(len(values), CELLS**2)


def _covered(start: float, scale: float, side: int) -> np.ndarray:
    """How much of each of 8 cells every pixel covers, (8, side), each row of sum 1."""
    edges = side * (start + scale * np.arange(CELLS + 1) / CELLS)
    below = np.clip(edges[:, None] - np.arange(side), 0, 1)
    cover = np.diff(below, axis=0)
    return (cover / cover.sum(axis=1, keepdims=True)).astype(np.float32)


def _best(
    scores: np.ndarray, whole: np.ndarray, alike: np.ndarray, at: int, nearest: int
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest (n, k) so far and among (n, m) more, which are numbered from `at` on."""
    both = np.concatenate([scores, alike], axis=1)
    numbers = np.concatenate([whole, np.broadcast_to(at + np.arange(alike.shape[1]), alike.shape)], axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :nearest]
    return np.take_along_axis(both, order, axis=1), np.take_along_axis(numbers, order, axis=1)
