"""The command line. Flags come from the request models' fields and descriptions; this file lists none of them."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import App, CycloptsError, Parameter, Token, UnknownCommandError, UnknownOptionError
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from . import __doc__ as about
from .core.errors import Interrupted, LimnerError, invalid, unknown
from .core.requests import Flag, GenerateRequest, TrainRequest
from .exam.sitting import Sitting
from .recipes import read_recipe

app = App(name="limner", help=about, version_flags=["--version"], default_parameter=Parameter(show_default=True))

models = App(name="models", help="The base models: which there are, and fetching them.")
app.command(models)

starter = App(name="starter", help="The model that comes with Limner: its exam and its pictures.")
app.command(starter)

Out = Annotated[Path | None, Parameter(help="Where the result goes.")]
Count = Annotated[int, Parameter(help="How many.")]


def flag_of(field: FieldInfo) -> Flag:
    return next((item for item in field.metadata if isinstance(item, Flag)), Flag())


def spelling(name: str, field: FieldInfo) -> str:
    """What a user types for a field, or where its place says it, reads in the help."""
    flag = flag_of(field)
    return name if flag.positional else flag.name or "--" + name.replace("_", "-")


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
    return None if field.is_required() else field.get_default(call_default_factory=True)


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
    own = [p for name, p in inspect.signature(act, eval_str=True).parameters.items() if name != "request"]

    def command(*positional: Any, **given: Any) -> None:
        given |= dict(zip((p.name for p in kept), positional, strict=False))
        theirs = {p.name: given.pop(p.name) for p in own if p.name in given}
        given = {name: _typed_value(value, {**fields, **options}[name]) for name, value in given.items()}
        chosen = {name: given.pop(name) for name in options if name in given}
        if extra is not None:
            given["options"] = chosen
        requests = [model.model_validate(_overruled(document, given, fields, extra)) for document in recipe]
        for request in requests:
            act(request=request, **theirs)

    kept = [p for p in parameters if p is not None]
    kept.sort(key=lambda p: (p.kind, p.default is not inspect.Parameter.empty))
    command.__signature__ = inspect.Signature([*kept, *own])  # type: ignore[attr-defined]
    command.__doc__ = inspect.getdoc(model)
    return command


def _typed_value(value: Any, field: FieldInfo) -> Any:
    """ "none" leaves a field open that need not be filled, whatever a recipe says."""
    return None if value == "none" and field.default is None else value


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


Recipe = Annotated[
    Path | None, Parameter(help="YAML file with fields of the request, which flags overrule; see recipes/.")
]


def generate(request: GenerateRequest, *, recipe: Recipe = None, out: Out = Path("pictures")) -> None:
    _carry_out(request, out, resume=False)


def train(
    request: TrainRequest,
    *,
    recipe: Recipe = None,
    out: Out = None,
    resume: Annotated[bool, Parameter(help="Go on with the interrupted run of the same request.", negative=())] = False,
) -> None:
    if out is None and not resume:
        words = (*request.trigger_words, *request.class_word.split())
        out = Path("-".join(filter(None, (re.sub(r"[^\w.]+", "", word).strip(".") for word in words))) or "taught")
    _carry_out(request, out, resume)


def _carry_out(request: GenerateRequest | TrainRequest, out: Path | None, resume: bool) -> None:
    from .studio import Studio
    from .terminal import Screen

    if int(os.environ.get("RANK", "0")):  # launched beside the process that tells and writes
        if isinstance(request, TrainRequest):
            with _stopping(lambda text: None) as stop:
                Studio().assist(request, stop=stop)
        return
    with Screen() as screen, _stopping(screen.note) as stop:
        run = Studio().run(request, out, resume=resume, listener=screen.show, stop=stop)
        screen.finish(run)


@app.command
def run(picture: Annotated[Path, Parameter(help="A PNG that Limner painted.")], *, out: Out = Path("pictures")) -> None:
    """Carry out the request inside a picture again: the same pixels on the same machine."""
    from .studio import Studio
    from .terminal import Screen

    with Screen() as screen, _stopping(screen.note) as stop:
        screen.finish(Studio().again(picture, out, listener=screen.show, stop=stop))


@app.command
def runs(*, count: Count = 20) -> None:
    """List what was done, newest first."""
    from .studio import Studio
    from .terminal import print_runs

    print_runs(Studio().runs(count))


@app.command
def show(run: Annotated[str, Parameter(help="Id of a run, or the start of it.")]) -> None:
    """Tell a run's request, events and results."""
    from .studio import Studio
    from .terminal import print_run

    studio = Studio()
    found, artifacts = studio.show(run)
    print_run(found, artifacts, studio.events(found.id))


@app.command
def demo(*, out: Out = Path("limner-demo")) -> None:
    """Teach the starter a new character from 8 pictures, and show it on a page: the main job in a few minutes."""
    from .demo.job import run_demo
    from .terminal import Screen

    with Screen() as screen, _stopping(screen.note) as stop:
        assert out is not None
        page = run_demo(out, screen.show, stop)
        screen.end()
    print(page)


