"""The command line: the list of commands, of which only the one typed is imported, and errors on one line."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument
from cyclopts.help import format_usage

# Absolute imports: the process that examines uploads runs this file by its path, where relative imports fail.
from limner import __doc__ as about
from limner.cli.output import escape_unencodable, print_line
from limner.core.collection import collection_paused
from limner.core.errors import Interrupted, LimnerError, invalid, unknown
from limner.core.files import file_error
from limner.core.kinds import KINDS, CommandGroup, RequestKind
from limner.core.nearest_name import nearest_name


@dataclass(frozen=True, slots=True)
class Command:
    """A command. place: "module:name" below `limner.cli.commands`. examples: command lines, without "limner".

    subcommands: by name, with their examples.
    """

    place: str
    help: str
    group: CommandGroup
    examples: tuple[str, ...]
    subcommands: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


COMMANDS = {
    "pets": Command(
        "pets:pets",
        "Generate images of a pet, chosen by species, breed, background, extras and style.",
        CommandGroup.START,
        (
            'pets --species dog --breed corgi --extras "red scarf"',
            "pets --species cat --style watercolour --count 4",
        ),
    ),
    "discover": Command(
        "discover:discover",
        "Search prompts of libraries and of your own images, by words, meaning, a picture or a colour; add libraries.",
        CommandGroup.START,
        ('discover "corgi at sunset"', 'discover "portrait by a window" --filter size=portrait'),
        {
            "add": ("discover add prompts.csv", "discover add metadata.parquet --name diffusiondb --licence CC0-1.0"),
            "examples": ("discover examples", "discover examples --images 2000"),
            "list": ("discover list",),
            "remove": ("discover remove diffusiondb",),
            "rebuild": ("discover rebuild",),
        },
    ),
    "rank": Command(
        "votes:rank",
        "Rank the contestants of a comparison by the votes saved on its blind page.",
        CommandGroup.COMPARE,
        ("rank votes.json --comparison comparison", "rank anna.json ben.json"),
    ),
    "opinions": Command(
        "votes:opinions",
        "Summarise people's blind scores of an evaluation's images, and show which metrics agree with them.",
        CommandGroup.COMPARE,
        ("opinions scores.json", "opinions anna.json ben.json --evaluation evaluation"),
    ),
    "run": Command(
        "history:run",
        "Repeat the request stored in an image: the same pixels on the same machine.",
        CommandGroup.START,
        ("run pictures/0001.png", "run pictures/0001.png --out again"),
    ),
    "runs": Command(
        "history:runs",
        "List runs, newest first.",
        CommandGroup.LOOK,
        ("runs", "runs --count 50"),
    ),
    "queue": Command(
        "queue:queue",
        "List the jobs of the service in their order, stop them, move them, and resume them.",
        CommandGroup.SERVICE,
        ("queue", "queue up 261129-203757-nq99 --first"),
        {
            "stop": ("queue stop 261129-203757-nq99",),
            "up": ("queue up 261129-203757-nq99", "queue up 261129-203757-nq99 --first"),
            "down": ("queue down 261129-203757-nq99", "queue down 261129-203757-nq99 --last"),
            "stop-after": ("queue stop-after 261129-203757-nq99",),
            "resume": ("queue resume 261129-203757-nq99",),
        },
    ),
    "show": Command(
        "history:show",
        "Print a run's request, notices and results.",
        CommandGroup.LOOK,
        ("show 261129-203757-nq99", "show 261129"),
    ),
    "verify": Command(
        "history:verify",
        "Check whether images were made here, and whether they were changed. Exit codes: 0 all were made here, or "
        "signed by someone you trust, and not changed since; 1 any other image; 2 not a PNG, JPEG or WebP file.",
        CommandGroup.LOOK,
        ("verify pictures/0001.png", "verify one.png two.jpg"),
    ),
    "history": Command(
        "history:history",
        "List generated images that meet all conditions given.",
        CommandGroup.LOOK,
        ("history --search beach --at-least 4", "history --favourite --model starter"),
    ),
    "rate": Command(
        "history:rate",
        "Rate images with 1 to 5 stars, as in: limner rate pictures/0001.png 4.",
        CommandGroup.LOOK,
        ("rate pictures/0001.png 4", 'rate 75 2 --reason blurred --comment "too dark"'),
    ),
    "favourite": Command(
        "history:favourite",
        "Add images to your favourites, or remove them; limner history --favourite lists them.",
        CommandGroup.LOOK,
        ("favourite pictures/0001.png", "favourite 75 --remove"),
    ),
    "collection": Command(
        "collections:collection",
        "List, create, rename and delete collections of images, and add and remove images.",
        CommandGroup.LOOK,
        ("collection", "collection create beach"),
        {
            "create": ("collection create beach", 'collection create "Summer campaign"'),
            "rename": ('collection rename beach "By the sea"', "collection rename 1 beach"),
            "delete": ("collection delete beach", "collection delete 1"),
            "add": ("collection add beach pictures/0001.png", "collection add 1 75 76"),
            "remove": ("collection remove beach pictures/0001.png", "collection remove 1 75 76"),
        },
    ),
    "feedback": Command(
        "history:feedback",
        "Export ratings and comparisons for preference training.",
        CommandGroup.LOOK,
        ("feedback export ratings.jsonl", "feedback export pairs.parquet --kind pairs"),
        {"export": ("feedback export ratings.jsonl", "feedback export pairs.parquet --kind pairs")},
    ),
    "models": Command(
        "models:models",
        "List and download base models.",
        CommandGroup.MODELS,
        ("models", "models get sdxl"),
        {"get": ("models get sdxl", "models get stabilityai/sd-vae-ft-mse")},
    ),
    "starter": Command(
        "models:starter",
        "Examine the model that comes with Limner, and generate a contact sheet.",
        CommandGroup.MODELS,
        ("starter exam", "starter sheet --out starter.png"),
        {
            "exam": ("starter exam", "starter exam --personalise"),
            "words": ("starter words",),
            "sheet": ("starter sheet", "starter sheet --out starter.png"),
            "agreement": ("starter agreement", "starter agreement --out agreement"),
            "industries": ("starter industries", "starter industries --industry finance"),
        },
    ),
    "demo": Command(
        "models:demo",
        "Train the starter on 8 images of a new character and show the result on a page. Takes a few minutes.",
        CommandGroup.START,
        ("demo", "demo --out limner-demo"),
    ),
    "serve": Command(
        "service:serve",
        "Serve the HTTP API on this machine, with workers of its own.",
        CommandGroup.SERVICE,
        ("serve", "serve --host 0.0.0.0 --port 8000 --workers 2"),
    ),
    "worker": Command(
        "service:worker",
        "Execute queued runs until stopped; `limner serve` starts its own workers.",
        CommandGroup.SERVICE,
        ("worker", "worker --log json --run-seconds 600"),
    ),
    "keys": Command(
        "service:keys",
        "List, create and revoke API keys. The service requires a key if other machines can reach it.",
        CommandGroup.SERVICE,
        ("keys add anna --role maker --days 90", "keys revoke KEY"),
        {
            "add": ("keys add anna --role maker --days 90", "keys add shop --role viewer --per-minute 60"),
            "revoke": ("keys revoke KEY",),
            "role": ("keys role anna viewer",),
        },
    ),
    "backup": Command(
        "maintenance:backup",
        "Write the database, the stored files and the credentials into one archive. The service can keep running.",
        CommandGroup.STORE,
        ("backup limner-backup.zip", "backup /backups/monday.zip"),
    ),
    "restore": Command(
        "maintenance:restore",
        "Restore a backup into an empty LIMNER_HOME and database. The whole archive is checked first.",
        CommandGroup.STORE,
        ("restore limner-backup.zip", "restore limner-backup.zip --replace"),
    ),
    "erase": Command(
        "maintenance:erase",
        "Permanently erase runs, images, files, or everything that an account owns. Files that nothing else uses are "
        "erased too.",
        CommandGroup.STORE,
        ("erase 261129-203757-nq99 --dry-run", "erase image:75"),
    ),
    "prune": Command(
        "maintenance:prune",
        "Permanently erase old runs that nothing newer depends on, and files that nothing refers to.",
        CommandGroup.STORE,
        ("prune --older-than 30d", "prune --older-than 8w"),
    ),
}
"""Commands other than those of request kinds."""
EXPECTED = {
    bool: "leave the value out, or write --no- in place of --",
    int: "write a whole number, such as 8",
    float: "write a number, such as 7.5",
    datetime: "write a date, such as 2026-01-31, or a date and time, such as 2026-01-31T18:30:00",
}
"""What a value of a flag should be, by its type."""
CHATTY = ("bitsandbytes", "torchao", "torch.utils._pytree")
"""Libraries that log, when they are imported, which of their optional parts this machine lacks."""


def application(arguments: Sequence[str] = ()) -> App:
    """All commands, for these arguments: a recipe or a training method changes the flags of a command."""
    app = App(
        name="limner",
        help=about,
        group_commands=Group("Options", sort_key=len(CommandGroup)),
        version_flags=["--version"],
        default_parameter=Parameter(show_default=shown_default),
    )
    typed = next((word for word in arguments if word not in app.help_flags), None)
    for number, (name, entry) in enumerate({**KINDS, **COMMANDS}.items()):
        place = entry.command if isinstance(entry, RequestKind) else entry.place
        command: Any = f"limner.cli.commands.{place}"
        shown: dict[str, Any] = {"help": entry.help, "group": _group(entry.group), "sort_key": number}
        if name == typed:
            command = _loaded(entry, arguments)
            shown["help_epilogue"] = _listed(entry.examples)
        if isinstance(command, App):
            shown["group_commands"] = Group("Commands")
            for subcommand, lines in entry.subcommands.items() if isinstance(entry, Command) else ():
                command[subcommand].help_epilogue = _listed(lines)
            for attribute, value in shown.items():
                setattr(command, attribute, value)
            shown = {}
        app.command(command, name=name, **shown)
    if typed in {*KINDS, *COMMANDS} and {*app.help_flags} & {*arguments}:
        _name_arguments(app, arguments)
    return app


def _listed(examples: Sequence[str]) -> str:
    """Examples as the end of a help."""
    return "Examples:\n\n" + "\n".join(f"    limner {line}" for line in examples)


def _name_arguments(app: App, arguments: Sequence[str]) -> None:
    """Name the optional arguments in the usage of the command whose help is shown; cyclopts writes [ARGS] for all."""
    chain, shown = [], app
    for name in app.parse_commands([word for word in arguments if word not in app.help_flags])[0]:
        chain, shown = [*chain, name], shown[name]
    if shown.default_command is None:
        return
    collection = shown.assemble_argument_collection()
    names = [_usage_of(argument) for argument in collection if argument.index is not None and not argument.required]
    usage = format_usage(app, chain).plain.strip()
    usage = re.sub(r"\[ARGS(\.\.\.)?\]", lambda _: " ".join(names), usage)
    if " COMMAND" in usage:  # it may stand alone; beside arguments, it stands in their place
        usage = f"{usage.replace(' COMMAND', '', 1)}{' |' if names else ''} [COMMAND]"
    shown.usage = f"Usage: {usage}"


def _usage_of(argument: Argument) -> str:
    """An optional argument in the usage of a command; the commands themselves refuse an empty list of `*arguments`."""
    name = f"{_shown_name(argument)}{'...' if get_origin(argument.hint) is tuple else ''}"
    return name if argument.field_info.kind is argument.field_info.VAR_POSITIONAL else f"[{name}]"


def _loaded(entry: RequestKind | Command, arguments: Sequence[str]) -> Any:
    """The function or the application of a command."""
    if isinstance(entry, RequestKind):
        from limner.cli.commands.requests import request_command

        return request_command(entry, arguments)
    module, name = entry.place.split(":")
    return getattr(import_module(f"limner.cli.commands.{module}"), name)


@cache
def _group(group: CommandGroup) -> Group:
    return Group(group.value, sort_key=list(CommandGroup).index(group))


def shown_default(value: object) -> str | None:
    """A default as the help shows it; None for one that is nothing, which the help leaves out."""
    if value is None or value is False or value in ((), ""):
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _flag_name(field: str) -> str:
    """A field's flag; other names as they are."""
    from limner.cli.flags import flag_name
    from limner.core.accounts import Limits
    from limner.core.execution import body_model
    from limner.core.feedback import ImageQuery, Rating
    from limner.core.pets import PetsCall
    from limner.server.settings import Settings
    from limner.starter.exam.options import ExamOptions

    for model in (*map(body_model, KINDS), ExamOptions, Settings, Limits, ImageQuery, Rating, PetsCall):
        if field in model.model_fields:
            return flag_name(field, model.model_fields[field])
    return field


