"""The command line: the list of commands, of which only the one typed is imported, and errors on one line."""

from __future__ import annotations

import os
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnknownOptionError

# Absolute imports: the process that examines uploads runs this file by its path, where relative imports fail.
from limner import __doc__ as about
from limner.cli.output import escape_unencodable, print_line
from limner.core.errors import Interrupted, LimnerError, invalid, unknown
from limner.core.files import file_error
from limner.core.kinds import KINDS

COMMANDS = {
    "rank": ("votes:rank", "Rank the contestants of a comparison by the votes saved on its blind page."),
    "opinions": (
        "votes:opinions",
        "Summarise people's blind scores of an evaluation's images, and show which metrics agree with them.",
    ),
    "run": ("history:run", "Repeat the request stored in an image: the same pixels on the same machine."),
    "runs": ("history:runs", "List runs, newest first."),
    "show": ("history:show", "Print a run's request, notices and results."),
    "verify": (
        "history:verify",
        "Check whether images were made here, and whether they were changed. Exit codes: 0 all were made here, or "
        "signed by someone you trust, and not changed since; 1 any other image; 2 not a PNG, JPEG or WebP file.",
    ),
    "history": ("history:history", "List generated images that meet all conditions given."),
    "rate": ("history:rate", "Rate images with 1 to 5 stars, as in: limner rate pictures/0001.png 4."),
    "favourite": (
        "history:favourite",
        "Add images to your favourites, or remove them; limner history --favourite lists them.",
    ),
    "collection": (
        "collections:collection",
        "List, create, rename and delete collections of images, and add and remove images.",
    ),
    "feedback": ("history:feedback", "Export ratings and comparisons for preference training."),
    "models": ("models:models", "List and download base models."),
    "starter": ("models:starter", "Examine the model that comes with Limner, and generate a contact sheet."),
    "demo": (
        "models:demo",
        "Train the starter on 8 images of a new character and show the result on a page. Takes a few minutes.",
    ),
    "serve": ("service:serve", "Serve the HTTP API on this machine, with workers of its own."),
    "worker": (
        "service:worker",
        "Execute queued runs until stopped; `limner serve` starts its own workers.",
    ),
    "keys": ("service:keys", "Manage API keys. The service requires them if other machines can reach it."),
    "backup": (
        "maintenance:backup",
        "Write the database, the stored files and the credentials into one archive. The service can keep running.",
    ),
    "restore": (
        "maintenance:restore",
        "Restore a backup into an empty LIMNER_HOME and database. The whole archive is checked first.",
    ),
    "erase": (
        "maintenance:erase",
        "Permanently erase runs, files, or everything that an account owns. Files that nothing else uses are erased "
        "too.",
    ),
    "prune": (
        "maintenance:prune",
        "Permanently erase old runs that nothing newer depends on, and files that nothing refers to.",
    ),
}
"""Commands other than those of request kinds: "module:name" below `limner.cli.commands`, and help."""


def application(arguments: Sequence[str] = ()) -> App:
    """All commands, for these arguments: a recipe or a training method changes the flags of a command."""
    app = App(
        name="limner", help=about, version_flags=["--version"], default_parameter=Parameter(show_default=shown_default)
    )
    for name, kind in KINDS.items():
        command = f"limner.cli.commands.{kind.command}"
        if name == next(iter(arguments), None):
            from limner.cli.commands.requests import request_command

            command = request_command(kind, arguments)
        app.command(command, name=name, help=kind.help)
    for name, (place, text) in COMMANDS.items():
        app.command(f"limner.cli.commands.{place}", name=name, help=text)
    return app


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
    from limner.server.settings import Settings
    from limner.starter.exam.options import ExamOptions

    for model in (*map(body_model, KINDS), ExamOptions, Settings, Limits, ImageQuery, Rating):
        if field in model.model_fields:
            return flag_name(field, model.model_fields[field])
    return field


def _methods_with(flag: str) -> list[str]:
    """The training methods that have a flag among their options."""
    from limner.cli.flags import flag_name
    from limner.studio.studio import method_options, methods

    found = []
    for method in methods():
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
        near = get_close_matches(flag, known, n=1)
        return f"unknown flag {flag!r}; " + (f"did you mean {near[0]!r}? " if near else "") + "--help lists all flags"
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        return str(unknown("command", error.unused_tokens[0], (*KINDS, *COMMANDS)))
    return " ".join(str(error).split())


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 1 a condition is not met, 2 an error that the user can fix, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Threads that spin while they wait for each other cost several times the time of the work if the machine is busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    escape_unencodable()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # a hostile image can cause one for each of 65,535 tags
    try:
        _check_encoding(arguments)
        application(arguments)(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_parse_error(error))
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


def _fail(line: str) -> None:
    """Print an error, with the names of fields as flags, and exit with 2."""
    field = r"(?<![\w/.'\"-])[a-z]+(?:_[a-z]+)+(?![\w/.'\"-])"
    print_line(f"limner: {re.sub(field, lambda found: _flag_name(found.group()), line)}", sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
