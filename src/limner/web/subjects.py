"""The subjects that an account may use in its images: what it trained, and adapter files that it uploaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from limner.core.accounts import Caller
from limner.core.adapter_names import short_name
from limner.core.errors import LimnerError
from limner.core.events import ArtifactKind
from limner.core.feedback import GeneratedImage, ImageQuery
from limner.core.requests import InfluenceRequest, TrainRequest
from limner.core.requests.parsing import join_weight, split_weight
from limner.core.runs import Run, Status
from limner.server.dependencies import ServerState
from limner.server.history import reference_of
from limner.server.replies import ArtifactReply, url_of
from limner.studio.adapter_files import AdapterFile, describe_adapter
from limner.studio.images import Viewer
from limner.studio.model_facts import adapter_fits
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from limner.web.own_adapters import OwnAdapter, trained_adapters
from limner.web.rendering import since
from limner.web.titles import PROMPT_TAG

TRAINED, UPLOADED = 60, 40
"""Most subjects of each kind that are offered, the newest ones."""
SEARCHED = 500
"""Newest trainings that are searched for the one of an adapter."""
LARGEST_WEIGHT = 2.0
SUBJECT, WEIGHT = "subject", "weight."
"""Names of the fields of a form: a subject that is used, and the weight of each."""


@dataclass(frozen=True)
class Subject:
    """An adapter as a chip. thumbnail: URL below the site's root, "" without one. base: the model it was made for.
    taught: how long ago, "" where that is not known. file: whether it was uploaded. others: references of its other
    checkpoints, with their steps.
    """

    reference: str
    name: str
    words: tuple[str, ...]
    base: str
    thumbnail: str
    chosen: bool = False
    weight: str = "1"
    taught: str = ""
    file: bool = False
    others: Mapping[str, int | None] = field(default_factory=dict[str, int | None])

    @property
    def least(self) -> float:
        """The lower end of its slider; an adapter may have a weight beyond the usual ones."""
        return min(0.0, float(self.weight))

    @property
    def most(self) -> float:
        return max(LARGEST_WEIGHT, float(self.weight))


def subjects_of(studio: Studio, caller: Caller, view: Viewer) -> list[Subject]:
    """What the account trained, the newest first, and then the adapter files that it uploaded."""
    found = [_trained(each, studio, view) for each in trained_adapters(studio, caller)[:TRAINED]]
    known = {subject.reference for subject in found}
    return [*found, *(each for each in _uploaded(studio, caller) if each.reference not in known)]


def chosen(subjects: Iterable[Subject], adapters: Iterable[Any]) -> list[Subject]:
    """The subjects, with those that the values of the field `adapter` name marked as chosen.

    One of which another checkpoint is named uses that one. A file that is not listed, such as one that was shared by
    its reference, becomes a subject of its own.
    """
    weights = dict(split_weight(str(each)) for each in adapters)
    subjects = [_of_checkpoint(each, weights) for each in subjects]
    marked = [
        replace(each, chosen=True, weight=_shown(weights.pop(each.reference))) if each.reference in weights else each
        for each in subjects
    ]
    others = (Subject(name, short_name(name), (), "", "", True, _shown(weight)) for name, weight in weights.items())
    return [*others, *marked]


def _of_checkpoint(subject: Subject, named: Iterable[str]) -> Subject:
    """A subject with another one of its checkpoints in use, if that is named and the one in use is not."""
    names = set(named)
    other = next((each for each in subject.others if each in names), None)
    if other is None or subject.reference in names:
        return subject
    step, taught = subject.others[other], subject.taught.partition(",")[0]
    return replace(subject, reference=other, taught=f"{taught}, step {step}" if step else taught)


def read_subjects(form: Sequence[tuple[str, str]]) -> list[str]:
    """The values of the field `adapter` by the chosen subjects of a form, such as "folder:HASH:0.8"."""
    weights = {name.removeprefix(WEIGHT): value.strip() for name, value in form if name.startswith(WEIGHT)}
    names = dict.fromkeys(value for name, value in form if name == SUBJECT and value.strip())
    return [_joined(name, weights.get(name, "")) for name in names]


def base_for(subjects: Iterable[Subject], values: Mapping[str, Any]) -> str | None:
    """The base model of the first chosen subject, if the form names no other and the subject's is known."""
    if values.get("model"):
        return None
    names = {split_weight(str(each))[0] for each in values.get("adapter", ())}
    return next((each.base for each in subjects if each.reference in names and each.base), None)


