"""What the files beside a picture tell of it: its caption, its fields and its rights."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from limner.core.datasets import Entry, Fault, Place, Rights
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.provenance.rights import rights_beside

CAPTION_CAP = 2000
"""The longest caption or field that is read, in characters; a text encoder takes some 75 words."""

TEXT_CAP = 2**20
"""The largest text file beside a picture that is read, in bytes."""

CAPTIONS = ("text", "caption", "prompt")
"""Columns that hold a caption, the first of them before the others."""

_RIGHTS = ("author", "licence", "license", "source", "url", "consent", "training", "said", "training_override")
"""Columns that tell whose a picture is, and are no fields of what it shows."""
_TECHNICAL = frozenset(
    (
        "weight",
        "original",
        "mask_file_name",
        "key",
        "status",
        "error_message",
        "exif",
        "width",
        "height",
        "original_width",
        "original_height",
    )
    + ("md5", "sha256", "sha512")
)
"""What img2dataset writes of each picture's file, which is nothing that the picture shows."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Note:
    """What is told of one picture. weight: how often it is to be shown. faults: what was told and cannot be used."""

    caption: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    rights: Rights = field(default_factory=Rights)
    faults: tuple[Fault, ...] = ()
    weight: float | None = None

    def over(self, other: Note) -> Note:
        """This, and where it says nothing, what the other says."""
        return Note(
            self.caption or other.caption,
            {**other.fields, **self.fields},
            self.rights.over(other.rights),
            self.faults + other.faults,
            self.weight or other.weight,
        )

    def told(self, entry: Entry) -> Entry:
        """An entry with what this tells, which stands above what the entry knew."""
        caption, fields = self.caption or entry.caption, {**entry.fields, **self.fields}
        rights, repeats = self.rights.over(entry.rights), self.weight or entry.repeats
        return replace(entry, caption=caption, fields=fields, rights=rights, repeats=repeats)


def note(row: Mapping[str, object], apart: Collection[str] = ()) -> Note:
    """What a row of a table or a JSON object tells, by the names of its columns in lower case.

    apart: columns that tell something else, such as the picture's name. Lists and objects tell nothing.
    """
    texts, faults = {}, []
    for column, value in row.items():
        if column in apart:
            continue
        try:
            if text := words(value, f"the {column}"):
                texts[column] = text
        except LimnerError as error:
            faults.append(Fault("caption", str(error)))
    spoken = next((column for column in CAPTIONS if column in texts), None)
    left = {name: text for name, text in texts.items() if name not in (spoken, *_RIGHTS, *_TECHNICAL)}
    return Note(texts.get(spoken or ""), left, rights_beside(texts), tuple(faults), _weight(texts.get("weight")))


def _weight(text: str | None) -> float | None:
    """A weight as training takes it; None where it is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 1e-6 <= value <= 1e6 else None


def columns(row: Mapping[str, object]) -> dict[str, object]:
    """A row with its columns' names in lower case and without spaces, as templates name them."""
    return {_SURROGATE.sub("?", _column(name)): value for name, value in row.items()}


def _column(name: object) -> str:
    return "_".join(_CONTROL.sub(" ", str(name)[:64]).lower().split())


def words(value: object, what: str = "the caption") -> str | None:
    """A scalar as one line of text; None where it is none or empty. what: names it in the LimnerError that is raised
    for more than CAPTION_CAP characters and for what is no UTF-8.
    """
    if value is None or value != value or isinstance(value, bytes | list | tuple | dict):  # NaN is not itself
        return None
    text = str(value)
    if len(text) <= TEXT_CAP:  # what is longer is refused as it is, for a table may hold very much of it
        text = " ".join(_CONTROL.sub(" ", text).split())
        if _SURROGATE.search(text):
            raise LimnerError(f"{what} is not UTF-8 text", "save it as UTF-8")
    if len(text) > CAPTION_CAP:
        raise LimnerError(f"{what} has {len(text):,} characters", f"keep it under {CAPTION_CAP:,}")
    return text or None


def text_of(place: Place) -> str:
    """The text of a small file; raises LimnerError where it is too long, or no UTF-8."""
    data = b"" if (size := getattr(place, "size", 0)) > TEXT_CAP else place.read()
    if max(size, len(data)) > TEXT_CAP:
        raise LimnerError(f"{quoted(place.name)} is larger than {TEXT_CAP // 2**20} MiB", "keep it short")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LimnerError(f"{quoted(place.name)} is not UTF-8 text", "save it as UTF-8") from error


def caption_note(place: Place) -> Note:
    """What a text file beside a picture tells."""
    try:
        return Note(words(text_of(place), f"the caption in {quoted(place.name)}"))
    except LimnerError as error:
        return Note(faults=(Fault("caption", str(error)),))


def json_note(place: Place) -> Note:
    """What a JSON file beside a picture tells, as img2dataset writes it."""
    try:
        found = json.loads(text_of(place))
    except LimnerError as error:
        return Note(faults=(Fault("caption", str(error)),))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return Note(faults=(Fault("caption", f"{quoted(place.name)} holds no JSON object; mend it or remove it"),))
    return note(columns(found))
