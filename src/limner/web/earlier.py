"""Adapters that a training goes on from, as the page Teach offers them."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.adapter_names import short_name
from limner.core.drafts import Draft
from limner.core.requests import TrainRequest
from limner.studio.adapter_files import step_of, training_of
from limner.studio.files import REFERENCE
from limner.studio.studio import Studio
from limner.web.own_adapters import OwnAdapter, own_adapters
from limner.web.rendering import since

LONGEST_CHAIN = 20
"""Trainings that go on from each other whose steps are counted."""


@dataclass(frozen=True)
class Offered:
    """An adapter to go on from. value: its reference. name: with its step, where that is known. about: in words."""

    value: str
    name: str
    about: str


def earlier_adapters(studio: Studio, caller: Caller, model: str, chosen: str) -> list[Offered]:
    """The adapters that the caller trained for a model, and the chosen one, each under a name of its own."""
    found = own_adapters(studio, caller, model, chosen)
    found = [each for each in found if each.value == chosen or _has_subject(each)]
    offered = [_offered(studio, each) for each in found if each.value != chosen or each.result is not None]
    if chosen and all(each.value != chosen for each in offered):
        offered.append(Offered(chosen, name_with_step(studio, chosen), "The one that you chose."))
    return offered


def _has_subject(adapter: OwnAdapter) -> bool:
    """Whether an adapter was taught a subject, and is not an improvement of a whole model."""
    improved = None if adapter.result is None else adapter.result.header.improved
    return improved is None or not improved.of_model


def _offered(studio: Studio, adapter: OwnAdapter) -> Offered:
    taught = "" if adapter.result is None else f"Taught {since(adapter.result.created)}."
    return Offered(adapter.value, _with_step(adapter.name, step_of(studio.files, adapter.value)), taught)


def name_with_step(studio: Studio, reference: str) -> str:
    """The name of an adapter of which only the reference is known, by the words in its header."""
    request = training_of(studio.files, reference)
    name = "" if request is None else request.of_subject("{}")
    return _with_step(name or short_name(reference), step_of(studio.files, reference))


def _with_step(name: str, step: int | None) -> str:
    return f"\u201c{name}\u201d" if step is None else f"\u201c{name}\u201d, step {step:,}"


def may_continue(studio: Studio, caller: Caller, reference: str) -> bool:
    """Whether a text is the reference of an adapter that a caller may train."""
    return REFERENCE.fullmatch(reference) is not None and studio.files.may_use(caller, reference)


def earlier_of(studio: Studio, draft: Draft) -> TrainRequest | None:
    """The training of the adapter that a draft goes on from; None if it begins anew."""
    adapter = draft.text("adapter").strip()
    return training_of(studio.files, adapter) if adapter else None


def goes_on(studio: Studio, draft: Draft) -> str:
    """What a draft goes on from, such as “sks cat”, step 150; "" if it begins anew."""
    adapter = draft.text("adapter").strip()
    return name_with_step(studio, adapter) if adapter and training_of(studio.files, adapter) else ""


def learned_steps(studio: Studio, draft: Draft) -> int:
    """How many steps the adapter has learned that a draft goes on from, with those of the adapters before it."""
    total, adapter = 0, draft.text("adapter").strip()
    for _ in range(LONGEST_CHAIN):
        if not REFERENCE.fullmatch(adapter):
            break
        total += step_of(studio.files, adapter) or 0
        request = training_of(studio.files, adapter)
        adapter = "" if request is None else str(request.adapter or "")
    return total


def problem_with_adapter(earlier: TrainRequest | None, model: str) -> str:
    """Why a training cannot go on from an adapter; "" if it can. earlier: its own training."""
    if earlier is None:
        return "this adapter does not state how it was trained; choose one that Limner made"
    if earlier.model != model:
        return f"this adapter was made for {earlier.model!r}, not for {model!r}; choose its base model, or none"
    return ""


def other_words(earlier: TrainRequest | None, identifier: str, class_word: str) -> str:
    """That an adapter knows its subject by other words than a draft; "" if it does not."""
    if earlier is None or (earlier.identifier, earlier.class_word) == (identifier, class_word):
        return ""
    return f"this adapter learned “{earlier.of_subject('{}')}”; use the same words to teach it more of the same subject"
