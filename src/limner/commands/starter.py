"""Commands about the model that comes with Limner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ..exam.sitting import Sitting
from ..flags import command_for
from .shared import Place, stopping

app = App(name="starter")


def _exam(
    request: Sitting,
    *,
    out: Place = Path("limner-exam"),
    record: Annotated[
        bool, Parameter(help="Keep the figures beside the weights, and tell them in the model card.", negative=())
    ] = False,
) -> None:
    from ..exam.job import print_exam, record_exam
    from ..exam.personalise import print_personalisation
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        sit = print_personalisation if request.personalise else print_exam
        show = sit(out, request, screen.show, stop)
        if record:
            record_exam(out, request)
        screen.end()
    show()


app.command(command_for(Sitting, None, _exam), name="exam")


@app.command
def sheet(
    *,
    out: Place = Path("starter.png"),
    model: Annotated[str, Parameter(help="The starter, or a folder with another one.")] = "starter",
) -> None:
    """Paint a contact sheet: 32 prompts, a picture each, seeds from 42 on."""
    from ..exam.showcase import paint_showcase
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        page = paint_showcase(out, screen.show, stop, model)
        screen.end()
    print(page)


@app.command
def agreement(
    *,
    out: Place = Path("limner-agreement"),
    model: Annotated[str, Parameter(help="The starter, or a folder with another one.")] = "starter",
) -> None:
    """Hold the metrics against the truth: rank correlations on pictures of which it is known."""
    from ..exam.agreement import print_agreement
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        show = print_agreement(out, Sitting(model=model), screen.show, stop)
        screen.end()
    show()
