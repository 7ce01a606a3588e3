"""The gallery's queries, filters, tiles and settings of images, as its pages show them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field, model_validator

from limner.core.adapter_names import short_name
from limner.core.feedback import COUNTED_TAGS, STARS, Collection, GeneratedImage, ImageFacets, ImageQuery
from limner.core.requests import Frozen
from limner.server.history import ImageReply
from limner.web.forms import as_command, as_json, as_python, form_fields
from limner.web.wording import without_hashes

KIND = "generate"
ORDERS = {"newest": "Newest", "oldest": "Oldest", "best": "Best rated", "favourites": "Favourites first"}
DAYS = {1: "Today", 7: "Last 7 days", 30: "Last 30 days"}
_UNSAFE = re.compile(r"[^a-z0-9]+")


class GalleryQuery(ImageQuery):
    """What a page of the gallery shows.

    start: number of images before its first. month: such as 2026-11. days: only images of so many days, with today.
    after: an image that newer ones are counted from.
    """

    start: int = Field(default=0, ge=0, lt=2**31)
    after: int | None = Field(default=None, ge=0, lt=2**31)
    month: str | None = Field(default=None, pattern=r"^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])$")

    days: int | None = Field(default=None, ge=1, le=10_000)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        return {name: value for name, value in values.items() if value != ""} if isinstance(values, dict) else values

    @property
    def conditions(self) -> ImageQuery:
        """The query with its month or days as times."""
        fields = self.model_dump(include=set(ImageQuery.model_fields))
        if self.month is not None:
            year, month = map(int, self.month.split("-"))
            since = datetime(year, month, 1, tzinfo=UTC)
            fields |= {"since": since, "until": datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)}
        elif self.days is not None:
            today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            fields |= {"since": today - timedelta(days=self.days - 1)}
        return ImageQuery(**fields)

    @property
    def narrowed(self) -> bool:
        """Whether any condition is set."""
        return bool(self.model_dump(exclude_defaults=True, exclude={"after", "start", "order", "limit", "before"}))

    @property
    def closest_first(self) -> bool:
        """Whether the images are in the order in which they fit, and not in one of time."""
        return self.order == "newest" and bool(self.meaning or self.like or self.colour)

    @property
    def by_day(self) -> bool:
        """Whether images of one day are beside each other."""
        return self.order in ("newest", "oldest") and not self.closest_first

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of its address."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"after", "before", "limit"})
        return {name: "true" if value is True else value for name, value in values.items()}

    @property
    def others(self) -> list[tuple[str, Any]]:
        """The fields that a new search keeps."""
        return self.kept("search", "meaning", "start")

    def kept(self, *without: str) -> list[tuple[str, Any]]:
        """The fields of its address, besides some."""
        kept = [(name, value) for name, value in self.fields.items() if name not in without]
        return [(name, each) for name, value in kept for each in (value if isinstance(value, list) else [value])]

    def text(self, **changes: Any) -> str:
        """The query of an address with some fields changed, such as "?search=cat"; it begins at the first image."""
        fields = self.model_copy(update={"start": 0} | changes).fields
        return f"?{urlencode(fields, doseq=True)}" if fields else ""

    def chosen(self, names: Mapping[str, str], collection: str) -> list[tuple[str, str]]:
        """Its conditions in words, each with the query of the address without it.

        names: of adapters, by the hash in their reference. collection: the name of its collection.
        """
        found: list[tuple[str, str]] = []

        def add(label: str, *fields: str) -> None:
            defaults = {name: type(self).model_fields[name].default for name in fields}
            if any(getattr(self, name) != default for name, default in defaults.items()):
                found.append((label, self.text(**defaults)))

        add(f"“{self.search}”", "search")
        add(f"Means “{self.meaning}”", "meaning")
        add("Favourites", "favourite")
        add(f"Collection {collection}", "collection")
        add(names.get(self.adapter or "") or short_name(self.adapter or ""), "adapter")
        found += [(f"{name}: {value}", self.text(tag=self.tagged(name))) for name, value in self.tags]
        add(str(self.model), "model")
        add("5 stars" if self.at_least == STARS else f"{self.at_least or 0:g} stars and more", "at_least")
        add("not rated", "unrated")
        add(f"{self.width or 'any'} x {self.height or 'any'}", "width", "height")
        add(DAYS.get(self.days or 0) or f"Last {self.days} days", "days")
        add(month_name(self.month or ""), "month")
        for name in ("negative", "industry", "style", "run", "at_most", "since", "until"):
            add(f"{name.replace('_', ' ')}: {getattr(self, name)}", name)
        return found

    def tagged(self, name: str, value: str = "") -> tuple[str, ...]:
        """The tags with another value for one of them; without it if there is none."""
        others = [f"{own}={kept}" for own, kept in self.tags if own != name]
        return tuple([*others, f"{name}={value}"] if value else others)


@dataclass(frozen=True)
class Choice:
    """A filter that may be chosen. query: of the address that it leads to; where it is chosen, without it."""

    label: str
    count: int | None
    query: str
    chosen: bool


@dataclass(frozen=True)
class Filter:
    """A property to narrow the gallery by."""

    key: str
    title: str
    choices: tuple[Choice, ...]

    @property
    def chosen(self) -> Choice | None:
        return next((choice for choice in self.choices if choice.chosen), None)


@dataclass(frozen=True)
class Tile:
    """An image in the gallery. stars: the viewer's own, 0 without. day: when it was made, in UTC."""

    id: int
    sha256: str
    prompt: str
    stars: int
    favourite: bool
    day: str


