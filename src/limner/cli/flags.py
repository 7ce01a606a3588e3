"""A request model's fields as flags of a command, and what was typed, over a recipe, as requests again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Parameter, Token
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from limner.core.errors import LimnerError, invalid
from limner.core.execution import split_body
from limner.core.requests import Flag


def flag_of(field: FieldInfo) -> Flag:
    return next((item for item in field.metadata if isinstance(item, Flag)), Flag())


def spelling(name: str, field: FieldInfo) -> str:
    """What a user types for a field, or where its place says it, reads in the help."""
    flag = flag_of(field)
    return name if flag.positional else flag.name or "--" + name.replace("_", "-")


def typed(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag as it was typed last."""
    values = [b for a, b in pairwise(arguments) if a == flag]
    values += [a.removeprefix(f"{flag}=") for a in arguments if a.startswith(f"{flag}=")]
    return values[-1] if values else None


def parameter_of(name: str, field: FieldInfo, known: bool = False) -> inspect.Parameter | None:
    """A command-line parameter for a request field; None for fields that a surface fills itself.

    known: a recipe has a value for it, so that it may be left out.
    """
    flag = flag_of(field)
    if flag.hidden:
        return None
    required = field.is_required() and not known
    hint = _plain(field.annotation)
    marker = Parameter(
        name=None if flag.positional else spelling(name, field),
        help=field.description,
        required=required,
        show_default=not required and field.get_default() not in (None, (), ""),
        consume_multiple=False,
        negative=() if field.default is False and not known else None,
        negative_iterable=(),
        converter=_whole if hint is int else _whole_or_none if hint == int | None else None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD if flag.positional else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else _default(field),
        annotation=Annotated[hint | None if known else hint, marker],
    )


def _default(field: FieldInfo) -> Any:
    """A field's default, nested models as text, as they are typed."""
    found = None if field.is_required() else field.get_default(call_default_factory=True)
    return tuple(map(str, found)) if isinstance(found, tuple) else str(found) if isinstance(found, BaseModel) else found


def _whole(hint: Any, tokens: Sequence[Token]) -> int:
    """A whole number; cyclopts itself would round 1.5."""
    return int(tokens[0].value)


def _whole_or_none(hint: Any, tokens: Sequence[Token]) -> int | None:
    return None if tokens[0].value == "none" else _whole(hint, tokens)


def _plain(hint: Any) -> Any:
    """The hint with nested models as text, which their validators parse, and without limits, of which they speak."""
    if get_origin(hint) is tuple:
        return tuple[_plain(get_args(hint)[0]), ...]
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_plain(part) for part in get_args(hint))]  # noqa: UP007
    return str if inspect.isclass(hint) and issubclass(hint, BaseModel) else hint


def command_for(
    model: type[BaseModel],
    extra: type[BaseModel] | None,
    act: Callable[..., None],
    recipe: Sequence[Mapping[str, Any]] = ({},),
) -> Callable[..., None]:
    """A function whose parameters are the fields of a request (and of a method's options), then those of `act`.

    recipe: fields of each request to make, which what is typed overrules.
    """
    fields = dict(model.model_fields)
    options = dict(extra.model_fields) if extra else {}
    told = set.intersection(*(set(document) | set(_options_of(document)) for document in recipe))
    parameters = [parameter_of(name, field, name in told) for name, field in {**fields, **options}.items()]
    taken = inspect.signature(act, eval_str=True).parameters
    own = [p for name, p in taken.items() if name not in ("request", "execution")]

    def command(*positional: Any, **given: Any) -> None:
        given |= dict(zip((p.name for p in kept), positional, strict=False))
        theirs = {p.name: given.pop(p.name) for p in own if p.name in given}
        given = {name: _typed_value(value, {**fields, **options}[name]) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in options if name in given}
        if extra is not None:
            given["options"] = chosen
        requests = [model.model_validate(_overruled(document, given, fields, extra)) for document in recipe]
        for request in requests:
            if "execution" in taken:
                asked, execution = split_body(request)
                act(request=asked, execution=execution, **theirs)
            else:
                act(request=request, **theirs)

    kept = [p for p in parameters if p is not None]
    kept.sort(key=lambda p: (p.kind, p.default is not inspect.Parameter.empty))
    command.__signature__ = inspect.Signature([*kept, *own])  # type: ignore[attr-defined]
    command.__doc__ = inspect.getdoc(model)
    return command


def _typed_value(value: Any, field: FieldInfo) -> Any:
    """ "none" leaves a field open that may be, whatever a recipe or its default says."""
    return None if value == "none" and type(None) in get_args(field.annotation) else value


def _overruled(
    document: Mapping[str, Any],
    given: Mapping[str, Any],
    fields: Mapping[str, FieldInfo],
    extra: type[BaseModel] | None,
) -> dict[str, Any]:
    """A recipe's fields with what was typed in their place, which may be "none".

    A switch that is typed as on overrules no other field.
    """
    found = {**document, **given}
    for name, value in given.items():
        for other in flag_of(fields[name]).overrules if value is not None and value is not True else ():
            if other not in given:
                found.pop(other, None)
    if extra is not None:
        if isinstance(document.get("options", {}), dict):
            before = _options_of(document)
            if "method" in given:  # what the recipe says of another method goes
                before = {name: value for name, value in before.items() if name in extra.model_fields}
            found["options"] = {**before, **given["options"]}
            _check_options(found["options"], extra)
        else:
            found["options"] = document["options"]  # which the request refuses
    return found


def _options_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recipe's options of the method, none where they are no such thing."""
    options = document.get("options")
    return options if isinstance(options, dict) else {}


def _check_options(options: Mapping[str, Any], extra: type[BaseModel]) -> None:
    """Refuse what is wrong with a method's options, by the names of their flags."""
    strange = sorted(options.keys() - extra.model_fields.keys())
    if strange:
        raise LimnerError(f"this method has no option {strange[0]!r}", f"it has {', '.join(extra.model_fields)}")
    try:
        extra.model_validate(dict(options))
    except ValidationError as error:
        known = extra.model_fields
        raise invalid(error, lambda name: spelling(name, known[name]) if name in known else name) from error
