"""Adapters that a training goes on from, as the page Teach offers them."""

from __future__ import annotations

from limner.core.accounts import Caller
from limner.core.drafts import Draft
from limner.core.requests import TrainRequest
from limner.studio.adapter_files import training_of
from limner.studio.files import REFERENCE
from limner.studio.studio import Studio
from limner.web.own_adapters import OwnAdapter, own_adapters, short_name


def earlier_adapters(studio: Studio, caller: Caller, model: str, chosen: str) -> list[OwnAdapter]:
    """The adapters that the caller trained for a model, and the chosen one."""
    found = own_adapters(studio, caller, model, chosen)
    if chosen and next(each for each in found if each.value == chosen).result is None:
        request = training_of(studio.files, chosen)
        name = "" if request is None else request.of_subject("{}")
        found = [each for each in found if each.value != chosen] + [OwnAdapter(chosen, name or short_name(chosen))]
    return found


def may_continue(studio: Studio, caller: Caller, reference: str) -> bool:
    """Whether a text is the reference of an adapter that a caller may train."""
    return REFERENCE.fullmatch(reference) is not None and studio.files.may_use(caller, reference)


def earlier_of(studio: Studio, draft: Draft) -> TrainRequest | None:
    """The training of the adapter that a draft goes on from; None if it begins anew."""
    adapter = draft.text("adapter").strip()
    return training_of(studio.files, adapter) if adapter else None


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
