"""Turns the fields of a model into the flags of a command, and typed flags and a recipe into validated models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Group, Parameter, Token
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from limner.core.errors import LimnerError, invalid
from limner.core.requests import Flag, Heading
from limner.core.requests.descriptions import described
from limner.core.requests.request import ChoiceKind, Choices

ListChoices = Callable[[ChoiceKind], Sequence[str]]


def no_choices(of: ChoiceKind) -> Sequence[str]:
    return ()


def flag_of(field: FieldInfo) -> Flag:
    """The `Flag` of a field, or the default one."""
    return next((item for item in field.metadata if isinstance(item, Flag)), Flag())


def flag_name(name: str, field: FieldInfo) -> str:
    """The flag of a field, or its name in the help where it is positional."""
    flag = flag_of(field)
    return name if flag.positional else flag.name or "--" + name.replace("_", "-")


def last_value(arguments: Sequence[str], flag: str) -> str | None:
    """The last value typed for a flag, None without one; for flags that decide which other flags there are."""
    values = [b for a, b in pairwise(arguments) if a == flag]
    values += [a.removeprefix(f"{flag}=") for a in arguments if a.startswith(f"{flag}=")]
    return values[-1] if values else None


def headings_of(fields: Mapping[str, FieldInfo]) -> dict[str, Heading]:
    """The heading of each field's flag; empty if no field has one."""
    found: dict[str, Heading] = {}
    current = Heading.BASICS
    for name, field in fields.items():
        own = next((item for item in field.metadata if isinstance(item, Heading)), None)
        current = own if own not in (None, Heading.BASICS) else current
        basic = own is Heading.BASICS or field.is_required() or flag_of(field).positional
        found[name] = Heading.BASICS if basic else current
    return found if len({*found.values()}) > 1 else {}


def group_of(heading: Heading | None) -> Group:
    """The box of a heading in the help. Without a heading it is the usual one; cyclopts hides a flag of no group."""
    if heading is None:
        return Group.create_default_parameters()
    return Group(heading.value, sort_key=list(Heading).index(heading))


def parameter_of(
    name: str,
    field: FieldInfo,
    optional: bool = False,
    heading: Heading | None = None,
    choices: ListChoices = no_choices,
    others: Mapping[str, FieldInfo] | None = None,
) -> inspect.Parameter | None:
    """The command-line parameter of a field; None for a hidden field.

    optional: it may be left out, because a recipe has a value for it. heading: of its box in the help. choices: returns
    the names that the help lists. others: fields that its description may name.
    """
    flag = flag_of(field)
    if flag.hidden:
        return None
    known = [name for item in field.metadata if isinstance(item, Choices) for name in choices(item.of)]
    text = described(field.description or "", others or {}, flag_name)
    required = field.is_required() and not optional
    hint = _plain_hint(field.annotation)
    marker = Parameter(
        name=None if flag.positional else flag_name(name, field),
        help=" ".join(filter(None, (text, f"[known: {', '.join(known)}]" if known else ""))),
        group=group_of(heading),
        required=required,
        consume_multiple=False,
        negative=() if field.default is False and not optional else None,
        negative_iterable=(),
        converter=_integer if hint is int else _integer_or_none if hint == int | None else None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD if flag.positional else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else _default(field),
        annotation=Annotated[hint | None if optional else hint, marker],
    )


def _default(field: FieldInfo) -> Any:
    """A field's default, nested models as the text that one would type."""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        return tuple(map(str, default))
    return str(default) if isinstance(default, BaseModel) else default


def _integer(hint: Any, tokens: Sequence[Token]) -> int:
    """An integer; cyclopts itself would round 1.5."""
    return int(tokens[0].value)


def _integer_or_none(hint: Any, tokens: Sequence[Token]) -> int | None:
    return None if tokens[0].value == "none" else _integer(hint, tokens)


