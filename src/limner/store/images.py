"""The search index of generated images: adds images, and finds them by prompt, model, adapter, tags and feedback."""

from __future__ import annotations

import builtins
import hashlib
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true, tuple_, update
from sqlalchemy.orm import Session, aliased

from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.core.feedback import LISTED_TAGS, GeneratedImage, ImageQuery, Rating, Reason
from limner.core.requests import GenerateRequest, parse_request
from limner.store.sessions import Database
from limner.store.tables import (
    ArtifactRow,
    CollectionItemRow,
    CollectionRow,
    FavouriteRow,
    ImageAdapterRow,
    ImageIndexRow,
    RatingRow,
    RunRow,
)
from limner.store.texts import adapter_key, fold_case, prompt_hash, storable
from limner.store.trained import keys_of_adapter, keys_of_name

_TERMS = re.compile(r'"([^"]+)"|([^\s"]+)')
MAX_TERMS = 40
"""Most words of a search that are looked for; databases accept only so many conditions."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at images, and which images are visible.

    account: whose ratings, favourites and collections count as "mine". owner: only images of this account; None for
    all. stored: only images whose file is stored by content, so that every machine can read it. An image that waits for
    its erasure is not visible.
    """

    account: str = ""
    owner: str | None = None
    stored: bool = False

    def sees(self, image: type[ImageIndexRow] = ImageIndexRow) -> ColumnElement[bool]:
        """The condition that an image is visible."""
        conditions = [true() if self.owner is None else image.owner == self.owner, image.erasure.is_(None)]
        if self.stored:
            artifact = aliased(ArtifactRow)
            conditions.append(exists().where(artifact.id == image.id, artifact.reference.is_not(None)))
        return and_(*conditions)


