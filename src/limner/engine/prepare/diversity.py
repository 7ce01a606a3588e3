"""How unlike each other the pictures that stay are, and what would make the set better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np

from limner.core.requests import PrepareRequest
from limner.data.diversity.advice import Advice, advise_on_dataset, advise_on_subject, on_balance, sort_advice
from limner.data.diversity.balance import FieldCounts, ValueCounts, joint_group
from limner.data.diversity.diversity import CHUNK, clusters, mean_distance, medoids, principal_components
from limner.data.diversity.scenes import SceneDescription
from limner.data.quality.overlays import SharedOverlay
from limner.engine.prepare.columns import Gathered
from limner.engine.prepare.dataset import Telling
from limner.engine.prepare.rows import Told
from limner.plugins.registry import detectors

SUBJECT, SUBJECTS = 60, 60
"""The most pictures of one subject, and subjects of a set, of which each is advised by itself."""
APART = 0.9
"""Euclidean distance of directions, as is at a cosine of 0.6, from which on pictures are of different clusters."""


@dataclass(frozen=True)
class Variety:
    """advice: its pictures by their places among those that were written. distance: mean cosine distance of pairs, None
    where no encoder looked. clusters: how many pictures each has, the largest first. points: (n, 2), a map of the
    pictures. groups: the number of each one's cluster.
    """

    advice: Sequence[Advice]
    distance: float | None = None
    clusters: tuple[int, ...] = ()
    middles: tuple[int, ...] = ()
    points: np.ndarray | None = None
    groups: np.ndarray | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON tells it."""
        if self.distance is None:
            return {}
        return {"mean_distance": round(self.distance, 6), "clusters": list(self.clusters)}


def variety_of(
    gathered: Gathered,
    staying: np.ndarray,
    kept: np.ndarray,
    features: np.ndarray | None,
    family: np.ndarray,
    told: Told,
    mark: SharedOverlay | None,
    request: PrepareRequest,
) -> Variety:
    """Of the pictures that are in the dataset. staying, kept: the places of those that are not left out, and which of
    them are not set aside. features: (n, d) of all that were written. family: (n,) their groups of copies."""
    places = staying[kept]
    lines = Kept(told, kept)
    advice = sort_advice([*_on_mark(mark), *_advice(gathered, places, family, lines, request)])
    if features is None or len(places) < 2:
        return Variety(advice)
    rows = _rows(features, places, gathered)
    labels = clusters(rows, APART, request.seed)
    sizes = tuple(np.bincount(labels).tolist())
    middles = tuple(int(places[row]) for row in medoids(rows, labels))
    return Variety(advice, mean_distance(rows), sizes, middles, principal_components(rows, request.seed), labels)


@dataclass(frozen=True)
class Kept:
    """What is told of the pictures that are in the dataset."""

    told: Told
    kept: np.ndarray

    def lines(self) -> Iterator[Telling]:
        return compress(self.told.lines(), self.kept)

    def tables(self) -> dict[str, ValueCounts]:
        counts = FieldCounts()
        for telling in self.lines():
            counts.add(telling.fields)
        return counts.tables()


def _on_mark(mark: SharedOverlay | None) -> list[Advice]:
    """Of what many pictures carry in one place."""
    if mark is None:
        return []
    left, top, right, bottom = mark.box
    across = ("left", "middle", "right")[min(2, int(3 * (left + right) / 2))]
    down = ("top", "middle", "bottom")[min(2, int(3 * (top + bottom) / 2))]
    where = "in the middle" if across == down == "middle" else f"at the {down} {across}"
    told = f"many pictures carry the same mark {where}, a watermark perhaps: it would be learnt with them"
    return [Advice("warning", told)]


def _rows(features: np.ndarray, staying: np.ndarray, gathered: Gathered) -> np.ndarray:
    """The features of those that stay, on disk."""
    if len(staying) == len(features):
        return features
    place = gathered.staging.folder / "staying.bin"
    kept = np.memmap(place, dtype=features.dtype, mode="w+", shape=(len(staying), features.shape[1]))
    for start in range(0, len(staying), CHUNK):
        kept[start : start + CHUNK] = features[staying[start : start + CHUNK]]
    return kept


def _advice(
    gathered: Gathered, places: np.ndarray, family: np.ndarray, kept: Kept, request: PrepareRequest
) -> list[Advice]:
    """Of one subject, or of each of some; of a large set, what its tables tell."""
    few = len(gathered.columns.surroundings) == len(gathered)
    tables, told = kept.tables(), kept.told
    subjects = _subjects(kept, tables) if few else {}
    if len(subjects) == 1 and len(places) <= SUBJECT:
        captions = [telling.caption for telling in kept.lines()]
        licences = [gathered.record(int(place)).rights.licence for place in places]
        faces = request.crop == "subject" and detectors.get(request.detector).faces
        found = advise_on_subject(_seen(gathered, places), family[places].tolist(), captions, licences, faces)
        return _placed(found, places)
    uneven = [tables[name] for name in told.by if name in tables and request.balance == "off"]
    found = advise_on_dataset(uneven, told.captions, told.unlicensed, int(told.captions.total()))
    others = [each for name, table in tables.items() if name not in told.by for each in on_balance(table)]
    found += [replace(each, level="info") for each in others if each.level == "warning"]
    if 1 < len(subjects) <= SUBJECTS and max(map(len, subjects.values())) <= SUBJECT:
        for name, rows in subjects.items():
            theirs = places[rows]
            advice = _placed(advise_on_subject(_seen(gathered, theirs), family[theirs].tolist()), theirs)
            found += [replace(each, text=f"{name}: {each.text}") for each in advice if each.level == "warning"]
    return found


def _seen(gathered: Gathered, places: np.ndarray) -> list[SceneDescription]:
    return [SceneDescription.from_row(gathered.columns.surroundings[place]) for place in places]


def _placed(advice: Sequence[Advice], places: np.ndarray) -> list[Advice]:
    return [replace(each, pictures=tuple(int(places[at]) for at in each.pictures)) for each in advice]


def _subjects(kept: Kept, tables: Mapping[str, ValueCounts]) -> dict[str, np.ndarray]:
    """The rows of each subject: of a folder, where there are several, or else of a group that is evened out."""
    by = ("folder",) if len(tables["folder"].rows if "folder" in tables else ()) > 1 else kept.told.by
    found: dict[str, list[int]] = {}
    for row, telling in enumerate(kept.lines()):
        found.setdefault(joint_group(telling.fields, by), []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}
