"""Feedback on images: ratings, favourites and comparisons of accounts, and summaries of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from typing import Any

from sqlalchemy import ColumnElement, Float, cast, delete, func, select, update
from sqlalchemy.orm import Session

from limner.core.feedback import STARS, ByWhat, Comparison, Rating, RatingSummary, Reason
from limner.store.images import Viewer, reasons_of, visible
from limner.store.sessions import Database
from limner.store.tables import ComparisonRow, FavouriteRow, ImageAdapterRow, ImageIndexRow, RatingRow
from limner.store.texts import storable

_NORMAL = 1.96
"""Standard deviations on both sides of the mean that hold 95% of a normal distribution."""


class FeedbackStore:
    """Records what an account thinks of images. Raises LimnerError for images that it cannot see."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def rate(self, viewer: Viewer, image: int, rating: Rating | None) -> None:
        """Replace the account's rating of an image; None removes it."""
        with self.database.writing() as session:
            _lock(session, viewer, image)
            session.execute(delete(RatingRow).where(RatingRow.picture == image, RatingRow.account == viewer.account))
            if rating is not None:
                row = RatingRow(picture=image, account=viewer.account, stars=rating.stars, **_reason_columns(rating))
                session.add(row)
                session.flush()
            update_mean(session, image)

    def set_favourite(self, viewer: Viewer, image: int, favourite: bool) -> None:
        """Add an image to the account's favourites, or remove it."""
        with self.database.writing() as session:
            _lock(session, viewer, image)
            row = session.get(FavouriteRow, (viewer.account, image))
            if favourite and row is None:
                session.add(FavouriteRow(account=viewer.account, picture=image, created=datetime.now(UTC)))
            elif not favourite and row is not None:
                session.delete(row)

    def set_favourites(self, viewer: Viewer, images: Sequence[int], favourite: bool) -> list[int]:
        """Add images to the account's favourites, or remove them; returns those that were not so before."""
        changed: list[int] = []
        with self.database.writing() as session:
            for image in sorted(set(images)):
                _lock(session, viewer, image)
                row = session.get(FavouriteRow, (viewer.account, image))
                if (row is not None) == favourite:
                    continue
                changed.append(image)
                if row is None:
                    session.add(FavouriteRow(account=viewer.account, picture=image, created=datetime.now(UTC)))
                else:
                    session.delete(row)
        return changed

    def set_stars(self, viewer: Viewer, stars: Mapping[int, int | None]) -> dict[int, int | None]:
        """Rate images, each with its stars; None removes the rating. Reasons and comments of earlier ratings stay.

        Returns the earlier stars of those that changed.
        """
        earlier: dict[int, int | None] = {}
        with self.database.writing() as session:
            for image in sorted(stars):
                _lock(session, viewer, image)
                row, wanted = session.get(RatingRow, (image, viewer.account)), stars[image]
                before = None if row is None else row.stars
                if before == wanted:
                    continue
                earlier[image] = before
                if wanted is None:
                    session.delete(row)
                elif row is not None:
                    row.stars = wanted
                else:
                    new = RatingRow(picture=image, account=viewer.account, stars=wanted)
                    for name, value in _reason_columns(Rating(stars=wanted)).items():
                        setattr(new, name, value)
                    session.add(new)
                session.flush()
                update_mean(session, image)
        return earlier

    def compare(self, viewer: Viewer, comparison: Comparison) -> None:
        """Replace the account's comparison of two images."""
        pair = (comparison.better, comparison.worse)
        with self.database.writing() as session:
            for image in sorted(pair):
                _lock(session, viewer, image)
            old = delete(ComparisonRow).where(ComparisonRow.account == viewer.account)
            session.execute(old.where(ComparisonRow.better.in_(pair), ComparisonRow.worse.in_(pair)))
            row = ComparisonRow(account=viewer.account, better=pair[0], worse=pair[1], tie=comparison.tie)
            for name, value in _reason_columns(comparison).items():
                setattr(row, name, value)
            session.add(row)


