"""What people say of pictures, kept: ratings, favourites, comparisons, collections."""

from __future__ import annotations

import builtins
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.feedback import Collection, Comparison, Rating
from limner.store.catalogue import sound
from limner.store.images import Viewer, visible
from limner.store.runs import Store
from limner.store.tables import CollectionItemRow, CollectionRow, ComparisonRow, FavouriteRow, ImageRow, RatingRow

COLLECTIONS = 1000
"""The most that an account may have."""


def count_ratings(session: Session, picture: int) -> None:
    """Bring a picture's mean up to date, by which it is listed."""
    rated = select(func.count(), func.avg(RatingRow.stars)).where(RatingRow.picture == picture)
    count, mean = session.execute(rated).one()
    session.execute(update(ImageRow).where(ImageRow.id == picture).values(ratings=count, mean=float(mean or 0)))


class FeedbackStore:
    """Notes what an account says of the pictures that it sees; LimnerError for those that it does not."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def rate(self, view: Viewer, picture: int, rating: Rating | None) -> None:
        """Note the account's rating in place of its last one; None takes that back."""
        with self.store.writing() as session:
            self._lock(session, view, picture)
            session.execute(delete(RatingRow).where(RatingRow.picture == picture, RatingRow.account == view.account))
            if rating is not None:
                row = RatingRow(picture=picture, account=view.account, stars=rating.stars, **_why(rating))
                session.add(row)
                session.flush()
            count_ratings(session, picture)

    def favour(self, view: Viewer, picture: int, wanted: bool) -> None:
        """Make a picture a favourite of the account, or none."""
        with self.store.writing() as session:
            self._lock(session, view, picture)
            row = session.get(FavouriteRow, (view.account, picture))
            if wanted and row is None:
                session.add(FavouriteRow(account=view.account, picture=picture, created=datetime.now(UTC)))
            elif not wanted and row is not None:
                session.delete(row)

    def compare(self, view: Viewer, comparison: Comparison) -> None:
        """Note which of two pictures is better, in place of what the account said of the two before."""
        pair = (comparison.better, comparison.worse)
        with self.store.writing() as session:
            for picture in sorted(pair):
                self._lock(session, view, picture)
            old = delete(ComparisonRow).where(ComparisonRow.account == view.account)
            session.execute(old.where(ComparisonRow.better.in_(pair), ComparisonRow.worse.in_(pair)))
            row = ComparisonRow(account=view.account, better=pair[0], worse=pair[1], tie=comparison.tie)
            for name, value in _why(comparison).items():
                setattr(row, name, value)
            session.add(row)

    def _lock(self, session: Session, view: Viewer, picture: int) -> None:
        """Nobody else changes what is said of this picture until the transaction ends."""
        row = visible(session, view, picture)
        session.execute(select(ImageRow.id).where(ImageRow.id == row.id).with_for_update())


class ImageCollections:
    """Pictures under names; each account has its own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self, view: Viewer) -> builtins.list[Collection]:
        """The account's collections, by name."""
        with self.store.session() as session:
            return [_collection(*row) for row in session.execute(_counted(view).order_by(CollectionRow.name)).all()]

    def get(self, view: Viewer, collection: int) -> Collection:
        """One of them; LimnerError where the account has none of that id."""
        with self.store.session() as session:
            return self._told(session, view, collection)

    def add(self, view: Viewer, name: str) -> Collection:
        """A new and empty one."""
        with _named_once(name), self.store.writing() as session:
            mine = select(func.count()).select_from(CollectionRow).where(CollectionRow.account == view.account)
            if (session.scalar(mine) or 0) >= COLLECTIONS:
                raise LimnerError(f"there are {COLLECTIONS} collections", "delete one first")
            row = CollectionRow(account=view.account, name=sound(name), created=datetime.now(UTC))
            session.add(row)
            session.flush()
            return self._told(session, view, row.id)

    def rename(self, view: Viewer, collection: int, name: str) -> Collection:
        """Give one another name."""
        with _named_once(name), self.store.writing() as session:
            self._row(session, view, collection).name = sound(name)
            session.flush()
            return self._told(session, view, collection)

    def remove(self, view: Viewer, collection: int) -> None:
        """Let go of one; its pictures stay."""
        with self.store.writing() as session:
            session.delete(self._row(session, view, collection))

    def put(self, view: Viewer, collection: int, picture: int, wanted: bool) -> Collection:
        """Put a picture in, or take it out."""
        with self.store.writing() as session:
            self._row(session, view, collection)
            picture = visible(session, view, picture).id
            row = session.get(CollectionItemRow, (collection, picture))
            if wanted and row is None:
                session.add(CollectionItemRow(collection=collection, picture=picture, created=datetime.now(UTC)))
            elif not wanted and row is not None:
                session.delete(row)
            session.flush()
            return self._told(session, view, collection)

    def _told(self, session: Session, view: Viewer, collection: int) -> Collection:
        row = session.execute(_counted(view).where(CollectionRow.id == collection)).one_or_none()
        if row is None:
            raise _no_collection(collection)
        return _collection(*row)

    def _row(self, session: Session, view: Viewer, collection: int) -> CollectionRow:
        found = select(CollectionRow).where(CollectionRow.id == collection, CollectionRow.account == view.account)
        row = session.scalars(found.with_for_update()).one_or_none()
        if row is None:
            raise _no_collection(collection)
        return row


@contextmanager
def _named_once(name: str) -> Generator[None]:
    """The database refuses a name that the account has used."""
    try:
        yield
    except IntegrityError as error:
        raise LimnerError(f"there is a collection {name!r} already", "choose another name") from error


def _no_collection(collection: int) -> LimnerError:
    return LimnerError(f"there is no collection {collection}", "look its id up in the list of collections")


def _counted(view: Viewer) -> Any:
    inside = select(func.count()).where(CollectionItemRow.collection == CollectionRow.id).scalar_subquery()
    return select(CollectionRow, inside).where(CollectionRow.account == view.account)


def _collection(row: CollectionRow, pictures: int) -> Collection:
    return Collection(id=row.id, name=row.name, pictures=pictures, created=row.created)


def _why(said: Rating | Comparison) -> dict[str, Any]:
    """The columns that ratings and comparisons share."""
    return {
        "reasons": " ".join(said.reasons),
        "comment": sound(said.comment),
        "created": datetime.now(UTC),
    }
