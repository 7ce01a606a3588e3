"""Counts of images by model, adapter, tag, size, month, stars and favourite, to narrow a gallery step by step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Text, and_, case, cast, func, select

from limner.core.feedback import COUNTED_TAGS, LISTED_TAGS, STARS, ImageFacets, ImageQuery
from limner.store.images import Viewer, fold_case, image_conditions, storable
from limner.store.sessions import Database
from limner.store.tables import FavouriteRow, ImageAdapterRow, ImageIndexRow, RunRow

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


def image_facets(database: Database, viewer: Viewer, query: ImageQuery) -> ImageFacets:
    """The counts of a query; `before` and `limit` are ignored."""
    wide = query.model_copy(update=_COUNTED_HERE)
    if query.at_least is not None and query.at_least % 1:
        wide = wide.model_copy(update={"at_least": query.at_least})
    dated = query.since is not None or query.until is not None
    with database.session() as opened:
        session: Any = opened
        groups = [_Group(*row) for row in session.execute(_groups(viewer, wide))]
        undated = groups
        if dated:
            anytime = wide.model_copy(update={"since": None, "until": None})
            undated = [_Group(*row) for row in session.execute(_groups(viewer, anytime))]
        adapters = session.execute(_adapters(viewer, query.model_copy(update={"adapter": None}))).all()
        tagged = session.execute(_tagged(viewer, query.model_copy(update={"tag": ()}))).all()
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
        adapters=tuple((key, reference, count) for key, reference, count in adapters),
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


def _groups(viewer: Viewer, query: ImageQuery) -> Any:
    """The number of images of each combination of properties."""
    mean = ImageIndexRow.mean
    stars = case(*((mean >= number, number) for number in range(STARS, 0, -1)), else_=0)
    mine = and_(FavouriteRow.picture == ImageIndexRow.id, FavouriteRow.account == viewer.account)
    favourite = case((FavouriteRow.account.is_not(None), 1), else_=0)
    month = func.substr(cast(ImageIndexRow.created, Text), 1, 7)  # three times as fast as extracting year and month
    columns = (ImageIndexRow.model, ImageIndexRow.width, ImageIndexRow.height, stars, favourite, month)
    found = select(*columns, func.count()).outerjoin(FavouriteRow, mine)
    return found.where(viewer.sees(), *image_conditions(viewer, query)).group_by(*columns)


def _tagged(viewer: Viewer, query: ImageQuery) -> Any:
    """The tags of runs as JSON, and the number of their images."""
    tags = cast(RunRow.tags, Text)
    found = select(tags, func.count()).select_from(ImageIndexRow).join(RunRow, RunRow.id == ImageIndexRow.run)
    return found.where(viewer.sees(), *image_conditions(viewer, query), tags != "{}").group_by(tags)


def _adapters(viewer: Viewer, query: ImageQuery) -> Any:
    """Hash, one reference and number of images of each adapter, the most used first."""
    found = select(ImageAdapterRow.key, func.min(ImageAdapterRow.reference), func.count())
    found = found.join(ImageIndexRow, ImageIndexRow.id == ImageAdapterRow.picture)
    found = found.where(viewer.sees(), *image_conditions(viewer, query)).group_by(ImageAdapterRow.key)
    return found.order_by(func.count().desc(), ImageAdapterRow.key).limit(MOST)
