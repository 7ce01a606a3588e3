"""Counts of images by model, adapter, tag, size, month, stars and favourite, to narrow a gallery step by step."""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Text, and_, case, cast, func, select
from sqlalchemy.orm import Session

from limner.core.feedback import COUNTED_TAGS, LISTED_TAGS, STARS, ImageFacets, ImageQuery
from limner.store.images import Viewer, image_conditions
from limner.store.sessions import Database
from limner.store.tables import (
    ArtifactRow,
    CollectionItemRow,
    ErasureRow,
    FavouriteRow,
    ImageAdapterRow,
    ImageIndexRow,
    RatingRow,
    RunRow,
)
from limner.store.texts import fold_case, storable
from limner.store.trained import runs_of_adapters

KEPT = 64
"""Counts that are kept."""
MOST = 40
"""Most values of a property that are counted."""
_COUNTED_HERE: dict[str, Any] = {
    "model": None,
    "width": None,
    "height": None,
    "at_least": None,
    "unrated": False,
    "favourite": False,
}
"""Conditions that are applied to groups of images instead of images, so that one pass over the images suffices."""


class _Group(NamedTuple):
    model: str
    width: int | None
    height: int | None
    stars: int
    favourite: int
    month: str
    number: int


class FacetCache:
    """The last counts, each for as long as no row that they depend on changes, by whatever process."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._known: OrderedDict[tuple[Viewer, str], tuple[object, ImageFacets]] = OrderedDict()

    def facets(self, viewer: Viewer, query: ImageQuery) -> ImageFacets:
        """The counts of a query, as `image_facets` returns them. A search also finds names, so it is not kept."""
        if query.search is not None:
            return image_facets(self._database, viewer, query)
        key = viewer, query.model_dump_json(exclude={"before", "limit", "order"}, exclude_defaults=True)
        stamp = self._stamp()
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        found = image_facets(self._database, viewer, query)
        with self._lock:
            self._known[key] = stamp, found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def _stamp(self) -> object:
        """What differs after each change of a row that counts depend on."""
        images: Any = select(func.count(), func.max(ImageIndexRow.id), func.count(ImageIndexRow.width))
        changing = (RatingRow, FavouriteRow, CollectionItemRow, ErasureRow)
        with self._database.session() as opened:
            session: Any = opened
            found: list[Any] = [tuple(session.execute(images.select_from(ImageIndexRow)).one())]
            found += [session.scalar(select(func.max(each))) for each in (ImageIndexRow.created, ArtifactRow.id)]
            for row in changing:
                found.append(tuple(session.execute(select(func.count(), func.max(row.created)).select_from(row)).one()))
            return found


def image_facets(database: Database, viewer: Viewer, query: ImageQuery) -> ImageFacets:
    """The counts of a query; `before` and `limit` are ignored."""
    wide = query.model_copy(update=_COUNTED_HERE)
    if query.at_least is not None and query.at_least % 1:
        wide = wide.model_copy(update={"at_least": query.at_least})
    dated = query.since is not None or query.until is not None
    with database.session() as opened:
        session: Any = opened
        groups = [_Group(*row) for row in session.execute(_groups(opened, viewer, wide))]
        undated = groups
        if dated:
            anytime = wide.model_copy(update={"since": None, "until": None})
            undated = [_Group(*row) for row in session.execute(_groups(opened, viewer, anytime))]
        adapters = _adapters(opened, viewer, query)
        tagged = session.execute(_tagged(opened, viewer, query.model_copy(update={"tag": ()}))).all()
    holds = _conditions(query)

    def counted(of: Callable[[_Group], Any], own: Iterable[str] = (), among: list[_Group] = groups) -> Counter[Any]:
        """The number of images by a property, of groups that meet all conditions but the property's own."""
        found: Counter[Any] = Counter()
        for group in among:
            if all(hold(group) for name, hold in holds.items() if name not in own):
                found[of(group)] += group.number
        return found

    models = counted(lambda each: each.model, {"model"})
    sizes = counted(lambda each: (each.width or 0, each.height or 0), {"size"})
    months = counted(lambda each: tuple(map(int, each.month.split("-"))), among=undated)
    return ImageFacets(
        total=sum(counted(lambda each: None).values()),
        models=tuple(_most(models)),
        adapters=tuple(adapters),
        sizes=tuple((w, h, count) for (w, h), count in _most(sizes) if w and h),
        months=tuple((*month, count) for month, count in sorted(months.items(), reverse=True)[:MOST]),
        stars=dict(counted(lambda each: each.stars, {"stars"})),
        favourites=counted(lambda each: each.favourite, {"favourite"})[1],
        tags=_tags(query, [(json.loads(tags), count) for tags, count in tagged]),
    )