def _plain_hint(hint: Any) -> Any:
    """The hint with nested models as text, which pydantic parses, and without limits, which pydantic checks."""
    if get_origin(hint) is tuple:
        return tuple[_plain_hint(get_args(hint)[0]), ...]
    if get_origin(hint) is Annotated:
        return _plain_hint(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_plain_hint(part) for part in get_args(hint))]  # noqa: UP007
    return str if inspect.isclass(hint) and issubclass(hint, BaseModel) else hint


def command_for(
    model: type[BaseModel],
    act: Callable[..., None],
    options: type[BaseModel] | None = None,
    recipe: Sequence[Mapping[str, Any]] = ({},),
    choices: ListChoices = no_choices,
) -> Callable[..., None]:
    """A function whose parameters are the fields of a model and of a method's options, then those of `act`.

    It calls `act` with each validated model as `request`. recipe: the fields of each, which typed flags replace.
    choices: returns the known names of a kind, which the help lists.
    """
    fields = dict(model.model_fields)
    extra = dict(options.model_fields) if options else {}
    every = {**fields, **extra}
    in_recipe = set.intersection(*(set(document) | set(_options_in(document)) for document in recipe))
    headings = headings_of(fields)
    headings |= dict.fromkeys(extra, Heading.METHOD)
    made = (
        parameter_of(name, field, name in in_recipe, headings.get(name), choices, every)
        for name, field in every.items()
    )
    parameters = sorted(
        (parameter for parameter in made if parameter is not None),
        key=lambda parameter: (parameter.kind, parameter.default is not inspect.Parameter.empty),
    )
    own = [p for name, p in inspect.signature(act, eval_str=True).parameters.items() if name != "request"]
    basic = Parameter(group=group_of(Heading.BASICS))
    shown = [p.replace(annotation=Annotated[p.annotation, basic]) if headings else p for p in own]

    def command(*positional: Any, **given: Any) -> None:
        given |= dict(zip((p.name for p in parameters), positional, strict=False))
        rest = {p.name: given.pop(p.name) for p in own if p.name in given}
        given = {name: _none_or_value(value, every[name]) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in extra if name in given}
        if options is not None:
            given["options"] = chosen
        requests = [model.model_validate(_merged(document, given, fields, options)) for document in recipe]
        for request in requests:
            act(request=request, **rest)

    command.__signature__ = inspect.Signature([*parameters, *shown])  # type: ignore[attr-defined]
    command.__doc__ = inspect.getdoc(model)
    return command


def _none_or_value(value: Any, field: FieldInfo) -> Any:
    """None for "none" where the field may be None, whatever the recipe or the default is; else the value."""
    return None if value == "none" and type(None) in get_args(field.annotation) else value


def _merged(
    document: Mapping[str, Any],
    given: Mapping[str, Any],
    fields: Mapping[str, FieldInfo],
    options: type[BaseModel] | None,
) -> dict[str, Any]:
    """A recipe's fields, replaced by the typed ones; also without those that a typed field overrules."""
    found = {**document, **given}
    for name, value in given.items():
        for other in flag_of(fields[name]).overrules if value is not None and value is not True else ():
            if other not in given:
                found.pop(other, None)
    if options is not None:
        if isinstance(document.get("options", {}), dict):
            before = _options_in(document)
            if "method" in given:  # options of another method do not apply
                before = {name: value for name, value in before.items() if name in options.model_fields}
            found["options"] = {**before, **given["options"]}
            _check_options(found["options"], options)
        else:
            found["options"] = document["options"]  # refused by the request
    return found


def _options_in(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recipe's options of the method; none where they are not a mapping."""
    options = document.get("options")
    return options if isinstance(options, dict) else {}


def _check_options(values: Mapping[str, Any], options: type[BaseModel]) -> None:
    """Raise LimnerError, which names flags, for options that the method does not have or that are wrong."""
    unknown = sorted(values.keys() - options.model_fields.keys())
    if unknown:
        raise LimnerError(f"this method has no option {unknown[0]!r}", f"it has {', '.join(options.model_fields)}")
    try:
        options.model_validate(dict(values))
    except ValidationError as error:
        known = options.model_fields
        raise invalid(error, lambda name: flag_name(name, known[name]) if name in known else name) from error