def exam(
    request: Sitting,
    *,
    out: Out = Path("limner-exam"),
    record: Annotated[
        bool, Parameter(help="Keep the figures beside the weights, and tell them in the model card.", negative=())
    ] = False,
) -> None:
    from .exam.job import print_exam, record_exam
    from .exam.personalise import print_personalisation
    from .terminal import Screen

    assert out is not None
    with Screen() as screen, _stopping(screen.note) as stop:
        sit = print_personalisation if request.personalise else print_exam
        show = sit(out, request, screen.show, stop)
        if record:
            record_exam(out, request)
        screen.end()
    show()


starter.command(command_for(Sitting, None, exam), name="exam")


@starter.command
def sheet(
    *,
    out: Out = Path("starter.png"),
    model: Annotated[str, Parameter(help="The starter, or a folder with another one.")] = "starter",
) -> None:
    """Paint a contact sheet: 32 prompts, a picture each, seeds from 42 on."""
    from .exam.showcase import paint_showcase
    from .terminal import Screen

    assert out is not None
    with Screen() as screen, _stopping(screen.note) as stop:
        page = paint_showcase(out, screen.show, stop, model)
        screen.end()
    print(page)


@models.default
def list_models() -> None:
    """List the models that have names, with what they need."""
    from .studio import Studio
    from .terminal import print_models

    print_models(Studio().models())


@models.command
def get(model: Annotated[str, Parameter(help="Alias or Hugging Face id.")]) -> None:
    """Fetch a model from the Hugging Face hub; HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    from .studio import Studio
    from .terminal import Screen

    with Screen() as screen:
        place = Studio().fetch(model, listener=screen.show)
        screen.end()
    print(place)


@contextmanager
def _stopping(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the run to stop after its step, a second one stops at once."""
    asked = False

    def on_signal(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say("stopping after this step; press Ctrl-C again to stop at once")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _register(arguments: list[str]) -> None:
    """Add the commands that are made from models; a way to learn brings its own options."""
    for name in ("generate", "train"):
        if name in app:  # a second call of `main` in one process
            del app[name]
    extra, recipe = None, [{}]
    if arguments[:1] in (["train"], ["generate"]) and (path := _typed(arguments, "--recipe")) is not None:
        recipe = read_recipe(path, arguments[0])
    if arguments[:1] == ["train"]:
        from .studio import method_options

        if len(recipe) > 1:
            raise LimnerError(f"the recipe holds {len(recipe)} trainings", "keep one document in the file")
        extra = method_options(str(_typed(arguments, "--method") or recipe[0].get("method", "lora")))
    known = {"generate": (GenerateRequest, None, generate), "train": (TrainRequest, extra, train)}
    for name, (model, options, act) in known.items():
        app.command(command_for(model, options, act, recipe if arguments[:1] == [name] else [{}]), name=name)


def _typed(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag as it was typed last."""
    values = [b for a, b in pairwise(arguments) if a == flag]
    values += [a.removeprefix(f"{flag}=") for a in arguments if a.startswith(f"{flag}=")]
    return values[-1] if values else None


def _spelt(name: str) -> str:
    """A field's name as its flag; a name that is no field's, as it is."""
    for model in (GenerateRequest, TrainRequest, Sitting):
        if name in model.model_fields:
            return spelling(name, model.model_fields[name])
    return name


def _methods_with(flag: str) -> list[str]:
    """The ways to learn that have a flag among their options."""
    from .studio import method_options, methods

    found = []
    for method in methods():
        with suppress(LimnerError):  # a plugin of another package that does not load
            fields = method_options(method).model_fields
            found += [method for name, field in fields.items() if spelling(name, field) == flag]
    return found


def _one_line(error: CycloptsError) -> str:
    if isinstance(error, UnknownOptionError) and error.token is not None:
        flag = error.token.keyword or error.token.value
        if methods := _methods_with(flag):
            return f"{flag} is a flag of `limner train --method {' or '.join(methods)}` only"
        known = {name for argument in error.argument_collection or () for name in argument.names}
        near = get_close_matches(flag, known, n=1)
        return f"unknown flag {flag!r}; " + (f"did you mean {near[0]!r}? " if near else "") + "--help lists them all"
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return str(unknown("command", error.unused_tokens[0], [n for n in app if not n.startswith("-")]))
    return " ".join(str(error).split())


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 2 a mistake that the user can mend, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _register(arguments)
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_one_line(error))
    except ValidationError as error:
        _fail(str(invalid(error, _spelt)))
    except LimnerError as error:
        _fail(str(error))
    except (Interrupted, KeyboardInterrupt) as error:
        print(f"limner: {error or 'stopped'}", file=sys.stderr)
        if arguments[:1] == ["train"]:
            again = [*arguments, *([] if "--resume" in arguments else ["--resume"])]
            print(f"limner: to go on: limner {shlex.join(again)}", file=sys.stderr)
        sys.exit(130)


def _fail(line: str) -> None:
    line = re.sub(r"(?<![\w/.'\"-])[a-z]+(?:_[a-z]+)+(?![\w/.'\"-])", lambda found: _spelt(found.group()), line)
    print(f"limner: {line}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
