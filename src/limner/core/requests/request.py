"""What every request is made of: a frozen model, and the fields that several requests share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import is_
from typing import Annotated, Any, ClassVar, Literal, Self, cast, get_args
from unicodedata import category

from annotated_types import MaxLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is spelt on a command line, where that differs from `--field-name`.

    overrules: fields of a recipe that make no sense beside a value that was typed for this one, and go.
    """

    name: str | None = None
    positional: bool = False
    hidden: bool = False
    overrules: tuple[str, ...] = ()


Kind = Literal["picture", "pictures", "table", "weights", "model"]


@dataclass(frozen=True, slots=True)
class Refers:
    """What a field names outside of its request: a picture, a folder of pictures, a table about them, a file of
    weights, or a model or a part of one. Its value is a text, None, or several of them.
    """

    to: ReferenceKind


Change = Callable[[ReferenceKind, str], str]
"""What to put in the place of a reference, given what it refers to."""
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", max_length=32)]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line or any(category(char) in ("Cc", "Cs") for char in line):
        raise ValueError(f"{text[:80]!r} is no word or words")
    return line


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]
"""What stands in captions and prompts: on one line, white space made single, without control characters."""
MAX_PROMPT = 20_000
"""Characters of a prompt at most."""
MAX_TEXT = 4_000_000
"""Characters of all prompts of a request at most, with what stands for their marks."""
Prompt = Annotated[str, Field(max_length=MAX_PROMPT)]
MODEL = "The base model: an alias (see `limner models`), a folder, a .safetensors file, or a Hugging Face id."
VAE = "Autoencoder in place of the model's own: a folder, a .safetensors file, or a Hugging Face id."
MAX_FIELDS = 200
"""The most fields of a value that are validated; no model has as many."""
MAX_METRICS = 64
"""Metrics of a request at most."""
SUBJECT = "{}"
"""Stands for the subject in a prompt."""
Quantise = Literal["nf4", "int8"]
QUANTISE = "Round the largest networks' weights: nf4 to 4 bits by bitsandbytes, int8 to 8 by torchao (default: off)."
Memory = Literal["low", "balanced", "high"]
MEMORY = (
    "How much GPU memory there is: high keeps all networks there, balanced only the one at work, and low rounds its "
    "weights to 4 bits besides, and decodes in tiles."
)


class Frozen(BaseModel):
    """Immutable, no unknown keys, finite numbers, and the same after a JSON round trip.

    longest_text: characters of its text form at most, where it has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    longest_text: ClassVar[int] = 2**14

    @classmethod
    def from_text(cls, text: str) -> Any:
        """The fields that a text stands for; a model without a text form leaves it to pydantic, which refuses it."""
        return text

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        """Sizes are checked before anything reads the value, for it may come from a stranger."""
        if isinstance(value, str):
            if len(value) > cls.longest_text:
                raise ValueError(
                    f"{value[:80]!r} goes on for {len(value):,} characters; write at most {cls.longest_text:,}"
                )
            value = cls.from_text(value)
        if not isinstance(value, dict):
            return value
        fields = cast(dict[str, Any], value)
        if len(fields) > MAX_FIELDS:
            raise ValueError(f"it has {len(fields):,} fields; give at most {MAX_FIELDS}")
        # pydantic counts only what is valid, and would read and complain of all the rest of a list that is too long.
        cut = {name: _first(fields[name], most + 1) for name, most in _limits(cls).items() if name in fields}
        return {**fields, **cut}

    def with_references(self, change: Change) -> Self:
        """The same with every reference in it replaced by what `change` makes of it, whatever field holds it."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        found = {name: _changed(value, reference_kind_of(type(self).model_fields[name]), change) for name, value in values.items()}
        changed = {name for name, value in values.items() if found[name] is not value}
        # A copy would keep what is cached.
        return self.model_construct(self.model_fields_set | changed, **found) if changed else self


@cache
def _limits(model: type[Frozen]) -> dict[str, int]:
    """How long the values of fields may be, where they have such a limit."""
    return {
        name: item.max_length
        for name, field in model.model_fields.items()
        for item in field.metadata
        if isinstance(item, MaxLen)
    }