def _methods_with(flag: str) -> list[str]:
    """The training methods that have a flag among their options."""
    from limner.cli.flags import flag_name
    from limner.studio.choices import choices, method_options

    found = []
    for method in choices("methods"):
        with suppress(LimnerError):  # a plugin of another package that cannot be imported
            fields = method_options(method).model_fields
            found += [method for name, field in fields.items() if flag_name(name, field) == flag]
    return found


def _parse_error(error: CycloptsError) -> str:
    """The line for arguments that cannot be parsed."""
    if isinstance(error, UnknownOptionError) and error.token is not None:
        flag = error.token.keyword or error.token.value
        if methods := _methods_with(flag):
            return f"{flag} is a flag of `limner train --method {' or '.join(methods)}` only"
        known = {name for argument in error.argument_collection or () for name in argument.names}
        near = nearest_name(flag, sorted(known))
        return f"unknown flag {flag!r}; " + (f"did you mean {near!r}? " if near else "") + "--help lists all flags"
    if subcommands := _subcommands(error):
        chain, word, known = subcommands
        return str(unknown(f"command of `limner {chain}`", word, known))
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return str(unknown("command", error.unused_tokens[0], (*KINDS, *COMMANDS)))
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        return f"{error.argument.name} {error.token.value[:80]!r}: {_expected(error.argument.hint)}"
    if isinstance(error, RepeatArgumentError) and error.token is not None:
        return f"{error.token.keyword} is given more than once; give it once"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword:
            return f"{error.keyword} has no value; write it behind the flag"
        return f"{_shown_name(error.argument)} is missing; see limner {' '.join(error.command_chain or ())} --help"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        tokens = " ".join(error.unused_tokens)[:80]
        return f"{tokens!r} is not expected here; put a value that contains spaces in quotation marks"
    return " ".join(str(error).split())


