"""The command line: the list of commands, of which only the one that is called is loaded, and errors in one line."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnknownOptionError

# By full names: a process that examines uploads runs this file by its path, where relative imports fail.
from limner import __doc__ as about
from limner.core.errors import Interrupted, LimnerError, invalid, unknown

COMMANDS = {
    "prepare": (
        "prepare:prepare",
        """Make a clean dataset of a pile of pictures, and a report of what is in it.

        Originals stay as they are. What was interrupted goes on by the same command.
        """,
    ),
    "generate": ("requests:generate", "Paint pictures from a prompt, and where given, from a picture."),
    "train": (
        "requests:train",
        "Teach a model a subject from a few pictures (DreamBooth: an identifier, a class word, prior preservation).",
    ),
    "evaluate": (
        "evaluate:evaluate",
        """Measure how good a model, an adapter or a folder of pictures is, against photographs of the subject.

        Exit codes: 0 done, 1 what --require asks for is not so, 2 a mistake that you can mend.
        """,
    ),
    "compare": (
        "compare:compare",
        "Tell which of several models or adapters is better: same prompts and seeds, scores, a page for blind votes.",
    ),
    "rank": ("compare:rank", "Rank what was compared by the votes that people saved on the blind page."),
    "opinions": (
        "opinions:opinions",
        "Tell what people who scored an evaluation's pictures blind think, and which metrics think so too.",
    ),
    "sweep": (
        "sweep:sweep",
        "Paint the same with one to three settings varied, side by side, and measure what they do.",
    ),
    "influence": (
        "influence:influence",
        "Tell which training pictures made pictures, and which of them do harm or nothing (TRAK, D-TRAK).",
    ),
    "run": ("pictures:run", "Carry out the request inside a picture again: the same pixels on the same machine."),
    "runs": ("runs:runs", "List what was done, newest first."),
    "show": ("runs:show", "Tell a run's request, events and results."),
    "verify": (
        "pictures:verify",
        """Say whether pictures are ours, and whether they were changed.

        Exit codes: 0 all were made here, or signed by somebody trusted, and not changed since; 1 any other picture; 2 a
        file that is no picture.
        """,
    ),
    "history": ("pictures:history", "Look pictures up. Conditions that are given all hold."),
    "rate": ("pictures:rate", "Say what you think of pictures: limner rate pictures/0001.png 4."),
    "feedback": ("feedback:app", "What is said of pictures, for training on it."),
    "models": ("models:app", "The base models: which there are, and fetching them."),
    "starter": ("starter:app", "The model that comes with Limner: its exam and its pictures."),
    "demo": (
        "demo:demo",
        "Teach the starter a new character from 8 pictures, and show it on a page: the main job in a few minutes.",
    ),
    "serve": ("service:serve", "Serve the studio over HTTP on this machine, with workers of its own."),
    "worker": (
        "service:worker",
        "Carry out the runs that wait in the queue, until it is stopped; `limner serve` starts its own.",
    ),
    "keys": (
        "keys:app",
        "Keys to the service, which it asks for as soon as others than this machine can reach it.",
    ),
    "backup": (
        "upkeep:backup",
        "Write the whole state into one archive: runs, events, artifacts, files, credentials. Work may go on.",
    ),
    "restore": (
        "upkeep:restore",
        "Put back what a backup holds, into an empty home and database; the archive is checked first.",
    ),
    "erase": (
        "upkeep:erase",
        "Erase runs, files, or all that is somebody's, for good, with all that only they needed.",
    ),
    "prune": (
        "upkeep:prune",
        "Erase what ended long ago, unless something younger stands on it, and sweep what nothing refers to.",
    ),
}
"""Where each is, below `commands`, and what its help says."""
TYPED = {
    "prepare": "prepare:prepare_command",
    "generate": "requests:generate_command",
    "train": "requests:train_command",
    "compare": "compare:compare_command",
    "evaluate": "evaluate:evaluate_command",
    "sweep": "sweep:sweep_command",
}
"""Commands whose flags depend on what was typed, such as a recipe or a way to learn, and where they are made."""


def application(arguments: Sequence[str] = ()) -> App:
    """All commands, for what was typed."""
    app = App(name="limner", help=about, version_flags=["--version"], default_parameter=Parameter(show_default=True))
    first = arguments[0] if arguments else ""
    for name, (place, told) in COMMANDS.items():
        if name == first and name in TYPED:
            module, maker = TYPED[name].split(":")
            command = getattr(import_module(f"limner.cli.commands.{module}"), maker)(arguments)
            app.command(command, name=name, help=inspect.cleandoc(told))
        else:
            app.command(f"limner.cli.commands.{place}", name=name, help=inspect.cleandoc(told))
    return app


def _spelt(name: str) -> str:
    """A field's name as its flag; a name that is no field's, as it is."""
    from limner.cli.flags import spelling
    from limner.core.accounts import Limits
    from limner.core.feedback import PictureQuery, Rating
    from limner.core.requests import (
        CompareRequest,
        EvaluateRequest,
        GenerateRequest,
        InfluenceRequest,
        PrepareRequest,
        SweepRequest,
        TrainRequest,
    )
    from limner.server.settings import Settings
    from limner.starter.exam.options import ExamOptions

    trials = (SweepRequest, CompareRequest, EvaluateRequest, InfluenceRequest)
    requests = (GenerateRequest, TrainRequest, PrepareRequest, *trials)
    for model in (*requests, ExamOptions, Settings, Limits, PictureQuery, Rating):
        if name in model.model_fields:
            return spelling(name, model.model_fields[name])
    return name


def _methods_with(flag: str) -> list[str]:
    """The ways to learn that have a flag among their options."""
    from limner.cli.flags import spelling
    from limner.studio.studio import method_options, methods

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
        return str(unknown("command", error.unused_tokens[0], COMMANDS))
    return " ".join(str(error).split())


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit codes: 0 done, 2 a mistake that the user can mend, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    warnings.filterwarnings("ignore", module=r"PIL\.")  # a hostile picture can cause one for each of 65,535 tags
    try:
        application(arguments)(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_one_line(error))
    except LimnerError as error:
        _fail(str(error))
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        _fail(str(invalid(error, _spelt)))
    except (Interrupted, KeyboardInterrupt) as error:
        print(f"limner: {error or 'stopped'}", file=sys.stderr)
        if arguments[:1] == ["train"]:
            again = [*arguments, *([] if "--resume" in arguments else ["--resume"])]
            print(f"limner: to go on: limner {shlex.join(again)}", file=sys.stderr)
        elif arguments[:1] == ["prepare"]:
            print("limner: to go on, give the same command again", file=sys.stderr)
        sys.exit(130)


def _fail(line: str) -> None:
    line = re.sub(r"(?<![\w/.'\"-])[a-z]+(?:_[a-z]+)+(?![\w/.'\"-])", lambda found: _spelt(found.group()), line)
    print(f"limner: {line}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
