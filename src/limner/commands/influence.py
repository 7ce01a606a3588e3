"""Which training pictures made a picture."""

from __future__ import annotations

from pathlib import Path

from ..core.requests import InfluenceRequest
from ..flags import command_for
from .shared import Place, stopping


def _influence(request: InfluenceRequest, *, out: Place = Path("influence")) -> None:
    from ..studio import Studio
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        Studio().run(request, out, listener=screen.show, stop=stop)
        screen.end()
    page = next(made for made in screen.made if made.what == "page")
    print(page.details["verdict"])
    print(page.path)


influence = command_for(InfluenceRequest, None, _influence)
