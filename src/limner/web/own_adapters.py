"""The adapters that an account trained, to choose from in forms."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.events import ArtifactKind
from limner.core.requests import TrainRequest
from limner.studio.library import TrainedResult
from limner.studio.studio import Studio

LISTED = 50


@dataclass(frozen=True)
class OwnAdapter:
    """An adapter. value: as requests name it. name: as the Library shows it."""

    value: str
    name: str


def own_adapters(studio: Studio, caller: Caller, model: str, chosen: str = "") -> list[OwnAdapter]:
    """The newest stored adapters that the caller trained for a model, and the chosen one."""
    results = studio.library.list(LISTED, caller.scope)
    found = {each.reference: OwnAdapter(each.reference, each.name) for each in results if _fits(each, model)}
    if chosen and chosen not in found:
        found[chosen] = OwnAdapter(chosen, chosen)
    return list(found.values())


def adapter_names(studio: Studio, caller: Caller) -> dict[str, str]:
    """The names of the caller's newest adapters, by the hash in their reference."""
    results = studio.library.list(LISTED, caller.scope)
    return {each.reference.partition(":")[2]: each.name for each in results if each.reference}


def _fits(result: TrainedResult, model: str) -> bool:
    request = result.run.request
    wanted = result.kind is ArtifactKind.ADAPTER and result.reference != ""
    return wanted and isinstance(request, TrainRequest) and request.model == model