def _subcommands(error: CycloptsError) -> tuple[str, str, list[str]] | None:
    """For an unknown command of a group such as `limner keys`: the group, the word, and its commands; else None."""
    typed, unused = error.root_input_tokens or [], error.unused_tokens or []
    command = COMMANDS.get(typed[0]) if typed else None
    if command is None or not command.subcommands or not unused or unused[0] != typed[1]:
        return None
    return typed[0], unused[0], list(command.subcommands)


def _shown_name(argument: Argument) -> str:
    """A flag, or the name in capitals of an argument without one."""
    positional = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
    return argument.name.removeprefix("--").upper() if positional else argument.name


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The values that a type allows, if it lists them."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(each.value for each in hint) if isinstance(hint, type) and issubclass(hint, Enum) else ()


def _expected(hint: Any) -> str:
    """What a value of a type should be."""
    kinds = {hint, *get_args(hint)}
    choices = [str(choice) for kind in kinds for choice in choices_of(kind)]
    if choices:
        return f"choose one of: {', '.join(choices)}"
    return next((text for kind, text in EXPECTED.items() if kind in kinds), "it is not valid")


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 1 a condition is not met, or nobody reads the output, 2 an error that the user
    can fix, 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # Threads that spin while they wait for each other cost several times the time of the work if the machine is busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    escape_unencodable()
    for library in CHATTY:
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # a hostile image can cause one for each of 65,535 tags
    try:
        _check_encoding(arguments)
        with collection_paused():
            commands = application(arguments)
        commands(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`; the rich library does the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the interpreter flushes the rest
        sys.exit(1)
    except CycloptsError as error:
        _fail(str(LimnerError(_parse_error(error))))
    except LimnerError as error:
        _fail(str(error))
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        _fail(str(invalid(error, _flag_name)))
    except OSError as error:
        if not isinstance(error.filename, str | Path):
            raise
        _fail(str(file_error(Path(error.filename), error)))
    except (Interrupted, KeyboardInterrupt) as error:
        print_line(f"limner: {error or 'stopped'}", sys.stderr)
        kind = KINDS.get(next(iter(arguments), ""))
        if kind is not None and kind.resumed_by is not None:
            again = [*arguments, *(flag for flag in kind.resumed_by if flag not in arguments)]
            print_line(f"limner: to resume: limner {shlex.join(again)}", sys.stderr)
        sys.exit(130)


def _check_encoding(arguments: Sequence[str]) -> None:
    """Raise LimnerError for an argument that is not valid UTF-8, which neither requests nor the database can hold."""
    for argument in arguments:
        if any("\ud800" <= char <= "\udfff" for char in argument):
            name = argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise LimnerError(f"{name[:80]!r} is not valid UTF-8", "rename the file, or type the text again")


_FIELD_NAME = re.compile(r"(?<![\w/.'\"-])[a-z]+(?:_[a-z]+)+(?![\w/.'\"-])")
"""The name of a field of a request, where it is no part of a name or path."""


def _fail(line: str) -> None:
    """Print an error, with the names of fields as flags, and exit with 2. Names to choose from stay as they are."""
    text, choose, names = line.partition(" choose one of: ")
    text = _FIELD_NAME.sub(lambda found: _flag_name(found.group()), text)
    print_line(f"limner: {text}{choose}{names}", sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
