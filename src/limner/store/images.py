"""Pictures looked up: by words, model, adapter, what they were made for, and what is said of them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, exists, select, true, tuple_
from sqlalchemy.orm import Session

from limner.core.errors import LimnerError
from limner.core.feedback import Picture, PictureQuery, Rating, Reason
from limner.core.requests import GenerateRequest, parse_request
from limner.store.blobs import REFERENCE
from limner.store.catalogue import adapter_key, folded, sound
from limner.store.runs import Store
from limner.store.tables import (
    ArtifactRow,
    CollectionItemRow,
    CollectionRow,
    FavouriteRow,
    ImageAdapterRow,
    ImageRow,
    RatingRow,
    RunRow,
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and at what. account: whose ratings, favourites and collections are meant by "mine".

    owner: sees pictures of this account only. queue: sees those of runs from this queue only.
    """

    account: str = ""
    owner: str | None = None
    queue: str | None = None

    def sees(self, picture: type[ImageRow] = ImageRow) -> ColumnElement[bool]:
        """The condition under which a picture is in view."""
        conditions = {picture.owner: self.owner, picture.queue: self.queue}
        return and_(true(), *(column == value for column, value in conditions.items() if value is not None))


class ImageIndex:
    """The pictures that runs painted."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self, view: Viewer, query: PictureQuery) -> builtins.list[Picture]:
        """Those that a query asks for, in its order."""
        wanted = select(ImageRow.id).where(view.sees(), *_conditions(view, query))
        order = (ImageRow.mean, ImageRow.id) if query.order == "best" else (ImageRow.id,)
        with self.store.session() as session:
            if query.before is not None:
                last = visible(session, view, query.before)
                wanted = wanted.where(tuple_(*order) < tuple_(*(getattr(last, column.key) for column in order)))
            wanted = wanted.order_by(*(column.desc() for column in order)).limit(query.limit)
            return _told(session, view, session.scalars(wanted).all())

    def get(self, view: Viewer, name: int | str) -> Picture:
        """The picture of an id, or the newest with a SHA-256; LimnerError where none is in view."""
        with self.store.session() as session:
            found = _told(session, view, [visible(session, view, name).id])
        if not found:
            raise LimnerError(f"picture {str(name)[:12]!r} cannot be read", "it was erased, or a newer Limner wrote it")
        return found[0]

    def some(self, view: Viewer, ids: Sequence[int]) -> builtins.list[Picture]:
        """The pictures of these ids that are there, in this order."""
        with self.store.session() as session:
            return _told(session, view, ids)

    def of_run(self, view: Viewer, run: str) -> builtins.list[int]:
        """Ids of the pictures of a run, in the order of painting."""
        with self.store.session() as session:
            query = select(ImageRow.id).where(view.sees(), ImageRow.run == run).order_by(ImageRow.id)
            return [*session.scalars(query)]


def visible(session: Session, view: Viewer, name: int | str) -> ImageRow:
    """The row of a picture in view, by its id or its SHA-256."""
    query = select(ImageRow).where(view.sees()).order_by(ImageRow.id.desc()).limit(1)
    if isinstance(name, int):
        query = query.where(ImageRow.id == name)
    else:
        query = query.join(ArtifactRow, ArtifactRow.id == ImageRow.id).where(ArtifactRow.sha256 == name)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise LimnerError(f"there is no picture {str(name)[:64]}", "look its id or its SHA-256 up in the history")
    return row


def _conditions(view: Viewer, query: PictureQuery) -> builtins.list[ColumnElement[bool]]:
    """What a query asks of a picture."""
    found: builtins.list[ColumnElement[bool]] = []
    if query.search is not None:
        found.append(ImageRow.words.contains(folded(query.search), autoescape=True))
    if query.negative is not None:
        found.append(ImageRow.negative.contains(folded(query.negative), autoescape=True))
    for column in (ImageRow.model, ImageRow.run):
        if (value := getattr(query, column.key)) is not None:
            found.append(column == sound(value))
    for column in (ImageRow.industry, ImageRow.style):
        if (value := getattr(query, column.key)) is not None:
            found.append(column == folded(value).strip())
    if query.adapter is not None:
        key = query.adapter if REFERENCE.fullmatch(f"sha256:{query.adapter}") else adapter_key(query.adapter)
        found.append(ImageRow.id.in_(select(ImageAdapterRow.picture).where(ImageAdapterRow.key == key)))
    if query.at_least is not None:
        found.append(ImageRow.mean >= query.at_least)
    if query.at_most is not None:
        found += [ImageRow.mean <= query.at_most, ImageRow.ratings > 0]
    if query.unrated:
        found.append(ImageRow.ratings == 0)
    if query.favourite:
        found.append(exists().where(FavouriteRow.picture == ImageRow.id, FavouriteRow.account == view.account))
    if query.collection is not None:
        mine = select(CollectionItemRow.picture).join(CollectionRow, CollectionRow.id == CollectionItemRow.collection)
        mine = mine.where(CollectionRow.id == query.collection, CollectionRow.account == view.account)
        found.append(ImageRow.id.in_(mine))
    if query.since is not None:
        found.append(ImageRow.created >= query.since)
    if query.until is not None:
        found.append(ImageRow.created < query.until)
    return found


def _told(session: Session, view: Viewer, ids: Sequence[int]) -> builtins.list[Picture]:
    """The pictures of these ids with all that is known of them, in their order."""
    query: Any = (
        select(ImageRow, ArtifactRow, RunRow, RatingRow, FavouriteRow)
        .join(ArtifactRow, ArtifactRow.id == ImageRow.id)
        .join(RunRow, RunRow.id == ImageRow.run)
        .outerjoin(RatingRow, and_(RatingRow.picture == ImageRow.id, RatingRow.account == view.account))
        .outerjoin(FavouriteRow, and_(FavouriteRow.picture == ImageRow.id, FavouriteRow.account == view.account))
        .where(ImageRow.id.in_(ids))
    )
    found: dict[int, Picture] = {}
    for row in session.execute(query).all():
        with suppress(ValueError):  # a run that a newer Limner wrote
            found[row[0].id] = _picture(*row)
    return [found[id] for id in ids if id in found]


def _picture(
    row: ImageRow, artifact: ArtifactRow, run: RunRow, mine: RatingRow | None, favourite: FavouriteRow | None
) -> Picture:
    return Picture(
        id=row.id,
        run=row.run,
        path=artifact.path,
        sha256=artifact.sha256,
        reference=artifact.details.get("reference"),
        created=row.created,
        owner=row.owner,
        request=cast(GenerateRequest, parse_request(run.request)),
        details=artifact.details,
        tags=run.tags,
        mean=row.mean if row.ratings else None,
        ratings=row.ratings,
        mine=None if mine is None else rating_of(mine),
        favourite=favourite is not None,
    )


def rating_of(row: RatingRow) -> Rating:
    """The rating that a row tells of."""
    return Rating(stars=row.stars, reasons=reasons_of(row.reasons), comment=row.comment)


def reasons_of(text: str) -> tuple[Reason, ...]:
    """Reasons from the words that they are kept as."""
    return tuple(map(Reason, text.split()))
