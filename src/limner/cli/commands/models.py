"""Commands about base models, among them the starter, and the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from limner.cli.commands.shared import Folder, stop_on_signal
from limner.cli.flags import command_for
from limner.cli.output import print_line
from limner.starter.exam.options import ExamOptions

models, starter = App(name="models"), App(name="starter")
Starter = Annotated[str, Parameter(help="The starter, or a folder with another version of it.")]


@models.default
def list_models() -> None:
    """List the models that have names, with what they need."""
    from limner.cli.terminal import print_models
    from limner.studio.studio import Studio

    print_models(Studio().models())


@models.command
def get(model: Annotated[str, Parameter(help="Alias or Hugging Face id.")]) -> None:
    """Download a model from the Hugging Face hub. It uses HF_HOME, HF_TOKEN and HF_HUB_OFFLINE."""
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen:
        screen.begin(f"models get {model}")
        place = Studio().fetch(model, listener=screen.show)
        screen.end()
    print_line(place)


def _exam(
    request: ExamOptions,
    *,
    out: Folder = Path("limner-exam"),
    record: Annotated[
        bool, Parameter(help="Save the scores beside the weights and in the model card.", negative=())
    ] = False,
) -> None:
    from limner.cli.terminal import Screen
    from limner.starter.exam.exam import print_exam, record_exam
    from limner.starter.exam.personalise import print_personalisation

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("starter exam")
        examine = print_personalisation if request.personalise else print_exam
        show = examine(out, request, screen.show, stop)
        if record:
            record_exam(out, request)
        screen.end()
    show()


starter.command(command_for(ExamOptions, _exam), name="exam")


@starter.command
def words() -> None:
    """List what prompts for the starter may say; it knows no other words."""
    from textwrap import wrap

    from limner.starter.painter.phrases import phrases

    for kind, texts in phrases().items():
        for line in wrap(f"{kind}: {'; '.join(texts)}", 100, subsequent_indent="    "):
            print_line(line)


@starter.command
def sheet(
    *, out: Annotated[Path, Parameter(help="PNG file to write.")] = Path("starter.png"), model: Starter = "starter"
) -> None:
    """Generate a contact sheet: 32 prompts, one image each, seeds from 42."""
    from limner.cli.terminal import Screen
    from limner.starter.exam.sheet import write_showcase

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("starter sheet")
        page = write_showcase(out, screen.show, stop, model)
        screen.end()
    print_line(page)


@starter.command
def agreement(
    *,
    out: Folder = Path("limner-agreement"),
    model: Starter = "starter",
    record: Annotated[
        bool, Parameter(help="Save the figures beside the weights, where verdicts read them.", negative=())
    ] = False,
) -> None:
    """Compare the metrics with the truth: rank correlations on images whose content is known."""
    from limner.cli.terminal import Screen
    from limner.starter.exam.agreement import print_agreement, record_agreement

    options = ExamOptions(model=model)
    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("starter agreement")
        show = print_agreement(out, options, screen.show, stop)
        if record:
            record_agreement(out, options)
        screen.end()
    show()


@starter.command
def industries(
    *,
    out: Folder = Path("limner-industries"),
    industry: Annotated[tuple[str, ...], Parameter(help="Only this industry; may be repeated.", negative=())] = (),
    images: Annotated[int, Parameter(help="Images that each adapter is trained on.")] = 200,
    steps: Annotated[int, Parameter(help="Training steps of each adapter.")] = 200,
    model: Starter = "starter",
) -> None:
    """Train an adapter for each of ten industries, and write a profile for `limner serve` that uses them."""
    from limner.cli.terminal import Screen
    from limner.server.profile import profile_with
    from limner.starter.industries import train_industries
    from limner.starter.painter.sectors import SECTORS

    training = {"model": model, "steps": steps}
    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("starter industries")
        chosen = industry or tuple(SECTORS)
        profile = train_industries(out, chosen, training, images, profile_with, screen.show, stop)
        screen.end()
    print_line(f"Use the adapters: limner serve --profile {profile}")


def demo(*, out: Folder = Path("limner-demo")) -> None:
    from limner.cli.terminal import Screen
    from limner.starter.demo import run_demo

    with Screen() as screen, stop_on_signal(screen.note) as stop:
        screen.begin("demo")
        page = run_demo(out, screen.show, stop)
        screen.end()
    print_line(page)
    print_line(f"Open it in a browser: {page.resolve().as_uri()}")
