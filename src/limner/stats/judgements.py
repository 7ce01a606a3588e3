"""People's answers about the same things, in the form that agreement and trust are computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from limner.core.feedback import STARS
from limner.core.moments import utc
from limner.core.preferences import Judgement, Preference
from limner.stats.krippendorff import alpha_interval

MAX_UNITS, MAX_ANSWERS = 5000, 200
"""Most units, and answers to each of them, that agreement is computed from."""
Unit = tuple[str, ...]
"""An image, or two in the order of their hashes, by their hashes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One rater's answer about a unit. value: stars from 1; of two images -1 for the first, 1 for the second, 0 for a
    tie.
    """

    rater: str
    unit: Unit
    value: int
    created: datetime | None = None

    @property
    def direction(self) -> int:
        """Whether a rating is good (1), bad (-1) or neither, or which image is better."""
        middle = (STARS + 1) // 2
        return int(np.sign(self.value - middle)) if len(self.unit) == 1 else self.value


def answers(ratings: Iterable[Judgement], pairs: Iterable[Preference]) -> list[Answer]:
    """Ratings and comparisons as answers. Pairs that follow from stars are none of their own if these are there."""
    rated = [Answer(each.rater, (each.image.sha256,), each.stars, _moment(each.created)) for each in ratings]
    known = {(answer.rater, *answer.unit) for answer in rated}
    return rated + [_compared(pair) for pair in pairs if pair.source != "stars" or not known >= _ends(pair)]


def _ends(pair: Preference) -> set[tuple[str, ...]]:
    return {(pair.rater, image.sha256) for image in (pair.better, pair.worse)}


def _compared(pair: Preference) -> Answer:
    unit = tuple(sorted((pair.better.sha256, pair.worse.sha256)))
    value = 0 if pair.tie else -1 if unit[0] == pair.better.sha256 else 1
    return Answer(pair.rater, unit, value, _moment(pair.created))


def _moment(created: datetime | None) -> datetime | None:
    return created and utc(created)


def agreement(given: Sequence[Answer]) -> tuple[float, float, float, int]:
    """Krippendorff's alpha, its 95% interval, and the number of units: of pairs, or of images if those are more."""
    tables = [_scores(given, length, lowest, levels) for length, lowest, levels in ((2, -1, 3), (1, 1, STARS))]
    (scores, levels) = max(tables, key=lambda each: each[0].shape[1])
    if not scores.shape[1]:
        return np.nan, np.nan, np.nan, 0
    return *alpha_interval(scores, levels), scores.shape[1]


def _scores(given: Sequence[Answer], length: int, lowest: int, levels: int) -> tuple[np.ndarray, int]:
    """Scores (answers, units) of the units that several raters judged, -1 for none, and their number of levels.

    Which rater gave an answer does not matter to alpha, so a row is not one of a rater. Only a rater's last answer
    about a unit counts.
    """
    units: dict[Unit, dict[str, int]] = defaultdict(dict)
    for answer in given:
        if len(answer.unit) == length:
            units[answer.unit][answer.rater] = answer.value - lowest
    shared = [[*by.values()][:MAX_ANSWERS] for _, by in sorted(units.items()) if len(by) > 1][:MAX_UNITS]
    scores = np.full((max(map(len, shared), default=0), len(shared)), -1)
    for place, values in enumerate(shared):
        scores[: len(values), place] = values
    return scores, levels
