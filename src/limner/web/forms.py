"""Turns the fields of a request into the fields of a form, and a submitted form into the JSON of a request."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from limner.core.errors import LimnerError, invalid
from limner.core.execution import body_model, body_of
from limner.core.requests import Flag, Heading
from limner.core.requests.request import MAX_PROMPT, ChoiceKind, Choices, reference_kind_of
from limner.core.runs import Run
from limner.studio.choices import choices
from limner.web.wording import help_of, label_of

Model = TypeVar("Model", bound=BaseModel)
Control = Literal["text", "textarea", "number", "checkbox", "select", "image"]
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
LONG_TEXT = MAX_PROMPT
"""A text that may have so many characters gets a field of several lines."""


@dataclass(frozen=True)
class FormField:
    """A field of a form.

    label: in plain words. term: the name in requests. control: what it is shown as. known: values to choose from.
    suggested: whether other values are allowed too. several: whether it holds several values. basic: whether beginners
    see it. values: as text. placeholder: what an empty field stands for. error: what is wrong with its value.
    """

    name: str
    label: str
    term: str
    help: str
    control: Control
    required: bool
    minimum: float | None
    maximum: float | None
    step: str | None
    longest: int | None
    known: tuple[str, ...]
    suggested: bool
    several: bool
    heading: Heading
    basic: bool
    values: tuple[str, ...]
    placeholder: str
    error: str

    @property
    def value(self) -> str:
        """The only value; empty where there is none."""
        return self.values[0] if self.values else ""

    @property
    def checked(self) -> bool:
        return self.value == "true"


def form_fields(
    kind: str, values: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None
) -> list[FormField]:
    """The fields of a kind of request, in the order of its help: those that must be filled in come first.

    values: of fields that are filled in, as text, bool, or a list of texts. errors: by the name of a field.
    """
    return model_form_fields(body_model(kind), values, errors)


def model_form_fields(
    model: type[BaseModel], values: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None
) -> list[FormField]:
    """The fields of any model, as `form_fields` returns those of a kind of request."""
    values, errors = values or {}, errors or {}
    fields = model.model_fields
    headings = _headings(fields)
    found = (
        _field(model, name, *headings[name], _texts(values.get(name)), errors.get(name, ""))
        for name, field in fields.items()
        if not _flag(field).hidden
    )
    return sorted(found, key=lambda field: not field.required)


def read_form(kind: str, form: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a request from those of a submitted form; empty ones are left out.

    Values stay text, which the request parses as it does on the command line.
    """
    given: dict[str, list[str]] = {}
    for name, value in form:
        if isinstance(value, str) and value.strip():
            given.setdefault(name, []).append(value)
    found: dict[str, Any] = {}
    for name, field in body_model(kind).model_fields.items():
        if _flag(field).hidden:
            continue
        if _is_bool(field):
            if field.default is True or name in given:
                found[name] = given.get(name) == ["true"]
        elif name in given:
            found[name] = given[name] if _is_several(field) else given[name][-1]
    return found


def validated(kind: str, values: Mapping[str, Any]) -> tuple[BaseModel | None, dict[str, str]]:
    """The body of a request, or None and what is wrong with which field; "" stands for the request as a whole."""
    return validated_model(body_model(kind), {**values, "kind": kind})


def validated_model(model: type[Model], values: Mapping[str, Any]) -> tuple[Model | None, dict[str, str]]:
    """A model with these values, or None and what is wrong with which field, as from `validated`."""
    try:
        return model.model_validate(values), {}
    except ValidationError as error:
        found: dict[str, str] = {}
        for each in error.errors():
            name = str(each["loc"][0]) if each["loc"] else ""
            alone = ValidationError.from_exception_data(error.title, [each])  # type: ignore[list-item]
            found.setdefault(name, str(invalid(alone)))
        return None, found


def as_command(kind: str, values: Mapping[str, Any]) -> str:
    """The command that makes the same request."""
    return model_command(kind, body_model(kind), values)


def run_command(run: Run) -> str:
    """The command that makes the same request as a run."""
    body = body_of(run.request, run.execution)
    names = body.model_dump(exclude_defaults=True, exclude={"kind"})
    return as_command(run.request.kind, {name: getattr(body, name) for name in names})