def update_mean(session: Session, image: int) -> None:
    """Update the mean and the number of ratings by which an image is found."""
    rated = select(func.count(), func.avg(RatingRow.stars)).where(RatingRow.picture == image)
    count, mean = session.execute(rated).one()
    session.execute(update(ImageIndexRow).where(ImageIndexRow.id == image).values(ratings=count, mean=float(mean or 0)))


def _lock(session: Session, viewer: Viewer, image: int) -> None:
    """Keep others from changing the feedback on an image until the transaction ends."""
    row = visible(session, viewer, image)
    session.execute(select(ImageIndexRow.id).where(ImageIndexRow.id == row.id).with_for_update())


def _reason_columns(feedback: Rating | Comparison) -> dict[str, Any]:
    """The columns that ratings and comparisons share."""
    return {
        "reasons": " ".join(feedback.reasons),
        "comment": storable(feedback.comment),
        "created": datetime.now(UTC),
    }


def rating_summary(database: Database, viewer: Viewer, by: ByWhat, industry: str | None = None) -> list[RatingSummary]:
    """The feedback on the images of each model, adapter, industry or style, best mean first.

    industry: only images with this tag.
    """

    def grouped(query: Any) -> Any:
        """The query over the visible images, grouped by name."""
        if by == "adapter":
            query = query.outerjoin(ImageAdapterRow, ImageAdapterRow.picture == ImageIndexRow.id)
        visible_rows = viewer.sees() if industry is None else viewer.sees() & (ImageIndexRow.industry == industry)
        return query.where(visible_rows).group_by(_column(by))

    name, squared = _column(by), cast(RatingRow.stars * RatingRow.stars, Float)
    rated = select(name, func.count(), func.avg(RatingRow.stars), func.sum(squared)).join(
        ImageIndexRow, ImageIndexRow.id == RatingRow.picture
    )
    reasons_given = select(name, RatingRow.reasons, func.count()).join(
        ImageIndexRow, ImageIndexRow.id == RatingRow.picture
    )
    compared = select(name, func.count(), ComparisonRow.tie)
    with database.session() as opened:
        session: Any = opened
        figures = {row[0]: (int(row[1]), float(row[2]), float(row[3])) for row in session.execute(grouped(rated))}
        reasons = _reasons(session.execute(grouped(reasons_given).group_by(RatingRow.reasons)).all())
        outcomes: dict[str | None, Counter[str]] = defaultdict(Counter)
        for side, column in (("wins", ComparisonRow.better), ("losses", ComparisonRow.worse)):
            query = grouped(compared.join(ImageIndexRow, ImageIndexRow.id == column)).group_by(ComparisonRow.tie)
            for key, count, tie in session.execute(query):
                outcomes[key]["ties" if tie else side] += count
    found = [_summary(key, figures.get(key), outcomes[key], reasons[key]) for key in {**figures, **outcomes}]
    return sorted(found, key=lambda each: (-(each.mean or 0), -each.ratings, each.name or ""))


def _column(by: ByWhat) -> ColumnElement[Any]:
    columns: dict[ByWhat, Any] = {
        "model": ImageIndexRow.model,
        "adapter": ImageAdapterRow.reference,
        "industry": ImageIndexRow.industry,
        "style": ImageIndexRow.style,
    }
    return columns[by]


def _reasons(rows: Iterable[Any]) -> dict[str | None, Counter[Reason]]:
    found: dict[str | None, Counter[Reason]] = defaultdict(Counter)
    for key, text, count in rows:
        for reason in reasons_of(text):
            found[key][reason] += count
    return found


def _summary(
    name: str | None, figures: tuple[int, float, float] | None, outcomes: Counter[str], reasons: Counter[Reason]
) -> RatingSummary:
    count, mean, squares = figures or (0, None, 0.0)
    error, low, high = None, None, None
    if mean is not None and count > 1:
        error = sqrt(max(0.0, squares - count * mean**2) / (count - 1) / count)
        low, high = max(1.0, mean - _NORMAL * error), min(float(STARS), mean + _NORMAL * error)
    return RatingSummary(
        name=name,
        ratings=count,
        mean=mean,
        standard_error=error,
        low=low,
        high=high,
        wins=outcomes["wins"],
        losses=outcomes["losses"],
        ties=outcomes["ties"],
        reasons=dict(reasons),
    )