def tiles(images: Sequence[GeneratedImage]) -> list[Tile]:
    """Images as tiles."""
    return [
        Tile(
            image.id,
            image.sha256,
            image.request.prompt,
            image.mine.stars if image.mine else 0,
            image.favourite,
            day_text(image.created),
        )
        for image in images
    ]


def day_text(time: datetime) -> str:
    """The day of a time in UTC: "30 Nov", with its year where that is another one."""
    time, now = time.astimezone(UTC), datetime.now(UTC)
    return f"{time.day} {time:%b}" if time.year == now.year else f"{time.day} {time:%b %Y}"


def filters(
    query: GalleryQuery, facets: ImageFacets, collections: Sequence[Collection], names: Mapping[str, str]
) -> list[Filter]:
    """The properties by which the images of a query can be narrowed; those with a single value are left out.

    names: of adapters, by the hash in their reference.
    """

    def choice(label: str, count: int | None, **fields: Any) -> Choice:
        chosen = all(getattr(query, name) == value for name, value in fields.items())
        cleared = {name: type(query).model_fields[name].default for name in fields}
        return Choice(label, count, query.text(**(cleared if chosen else fields)), chosen)

    def rated(number: int) -> Choice:
        count = sum(facets.stars.get(stars, 0) for stars in range(number, STARS + 1))
        label = f"{number} stars" if number == STARS else f"{number} and more"
        return choice(label, count, at_least=float(number), unrated=False)

    def tag(name: str, value: str, count: int) -> Choice:
        chosen = (name, value) in query.tags
        return Choice(value, count, query.text(tag=query.tagged(name, "" if chosen else value)), chosen)

    unrated = choice("not rated", facets.stars.get(0, 0), unrated=True, at_least=None)
    stars = [each for each in map(rated, range(STARS, 0, -1)) if each.count or each.chosen]
    months = [
        choice(month_name(f"{year}-{month:02}"), count, month=f"{year}-{month:02}", days=None)
        for year, month, count in facets.months
    ]
    if months:
        months = [*(choice(label, None, days=days, month=None) for days, label in DAYS.items()), *months]
    found = {
        "collection": ("Collection", [choice(each.name, each.pictures, collection=each.id) for each in collections]),
        "adapter": (
            "Subject",
            [choice(names.get(key) or short_name(ref), n, adapter=key) for key, ref, n in facets.adapters],
        ),
        **{
            name: (name.capitalize(), [tag(name, *each) for each in facets.tags[name]])
            for name in COUNTED_TAGS
            if name in facets.tags
        },
        "model": ("Model", [choice(model, count, model=model) for model, count in facets.models]),
        "stars": ("Stars", [*stars, unrated] if stars else []),
        "size": ("Size", [choice(f"{w} x {h}", count, width=w, height=h) for w, h, count in facets.sizes]),
        "month": ("Date", months),
    }
    alone = ("collection", "adapter")
    return [
        Filter(key, title, tuple(choices))
        for key, (title, choices) in found.items()
        if len(choices) > 1 or any(each.chosen for each in choices) or (choices and key in alone)
    ]


def month_name(month: str) -> str:
    """A month such as 2026-11 in words."""
    year, _, number = month.partition("-")
    return f"{datetime(int(year), int(number), 1):%B %Y}" if number else ""


def orders(query: GalleryQuery) -> Filter:
    """The orders as choices."""
    first = {"newest": "Closest"} if query.meaning or query.like or query.colour else {}
    labels = {**ORDERS, **first}
    choices = (Choice(label, None, query.text(order=key), query.order == key) for key, label in labels.items())
    return Filter("order", "Order", tuple(choices))


