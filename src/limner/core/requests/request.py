"""The base of every request: a frozen model, field annotations, and types that several requests share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice
from operator import is_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast, get_args
from unicodedata import category

from annotated_types import MaxLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag of a field on the command line, where it is not `--field-name`.

    overrules: fields that a recipe's value is dropped from when this flag is typed, because they contradict it.
    """

    name: str | None = None
    positional: bool = False
    hidden: bool = False
    overrules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """The name of a field in plain words, for people who do not know the technical term."""

    text: str


ReferenceKind = Literal["picture", "pictures", "table", "feedback", "weights", "model"]


@dataclass(frozen=True, slots=True)
class Refers:
    """Annotates a field that names something outside the request: an image, a folder of images, a table or list, a file
    of feedback, a file of weights, or a model or part of one. Its value is a string, None, or several strings.

    words: values that name nothing outside.
    """

    to: ReferenceKind
    words: tuple[str, ...] = ()


ChoiceKind = Literal["schedulers", "methods", "models", "metrics", "detectors", "controls"]


@dataclass(frozen=True, slots=True)
class Choices:
    """Annotates a field that holds a name of this kind; the help lists the known ones."""

    of: ChoiceKind


class Heading(StrEnum):
    """The heading of the help that lists a field's flag, and the flags after it up to the next heading.

    BASICS stands for its own field alone, and is the heading of required and positional fields.
    """

    BASICS = "Basics"
    MODEL = "Model"
    IMAGE = "Start from an image"
    CONTROL = "Structure of an image (ControlNet)"
    SECOND_PASS = "Second pass"
    SAMPLING = "Sampling"
    GENERATING = "Generating"
    SUBJECT = "Subject and groups"
    SCORES = "Scores"
    MEASURE = "Measure"
    IMAGES = "Images and captions"
    LENGTH = "Length and batches"
    OPTIMISER = "Optimiser"
    METHOD = "Options of the method"
    PRIOR = "Prior preservation"
    LOSS = "Loss"
    CHECKPOINTS = "Checkpoints and previews"
    CROP = "Crops"
    CAPTIONS = "Captions"
    MASKS = "Masks"
    FAULTS = "Faults"
    BALANCE = "Duplicates, balance and splits"
    FEEDBACK = "Feedback"
    RIGHTS = "Rights"
    FILES = "Files"
    NETWORK = "Network"
    LIMITS = "Limits"
    STORAGE = "Storage"
    MEMORY = "Device and memory"
    EXECUTION = "Execution"


class Trait(StrEnum):
    """What code needs to know of a field beyond its type. Annotate the field; lists of names are derived from that."""

    NOT_VARIED = "no axis of a sweep varies it"
    BATCHED = "requests that differ only in such fields can be executed in one batch"
    IMAGE_NUMBER = "it selects images and does not change what each looks like"
    COMPARED_BY_HASH = "image labels hold the hash of what it names, and are compared by that"
    MODEL_DEFAULT = "if it is None, a label holds the model's value"
    AFTER_DECODING = "it does not change how images are read, cropped and written"
    ON_CARD = "model cards list it when it differs from the default"
    LATER = "a digest holds it only when it differs from the default, so that requests from before it keep theirs"


