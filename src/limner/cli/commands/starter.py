"""Commands about the model that comes with Limner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from limner.cli.commands.shared import Place, stopping
from limner.cli.flags import command_for
from limner.starter.exam.options import ExamOptions

app = App(name="starter")


def _exam(
    request: ExamOptions,
    *,
    out: Place = Path("limner-exam"),
    record: Annotated[
        bool, Parameter(help="Keep the figures beside the weights, and tell them in the model card.", negative=())
    ] = False,
) -> None:
    from limner.cli.terminal import Screen
    from limner.starter.exam.exam import print_exam, record_exam
    from limner.starter.exam.personalise import print_personalisation

    with Screen() as screen, stopping(screen.note) as stop:
        sit = print_personalisation if request.personalise else print_exam
        show = sit(out, request, screen.show, stop)
        if record:
            record_exam(out, request)
        screen.end()
    show()


app.command(command_for(ExamOptions, None, _exam), name="exam")


@app.command
def sheet(
    *,
    out: Place = Path("starter.png"),
    model: Annotated[str, Parameter(help="The starter, or a folder with another one.")] = "starter",
) -> None:
    """Paint a contact sheet: 32 prompts, a picture each, seeds from 42 on."""
    from limner.cli.terminal import Screen
    from limner.starter.exam.sheet import write_showcase

    with Screen() as screen, stopping(screen.note) as stop:
        page = write_showcase(out, screen.show, stop, model)
        screen.end()
    print(page)


@app.command
def agreement(
    *,
    out: Place = Path("limner-agreement"),
    model: Annotated[str, Parameter(help="The starter, or a folder with another one.")] = "starter",
) -> None:
    """Hold the metrics against the truth: rank correlations on pictures of which it is known."""
    from limner.cli.terminal import Screen
    from limner.starter.exam.agreement import print_agreement

    with Screen() as screen, stopping(screen.note) as stop:
        show = print_agreement(out, ExamOptions(model=model), screen.show, stop)
        screen.end()
    show()
