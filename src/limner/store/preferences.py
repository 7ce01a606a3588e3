"""Feedback as training data: ratings with their images, and pairs of a preferred and a rejected image."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import aliased

from limner.core.events import ArtifactKind
from limner.core.feedback import GeneratedImage, Rating, Reason
from limner.core.initial_noise import seed_of_noise
from limner.core.preferences import (
    Feedback,
    FeedbackKind,
    FeedbackSelection,
    JudgedImage,
    Judgement,
    PairSource,
    Preference,
)
from limner.core.star_pairs import opposite_ends
from limner.store.accounts import shared_secret
from limner.store.blobs import REFERENCE
from limner.store.images import ImageIndex, Viewer, rating_of, reasons_of, search_terms
from limner.store.sessions import Database
from limner.store.tables import ArtifactRow, ComparisonRow, ImageIndexRow, RatingRow
from limner.store.texts import adapter_key, fold_case, storable

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
    source: PairSource
    created: datetime


ALL = FeedbackSelection()


class PreferenceData:
    """All feedback on the visible images, in order, read in batches."""

    def __init__(self, database: Database, viewer: Viewer) -> None:
        self.database, self.viewer = database, viewer
        self._secret = shared_secret(database, "raters")

    def feedback(self, kind: FeedbackKind | None, selection: FeedbackSelection = ALL) -> Feedback:
        """The feedback that a selection describes, as training data: ratings, pairs, or both for None.

        Pairs are comparisons and, unless their ratings are there, pairs that follow from stars. They may be of images
        of different prompts, and their files may be gone.
        """
        images = _JudgedImages(self.database)
        ratings = self.ratings(selection) if kind != "pairs" else ()
        pairs = [*self.comparisons(selection)] if kind != "ratings" else []
        pairs += self.pairs_from_stars(selection) if kind == "pairs" else ()
        return Feedback(
            ratings=tuple(
                Judgement(
                    image=images.of(each.picture),
                    stars=each.rating.stars,
                    reasons=each.rating.reasons,
                    rater=each.rater,
                    created=each.created,
                )
                for each in ratings
            ),
            pairs=tuple(
                Preference(
                    better=images.of(pair.better),
                    worse=images.of(pair.worse),
                    tie=pair.tie,
                    reasons=pair.reasons,
                    rater=pair.rater,
                    source=pair.source,
                    created=pair.created,
                )
                for pair in pairs
            ),
        )

    def ratings(self, selection: FeedbackSelection = ALL) -> Iterator[RatedImage]:
        """All ratings that a selection describes, by image."""
        query = select(RatingRow).join(ImageIndexRow, ImageIndexRow.id == RatingRow.picture).where(self.viewer.sees())
        query = query.where(*_of(selection, RatingRow), *_on(selection, ImageIndexRow))
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

    def comparisons(self, selection: FeedbackSelection = ALL) -> Iterator[PreferencePair]:
        """All comparisons that a selection describes, both images of each, in the order in which they were made."""
        better, worse = aliased(ImageIndexRow), aliased(ImageIndexRow)
        query = select(ComparisonRow).join(better, better.id == ComparisonRow.better)
        query = query.join(worse, worse.id == ComparisonRow.worse).order_by(ComparisonRow.id).limit(BATCH)
        query = query.where(self.viewer.sees(better), self.viewer.sees(worse))
        query = query.where(*_on(selection, better), *_on(selection, worse)).where(*_of(selection, ComparisonRow))
        after, rows = 0, cast(Sequence[ComparisonRow], [None])
        while rows:
            with self.database.session() as session:
                rows = session.scalars(query.where(ComparisonRow.id > after)).all()
                session.expunge_all()
            known = self._images({id for row in rows for id in (row.better, row.worse)})
            for row in rows:
                after = row.id
                if row.better in known and row.worse in known:
                    reasons, rater = reasons_of(row.reasons), self._rater(row.account)
                    images = known[row.better], known[row.worse]
                    yield PreferencePair(*images, row.tie, reasons, rater, "comparison", row.created)

    def pairs_from_stars(self, selection: FeedbackSelection = ALL) -> Iterator[PreferencePair]:
        """Pairs of images of the same prompts by one account's ratings that a selection describes: the best with the
        worst, the second best with the second worst, and so on, as long as the stars differ. So no image is in two
        pairs of an account. The reasons are those of the worse image.
        """
        account, stars, picture = RatingRow.account, RatingRow.stars, RatingRow.picture
        query = select(account, ImageIndexRow.prompt_hash, stars, picture, RatingRow.reasons, RatingRow.created)
        query = query.join(ImageIndexRow, ImageIndexRow.id == RatingRow.picture).where(self.viewer.sees())
        query = query.where(*_of(selection, RatingRow), *_on(selection, ImageIndexRow))
        query = query.order_by(RatingRow.account, ImageIndexRow.prompt_hash, RatingRow.stars.desc(), RatingRow.picture)
        with self.database.session() as session:
            rows = session.execute(query).all()
        pairs = [
            (best, worst)
            for _, group in groupby(rows, lambda row: (row.account, row.prompt_hash))
            for best, worst in opposite_ends(list(group), lambda row: row.stars)
        ]
        for start in range(0, len(pairs), BATCH):
            batch = pairs[start : start + BATCH]
            known = self._images({row.picture for pair in batch for row in pair})
            for best, worst in batch:
                if best.picture in known and worst.picture in known:
                    images, reasons = (known[best.picture], known[worst.picture]), reasons_of(worst.reasons)
                    created = max(best.created, worst.created)
                    yield PreferencePair(*images, False, reasons, self._rater(best.account), "stars", created)

    def _images(self, ids: set[int]) -> dict[int, GeneratedImage]:
        return {image.id: image for image in ImageIndex(self.database).some(self.viewer, sorted(ids))}

    def _rater(self, account: str) -> str:
        return pseudonym(self._secret, account)


def pseudonym(secret: bytes, account: str) -> str:
    """The name of a rater in feedback that leaves the service: only who knows the service's secret can compute it."""
    return hmac.digest(secret, account.encode(), hashlib.sha256).hex()[:16]


