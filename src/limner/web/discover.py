"""Searches for prompts and the prompts found, as the page Discover shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError

from limner.core.discover import HISTORY, LEAST_TOLD, LONGEST, Filters, Hit
from limner.core.feedback import GeneratedImage
from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.core.requests import GenerateRequest
from limner.core.value_errors import describe_value_error
from limner.server.discover import FARTHEST, public_name
from limner.server.replies import url_of
from limner.studio.choices import choices
from limner.studio.prompts import ARTIST, NEGATIVE, PromptPiece, pieces_of
from limner.studio.studio import Studio
from limner.web.cards import LONGEST_QUERY, VARIATIONS
from limner.web.gallery import settings_query
from limner.web.looks import checked
from limner.web.views import small_url

OWN = "your own images"
SINGLE = ("size", "model", "steps", "guidance", "stars", "unsafe")
"""Filters with one value."""
LABELS = {"size": "Size", "model": "Model", "steps": "Steps", "guidance": "Guidance", "stars": "Stars"}
NEAR = 0.25
"""From this cosine on a prompt counts as similar to a search."""
LOOKED_AT = 24
"""Images of a prompt among which those that can be shown are sought."""
LONGEST_BACK = 1000
LONGEST_ALIKE = 400
"""Characters of a prompt by which others like it are searched."""
MOST_PIECES = 40
"""Most pieces of a prompt that can be changed one by one."""
PIECE = "piece-"
"""What the names of fields begin with that hold a piece, before its number."""
PART_TITLES = {
    "subject": "Subject",
    "medium": "Medium",
    "style": "Style",
    "lighting": "Light",
    "composition": "Composition",
    "setting": "Setting",
    "colour": "Colour",
    "quality": "Quality",
    ARTIST: "Artist",
    NEGATIVE: "Not wanted",
}


@dataclass
class Search:
    """A search as its address says it. like: the image that is searched for, as `StudioDiscover.appearance` takes it.

    values: its filters as text. errors: what is wrong with which field.
    """

    q: str = ""
    like: str = ""
    colour: str = ""
    start: int = 0
    libraries: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict[str, str])
    errors: dict[str, str] = field(default_factory=dict[str, str])
    filters: Filters = field(default_factory=Filters)

    def value(self, name: str) -> str:
        """The value of a filter; empty where it is not set."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """What is wrong with a field; empty for nothing."""
        return self.errors.get(name, "")

    @property
    def narrowed(self) -> bool:
        """Whether any condition is set, besides words."""
        return bool(self.values or self.libraries)

    def text(self, **changes: Any) -> str:
        """The query of an address with some fields changed, such as "?q=cat"; it begins at the first prompt."""
        shown = {"q": self.q, "like": self.like, "colour": self.colour}
        fields: dict[str, Any] = {**shown, **self.values, "library": self.libraries, **changes}
        kept = {name: value for name, value in fields.items() if value not in ("", (), None, 0)}
        return f"?{urlencode(kept, doseq=True)}" if kept else ""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Its fields with their values, besides the image."""
        named = {"q": self.q, "colour": self.colour, **self.values}
        return [(name, value) for name, value in named.items() if value] + [
            ("library", each) for each in self.libraries
        ]

    @property
    def unfiltered(self) -> str:
        """The query of an address without its filters."""
        return self.text(library=(), **dict.fromkeys(self.values, ""))

    @property
    def back(self) -> str:
        """The query with which pages of prompts lead back here; empty for a search too long to repeat in each link."""
        text = self.text()
        return f"?{urlencode({'back': text})}" if 0 < len(text) <= LONGEST_BACK else ""

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Its conditions in words, each with the query of the address without it."""
        found = [
            (f"{LABELS[name]}: {self.values[name]}", self.text(**{name: ""}))
            for name in LABELS
            if self.values.get(name)
        ]
        for name in self.libraries:
            label = OWN if name == HISTORY else name
            found.append((f"From: {label}", self.text(library=[each for each in self.libraries if each != name])))
        if self.values.get("unsafe"):
            found.append(("Unsafe too", self.text(unsafe="")))
        return found


def read_search(pairs: Sequence[tuple[str, str]]) -> Search:
    """The search of the fields of an address; what cannot be used is an error of its field."""
    given = {name: value.strip() for name, value in pairs}
    libraries = tuple(dict.fromkeys(value for name, value in pairs if name == "library" and value))[:64]
    found = Search(q=given.get("q", ""), libraries=libraries)
    found.like, found.colour, wrong = checked(given.get("like", ""), given.get("colour", ""))
    if wrong:
        found.errors["colour"] = wrong
    found.values = {name: given[name][:200] for name in SINGLE if given.get(name)}
    if len(found.q) > LONGEST:
        found.errors["q"] = f"the search has {len(found.q):,} characters; use at most {LONGEST:,}"
        found.q = found.q[:LONGEST]
    start = given.get("start", "")
    found.start = min(int(start), FARTHEST) if start.isascii() and start.isdigit() and len(start) < 10 else 0
    usable: dict[str, Any] = {"libraries": libraries}
    for name, value in found.values.items():
        try:
            Filters.model_validate({name: value})
            usable[name] = value
        except ValidationError as error:
            found.errors[name] = describe_value_error(error.errors()[0])
    found.filters = Filters.model_validate(usable)
    return found


@dataclass(frozen=True)
class Found:
    """A prompt as a card. image: URL of its small copy, "" without one. why: why it fits, in words. settings: in words.

    use, use_settings, vary: paths of the page Create, "" where the prompt is too long for an address. alike: path of a
    search for prompts like it.
    """

    library: str
    prompt: int
    text: str
    negative: str
    image: str
    more_images: int
    why: str
    settings: str
    origin: str
    licence: str
    unsafe: bool
    use: str
    use_settings: str
    vary: str
    alike: str
    like: str

    @property
    def place(self) -> str:
        """The path of its own page."""
        return f"/discover/prompts/{self.library}/{self.prompt}"


def found_prompt(studio: Studio, own: Mapping[int, GeneratedImage], hit: Hit) -> Found:
    """A hit as a card. own: images of the account, among them that of a hit of the history."""
    first, image = hit.records[hit.place], own.get(hit.prompt) if hit.library == HISTORY else None
    words = {"prompt": hit.text} | ({"negative_prompt": hit.negative} if hit.negative else {})
    known = settings_query(image) if image is not None else urlencode(words | usable_settings(first))
    shown = next(iter(images_of(studio, own, hit, 1)), "")
    number = shown.rpartition("/")[2].partition(".")[0] if hit.library != HISTORY else "0"
    like = f"{hit.library}/{hit.prompt}" + (f"/{number}" if number != "0" else "")
    return Found(
        library=hit.library,
        prompt=hit.prompt,
        text=hit.text,
        negative=hit.negative,
        image=shown,
        more_images=hit.images - 1,
        why=why(hit),
        settings=settings_text(first),
        origin=OWN if hit.library == HISTORY else hit.library,
        licence=hit.licence,
        unsafe=any(each.unsafe for each in hit.records),
        use=create_path(words),
        use_settings="" if known == urlencode(words) or len(known) > LONGEST_QUERY else f"/create?{known}",
        vary=create_path(words | {"count": str(VARIATIONS)}),
        alike=f"/discover?{urlencode({'q': shortened(hit.text)})}",
        like=f"/discover?{urlencode({'like': like})}" if shown else "",
    )


def why(hit: Hit) -> str:
    """Why a prompt fits a search, in plain words; empty where any prompt fits."""
    reasons: list[str] = []
    if hit.look is not None and hit.look >= LEAST_TOLD:
        reasons.append(f"looks {hit.look:.0%} alike")
    if hit.colour is not None:
        reasons.append(f"has this colour: {hit.colour:.0%}")
    if hit.words:
        reasons.append(f"has: {', '.join(hit.words)}")
    elif hit.meaning is not None and (hit.meaning >= NEAR or not reasons):
        reasons.append("similar meaning" if hit.meaning >= NEAR else "loosely similar")
    return " · ".join(reasons)


def settings_text(record: PromptRecord) -> str:
    """The settings of an image in one line."""
    size = f"{record.width} x {record.height}" if record.width and record.height else ""
    steps = f"{record.steps} steps" if record.steps else ""
    guidance = f"guidance {record.guidance:g}" if record.guidance is not None else ""
    stars = "★" * record.stars if record.stars else ""
    model = public_name(record.model)
    return " · ".join(filter(None, (model, size, steps, guidance, record.sampler, stars)))


def usable_settings(record: PromptRecord) -> dict[str, str]:
    """The settings of an image that the page Create takes, without models and samplers that are not known here."""
    given = {
        "steps": record.steps,
        "guidance": record.guidance,
        "width": record.width,
        "height": record.height,
        "seed": record.seed,
        "model": record.model if record.model in choices("models") else None,
        "scheduler": record.sampler if record.sampler in choices("schedulers") else None,
    }
    kept: dict[str, str] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            GenerateRequest.model_validate({"prompt": "a", name: value})
        except ValidationError:
            continue
        kept[name] = f"{value:g}" if isinstance(value, float) else str(value)
    return kept


def create_path(values: Mapping[str, str]) -> str:
    """The path of the page Create with some fields filled in; empty if it is too long for an address."""
    text = urlencode(values)
    return f"/create?{text}" if len(text) <= LONGEST_QUERY else ""


def shortened(text: str) -> str:
    """The begin of a prompt, by which others like it are found."""
    if len(text) <= LONGEST_ALIKE:
        return text
    return text[:LONGEST_ALIKE].rsplit(" ", 1)[0]


def facts_of(hit: Hit) -> list[tuple[str, str]]:
    """What is known of a prompt and of its first image."""
    first = hit.records[0]
    own = hit.library == HISTORY
    facts = {
        "Found in": OWN if own else hit.library,
        "Licence": "" if own else hit.licence or "unknown",
        "Source": "" if own else public_name(hit.source),
        "Images": f"{hit.images:,}" if hit.images > 1 else "",
        "Model": public_name(first.model),
        "Adapter": public_name(first.adapter),
        "Sampler": first.sampler,
        "Size": f"{first.width} x {first.height} pixels" if first.width and first.height else "",
        "Steps": str(first.steps or ""),
        "Guidance": "" if first.guidance is None else f"{first.guidance:g}",
        "Variation number": "" if first.seed is None else str(first.seed),
        "Stars": "★" * (first.stars or 0),
        "Made": f"{first.created:%d %B %Y}" if first.created else "",
    }
    return [(name, value) for name, value in facts.items() if value]


def images_of(studio: Studio, own: Mapping[int, GeneratedImage], hit: Hit, most: int = 12) -> list[str]:
    """The URLs of the small copies of images of a prompt, as far as there are files that may be shown."""
    if hit.library == HISTORY:
        image = own.get(hit.prompt)
        return [small_url(url_of(image.reference))] if image is not None and image.reference else []
    place = f"/discover/images/{hit.library}/{hit.prompt}"
    numbers = sorted(range(min(len(hit.records), LOOKED_AT)), key=lambda number: number != hit.place)
    shown = (number for number in numbers if studio.discover.has_thumbnail(hit, number))
    return [f"{place}/{number}.webp" for number in islice(shown, most)]


@dataclass(frozen=True)
class Chip:
    """A piece of a prompt as a field. name: of the field. value: as it is now. text: as the prompt has it."""

    number: int
    part: str
    title: str
    text: str
    value: str

    @property
    def name(self) -> str:
        return f"{PIECE}{self.number}"

    @property
    def changed(self) -> bool:
        return self.value != self.text


def chips_of(prompt: str, values: Mapping[str, str]) -> list[Chip]:
    """The pieces of a prompt as fields. values: of fields that are filled in."""
    pieces: list[PromptPiece] = pieces_of(prompt)[:MOST_PIECES]
    return [
        Chip(number, each.part, PART_TITLES[each.part], each.text, values.get(f"{PIECE}{number}", each.text))
        for number, each in enumerate(pieces)
    ]


def chosen_library(facts: LibraryFacts) -> str:
    """A library in the list of filters."""
    return f"{facts.name} ({facts.prompts:,})"
