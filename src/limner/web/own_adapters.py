"""The adapters that an account trained, to choose from in forms."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.events import ArtifactKind
from limner.core.requests import TrainRequest
from limner.core.runs import Status
from limner.server.replies import ArtifactReply
from limner.studio.library import NAME_TAG
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

LISTED = 50


@dataclass(frozen=True)
class OwnAdapter:
    """An adapter. value: as requests name it. name: that its owner gave it, or its identifier and class word, such as
    "sks dog".
    """

    value: str
    name: str


def own_adapters(studio: Studio, caller: Caller, model: str, chosen: str = "") -> list[OwnAdapter]:
    """The newest adapters that the caller trained for a model, and the chosen one."""
    runs = studio.runs.list(LISTED, "train", Status.DONE, None, QUEUE, caller.scope)
    trained = {run.id: run.request for run in runs if isinstance(run.request, TrainRequest)}
    named = {run.id: run.tags.get(NAME_TAG) for run in runs}
    found: dict[str, OwnAdapter] = {}
    for id, artifacts in studio.runs.artifacts_of(trained).items():
        request = trained[id]
        if request.model != model:
            continue
        for artifact in artifacts:
            reference = ArtifactReply.of(artifact).reference
            if artifact.kind == ArtifactKind.ADAPTER and reference:
                name = named[id] or " ".join(filter(None, (request.identifier, request.class_word)))
                found.setdefault(reference, OwnAdapter(reference, name or artifact.created.strftime("%d %B %Y")))
    if chosen and chosen not in found:
        found[chosen] = OwnAdapter(chosen, chosen)
    return list(found.values())
