"""Commands about base models."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

app = App(name="models")


@app.default
def list_models() -> None:
    """List the models that have names, with what they need."""
    from limner.cli.terminal import print_models
    from limner.studio.studio import Studio

    print_models(Studio().models())


@app.command
def get(model: Annotated[str, Parameter(help="Alias or Hugging Face id.")]) -> None:
    """Fetch a model from the Hugging Face hub; HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    from limner.cli.terminal import Screen
    from limner.studio.studio import Studio

    with Screen() as screen:
        place = Studio().fetch(model, listener=screen.show)
        screen.end()
    print(place)
