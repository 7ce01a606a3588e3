"""Commands about base models."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

app = App(name="models")


@app.default
def list_models() -> None:
    """List the models that have names, with what they need."""
    from ..studio import Studio
    from ..terminal import print_models

    print_models(Studio().models())


@app.command
def get(model: Annotated[str, Parameter(help="Alias or Hugging Face id.")]) -> None:
    """Fetch a model from the Hugging Face hub; HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    from ..studio import Studio
    from ..terminal import Screen

    with Screen() as screen:
        place = Studio().fetch(model, listener=screen.show)
        screen.end()
    print(place)
