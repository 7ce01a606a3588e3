"""The base models that forms offer: those that this machine can run, and the others marked and last."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.server.dependencies import ServerState
from limner.studio.studio import Studio

TAUGHT = 20


@dataclass(frozen=True)
class ModelChoice:
    """A base model to choose. value: as requests name it. text: with the size of the download that it needs."""

    value: str
    text: str


@dataclass(frozen=True)
class ModelChoices:
    """The base models of a form in groups. other: the chosen one, where none of them is it."""

    groups: tuple[tuple[str, tuple[ModelChoice, ...]], ...]
    other: str


def model_choices(studio: Studio, caller: Caller, chosen: str, *, own: bool = True) -> ModelChoices:
    """The base models, smallest download first. own: also the models that the caller trained."""
    here: list[ModelChoice] = []
    blocked: dict[str, list[ModelChoice]] = {}
    for model in studio.models():
        on_disk = model.place is not None or not model.gigabytes
        choice = ModelChoice(model.name, model.name if on_disk else f"{model.name}: download of {model.gigabytes:g} GB")
        lacks = studio.library.lacks(model)
        if lacks and not on_disk:
            blocked.setdefault(f"Not for this machine: {lacks}", []).append(choice)
        elif lacks:
            here.append(ModelChoice(model.name, f"{model.name}: {lacks}, so it is slow or fails"))
        else:
            here.append(choice)
    taught = studio.library.list(TAUGHT, caller.scope) if own else []
    made = [ModelChoice(each.reference, each.name) for each in taught if each.kind is ArtifactKind.MODEL]
    made = [each for each in made if each.value]
    groups = (("Base models", here), ("Taught here", made), *blocked.items())
    known = {choice.value for _, group in groups for choice in group}
    return ModelChoices(
        tuple((title, tuple(group)) for title, group in groups if group), chosen if chosen not in known else ""
    )


def require_model(state: ServerState, name: str) -> None:
    """Raise LimnerError for a base model that is not on this machine, before a job waits and fails for it.

    A server without workers of its own does not know what is on the machines of the others.
    """
    model = next((each for each in state.studio.models() if each.name == name), None)
    if model is None or model.place is not None or not model.gigabytes or not state.settings.workers:
        return
    lacks = state.studio.library.lacks(model)
    remedy = f"choose another one; this one would not run here, as {lacks}"
    if not lacks:
        remedy = f"download it in the Library first ({model.gigabytes:g} GB)"
    raise LimnerError(f"the base model {name!r} is not on this machine", remedy)