class ImageIndex:
    """The images that runs generated."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def list(self, viewer: Viewer, query: ImageQuery) -> builtins.list[GeneratedImage]:
        """The images that match a query, in its order."""
        with self.database.session() as session:
            matching = _ordered(session, select(ImageIndexRow.id), viewer, query)
            if query.before is not None:
                matching = matching.where(_beyond(session, viewer, query, query.before))
            return _images(session, viewer, session.scalars(matching.limit(query.limit)).all())

    def ids(self, viewer: Viewer, query: ImageQuery, start: int, limit: int) -> builtins.list[int]:
        """The ids of the images from a place in the order of a query on. Its own `before` and `limit` are ignored."""
        with self.database.session() as session:
            matching = _ordered(session, select(ImageIndexRow.id), viewer, query)
            return [*session.scalars(matching.offset(start).limit(limit))]

    def colours(self, viewer: Viewer, query: ImageQuery) -> builtins.list[tuple[int, str | None]]:
        """Id and mean colour of all images of a query, in its order; None where the colour is not known yet."""
        with self.database.session() as session:
            matching = _ordered(session, select(ImageIndexRow.id, ImageIndexRow.colour), viewer, query)
            rows: Any = session.connection().execute(matching)  # rows of the session itself take four times as long
            return [*map(tuple, rows)]

    def neighbours(self, viewer: Viewer, query: ImageQuery, image: int) -> tuple[int | None, int | None]:
        """The images before and after an image in the order of a query; None at its ends."""
        with self.database.session() as session:
            before, after = (
                session.scalars(
                    _ordered(session, select(ImageIndexRow.id), viewer, query, backwards)
                    .where(_beyond(session, viewer, query, image, backwards))
                    .limit(1)
                ).one_or_none()
                for backwards in (True, False)
            )
            return before, after

    def record_look(self, sha256: str, size: tuple[int, int], colour: str) -> None:
        """Record size and mean colour of the images with a file, once its pixels were read. colour: six digits."""
        same = select(ArtifactRow.id).where(ArtifactRow.sha256 == sha256)
        values = {"width": size[0], "height": size[1], "colour": colour}
        with self.database.session() as session:
            session.execute(update(ImageIndexRow).where(ImageIndexRow.id.in_(same)).values(values))

    def get(self, viewer: Viewer, name: int | str) -> GeneratedImage:
        """The image with an id, or the newest one with a SHA-256. Raises LimnerError if none is visible."""
        with self.database.session() as session:
            found = _images(session, viewer, [visible(session, viewer, name).id])
        if not found:
            raise LimnerError(
                f"image {str(name)[:12]!r} cannot be read", "it was erased, or a newer version of Limner wrote it"
            )
        return found[0]

    def some(self, viewer: Viewer, ids: Sequence[int]) -> builtins.list[GeneratedImage]:
        """The images with these ids that are visible, in this order."""
        with self.database.session() as session:
            seen = session.scalars(select(ImageIndexRow.id).where(viewer.sees(), ImageIndexRow.id.in_(ids)))
            known = set(seen)
            return _images(session, viewer, [id for id in ids if id in known])

    def after(self, image: int, limit: int) -> builtins.list[GeneratedImage]:
        """All images after an id, of every account, in the order of generation. For the search index."""
        with self.database.session() as session:
            query = select(ImageIndexRow.id).where(ImageIndexRow.id > image).order_by(ImageIndexRow.id).limit(limit)
            return _images(session, Viewer(), [*session.scalars(query)])

    def tally(self, last: int) -> tuple[int, int]:
        """How many images have ids up to one, and the mark of that one; 0 where it is gone. For the search index."""
        with self.database.session() as session:
            count = session.scalars(select(func.count()).where(ImageIndexRow.id <= last)).one()
            row = session.execute(_files().where(ImageIndexRow.id == last)).one_or_none()
            return count, 0 if row is None else mark_of(row.run, row.sha256)

    def marks(self, last: int) -> dict[int, int]:
        """The marks of the images with ids up to one, by their ids."""
        with self.database.session() as session:
            rows: Any = session.connection().execute(_files().where(ImageIndexRow.id <= last))
            return {id: mark_of(run, sha256) for id, run, sha256 in rows}

    def stars(self) -> dict[int, int]:
        """The whole stars of all rated images, by their ids."""
        with self.database.session() as session:
            query = select(ImageIndexRow.id, ImageIndexRow.mean).where(ImageIndexRow.ratings > 0)
            rows: Any = session.connection().execute(query)
            return {id: round(mean) for id, mean in rows}

    def adapted(self, owner: str | None, part: str) -> set[int]:
        """The ids of all images that were made with an adapter whose name or reference contains a text, in any case.

        owner: of the adapters whose names count; None for all.
        """
        wanted = fold_case(part)
        with self.database.session() as session:
            named = keys_of_name(session, owner, [wanted])[wanted]
            reference = func.lower(ImageAdapterRow.reference).contains(wanted, autoescape=True)
            query = select(ImageAdapterRow.picture).where(or_(ImageAdapterRow.key.in_(named), reference))
            return {*session.scalars(query)}

    def of_run(self, viewer: Viewer, run: str) -> builtins.list[int]:
        """The ids of the images of a run, in the order of generation."""
        with self.database.session() as session:
            query = select(ImageIndexRow.id).where(viewer.sees(), ImageIndexRow.run == run).order_by(ImageIndexRow.id)
            return [*session.scalars(query)]


def _files() -> Any:
    """Ids, runs and hashes of the files of images."""
    return select(ImageIndexRow.id, ImageIndexRow.run, ArtifactRow.sha256).join(
        ArtifactRow, ArtifactRow.id == ImageIndexRow.id
    )


def mark_of(run: str, sha256: str) -> int:
    """A number for an image of a run; another image that later gets the same id has another one."""
    return int.from_bytes(hashlib.sha256(f"{run} {sha256}".encode()).digest()[:8], "big")


def _order(viewer: Viewer, query: ImageQuery) -> tuple[tuple[Any, ...], bool]:
    """The columns by which a query orders, and whether from high to low."""
    if query.order == "oldest":
        return (ImageIndexRow.id,), False
    if query.order == "best":
        return (ImageIndexRow.mean, ImageIndexRow.id), True
    if query.order == "favourites":
        return (case((is_favourite(viewer), 1), else_=0), ImageIndexRow.id), True
    if query.order == "listed" and query.among:
        places = {image: place for place, image in enumerate(query.among)}
        return (case(places, value=ImageIndexRow.id, else_=len(places)), ImageIndexRow.id), False
    return (ImageIndexRow.id,), True


def _ordered(session: Session, columns: Any, viewer: Viewer, query: ImageQuery, backwards: bool = False) -> Any:
    """The columns of the images that match a query, in its order or against it."""
    order, falling = _order(viewer, query)
    matching = columns.where(viewer.sees(), *image_conditions(session, viewer, query))
    return matching.order_by(*(column.desc() if falling != backwards else column.asc() for column in order))


def _beyond(
    session: Session, viewer: Viewer, query: ImageQuery, image: int, backwards: bool = False
) -> ColumnElement[bool]:
    """The condition that an image comes after another one in the order of a query, or before it."""
    order, falling = _order(viewer, query)
    last = session.execute(select(*order).where(ImageIndexRow.id == visible(session, viewer, image).id)).one()
    return tuple_(*order) < tuple_(*last) if falling != backwards else tuple_(*order) > tuple_(*last)


def is_favourite(viewer: Viewer) -> ColumnElement[bool]:
    """The condition that an image is one of the account's favourites."""
    return exists().where(FavouriteRow.picture == ImageIndexRow.id, FavouriteRow.account == viewer.account)