def misfit(subjects: Iterable[Subject], model: str) -> str:
    """That chosen subjects cannot be used with a model, or with each other; "" if nothing is known against it."""
    used = [each for each in subjects if each.chosen and each.base]
    model = model or (used[0].base if used else "")
    wrong = [each for each in used if not adapter_fits(each.base, model)]
    found = (
        f"{each.name} was {'made' if each.file else 'taught'} for {each.base}, not for {model}; choose {each.base} as "
        f"the base model, or untick {each.name}"
        for each in wrong
    )
    return "; ".join(found)


def called(subjects: Iterable[Subject]) -> dict[str, tuple[str, ...]]:
    """The names of the chosen subjects, with the words by which each is called."""
    return {each.name: each.words for each in subjects if each.chosen}


def submit_influence(state: ServerState, caller: Caller, image: GeneratedImage) -> Run:
    """Queue the search for the training images that influenced an image; raises LimnerError unless the caller trained
    one of its adapters here.
    """
    runs = state.studio.runs.list(SEARCHED, "train", Status.DONE, None, QUEUE, caller.scope)
    artifacts = state.studio.runs.artifacts_of(run.id for run in runs)
    used = [use.path for use in image.request.adapter]
    for run in runs:
        made = {ArtifactReply.of(each).reference for each in artifacts[run.id] if each.kind == ArtifactKind.ADAPTER}
        adapter = next((each for each in used if each in made), None)
        if adapter is not None and isinstance(run.request, TrainRequest):
            asked = InfluenceRequest(
                picture=(reference_of(image),), adapter=adapter, model=image.request.model, data=run.request.data
            )
            tags = {PROMPT_TAG: image.request.prompt}
            return state.studio.enqueue(asked, caller=caller, granted=state.granted, tags=tags)
    raise LimnerError(
        "no adapter of this image was taught here, so its training images are not known",
        "use a subject that you taught on the page Teach",
    )


def _joined(name: str, weight: str) -> str:
    try:
        return join_weight(name, float(weight)) if weight else name
    except ValueError:
        return f"{name}:{weight}"  # the request says what is wrong with it


def _shown(weight: float) -> str:
    return f"{weight:g}"


def _trained(adapter: OwnAdapter, studio: Studio, view: Viewer) -> Subject:
    result = adapter.result
    assert result is not None
    thumbnail = "" if result.preview is None else url_of(result.preview)
    if not thumbnail:
        query = ImageQuery(adapter=result.reference or str(result.path), limit=1)
        thumbnail = next((url_of(reference_of(each)) for each in studio.images.list(view, query)), "")
    request = result.run.request if isinstance(result.run.request, TrainRequest) else result.header.training
    named = request is not None and bool(request.identifier)
    word = result.say.removeprefix("a photo of ") if named else next(iter(result.trigger_words), "")
    return Subject(
        reference=adapter.value,
        name=adapter.name,
        words=(word,) if word else (),
        base=result.header.base,
        thumbnail=thumbnail,
        taught=f"{since(result.created)}, step {result.step} in use" if result.step else since(result.created),
        others=result.others,
    )


def _uploaded(studio: Studio, caller: Caller) -> Iterable[Subject]:
    files = [each for each in studio.files.grants.list(caller.scope) if each.reference.startswith("sha256:")]
    for grant in files[:UPLOADED]:
        if (found := _described(studio, grant.reference)) is not None:
            name = found.name or (found.trigger_words or (short_name(grant.reference),))[0]
            yield Subject(grant.reference, name, found.trigger_words, found.base or "", "", file=True)


@lru_cache(1024)
def _described(studio: Studio, reference: str) -> AdapterFile | None:
    """What a stored file says of itself. A file of this name never changes, so it is read once."""
    try:
        return describe_adapter(studio.files, reference.removeprefix("sha256:"))
    except LimnerError:
        return None
