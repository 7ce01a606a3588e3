"""The form of the page Create: fields that it shows in its own way, and what they become in a request."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.requests.parsing import parse_number
from limner.server.dependencies import ServerState
from limner.server.form_images import SOFTEST, check_mask, soften_mask, store_form_adapter
from limner.studio.choices import choices, model_sides
from limner.studio.model_facts import prompt_problem
from limner.web.forms import FormField, form_fields, read_form
from limner.web.own_adapters import stored
from limner.web.shapes import SHAPES, shape_size
from limner.web.subjects import SUBJECT, Subject, base_for, called, misfit, read_subjects
from limner.web.uploads import REMOVE, FileField, refused_in, submitted

KIND = "generate"
SEEDS = 2**31
OWN_PLACE = (
    "prompt",
    "adapter",
    "image",
    "strength",
    "mask",
    "control",
    "width",
    "height",
    "count",
    "seed",
    "model",
)
"""Fields that the page shows in a place of its own."""
ADAPTER, CONTROL, GUIDE = "adapter", "control", "guide"
FILES = {
    ADAPTER: FileField(SUBJECT, ADAPTER, store_form_adapter),
    GUIDE: FileField(GUIDE, CONTROL),
}


@dataclass
class Submitted:
    """A form that was sent.

    values: fields of the request. errors: by the name of a field, "" for the request as a whole. extras: fields of the
    page that are no fields of the request. refused: what was wrong with the file that was chosen last for a field.
    redraw: the form is only to be shown again.
    """

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    errors: dict[str, str] = field(default_factory=dict[str, str])
    extras: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    redraw: bool = False


@dataclass(frozen=True)
class CreateForm:
    """What the template shows. named: fields by name. basics, drawer: fields in no place of their own. model: that is
    used. unknown: what it does not know of the prompt. misfit: that chosen subjects do not fit it.
    """

    named: dict[str, FormField]
    basics: list[FormField]
    drawer: list[FormField]
    subjects: list[Subject]
    kinds: list[str]
    extras: Mapping[str, str]
    refused: Mapping[str, str]
    problem: str
    limit: int
    model: str
    unknown: str
    misfit: str

    @property
    def open_drawer(self) -> bool:
        return any(each.error for each in self.drawer)

    @property
    def words(self) -> list[str]:
        """Trigger words of the chosen subjects."""
        return list(dict.fromkeys(word for each in self.subjects if each.chosen for word in each.words))


def create_form(submitted: Submitted, subjects: list[Subject], limit: int) -> CreateForm:
    """The form with values and errors. limit: bytes of an upload."""
    replaced = {name: value for name, value in submitted.extras.items() if name == "mask"}
    hidden = ("width", "height") if submitted.extras.get("shape") else ()
    hidden = (*hidden, "seed") if submitted.extras.get("random") else hidden
    values = {name: value for name, value in submitted.values.items() if name not in hidden} | replaced
    fields = form_fields(KIND, values, submitted.errors)
    named = {each.name: each for each in fields}
    rest = [each for each in fields if each.name not in OWN_PLACE]
    known = named.keys()
    model = named["model"].value or base_for(subjects, submitted.values) or named["model"].placeholder
    return CreateForm(
        named=named,
        basics=[each for each in rest if each.basic],
        drawer=[each for each in rest if not each.basic],
        subjects=subjects,
        kinds=choices("controls"),
        extras=extras_of(submitted),
        refused=dict.fromkeys(("image", "mask", *FILES), "") | submitted.refused,
        problem="; ".join(text for name, text in submitted.errors.items() if name not in known),
        limit=limit,
        model=model,
        unknown=prompt_problem(model, str(submitted.values.get("prompt", "")), called(subjects)),
        misfit="" if "adapter" in submitted.errors else misfit(subjects, named["model"].value),
    )


def extras_of(submitted: Submitted) -> dict[str, str]:
    """The fields of the page that are no fields of the request, filled in."""
    kind, _, rest = (str(each) for each in _first(submitted.values.get(CONTROL)).partition("="))
    image, colon, weight = rest.rpartition(":")
    if not colon or parse_number(weight) is None:
        image, weight = rest, ""
    found = {
        "shape": "",
        "mask_soft": "",
        "paint": "",
        "guide_kind": kind,
        "guide": image,
        "guide_weight": weight or "1",
    }
    return found | {"random": "true" if not submitted.values.get("seed") else ""} | submitted.extras


def _first(value: Any) -> str:
    return str(value[0]) if isinstance(value, (list, tuple)) and value else ""


async def read_submitted(request: Request, state: ServerState, caller: Caller) -> Submitted:
    """The fields of the submitted form, its files stored; and what is wrong with which field."""
    texts, errors = await submitted(request, state, caller, FILES)
    found = Submitted(errors=errors)
    removed = {value for name, value in texts if name == REMOVE}
    found.redraw = bool(removed)
    found.refused = refused_in(texts)
    texts = [(name, value) for name, value in texts if name not in removed]
    given = dict(texts)
    names = ("shape", "mask_soft", "guide", "guide_kind", "guide_weight", "random")
    found.extras = {name: given[name].strip()[:200] for name in names if name in given}
    if "seed" in given:  # of this page's form, whose boxes send nothing where they are not ticked
        found.extras.setdefault("random", "")
    found.values = read_form(KIND, texts)
    await _take_subjects(found, texts, state, caller)
    _take_guide(found)
    if found.extras.get("random"):
        found.values["seed"] = str(secrets.randbelow(SEEDS))
    await _take_mask(found, state, caller)
    return found


async def _try(found: Submitted, name: str, store: Callable[..., str | None], *arguments: Any) -> str | None:
    """Call a function in a thread; what is wrong becomes the error of a field."""
    try:
        return await run_sync(partial(store, *arguments))
    except Unavailable:
        raise
    except LimnerError as error:
        found.errors[name] = str(error)
        return None


async def _take_subjects(
    found: Submitted, texts: Sequence[tuple[str, str]], state: ServerState, caller: Caller
) -> None:
    """The chosen subjects by their references; one of the command line is stored first."""
    named = [*found.values.get(ADAPTER, []), *read_subjects(texts)]
    adapters = [await _try(found, ADAPTER, stored, state, caller, each) or each for each in named]
    if adapters:
        found.values[ADAPTER] = adapters


def _take_guide(found: Submitted) -> None:
    image = found.extras.get("guide", "")
    if image:
        kind, weight = found.extras.get("guide_kind") or "canny", found.extras.get("guide_weight") or "1"
        first = f"{kind}={image}" + ("" if weight == "1" else f":{weight}")
        found.values[CONTROL] = [first, *found.values.get(CONTROL, [])]


def take_shape(found: Submitted) -> None:
    """Width and height by the chosen shape, at the area that the model was trained on."""
    shape = found.extras.get("shape", "")
    if SHAPES.get(shape, (0, 0)) == (0, 0):
        return
    model = found.values.get("model", "starter")
    side = model_sides().get(model)
    if side is None:
        found.errors.setdefault("width", f"the size of the model {model[:80]!r} is not known; give width and height")
        return
    wide, high = shape_size(shape, side)
    found.values |= {"width": str(wide), "height": str(high)}


async def _take_mask(found: Submitted, state: ServerState, caller: Caller) -> None:
    """Check the mask, and soften its edges."""
    image, mask = found.values.get("image"), found.values.get("mask")
    if not mask or "mask" in found.errors:
        return
    if not image:  # the image was removed, or is wrong, and the mask means nothing without it
        found.values.pop("mask")
        return
    await _try(found, "mask", check_mask, state, caller, image, mask)
    soft = parse_number(found.extras.get("mask_soft", "") or "0")
    if soft is None or not 0 <= soft <= SOFTEST:
        found.errors["mask"] = f"the soft edge is {found.extras['mask_soft']!r}; use a number from 0 to {SOFTEST}"
    elif soft and "mask" not in found.errors and not found.errors:
        found.extras["mask"] = mask  # what the form shows again
        found.values["mask"] = await _try(found, "mask", soften_mask, state, caller, mask, soft) or mask
