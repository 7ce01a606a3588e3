"""Named collections of images; each account has its own."""

from __future__ import annotations

import builtins
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError, unknown
from limner.core.feedback import Collection
from limner.store.images import Viewer, visible
from limner.store.sessions import Database
from limner.store.tables import CollectionItemRow, CollectionRow
from limner.store.texts import storable

MAX_COLLECTIONS = 1000
"""The most that an account may have."""


class ImageCollections:
    """The collections of all accounts."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def list(self, viewer: Viewer) -> builtins.list[Collection]:
        """The account's collections, by name."""
        with self.database.session() as session:
            return [_collection(*row) for row in session.execute(_counted(viewer).order_by(CollectionRow.name)).all()]

    def get(self, viewer: Viewer, collection: int) -> Collection:
        """One collection. Raises LimnerError if the account has none with this id."""
        with self.database.session() as session:
            return self._read(session, viewer, collection)

    def named(self, viewer: Viewer, name: str) -> Collection:
        """The account's collection with a name, or else with an id. Raises LimnerError if there is none."""
        mine = self.list(viewer)
        found = [each for each in mine if each.name == name] or [each for each in mine if str(each.id) == name]
        if not found:
            raise unknown("collection", name, (each.name for each in mine))
        return found[0]

    def add(self, viewer: Viewer, name: str) -> Collection:
        """Add an empty collection. Raises LimnerError if the name is taken, or there are too many."""
        with _unique_name(name), self.database.writing() as session:
            mine = select(func.count()).select_from(CollectionRow).where(CollectionRow.account == viewer.account)
            if (session.scalar(mine) or 0) >= MAX_COLLECTIONS:
                raise LimnerError(f"there are {MAX_COLLECTIONS} collections already", "delete one first")
            row = CollectionRow(account=viewer.account, name=storable(name), created=datetime.now(UTC))
            session.add(row)
            session.flush()
            return self._read(session, viewer, row.id)

    def rename(self, viewer: Viewer, collection: int, name: str) -> Collection:
        """Rename a collection."""
        with _unique_name(name), self.database.writing() as session:
            self._row(session, viewer, collection).name = storable(name)
            session.flush()
            return self._read(session, viewer, collection)

    def remove(self, viewer: Viewer, collection: int) -> None:
        """Delete a collection; its images stay."""
        with self.database.writing() as session:
            session.delete(self._row(session, viewer, collection))

    def put(self, viewer: Viewer, collection: int, image: int, included: bool) -> Collection:
        """Add an image to a collection, or remove it."""
        with self.database.writing() as session:
            self._row(session, viewer, collection)
            image = visible(session, viewer, image).id
            row = session.get(CollectionItemRow, (collection, image))
            if included and row is None:
                session.add(CollectionItemRow(collection=collection, picture=image, created=datetime.now(UTC)))
            elif not included and row is not None:
                session.delete(row)
            session.flush()
            return self._read(session, viewer, collection)

    def put_all(self, viewer: Viewer, collection: int, images: Sequence[int], included: bool) -> builtins.list[int]:
        """Add images to a collection, or remove them; returns those that were not so before."""
        changed: builtins.list[int] = []
        with self.database.writing() as session:
            self._row(session, viewer, collection)
            for image in sorted(set(images)):
                row = session.get(CollectionItemRow, (collection, visible(session, viewer, image).id))
                if (row is not None) == included:
                    continue
                changed.append(image)
                if row is None:
                    session.add(CollectionItemRow(collection=collection, picture=image, created=datetime.now(UTC)))
                else:
                    session.delete(row)
        return changed

    def _read(self, session: Session, viewer: Viewer, collection: int) -> Collection:
        row = session.execute(_counted(viewer).where(CollectionRow.id == collection)).one_or_none()
        if row is None:
            raise _no_collection(collection)
        return _collection(*row)

    def _row(self, session: Session, viewer: Viewer, collection: int) -> CollectionRow:
        found = select(CollectionRow).where(CollectionRow.id == collection, CollectionRow.account == viewer.account)
        row = session.scalars(found.with_for_update()).one_or_none()
        if row is None:
            raise _no_collection(collection)
        return row


@contextmanager
def _unique_name(name: str) -> Generator[None]:
    """Raise LimnerError if the database refuses a name that the account uses already."""
    try:
        yield
    except IntegrityError as error:
        raise LimnerError(f"there is a collection {name!r} already", "choose another name") from error


def _no_collection(collection: int) -> LimnerError:
    return LimnerError(f"there is no collection {collection}", "find its id in the list of collections")


def _counted(viewer: Viewer) -> Any:
    inside = select(func.count()).where(CollectionItemRow.collection == CollectionRow.id).scalar_subquery()
    return select(CollectionRow, inside).where(CollectionRow.account == viewer.account)


def _collection(row: CollectionRow, pictures: int) -> Collection:
    return Collection(id=row.id, name=row.name, pictures=pictures, created=row.created)