Change = Callable[[ReferenceKind, str], str]
"""Returns what replaces a reference, given what it refers to."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


def _words(text: str) -> str:
    line = " ".join(text.split())
    if not line or any(category(char) in ("Cc", "Cs") for char in line):
        raise ValueError(f"{text[:80]!r} is not a word or words")
    return line


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_words)]
"""Words for captions and prompts: on one line, with single spaces and without control characters."""
MAX_PROMPT = 20_000
"""Most characters of a prompt."""
MAX_TEXT = 4_000_000
"""Most characters of all prompts of a request, with their placeholders filled in."""
Prompt = Annotated[str, Field(max_length=MAX_PROMPT)]
MODEL = "Base model: a name such as starter or sdxl, a folder, a .safetensors file, or a Hugging Face id."
VAE = "Autoencoder in place of the model's own: a folder, a .safetensors file, or a Hugging Face id."
MAX_FIELDS = 200
"""Most fields of a value that are validated; no model has that many."""
MAX_METRICS = 64
"""Most metrics of a request."""
SUBJECT = "{}"
"""Placeholder for the subject in a prompt."""
Quantise = Literal["nf4", "int8"]
QUANTISE = "Quantise the largest networks: nf4 to 4 bits (bitsandbytes), int8 to 8 bits (torchao) (default: off)."


class Frozen(BaseModel):
    """Immutable, without unknown keys and non-finite numbers, and the same after a JSON round trip.

    longest_text: most characters of its text form, if it has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    longest_text: ClassVar[int] = 2**14

    @classmethod
    def from_text(cls, text: str) -> Any:
        """The fields that a text stands for; a model without a text form returns the text, which pydantic refuses."""
        return text

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        """Check sizes before anything parses the value, which may come from a stranger."""
        if isinstance(value, str):
            if len(value) > cls.longest_text:
                raise ValueError(f"{value[:80]!r} has {len(value):,} characters; write at most {cls.longest_text:,}")
            value = cls.from_text(value)
        if not isinstance(value, dict):
            return value
        fields = cast(dict[str, Any], value)
        if len(fields) > MAX_FIELDS:
            raise ValueError(f"it has {len(fields):,} fields; give at most {MAX_FIELDS}")
        # pydantic counts only valid items, and would validate and report all the rest of a list that is too long.
        cut = {name: _first(fields[name], most + 1) for name, most in _limits(cls).items() if name in fields}
        return {**fields, **cut}

    def changed(self, **values: Any) -> Self:
        """The same with other values of some fields, validated; raises pydantic's ValidationError."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate(given | values)

    def with_references(self, change: Change) -> Self:
        """The same with every reference in it, at any depth, replaced by what `change` returns."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        found = {
            name: _change_references(value, refers_of(type(self).model_fields[name]), change)
            for name, value in values.items()
        }
        changed = {name for name, value in values.items() if found[name] is not value}
        # A copy would keep cached properties.
        return self.model_construct(self.model_fields_set | changed, **found) if changed else self


@cache
def _limits(model: type[Frozen]) -> dict[str, int]:
    """The maximal lengths of a model's fields that have one."""
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


def _change_references(value: Any, refers: Refers | None, change: Change) -> Any:
    """A field's value with its references replaced; the same object if nothing changes."""
    if isinstance(value, Frozen):
        return value.with_references(change)
    if isinstance(value, str):
        if refers is None or value in refers.words:
            return value
        return value if (after := change(refers.to, value)) == value else after
    if isinstance(value, (tuple, list)):
        before = cast(tuple[Any, ...] | list[Any], value)
        parts = [_change_references(part, refers, change) for part in before]
        return before if all(map(is_, parts, before)) else type(before)(parts)
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value)
        found = {key: _change_references(part, refers, change) for key, part in items.items()}
        return items if all(map(is_, found.values(), items.values())) else found
    return value


