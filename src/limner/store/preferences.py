"""Feedback as training data: ratings with their images, and pairs of a preferred and a rejected image."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import aliased

from limner.core.feedback import GeneratedImage, Rating, Reason
from limner.store.accounts import shared_secret
from limner.store.images import ImageIndex, Viewer, rating_of, reasons_of
from limner.store.sessions import Database
from limner.store.tables import ComparisonRow, ImageIndexRow, RatingRow

BATCH = 200
"""Rows and their images that are in memory at once."""


@dataclass(frozen=True, slots=True)
class RatedImage:
    """A rating with its image. rater: a pseudonym, equal for all ratings of one account."""

    picture: GeneratedImage
    rating: Rating
    rater: str
    created: datetime


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A preferred image and a rejected one. source: "comparison", or "stars" for two ratings by one account."""

    better: GeneratedImage
    worse: GeneratedImage
    tie: bool
    reasons: tuple[Reason, ...]
    rater: str
    source: str
    created: datetime


class PreferenceData:
    """All feedback on the visible images, in order, read in batches."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database, self.viewer = database, viewer
        self._secret = shared_secret(database, "raters")

    def ratings(self) -> Iterator[RatedImage]:
        """All ratings, by image."""
        query = select(RatingRow).join(ImageIndexRow, ImageIndexRow.id == RatingRow.picture).where(self.viewer.sees())
        query = query.order_by(RatingRow.picture, RatingRow.account).limit(BATCH)
        after: tuple[int, str] = (0, "")
        rows: Sequence[Any] = [None]
        while rows:
            beyond = (RatingRow.picture > after[0]) | ((RatingRow.picture == after[0]) & (RatingRow.account > after[1]))
            with self.database.session() as session:
                rows = [
                    (row.picture, row.account, rating_of(row), row.created)
                    for row in session.scalars(query.where(beyond))
                ]
            known = self._images({row[0] for row in rows})
            for image, account, rating, created in rows:
                after = (image, account)
                if image in known:  # it may have been erased meanwhile
                    yield RatedImage(known[image], rating, self._rater(account), created)

    def comparisons(self) -> Iterator[PreferencePair]:
        """All comparisons, in the order in which they were made."""
        better, worse = aliased(ImageIndexRow), aliased(ImageIndexRow)
        query = select(ComparisonRow).join(better, better.id == ComparisonRow.better)
        query = query.join(worse, worse.id == ComparisonRow.worse).order_by(ComparisonRow.id).limit(BATCH)
        query = query.where(self.viewer.sees(better), self.viewer.sees(worse))
        after, rows = 0, cast(Sequence[ComparisonRow], [None])
        while rows:
            with self.database.session() as session:
                rows = session.scalars(query.where(ComparisonRow.id > after)).all()
                session.expunge_all()
            known = self._images({id for row in rows for id in (row.better, row.worse)})
            for row in rows:
                after = row.id
                if row.better in known and row.worse in known:
                    more = (row.tie, reasons_of(row.reasons), self._rater(row.account), "comparison", row.created)
                    yield PreferencePair(known[row.better], known[row.worse], *more)

    def pairs_from_stars(self) -> Iterator[PreferencePair]:
        """Pairs of images of the same prompts by one account's ratings: the best with the worst, the second best with
        the second worst, and so on, as long as the stars differ. So no image is in two pairs of an account.
        """
        query = select(
            RatingRow.account, ImageIndexRow.prompt_hash, RatingRow.stars, RatingRow.picture, RatingRow.created
        )
        query = query.join(ImageIndexRow, ImageIndexRow.id == RatingRow.picture).where(self.viewer.sees())
        query = query.order_by(RatingRow.account, ImageIndexRow.prompt_hash, RatingRow.stars.desc(), RatingRow.picture)
        with self.database.session() as session:
            rows = session.execute(query).all()
        pairs = [
            (best, worst)
            for _, group in groupby(rows, lambda row: (row.account, row.prompt_hash))
            for best, worst in _ends(list(group))
        ]
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]
            known = self._images({row.picture for pair in batch for row in pair})
            for best, worst in batch:
                if best.picture in known and worst.picture in known:
                    more = (False, (), self._rater(best.account), "stars", max(best.created, worst.created))
                    yield PreferencePair(known[best.picture], known[worst.picture], *more)

    def _images(self, ids: set[int]) -> dict[int, GeneratedImage]:
        return {image.id: image for image in ImageIndex(self.database).some(self.viewer, sorted(ids))}

    def _rater(self, account: str) -> str:
        """The pseudonym of an account: only who knows the service's secret can compute it."""
        return hmac.digest(self._secret, account.encode(), hashlib.sha256).hex()[:16]


def _ends(group: list[Any]) -> Iterator[tuple[Any, Any]]:
    """The first with the last, the second with the one before the last, and so on, as long as their stars differ."""
    for best, worst in zip(group[: len(group) // 2], reversed(group), strict=False):
        if best.stars > worst.stars:
            yield best, worst