def _tags(query: ImageQuery, groups: list[tuple[dict[str, str], int]]) -> dict[str, tuple[tuple[str, int], ...]]:
    """The values of each counted tag with their numbers, of the groups that meet the query's other conditions on tags.

    groups: the tags of runs, and the number of their images.
    """
    found: dict[str, Counter[str]] = {name: Counter() for name in COUNTED_TAGS}
    for tags, count in groups:
        failed = {name for name, wanted in query.tags if not _holds(name, tags.get(name, ""), wanted)}
        for name in tags.keys() & found.keys():
            if failed <= {name}:
                for value in _values(name, tags[name]):
                    found[name][value] += count
    return {name: tuple(_most(counts)) for name, counts in found.items() if counts}


def _holds(name: str, value: str, wanted: str) -> bool:
    return bool({storable(wanted), fold_case(wanted)} & {*_values(name, value)})


def _values(name: str, value: str) -> list[str]:
    return value.split(", ") if name in LISTED_TAGS else [value]


def _most(counts: Counter[Any]) -> list[tuple[Any, int]]:
    """The most frequent values with their counts; equally frequent ones in their own order."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST]


def _conditions(query: ImageQuery) -> dict[str, Callable[[_Group], bool]]:
    """The conditions of a query on groups."""
    found: dict[str, Callable[[_Group], bool]] = {}
    if (model := query.model) is not None:
        found["model"] = lambda group: group.model == storable(model)
    if query.width is not None or query.height is not None:
        wanted = (query.width, query.height)
        found["size"] = lambda group: all(
            side in (None, own) for side, own in zip(wanted, (group.width, group.height), strict=True)
        )
    if (least := query.at_least) is not None:
        found["stars"] = lambda group: group.stars >= least
    if query.unrated:
        found["stars"] = lambda group: group.stars == 0
    if query.favourite:
        found["favourite"] = lambda group: group.favourite == 1
    return found


def _groups(session: Session, viewer: Viewer, query: ImageQuery) -> Any:
    """The number of images of each combination of properties."""
    mean = ImageIndexRow.mean
    stars = case(*((mean >= number, number) for number in range(STARS, 0, -1)), else_=0)
    mine = and_(FavouriteRow.picture == ImageIndexRow.id, FavouriteRow.account == viewer.account)
    favourite = case((FavouriteRow.account.is_not(None), 1), else_=0)
    month = func.substr(cast(ImageIndexRow.created, Text), 1, 7)  # three times as fast as extracting year and month
    columns = (ImageIndexRow.model, ImageIndexRow.width, ImageIndexRow.height, stars, favourite, month)
    found = select(*columns, func.count()).outerjoin(FavouriteRow, mine)
    return found.where(viewer.sees(), *image_conditions(session, viewer, query)).group_by(*columns)


def _tagged(session: Session, viewer: Viewer, query: ImageQuery) -> Any:
    """The tags of runs as JSON, and the number of their images."""
    tags = cast(RunRow.tags, Text)
    found = select(tags, func.count()).select_from(ImageIndexRow).join(RunRow, RunRow.id == ImageIndexRow.run)
    return found.where(viewer.sees(), *image_conditions(session, viewer, query), tags != "{}").group_by(tags)


def _adapters(session: Session, viewer: Viewer, query: ImageQuery) -> list[tuple[str, str, int]]:
    """Hash, one reference and number of images of each adapter, the most used first; those of one training are one.

    Its hash is the one that the query names, or else that of the one that is used most.
    """
    conditions = image_conditions(session, viewer, query.model_copy(update={"adapter": None}))

    def among_images(columns: Any) -> Any:
        return columns.join(ImageIndexRow, ImageIndexRow.id == ImageAdapterRow.picture).where(
            viewer.sees(), *conditions
        )

    counts = among_images(select(ImageAdapterRow.key, func.min(ImageAdapterRow.reference), func.count()))
    counts = counts.group_by(ImageAdapterRow.key)
    rows: list[tuple[str, str, int]] = [
        tuple(row) for row in session.execute(counts.order_by(func.count().desc(), ImageAdapterRow.key))
    ]
    runs = runs_of_adapters(session, [reference for _, reference, _ in rows])
    groups: dict[str, list[tuple[str, str, int]]] = {}
    for key, reference, count in rows:
        groups.setdefault(runs.get(reference, key), []).append((key, reference, count))
    found: list[tuple[str, str, int]] = []
    for group in groups.values():
        key, reference, count = next((each for each in group if each[0] == query.adapter), group[0])
        if len(group) > 1:
            distinct = among_images(select(func.count(ImageAdapterRow.picture.distinct())))
            count = session.scalar(distinct.where(ImageAdapterRow.key.in_([each[0] for each in group]))) or 0
        found.append((key, reference, count))
    return sorted(found, key=lambda each: (-each[2], each[0]))[:MOST]
