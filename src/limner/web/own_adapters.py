"""The adapters that an account trained, under one name on all pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from limner.core.accounts import Caller
from limner.core.adapter_names import short_name
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.requests.parsing import join_weight, split_weight
from limner.core.runs import Run
from limner.server.dependencies import ServerState, find_run
from limner.server.history import ImageDetails
from limner.studio.library import TrainedResult
from limner.studio.studio import Studio
from limner.web.rendering import moment
from limner.web.wording import has_hash, on_page, without_hashes

LISTED = 100
NOT_STORED = "trained/"
"""What the value of an adapter of the command line begins with, before the id of its training."""


@dataclass(frozen=True)
class OwnAdapter:
    """An adapter. value: its reference; of one of the command line, which is not stored yet, NOT_STORED and its run.

    name: as the Library shows it; of several with the same name, with the time when each was taught.
    result: what is known of it; None for one that was not trained here.
    """

    value: str
    name: str
    result: TrainedResult | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words by which it is called."""
        return () if self.result is None else (self.result.say, *self.result.trigger_words)


def trained_adapters(studio: Studio, caller: Caller, *, removed: bool = False) -> list[OwnAdapter]:
    """The newest adapters that the caller trained and whose files exist. removed: also those off the Library's list."""
    results = studio.library.list(LISTED, caller.scope, removed=None if removed else False)
    found: dict[str, OwnAdapter] = {}
    for each in results:
        if each.kind is ArtifactKind.ADAPTER and each.bytes is not None:
            value = each.reference or f"{NOT_STORED}{each.run.id}"
            found.setdefault(value, OwnAdapter(value, each.name, each))
    return told_apart(found.values())


def told_apart(adapters: Iterable[OwnAdapter]) -> list[OwnAdapter]:
    """Adapters, of which those that share a name also have the time when they were taught."""
    found = list(adapters)
    counts = Counter(each.name.casefold() for each in found)
    return [
        replace(each, name=f"{each.name} ({moment(each.result.created)})")
        if counts[each.name.casefold()] > 1 and each.result is not None
        else each
        for each in found
    ]


def own_adapters(studio: Studio, caller: Caller, model: str, chosen: str = "") -> list[OwnAdapter]:
    """The newest adapters that the caller trained for a model, and the chosen one, also if it is off the list."""
    found = {each.value: each for each in trained_adapters(studio, caller) if _fits(each, model)}
    if chosen and chosen not in found:
        every = trained_adapters(studio, caller, removed=True)
        found[chosen] = next((each for each in every if each.value == chosen), OwnAdapter(chosen, short_name(chosen)))
    return list(found.values())


def adapter_names(studio: Studio, owner: str | None) -> dict[str, str]:
    """The names of all adapters of an account, or of any (None), by the keys of images made with them: trained ones,
    also those that were taken off the list, and uploaded ones. Those that share a name also have the time when they
    were taught.
    """
    uploaded = studio.library.uploaded(owner)
    found = {each.reference.partition(":")[2]: each.says.name for each in uploaded if each.says.name}
    trained = studio.library.names(owner)
    counts = Counter(each.name.casefold() for each in trained)
    for each in reversed(trained):
        name = each.name if counts[each.name.casefold()] < 2 else f"{each.name} ({moment(each.created)})"
        found |= dict.fromkeys(each.keys, name)
    return found


def subjects_of_label(studio: Studio, caller: Caller, image: ImageDetails) -> list[tuple[str, float]]:
    """The names of the adapters that the label of an image states, each with its weight."""
    if image.label is None or not image.label.adapters:
        return []
    names = adapter_names(studio, caller.scope)
    return [(without_hashes(each["name"], names), each["weight"]) for each in image.label.adapters]


class RunTexts:
    """Texts of runs as pages show them, with the names of adapters that they name by hash. Reads names when needed."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._names: dict[str, dict[str, str]] = {}

    def of(self, run: Run, text: str) -> str:
        """A notice or an error of a run as the pages show it."""
        if not has_hash(text):
            return on_page(text)
        if run.owner not in self._names:
            self._names[run.owner] = adapter_names(self._studio, run.owner)
        return on_page(text, self._names[run.owner])


def stored(state: ServerState, caller: Caller, value: str) -> str:
    """The reference of an adapter that a form names, with its weight; one of the command line is stored first.

    Raises LimnerError if the caller has no such adapter, or if its files are missing.
    """
    if not value.startswith(NOT_STORED):
        return value
    name, weight = split_weight(value)
    run = find_run(name.removeprefix(NOT_STORED), state, caller)
    result = state.studio.library.keep(run)
    if result.kind is not ArtifactKind.ADAPTER:
        raise LimnerError(f"run {run.id} made no adapter", "choose one that the page Library lists")
    return result.reference if name == value else join_weight(result.reference, weight)


def _fits(adapter: OwnAdapter, model: str) -> bool:
    return adapter.result is not None and adapter.result.model == model
