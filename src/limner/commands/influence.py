"""Which training pictures made a picture."""

from __future__ import annotations

from pathlib import Path

from ..core.requests import InfluenceRequest
from ..flags import command_for
from .shared import Place, report


def _influence(request: InfluenceRequest, *, out: Place = Path("influence")) -> None:
    report(request, out, "page")


influence = command_for(InfluenceRequest, None, _influence)
