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
        screen.finish(Studio().run(request, out, listener=screen.show, stop=stop))


influence = command_for(InfluenceRequest, None, _influence)