class _JudgedImages:
    """Images as training data, each once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, JudgedImage] = {}
        self._hashes: dict[str, tuple[str, ...]] = {}

    def of(self, image: GeneratedImage) -> JudgedImage:
        """An image as training data. Its adapters are None where one is a path: the file may be another one by now."""
        if image.id not in self._known:
            request, uses = image.request, [use.path for use in image.request.adapter]
            known = all(map(REFERENCE.fullmatch, uses))
            self._known[image.id] = JudgedImage(
                sha256=image.sha256,
                location=image.location,
                prompt=request.prompt,
                negative_prompt=request.negative_prompt,
                model=request.model,
                adapters=tuple(hash for use in uses for hash in self._hashes_of(use)) if known else None,
                seed=seed_of_noise(request, image.details.get("seed")),
                width=_side(image.fact("width")),
                height=_side(image.fact("height")),
            )
        return self._known[image.id]

    def _hashes_of(self, reference: str) -> tuple[str, ...]:
        """The hash in an adapter's reference and, where a training made it, that of its file in a folder."""
        if reference not in self._hashes:
            query = select(ArtifactRow.sha256).where(ArtifactRow.reference == reference)
            query = query.where(ArtifactRow.kind == ArtifactKind.ADAPTER).distinct()
            with self._database.session() as session:
                made = session.scalars(query.order_by(ArtifactRow.sha256)).all()
            self._hashes[reference] = tuple(dict.fromkeys((adapter_key(reference), *made)))
        return self._hashes[reference]


def _side(value: object) -> int | None:
    return value if type(value) is int else None


def _of(selection: FeedbackSelection, row: type[RatingRow | ComparisonRow]) -> list[ColumnElement[bool]]:
    """The conditions of a selection on the feedback itself."""
    found: list[ColumnElement[bool]] = []
    if selection.account is not None:
        found.append(row.account == storable(selection.account))
    if selection.since is not None:
        found.append(row.created >= selection.since)
    if selection.until is not None:
        found.append(row.created < selection.until)
    return found


def _on(selection: FeedbackSelection, image: type[ImageIndexRow]) -> list[ColumnElement[bool]]:
    """The conditions of a selection on an image."""
    found = [
        column == fold_case(value).strip()
        for column, value in ((image.industry, selection.industry), (image.style, selection.style))
        if value is not None
    ]
    terms = search_terms(selection.subject or "")
    return found + [image.words.contains(term, autoescape=True) for term in terms]
