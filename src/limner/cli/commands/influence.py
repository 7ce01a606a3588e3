"""Which training pictures made a picture."""

from __future__ import annotations

from pathlib import Path

from limner.cli.commands.shared import Place, report
from limner.cli.flags import command_for
from limner.core.execution import Execution, body_model
from limner.core.requests import InfluenceRequest


def _influence(request: InfluenceRequest, execution: Execution, *, out: Place = Path("influence")) -> None:
    report(request, execution, out, "page")


influence = command_for(body_model("influence"), None, _influence)