def visible(session: Session, viewer: Viewer, name: int | str) -> ImageIndexRow:
    """The row of a visible image, by its id or its SHA-256. Raises LimnerError if there is none."""
    query = select(ImageIndexRow).where(viewer.sees()).order_by(ImageIndexRow.id.desc()).limit(1)
    if isinstance(name, int):
        query = query.where(ImageIndexRow.id == name)
    else:
        query = query.join(ArtifactRow, ArtifactRow.id == ImageIndexRow.id).where(ArtifactRow.sha256 == name)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise LimnerError(f"there is no image {str(name)[:64]}", "find its id or its SHA-256 in the history")
    return row


def image_conditions(session: Session, viewer: Viewer, query: ImageQuery) -> builtins.list[ColumnElement[bool]]:
    """The conditions of a query. A term of a search is in the prompt, or in the name of an adapter of the image."""
    found: builtins.list[ColumnElement[bool]] = []
    if query.search is not None:
        terms = search_terms(query.search)
        named = keys_of_name(session, viewer.owner, terms)
        for term in terms:
            written = ImageIndexRow.words.contains(term, autoescape=True)
            found.append(written if not named[term] else or_(written, _made_with(named[term])))
    if query.among is not None:
        found.append(ImageIndexRow.id.in_(query.among))
    if query.negative is not None:
        found.append(ImageIndexRow.negative.contains(fold_case(query.negative), autoescape=True))
    for column in (ImageIndexRow.width, ImageIndexRow.height):
        if (value := getattr(query, column.key)) is not None:
            found.append(column == value)
    for column in (ImageIndexRow.model, ImageIndexRow.run):
        if (value := getattr(query, column.key)) is not None:
            found.append(column == storable(value))
    for column in (ImageIndexRow.industry, ImageIndexRow.style):
        if (value := getattr(query, column.key)) is not None:
            found.append(column == fold_case(value).strip())
    found += [has_tag(name, value) for name, value in query.tags]
    if query.adapter is not None:
        found.append(_made_with(keys_of_adapter(session, query.adapter)))
    if query.at_least is not None:
        found.append(ImageIndexRow.mean >= query.at_least)
    if query.at_most is not None:
        found += [ImageIndexRow.mean <= query.at_most, ImageIndexRow.ratings > 0]
    if query.unrated:
        found.append(ImageIndexRow.ratings == 0)
    if query.favourite:
        found.append(is_favourite(viewer))
    if query.collection is not None:
        mine = select(CollectionItemRow.picture).join(CollectionRow, CollectionRow.id == CollectionItemRow.collection)
        mine = mine.where(CollectionRow.id == query.collection, CollectionRow.account == viewer.account)
        found.append(ImageIndexRow.id.in_(mine))
    if query.since is not None:
        found.append(ImageIndexRow.created >= query.since)
    if query.until is not None:
        found.append(ImageIndexRow.created < query.until)
    return found


def _made_with(keys: Collection[str]) -> ColumnElement[bool]:
    """The condition that an image was made with an adapter of one of these keys."""
    return ImageIndexRow.id.in_(select(ImageAdapterRow.picture).where(ImageAdapterRow.key.in_(keys)))