class Request(Frozen):
    """Base of all that `Studio.submit` takes. Each has a literal `kind`, which distinguishes requests in JSON."""

    if TYPE_CHECKING:
        kind: Any
        """The name of its kind, a literal in each class."""

    @model_validator(mode="before")
    @classmethod
    def _none_for_no_reference(cls, value: Any) -> Any:
        """Read the text "none" as null in a field that may be null and names a file or model, as flags do."""
        if not isinstance(value, dict):
            return value
        fields = cast(dict[str, Any], value)
        nulls = {
            name: None
            for name, field in cls.model_fields.items()
            if fields.get(name) == "none" and reference_kind_of(field) and type(None) in get_args(field.annotation)
        }
        return {**fields, **nulls} if nulls else fields

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that describe what is generated, each once; these are moderated."""
        return ()

    @property
    def folder_name(self) -> str:
        """A name for the folder of its results."""
        return "pictures"

    @property
    def shares_folder(self) -> bool:
        """Whether other runs may write to the folder of its results at the same time."""
        return False

    @property
    def keeps_previews(self) -> bool:
        """Whether previews are results, and not only shown while it works."""
        return True

    @property
    def summary(self) -> str:
        """One line for a list of runs."""
        return "; ".join(self.texts)

    @property
    def image_count(self) -> int:
        """How many images it generates."""
        return 0

    @property
    def pixels(self) -> float:
        """Pixels of each of its images, as far as the request says so."""
        return 0

    @property
    def may_quantise(self) -> bool:
        """Whether it may load quantised weights, as far as the request itself says so."""
        return True

    @property
    def may_adapt(self) -> bool:
        """Whether it may train or use an adapter, as far as the request itself says so."""
        return True

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Fields left open that would be filled from an adapter's header, which names files of this machine."""
        return ()

    def expanded(self, place: Callable[[str], str] = str) -> Self:
        """The request with named prompts and files of prompts read in; the request itself where there are none.

        place: the path of a file that the request refers to. Raises LimnerError and pydantic's ValidationError.
        """
        return self

    def check(self) -> None:
        """Raise LimnerError for what only a slow check of the whole request finds."""

    @property
    def digest(self) -> str:
        """SHA-256 of the request's canonical JSON."""
        return digest_of(canonical(self))

    @property
    def batch_key(self) -> str | None:
        """Requests of one key can be executed in one batch; None for a request that is executed alone."""
        return None


def fields_with(model: type[BaseModel], trait: Trait) -> tuple[str, ...]:
    """Names of the fields of a model that have a trait, in their order."""
    return tuple(name for name, field in model.model_fields.items() if trait in field.metadata)


def refers_of(field: FieldInfo) -> Refers | None:
    """The annotation of a field that names something outside its request; None for a field that holds no reference."""
    return next((item for item in field.metadata if isinstance(item, Refers)), None)


def reference_kind_of(field: FieldInfo) -> ReferenceKind | None:
    """What a field refers to outside its request; None for a field that holds no reference."""
    refers = refers_of(field)
    return None if refers is None else refers.to


def references_of(request: Frozen) -> list[tuple[ReferenceKind, str]]:
    """All references in a request, each with its kind."""
    found: list[tuple[ReferenceKind, str]] = []

    def collect(kind: ReferenceKind, value: str) -> str:
        found.append((kind, value))
        return value

    request.with_references(collect)
    return found


def reference_fields(model: type[Frozen]) -> frozenset[str]:
    """Names of the fields of a model, and of the models in it, that hold references at any depth."""
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


def check_lengths(prompts: Iterable[str], placeholders: Mapping[str, str]) -> None:
    """Raise ValueError if a prompt, or all of them together, are too long with their placeholders filled in.

    placeholders: the text that replaces each.
    """
    total = 0
    for prompt in prompts:
        more = sum(prompt.count(mark) * max(0, len(text) - len(mark)) for mark, text in placeholders.items())
        if len(prompt) + more > MAX_PROMPT:
            raise ValueError(f"{prompt[:80]!r} has more than {MAX_PROMPT:,} characters when filled in; write less")
        total += len(prompt) + more
    if total > MAX_TEXT:
        raise ValueError(f"the prompts have more than {MAX_TEXT:,} characters when filled in; give fewer")


def canonical(request: BaseModel) -> dict[str, Any]:
    """A request or a body as it is stored and hashed: as JSON, without later fields that have their default."""
    fields = type(request).model_fields
    later = {name for name in fields_with(type(request), Trait.LATER) if getattr(request, name) == fields[name].default}
    return {name: value for name, value in request.model_dump(mode="json").items() if name not in later}


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
