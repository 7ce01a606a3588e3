"""What is handed out for training: who rated what, and which picture of two was preferred."""

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

from limner.core.feedback import Picture, Rating, Reason
from limner.store.images import ImageIndex, Viewer, rating_of, reasons_of
from limner.store.runs import Store
from limner.store.secrets import shared_secret
from limner.store.tables import ComparisonRow, ImageRow, RatingRow

BATCH = 200
"""Pictures that are in memory at once."""


@dataclass(frozen=True, slots=True)
class RatedImage:
    """A rating and its picture. rater: the same for all of one account, and of no use to find out which."""

    picture: Picture
    rating: Rating
    rater: str
    created: datetime


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two pictures of which one was preferred. source: "comparison", or "stars" of one account for one prompt."""

    better: Picture
    worse: Picture
    tie: bool
    reasons: tuple[Reason, ...]
    rater: str
    source: str
    created: datetime


class PreferenceData:
    """All feedback on the pictures in view, in order, with few of them in memory at a time."""

    def __init__(self, store: Store, view: Viewer) -> None:
        self.store, self.view = store, view
        self._secret = shared_secret(store, "raters")

    def rated(self) -> Iterator[RatedImage]:
        """Each rating, by picture."""
        query = select(RatingRow).join(ImageRow, ImageRow.id == RatingRow.picture).where(self.view.sees())
        query = query.order_by(RatingRow.picture, RatingRow.account).limit(BATCH)
        after: tuple[int, str] = (0, "")
        rows: Sequence[Any] = [None]
        while rows:
            beyond = (RatingRow.picture > after[0]) | ((RatingRow.picture == after[0]) & (RatingRow.account > after[1]))
            with self.store.session() as session:
                rows = [
                    (row.picture, row.account, rating_of(row), row.created)
                    for row in session.scalars(query.where(beyond))
                ]
            known = self._pictures({row[0] for row in rows})
            for picture, account, rating, created in rows:
                after = (picture, account)
                if picture in known:  # it may have gone meanwhile
                    yield RatedImage(known[picture], rating, self._rater(account), created)

    def compared(self) -> Iterator[PreferencePair]:
        """Each comparison, in the order in which they were made."""
        better, worse = aliased(ImageRow), aliased(ImageRow)
        query = select(ComparisonRow).join(better, better.id == ComparisonRow.better)
        query = query.join(worse, worse.id == ComparisonRow.worse).order_by(ComparisonRow.id).limit(BATCH)
        query = query.where(self.view.sees(better), self.view.sees(worse))
        after, rows = 0, cast(Sequence[ComparisonRow], [None])
        while rows:
            with self.store.session() as session:
                rows = session.scalars(query.where(ComparisonRow.id > after)).all()
                session.expunge_all()
            known = self._pictures({id for row in rows for id in (row.better, row.worse)})
            for row in rows:
                after = row.id
                if row.better in known and row.worse in known:
                    told = (row.tie, reasons_of(row.reasons), self._rater(row.account), "comparison", row.created)
                    yield PreferencePair(known[row.better], known[row.worse], *told)

    def starred(self) -> Iterator[PreferencePair]:
        """Pairs that follow from stars: of one account's pictures of the same prompts, the best with the worst, the
        second best with the second worst, and so on, while their stars differ. So no picture is in two of its pairs.
        """
        query = select(RatingRow.account, ImageRow.wish, RatingRow.stars, RatingRow.picture, RatingRow.created)
        query = query.join(ImageRow, ImageRow.id == RatingRow.picture).where(self.view.sees())
        query = query.order_by(RatingRow.account, ImageRow.wish, RatingRow.stars.desc(), RatingRow.picture)
        with self.store.session() as session:
            rows = session.execute(query).all()
        pairs = [
            (best, worst)
            for _, group in groupby(rows, lambda row: (row.account, row.wish))
            for best, worst in _ends(list(group))
        ]
        for start in range(0, len(pairs), BATCH):
            some = pairs[start : start + BATCH]
            known = self._pictures({row.picture for pair in some for row in pair})
            for best, worst in some:
                if best.picture in known and worst.picture in known:
                    told = (False, (), self._rater(best.account), "stars", max(best.created, worst.created))
                    yield PreferencePair(known[best.picture], known[worst.picture], *told)

    def _pictures(self, ids: set[int]) -> dict[int, Picture]:
        return {picture.id: picture for picture in ImageIndex(self.store).some(self.view, sorted(ids))}

    def _rater(self, account: str) -> str:
        return hmac.digest(self._secret, account.encode(), hashlib.sha256).hex()[:16]


def _ends(group: list[Any]) -> Iterator[tuple[Any, Any]]:
    """The first with the last, the second with the one before it, and so on, while their stars differ."""
    for best, worst in zip(group[: len(group) // 2], reversed(group), strict=False):
        if best.stars > worst.stars:
            yield best, worst
