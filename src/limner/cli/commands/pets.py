"""The command that generates images of pets; its flags are the fields of a pets call."""

from __future__ import annotations

import secrets
from pathlib import Path

from limner.cli.commands.shared import Out, executed
from limner.cli.flags import command_for
from limner.cli.output import print_line
from limner.core.execution import Execution
from limner.core.pets import PetsCall, generate_request


def _generate(request: PetsCall, *, out: Out = Path("pictures")) -> None:
    from limner.studio.pets import adapter_identifier, pet_catalogue

    identifier = None
    if request.needs_identifier and request.adapter is not None:
        identifier = adapter_identifier(request.adapter.path)
    made, tags = generate_request(request, pet_catalogue(request.model), secrets.randbelow(2**32), identifier)
    print_line(f"Prompt: {made.prompt}")
    with executed(made, Execution(), out, tags=tags) as (screen, run):
        screen.finish(run)


pets = command_for(PetsCall, _generate)