def _first(value: Any, most: int) -> Any:
    """The first items of a list or a mapping; anything else as it is."""
    if isinstance(value, dict):
        return dict(islice(cast(dict[Any, Any], value).items(), most))
    return cast(list[Any] | tuple[Any, ...], value)[:most] if isinstance(value, (list, tuple)) else value


def _changed(value: Any, kind: ReferenceKind | None, change: Change) -> Any:
    """A field's value with the references in it replaced; the value itself where that changes nothing."""
    if isinstance(value, Frozen):
        return value.with_references(change)
    if isinstance(value, str):
        return value if kind is None or (after := change(kind, value)) == value else after
    if isinstance(value, (tuple, list)):
        before = cast(tuple[Any, ...] | list[Any], value)
        parts = [_changed(part, kind, change) for part in before]
        return before if all(map(is_, parts, before)) else type(before)(parts)
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value)
        found = {key: _changed(part, kind, change) for key, part in items.items()}
        return items if all(map(is_, found.values(), items.values())) else found
    return value


class Request(Frozen):
    """Anything that `Studio.submit` takes. Each has a literal `kind`, which tells requests apart in JSON."""

    @property
    def words(self) -> tuple[str, ...]:
        """What it says of what shall be seen, each text once."""
        return ()

    @property
    def name(self) -> str:
        """A folder's name for its results."""
        return "pictures"

    @property
    def shares_folder(self) -> bool:
        """Whether its results may go where another run puts its own at the same time."""
        return False

    @property
    def about(self) -> str:
        """What a list of runs says of it."""
        return "; ".join(self.words)

    @property
    def pictures(self) -> int:
        """How many pictures it asks for."""
        return 0

    @property
    def pixels(self) -> float:
        """How many pixels a picture of it has, as far as it says so."""
        return 0

    @property
    def looked_up(self) -> tuple[str, ...]:
        """Fields that are left open, and for which an adapter's own word of this machine's files is taken."""
        return ()

    def check(self) -> None:
        """Raise LimnerError for what is seen only by putting all of the request together, and takes its time."""

    @property
    def digest(self) -> str:
        """SHA-256 of the request's canonical JSON."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def batch_key(self) -> str | None:
        """Requests of the same key can be carried out together; None where this one is carried out alone."""
        return None


def reference_kind_of(field: FieldInfo) -> ReferenceKind | None:
    """What a field names outside of its request."""
    return next((item.to for item in field.metadata if isinstance(item, Refers)), None)


def references_of(request: Frozen) -> list[tuple[ReferenceKind, str]]:
    """All that a request names outside of it, with what each is."""
    found: list[tuple[ReferenceKind, str]] = []

    def noted(kind: ReferenceKind, value: str) -> str:
        found.append((kind, value))
        return value

    request.with_references(noted)
    return found


def reference_fields(model: type[Frozen]) -> frozenset[str]:
    """Names of the fields of a model, and of the models in it, that refer to something or hold what does."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = frozenset[str]().union(*map(reference_fields, _models_in(field.annotation)))
        if inner or reference_kind_of(field):
            found |= {name} | inner
    return frozenset(found)


def _models_in(hint: Any) -> list[type[Frozen]]:
    """The models that a type hint names."""
    if isinstance(hint, type) and issubclass(hint, Frozen):
        return [hint]
    return [model for part in get_args(hint) for model in _models_in(part)]


def check_lengths(prompts: Iterable[str], marks: Mapping[str, str]) -> None:
    """Raise ValueError where a prompt, or all of them, are too long with their marks replaced.

    marks: what stands for what.
    """
    total = 0
    for prompt in prompts:
        wider = sum(prompt.count(mark) * max(0, len(text) - len(mark)) for mark, text in marks.items())
        if len(prompt) + wider > MAX_PROMPT:
            raise ValueError(f"{prompt[:80]!r} is longer than {MAX_PROMPT:,} characters when it is filled in; write less")
        total += len(prompt) + wider
    if total > MAX_TEXT:
        raise ValueError(f"the prompts have more than {MAX_TEXT:,} characters when they are filled in; ask for fewer")


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