def settings_of(image: GeneratedImage) -> dict[str, Any]:
    """The settings that generate this image alone, as the form and the command line take them."""
    body: BaseModel = ImageReply.of(image).request
    own = {"seed": image.details.get("seed", image.request.seed), "count": 1}
    body = body.model_copy(update=own)
    defaults = {name: field.default for name, field in type(body).model_fields.items()}
    values = {name: getattr(body, name) for name in defaults if name != "kind"}
    return {name: _plain(value) for name, value in values.items() if value != defaults[name]}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def settings_json(image: GeneratedImage) -> str:
    """The request that generates this image alone."""
    return as_json({"kind": KIND, **settings_of(image)})


def settings_texts(image: GeneratedImage) -> list[tuple[str, str]]:
    """The request as a command, as JSON and as Python."""
    values = settings_of(image)
    return [
        ("Command", as_command(KIND, values)),
        ("JSON", settings_json(image)),
        ("Python", as_python(KIND, values)),
    ]


def settings_query(image: GeneratedImage, more: Mapping[str, str] | None = None) -> str:
    """The query by which the page Create fills in its form with the settings of an image."""
    values = {name: _text(value) for name, value in settings_of(image).items()}
    return urlencode(values | dict(more or {}), doseq=True)


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def image_facts(image: GeneratedImage, names: Mapping[str, str] | None = None) -> list[tuple[str, Any]]:
    """The settings of an image with their plain names; the prompt is shown apart. names: of adapters, by the hash in
    their reference.
    """
    labels = {field.name: field.label for field in form_fields(KIND)}
    facts: list[tuple[str, Any]] = [("Model", image.request.model)]
    if image.fact("width") and image.fact("height"):
        facts.append(("Size", f"{image.fact('width')} x {image.fact('height')} pixels"))
    steps, guidance = image.fact("steps"), image.fact("guidance")
    values = settings_of(image) | {"steps": steps, "guidance": guidance, "seed": image.fact("seed")}
    shown = {"prompt", "model", "width", "height", "count"}
    for name, value in values.items():
        if name not in shown and value not in (None, ""):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            text = without_hashes(text, names or {}) if isinstance(text, str) else text
            facts.append((labels.get(name, name.replace("_", " ")), text))
    return [*facts, ("Made", f"{image.created.astimezone(UTC):%d %B %Y, %H:%M} UTC")]


def differing_facts(images: Sequence[GeneratedImage], names: Mapping[str, str]) -> list[tuple[str, list[Any]]]:
    """The facts in which images differ: the name, and the value for each image."""
    known = [{"Prompt": image.request.prompt, **dict(image_facts(image, names))} for image in images]
    titles = dict.fromkeys(name for facts in known for name in facts)
    rows = [(name, [facts.get(name, "") for facts in known]) for name in titles]
    return [(name, values) for name, values in rows if len(set(map(str, values))) > 1]


def file_stem(image: GeneratedImage) -> str:
    """A file name for an image, without a suffix: its id and the begin of its prompt, in plain letters."""
    words = _UNSAFE.sub("-", image.request.prompt.lower()).strip("-")[:40].rstrip("-")
    return f"{image.id:06d}-{words}" if words else f"{image.id:06d}"


class Marks(Frozen):
    """What to record about images.

    do: favourite, unfavourite, stars, restore, collect or uncollect. stars: 0 removes the rating. was: earlier stars,
    as "ID:STARS" separated by spaces. collection: its id; name: of a new one instead.
    """

    do: str = Field(pattern="^(favourite|unfavourite|stars|restore|collect|uncollect)$")
    stars: int = Field(default=0, ge=0, le=STARS)
    was: str = Field(default="", max_length=100_000, pattern=r"^([0-9]{1,10}:[0-5]( |$))*$")
    collection: int | None = Field(default=None, ge=1, lt=2**31)
    name: str = Field(default="", max_length=100)

    @property
    def earlier(self) -> dict[int, int | None]:
        """The stars to restore, by image."""
        pairs = (part.split(":") for part in self.was.split())
        return {int(image): int(stars) or None for image, stars in pairs}


@dataclass(frozen=True)
class Notice:
    """What was done. changed: ids of images. undo: fields of the form that undoes it, none if nothing can be undone."""

    text: str
    changed: tuple[int, ...] = ()
    undo: tuple[tuple[str, str], ...] = ()