def model_command(name: str, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """The command `limner NAME` with the values of a model's fields, as `as_command` returns that of a request."""
    words, flags = ["limner", name], []
    for name, field in model.model_fields.items():
        flag = _flag(field)
        if name not in values or flag.hidden:
            continue
        if flag.positional:
            words += _texts(values[name])
            continue
        flags += _flags(flag.name or name, values[name])
    for name, value in dict(values.get("options") or {}).items():  # of a training method
        flags += _flags(str(name), value)
    return " ".join(map(_quoted, [*words, *flags]))


def _quoted(word: str) -> str:
    """A word of a command. Control characters, which a terminal would obey when they are pasted, are written out."""
    if UNPRINTABLE.search(word) is None:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{UNPRINTABLE.sub(_written_out, escaped)}'"


def _written_out(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def as_python(kind: str, values: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> str:
    """The Python code that makes the same request. tags: of its run."""
    request = body_model(kind).__name__
    lines = "".join(f"    {name}={value!r},\n" for name, value in values.items())
    more = f", tags={dict(tags)!r}" if tags else ""
    return f"from limner import Studio, {request}\n\nStudio().run({request}(\n{lines}){more})"


def request_texts(kind: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The values of a form as a command, as JSON and as Python."""
    body, _ = validated(kind, values)
    typed = values if body is None else body.model_dump(mode="json", exclude_unset=True, exclude={"kind"})
    return [
        ("Command", as_command(kind, values)),
        ("JSON", as_json({"kind": kind, **typed})),
        ("Python", as_python(kind, typed)),
    ]


def as_json(values: Mapping[str, Any]) -> str:
    """Values as JSON in lines."""
    return UNPRINTABLE.sub(_written_out, json.dumps(values, indent=2, ensure_ascii=False))


def problem_at(error: LimnerError, values: Mapping[str, Any]) -> dict[str, str]:
    """An error at the field whose value it names, or at the request as a whole, whose name is ""."""
    named = ((text, name) for name, value in values.items() for text in _texts(value))
    longest = max(((text, name) for text, name in named if text in error.problem), default=("", ""), key=_length)
    return {longest[1]: str(error)}


def _flags(name: str, value: Any) -> list[str]:
    word = name if name.startswith("-") else "--" + name.replace("_", "-")
    found = (
        [word] if text == "true" else ["--no-" + word[2:]] if text == "false" else [word, text]
        for text in _texts(value)
    )
    return [part for each in found for part in each]


def _length(found: tuple[str, str]) -> int:
    return len(found[0])


def _flag(field: FieldInfo) -> Flag:
    return next((item for item in field.metadata if isinstance(item, Flag)), Flag())


def _headings(fields: Mapping[str, FieldInfo]) -> dict[str, tuple[Heading, bool]]:
    """Heading of each field, and whether beginners see it."""
    found: dict[str, tuple[Heading, bool]] = {}
    current = Heading.BASICS
    for name, field in fields.items():
        own = next((item for item in field.metadata if isinstance(item, Heading)), None)
        current = own if own not in (None, Heading.BASICS) else current
        basic = own is Heading.BASICS or field.is_required() or _flag(field).positional
        found[name] = (Heading.BASICS if basic else current, basic)
    return found


def _field(
    model: type[BaseModel], name: str, heading: Heading, basic: bool, values: tuple[str, ...], error: str
) -> FormField:
    field = model.model_fields[name]
    hint, several = _inner(field.annotation)
    known = tuple(str(value) for value in get_args(hint)) if get_origin(hint) is Literal else ()
    listed: list[ChoiceKind] = [item.of for item in field.metadata if isinstance(item, Choices)]
    lengths = [item.max_length for item in field.metadata if isinstance(item, MaxLen)] if hint is str else []
    longest = max(lengths, default=None)
    if known or listed:
        control: Control = "select" if known else "text"
    elif hint is bool:
        control = "checkbox"
    elif hint in (int, float):
        control = "number"
    elif reference_kind_of(field) == "picture":
        control = "image"
    else:
        control = "textarea" if longest is not None and longest >= LONG_TEXT else "text"
    least, most = _bounds(field, hint)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return FormField(
        name=name,
        label=label_of(name, field),
        term=name.replace("_", " "),
        help=help_of(field.description or "", model),
        control=control,
        required=field.is_required(),
        minimum=least,
        maximum=most,
        step="1" if hint is int else "any" if hint is float else None,
        longest=longest,
        known=known or tuple(value for of in listed for value in choices(of)),
        suggested=bool(listed),
        several=several,
        heading=heading,
        basic=basic,
        values=values or (("true",) if default is True else ()),
        placeholder="" if default in (None, "", ()) or isinstance(default, bool) else str(default),
        error=error,
    )


def _inner(hint: Any) -> tuple[Any, bool]:
    """The type of a field's values without None, limits and tuple, and whether it holds several."""
    if get_origin(hint) is Annotated:
        return _inner(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        rest = [part for part in get_args(hint) if part is not type(None)]
        return _inner(rest[0]) if len(rest) == 1 else (str, False)
    if get_origin(hint) is tuple:
        return _inner(get_args(hint)[0])[0], True
    return (str, False) if inspect.isclass(hint) and issubclass(hint, BaseModel) else (hint, False)


def _is_several(field: FieldInfo) -> bool:
    return _inner(field.annotation)[1]


def _is_bool(field: FieldInfo) -> bool:
    return _inner(field.annotation)[0] is bool


def _bounds(field: FieldInfo, hint: Any) -> tuple[float | None, float | None]:
    """Least and greatest value of a number, for the browser; an open bound is left to the request."""
    if hint not in (int, float):
        return None, None
    least = next((item.ge for item in field.metadata if isinstance(item, Ge)), None)
    most = next((item.le for item in field.metadata if isinstance(item, Le)), None)
    if least is None and any(isinstance(item, Gt) for item in field.metadata) and hint is float:
        least = 0.0
    if most is None and hint is int:
        most = next((item.lt - 1 for item in field.metadata if isinstance(item, Lt)), None)  # type: ignore[operator]
    return least, most  # type: ignore[return-value]


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, (list, tuple)):
        return tuple(str(part) for part in value)
    return (str(value),)
