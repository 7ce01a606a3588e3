"""Annotations of images: caption, fields, rights and weight, from sidecar files and rows of tables."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from limner.core.datasets import ByteSource, Entry, Fault, Rights
from limner.core.errors import LimnerError
from limner.core.files import quoted
from limner.provenance.rights import rights_from_fields

CAPTION_CAP = 2000
"""The longest caption or field value, in characters; a text encoder reads about 75 tokens."""

TEXT_CAP = 2**20
"""The largest sidecar file that is read, in bytes."""

CAPTIONS = ("text", "caption", "prompt")
"""Columns with captions, in order of preference."""

_RIGHTS = ("author", "licence", "license", "source", "url", "consent", "training", "said", "training_override")
"""Columns about rights, which are not fields of the content."""
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
"""Columns that img2dataset writes about each file, which are not fields of the content."""

_NO_VALUE, _NO_TEXT = frozenset(("nan", "<na>")), frozenset(("nan", "<na>", "none", "null"))
"""How programs write a missing value as text, in lower case. "None" may be what is known of a consent."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one image. weight: how often it is used. faults: values that cannot be used."""

    caption: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    rights: Rights = field(default_factory=Rights)
    faults: tuple[Fault, ...] = ()
    weight: float | None = None

    def over(self, other: Annotation) -> Annotation:
        """This annotation, completed by the other one."""
        return Annotation(
            self.caption or other.caption,
            {**other.fields, **self.fields},
            self.rights.over(other.rights),
            self.faults + other.faults,
            self.weight or other.weight,
        )

    def apply_to(self, entry: Entry) -> Entry:
        """The entry with this annotation, which overrides its own values."""
        caption, fields = self.caption or entry.caption, {**entry.fields, **self.fields}
        rights, repeats = self.rights.over(entry.rights), self.weight or entry.repeats
        return replace(entry, caption=caption, fields=fields, rights=rights, repeats=repeats)


def parse_annotation(row: Mapping[str, object], apart: Collection[str] = ()) -> Annotation:
    """The annotation in a row of a table or a JSON object, by the names of its columns in lower case.

    apart: columns with another meaning, such as the file name. Lists and objects are ignored.
    """
    texts, faults = {}, []
    for column, value in row.items():
        if column in apart:
            continue
        try:
            text = text_value(value, f"the {column}")
            if text and text.lower() not in (_NO_VALUE if column in _RIGHTS else _NO_TEXT):
                texts[column] = text
        except LimnerError as error:
            faults.append(Fault("caption", str(error)))
    caption = next((column for column in CAPTIONS if column in texts), None)
    fields = {name: text for name, text in texts.items() if name not in (caption, *_RIGHTS, *_TECHNICAL)}
    return Annotation(
        texts.get(caption or ""), fields, rights_from_fields(texts), tuple(faults), _weight(texts.get("weight"))
    )


def _weight(text: str | None) -> float | None:
    """A weight that training accepts; None for other texts."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 1e-6 <= value <= 1e6 else None


def normalized_columns(row: Mapping[str, object]) -> dict[str, object]:
    """A row with column names in lower case and without spaces, as caption templates use them."""
    return {_SURROGATE.sub("?", _column(name)): value for name, value in row.items()}


def _column(name: object) -> str:
    return "_".join(_CONTROL.sub(" ", str(name)[:64]).lower().split())


def text_value(value: object, what: str = "the caption") -> str | None:
    """A scalar as one line of text; None for other values and empty texts.

    Raises LimnerError for more than CAPTION_CAP characters and for text that is not UTF-8. what: names it in messages.
    """
    if value is None or value != value or isinstance(value, bytes | list | tuple | dict):  # NaN is not itself
        return None
    text = str(value)
    if len(text) <= TEXT_CAP:  # a longer text is rejected without processing it
        text = " ".join(_CONTROL.sub(" ", text).split())
        if _SURROGATE.search(text):
            raise LimnerError(f"{what} is not UTF-8 text", "save it as UTF-8")
    if len(text) > CAPTION_CAP:
        raise LimnerError(f"{what} has {len(text):,} characters", f"keep it under {CAPTION_CAP:,}")
    return text or None


def caption_value(value: object, what: str = "the caption") -> str | None:
    """Like `text_value`, and None for the words of programs for a missing value, such as "nan"."""
    text = text_value(value, what)
    return None if text is None or text.lower() in _NO_TEXT else text


def read_text(place: ByteSource) -> str:
    """The text of a small file. Raises LimnerError if it is too long or not UTF-8."""
    data = b"" if (size := getattr(place, "size", 0)) > TEXT_CAP else place.read()
    if max(size, len(data)) > TEXT_CAP:
        raise LimnerError(f"{quoted(place.name)} is larger than {TEXT_CAP // 2**20} MiB", "shorten it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LimnerError(f"{quoted(place.name)} is not UTF-8 text", "save it as UTF-8") from error


def read_caption_file(place: ByteSource) -> Annotation:
    """The annotation in a text file next to an image: its caption."""
    try:
        return Annotation(caption_value(read_text(place), f"the caption in {quoted(place.name)}"))
    except LimnerError as error:
        return Annotation(faults=(Fault("caption", str(error)),))


def read_json_file(place: ByteSource) -> Annotation:
    """The annotation in a JSON file next to an image, as img2dataset writes it."""
    try:
        found = json.loads(read_text(place))
    except LimnerError as error:
        return Annotation(faults=(Fault("caption", str(error)),))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return Annotation(
            faults=(Fault("caption", f"{quoted(place.name)} is not a JSON object; correct it or remove it"),)
        )
    return parse_annotation(normalized_columns(found))
