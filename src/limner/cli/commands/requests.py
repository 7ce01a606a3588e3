"""The commands of request kinds: their flags are the fields of the request and of its execution."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from inspect import Parameter as Argument
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limner.cli.commands.shared import Folder, Out, executed, run_and_report, stop_on_signal
from limner.cli.flags import ListChoices, command_for, last_value, no_choices
from limner.cli.recipes import read_recipe, shipped_recipes
from limner.core.errors import LimnerError
from limner.core.execution import Execution, body_model, split_body
from limner.core.files import expand_home
from limner.core.kinds import RequestKind
from limner.core.prompt_syntax import take_adapters
from limner.core.prompts import read_prompts
from limner.core.requests import (
    CompareRequest,
    EvaluateRequest,
    GenerateRequest,
    ImproveRequest,
    InfluenceRequest,
    PrepareRequest,
    Request,
    SweepRequest,
    TrainRequest,
)

Recipe = Annotated[
    str | None,
    Parameter(
        help="YAML file with values for flags, or the name of one that comes with Limner "
        f"({', '.join(sorted(shipped_recipes()))}); flags of the command override it."
    ),
]


def request_command(kind: RequestKind, arguments: Sequence[str]) -> Callable[..., None]:
    """The command of a kind, for these arguments: a recipe and a training method change its flags."""
    path = last_value(arguments, "--recipe")
    documents = [{}] if path is None else read_recipe(path, kind.name)
    if len(documents) > 1 and not kind.several:
        raise LimnerError(f"recipe {path!r} holds {len(documents)} requests", "keep one document in the file")
    model, options = body_model(kind.name), None
    if "method" in model.model_fields:
        from limner.studio.choices import method_options

        default = documents[0].get("method", model.model_fields["method"].default)
        options = method_options(str(last_value(arguments, "--method") or default))
    return command_for(model, _with_recipe(kind.load_command()), options, documents, _choices(arguments))


def _choices(arguments: Sequence[str]) -> ListChoices:
    """The function that lists known names, only for the help, because finding them takes longer than reading flags."""
    if not {"--help", "-h"} & {*arguments}:
        return no_choices
    from limner.studio.choices import choices

    return choices


def _with_recipe(act: Callable[..., None]) -> Callable[..., None]:
    """Splits the body that a command gets into request and execution, and adds the flag --recipe."""

    def command(request: Request, recipe: Recipe = None, **own: Any) -> None:
        asked, execution = split_body(request)
        act(asked, execution, **own)

    own = [
        each for name, each in signature(act, eval_str=True).parameters.items() if name not in ("request", "execution")
    ]
    recipe = Argument("recipe", Argument.KEYWORD_ONLY, default=None, annotation=Recipe)
    command.__signature__ = Signature([recipe, *own])  # type: ignore[attr-defined]
    return command


def generate(request: GenerateRequest, execution: Execution, *, out: Out = Path("pictures")) -> None:
    _run(with_named_adapters(request), execution, out)


def with_named_adapters(request: GenerateRequest) -> GenerateRequest:
    """The request with the adapters that its prompt names, as `<lora:rex:0.8>`: a path without or with its suffix.

    Only here, where the prompt is typed by whom the files belong to.
    """
    prompt, uses = take_adapters(request.prompt)
    if not uses:
        return request
    found = [use if expand_home(use.path).exists() else use.changed(path=_with_suffix(use.path)) for use in uses]
    return request.changed(prompt=prompt, adapter=(*request.adapter, *found))


def _with_suffix(path: str) -> str:
    """The path of a .safetensors file of this name if there is one, else the path as it is."""
    file = f"{path}.safetensors"
    return file if expand_home(file).is_file() else path


def train(
    request: TrainRequest,
    execution: Execution,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder for the result (default: IDENTIFIER-CLASS, such as sks-dog).")
    ] = None,
    resume: Annotated[bool, Parameter(help="Resume the interrupted run of the same request.", negative=())] = False,
) -> None:
    if int(os.environ.get("RANK", "0")):  # one of several processes, not the one that reports and writes
        from limner.studio.studio import Studio

        with stop_on_signal(lambda text: None) as stop:
            Studio().assist(request, stop=stop, execution=execution)
        return
    _run(request, execution, _place(request, out, resume), resume)


def _place(request: TrainRequest | ImproveRequest, out: Path | None, resume: bool) -> Path | None:
    """The folder of a result; None for that of the run to resume."""
    return Path(request.folder_name) if out is None and not resume else out


def improve(
    request: ImproveRequest,
    execution: Execution,
    *,
    out: Annotated[Path | None, Parameter(help="Folder for the result (default: improved).")] = None,
    resume: Annotated[bool, Parameter(help="Resume the interrupted run of the same request.", negative=())] = False,
) -> None:
    run_and_report(request, execution, _place(request, out, resume), resume=resume)


def _run(request: GenerateRequest | TrainRequest, execution: Execution, out: Path | None, resume: bool = False) -> None:
    """Execute a request here, and print what it made."""
    if int(os.environ.get("RANK", "0")):
        return
    with executed(request, execution, out, resume) as (screen, run):
        screen.finish(run)


def prepare(request: PrepareRequest, execution: Execution, *, out: Folder = Path("dataset")) -> None:
    run_and_report(request, execution, out)


def evaluate(request: EvaluateRequest, execution: Execution, *, out: Folder = Path("evaluation")) -> None:
    if not run_and_report(request, execution, out).details["passed"]:
        sys.exit(1)


def compare(request: CompareRequest, execution: Execution, *, out: Folder = Path("comparison")) -> None:
    run_and_report(request, execution, out)


def sweep(request: SweepRequest, execution: Execution, *, out: Folder = Path("sweep")) -> None:
    run_and_report(with_prompt_file(request), execution, out)


def with_prompt_file(request: SweepRequest) -> SweepRequest:
    """The request with the lines of a file as values, where an axis of prompts names one file."""
    axes = [
        {"field": "prompt", "values": read_prompts(axis.values[0])}
        if axis.field == "prompt" and len(axis.values) == 1
        else axis
        for axis in request.axis
    ]
    return SweepRequest.model_validate({**request.model_dump(), "axis": axes})


def influence(request: InfluenceRequest, execution: Execution, *, out: Folder = Path("influence")) -> None:
    run_and_report(request, execution, out, "page")