def search_terms(search: str) -> builtins.list[str]:
    """The words of a search, case-folded, each once; words in double quotes are one term."""
    terms = (phrase or word for phrase, word in _TERMS.findall(fold_case(search)))
    return builtins.list(dict.fromkeys(terms))[:MAX_TERMS]


def has_tag(name: str, value: str) -> ColumnElement[bool]:
    """The condition that an image's run has a tag with a value, as written or case-folded; in a list, as one of it."""
    tag: Any = RunRow.tags[storable(name)].as_string()
    folded = fold_case(value)
    if name in LISTED_TAGS:
        holds = or_(
            *((", " + tag + ", ").contains(f", {each}, ", autoescape=True) for each in {storable(value), folded})
        )
    else:
        holds = tag.in_({storable(value), folded})
    return ImageIndexRow.run.in_(select(RunRow.id).where(holds))


def _images(session: Session, viewer: Viewer, ids: Sequence[int]) -> builtins.list[GeneratedImage]:
    """The images with these ids and all that is known of them, in this order. Unreadable ones are left out."""
    query: Any = (
        select(ImageIndexRow, ArtifactRow, RunRow, RatingRow, FavouriteRow)
        .join(ArtifactRow, ArtifactRow.id == ImageIndexRow.id)
        .join(RunRow, RunRow.id == ImageIndexRow.run)
        .outerjoin(RatingRow, and_(RatingRow.picture == ImageIndexRow.id, RatingRow.account == viewer.account))
        .outerjoin(FavouriteRow, and_(FavouriteRow.picture == ImageIndexRow.id, FavouriteRow.account == viewer.account))
        .where(ImageIndexRow.id.in_(ids))
    )
    found: dict[int, GeneratedImage] = {}
    for row in session.execute(query).all():
        with suppress(ValueError):  # a newer version wrote the run
            found[row[0].id] = _picture(*row)
    return [found[id] for id in ids if id in found]


def _picture(
    row: ImageIndexRow, artifact: ArtifactRow, run: RunRow, mine: RatingRow | None, favourite: FavouriteRow | None
) -> GeneratedImage:
    return GeneratedImage(
        id=row.id,
        run=row.run,
        path=artifact.path,
        sha256=artifact.sha256,
        reference=artifact.details.get("reference"),
        created=row.created,
        owner=row.owner,
        request=cast(GenerateRequest, parse_request(run.request)),
        execution=Execution.model_validate(run.execution),
        details=artifact.details,
        tags=run.tags,
        mean=row.mean if row.ratings else None,
        ratings=row.ratings,
        mine=None if mine is None else rating_of(mine),
        favourite=favourite is not None,
    )


def rating_of(row: RatingRow) -> Rating:
    """The rating in a row."""
    return Rating(stars=row.stars, reasons=reasons_of(row.reasons), comment=row.comment)


def reasons_of(text: str) -> tuple[Reason, ...]:
    """The reasons in a column, which are separated by spaces."""
    return tuple(map(Reason, text.split()))


def index_image(session: Session, artifact: ArtifactRow, run: RunRow) -> None:
    """Add the rows by which an image of a generate run is found."""
    request, tags = run.request, run.tags
    if request.get("kind") != "generate":
        return
    image = ImageIndexRow(
        id=artifact.id,
        run=run.id,
        owner=run.owner,
        queue=run.queue,
        created=artifact.created,
        words=fold_case(request["prompt"]),
        negative=fold_case(request.get("negative_prompt", "")),
        prompt_hash=prompt_hash(request),
        model=storable(request["model"]),
        industry=tags.get("industry"),
        style=tags.get("style"),
        width=_side(artifact.details.get("width")),
        height=_side(artifact.details.get("height")),
    )
    session.add(image)
    session.flush()  # the rows below refer to it
    used = {adapter_key(use["path"]): storable(use["path"]) for use in request.get("adapter", ())}
    session.add_all(ImageAdapterRow(picture=artifact.id, key=key, reference=use) for key, use in used.items())


def _side(value: object) -> int | None:
    """A width or height that the database can store."""
    return value if type(value) is int and 0 < value < 2**31 else None
