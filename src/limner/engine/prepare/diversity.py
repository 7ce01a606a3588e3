"""The diversity of a dataset, and advice on how to improve it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np

from limner.core.requests import PrepareRequest
from limner.data.diversity.advice import Advice, advise_on_dataset, advise_on_subject, on_balance, sort_advice
from limner.data.diversity.balance import FieldCounts, ValueCounts, joint_group
from limner.data.diversity.diversity import CHUNK, clusters, mean_distance, principal_components
from limner.data.diversity.scenes import SceneDescription
from limner.data.quality.overlays import SharedOverlay
from limner.engine.prepare.captions import CaptionedImage, CaptionTable
from limner.engine.prepare.columns import StagedImages
from limner.engine.prepare.duplicates import shared_mark
from limner.plugins.registry import detectors

MAX_IMAGES, MAX_SUBJECTS = 60, 60
"""The most images of one subject, and subjects of a set, for which there is advice by subject."""
APART = 0.9
"""Euclidean distance of features, equal to a cosine of 0.6, from which on images are in different clusters."""


@dataclass(frozen=True)
class DatasetDiversity:
    """advice: its images by their place among those written. distance: mean cosine distance of pairs, None without an
    encoder. clusters: the number of images in each, the largest first. points: (n, 2), a map of the images. labels:
    (n,) the number of each image's cluster.
    """

    advice: Sequence[Advice]
    distance: float | None = None
    clusters: tuple[int, ...] = ()
    points: np.ndarray | None = None
    labels: np.ndarray | None = None

    def as_json(self) -> dict[str, Any]:
        """The values by the keys of report.json."""
        if self.distance is None:
            return {}
        return {"mean_distance": round(self.distance, 6), "clusters": list(self.clusters)}


@dataclass(frozen=True)
class _InDataset:
    """The images in the dataset. places: among those written. families: of copies, by place. kept: rows of captions."""

    staged: StagedImages
    places: np.ndarray
    family: np.ndarray
    captions: CaptionTable
    kept: np.ndarray

    def rows(self) -> Iterator[CaptionedImage]:
        return compress(self.captions.rows(), self.kept)

    def tables(self) -> dict[str, ValueCounts]:
        counts = FieldCounts()
        for image in self.rows():
            counts.add(image.fields)
        return counts.tables()

    def surroundings(self, places: np.ndarray) -> list[SceneDescription]:
        return [SceneDescription.from_row(self.staged.columns.surroundings[place]) for place in places]


def measure_diversity(
    staged: StagedImages,
    remaining: np.ndarray,
    kept: np.ndarray,
    features: np.ndarray | None,
    family: np.ndarray,
    captions: CaptionTable,
    request: PrepareRequest,
) -> DatasetDiversity:
    """The diversity of the images in the dataset.

    remaining: the places of images that are not left out. kept: which of them are in the dataset. features: (n, d) of
    all written images, None without an encoder. family: (n,) a number that all copies of an image share.
    """
    places = remaining[kept]
    mark = shared_mark(len(staged), staged.thumbnail)
    images = _InDataset(staged, places, family, captions, kept)
    advice = sort_advice([*_advice_on_mark(mark), *_advice(images, request)])
    if features is None or len(places) < 2:
        return DatasetDiversity(advice)
    rows = _rows(features, places, staged)
    labels = clusters(rows, APART, request.seed)
    sizes = tuple(np.bincount(labels).tolist())
    return DatasetDiversity(advice, mean_distance(rows), sizes, principal_components(rows, request.seed), labels)


def _advice_on_mark(mark: SharedOverlay | None) -> list[Advice]:
    """Advice on a mark that many images share."""
    if mark is None:
        return []
    left, top, right, bottom = mark.box
    across = ("left", "middle", "right")[min(2, int(3 * (left + right) / 2))]
    down = ("top", "middle", "bottom")[min(2, int(3 * (top + bottom) / 2))]
    where = "in the middle" if across == down == "middle" else f"at the {down} {across}"
    text = f"many images have the same mark {where}, perhaps a watermark: the model would learn it"
    return [Advice("warning", text)]


def _rows(features: np.ndarray, places: np.ndarray, staged: StagedImages) -> np.ndarray:
    """The features of the images at these places, on disk."""
    if len(places) == len(features):
        return features
    file = staged.staging.folder / "staying.bin"
    rows = np.memmap(file, dtype=features.dtype, mode="w+", shape=(len(places), features.shape[1]))
    for start in range(0, len(places), CHUNK):
        rows[start : start + CHUNK] = features[places[start : start + CHUNK]]
    return rows


def _advice(images: _InDataset, request: PrepareRequest) -> list[Advice]:
    """Advice on a single subject, or on the set and each of its subjects; on a large set, from its tables only."""
    staged, places, captions = images.staged, images.places, images.captions
    surveyed = len(staged.columns.surroundings) == len(staged)
    tables = images.tables()
    subjects = _subjects(images, tables) if surveyed else {}
    if len(subjects) == 1 and len(places) <= MAX_IMAGES:
        texts = [image.caption for image in images.rows()]
        licences = [staged.record(int(place)).rights.licence for place in places]
        faces = request.crop == "subject" and detectors.get(request.detector).faces
        found = advise_on_subject(images.surroundings(places), images.family[places].tolist(), texts, licences, faces)
        return _at_places(found, places)
    uneven = [tables[name] for name in captions.by if name in tables and request.balance == "off"]
    others = [each for name, table in tables.items() if name not in captions.by for each in on_balance(table)]
    found = [replace(each, level="info") for each in others if each.level == "warning"]
    found += advise_on_dataset(uneven, captions.captions, captions.unlicensed, int(captions.captions.total()))
    if 1 < len(subjects) <= MAX_SUBJECTS and max(map(len, subjects.values())) <= MAX_IMAGES:
        for name, rows in subjects.items():
            theirs = places[rows]
            advice = advise_on_subject(images.surroundings(theirs), images.family[theirs].tolist())
            warnings = [each for each in _at_places(advice, theirs) if each.level == "warning"]
            found += [replace(each, text=f"{name}: {each.text}") for each in warnings]
    return found


def _at_places(advice: Sequence[Advice], places: np.ndarray) -> list[Advice]:
    return [replace(each, pictures=tuple(int(places[at]) for at in each.pictures)) for each in advice]


def _subjects(images: _InDataset, tables: Mapping[str, ValueCounts]) -> dict[str, np.ndarray]:
    """The rows of each subject: of each folder if there are several, or else of each group that is balanced."""
    by = ("folder",) if len(tables["folder"].rows if "folder" in tables else ()) > 1 else images.captions.by
    found: dict[str, list[int]] = {}
    for row, image in enumerate(images.rows()):
        found.setdefault(joint_group(image.fields, by), []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}
