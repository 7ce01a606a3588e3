"""Drafts as pages show them: steps, forms that two tabs may edit, and images with what was found on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limner.core.drafts import Draft, DraftImage, Value, digest_of_images
from limner.core.image_faults import FAULTS
from limner.studio.model_facts import suggested_identifier
from limner.studio.training import Findings, ImageFault
from limner.web.wording import on_page

STEPS = (("images", "Images"), ("subject", "Subject"), ("recipe", "Recipe"), ("train", "Train"))
"""The steps of a draft: the end of their path, and their names."""
PREPARE_FIELDS = ("crop", "buckets", "author", "licence", "origin", "consent", "despite")
"""Fields of the request to prepare the images that the pages offer."""
PLAIN = {
    "crop": ("How to crop", "Around the subject, around the centre, or not at all. A crop of your own always counts."),
    "buckets": ("Keep wide and tall images", "Crop to the nearest of several shapes, instead of a square."),
    "author": ("Who made them", "Their author, where an image does not name one."),
    "licence": ("Licence", "Where an image does not name one. For photos of your own, leave it empty."),
    "origin": ("Where they come from", "Their source, where an image does not name one."),
    "consent": ("Consent of the people shown", "How they agreed, where an image does not state it."),
    "despite": (
        "Why marked images may be used",
        "Only for images that are marked as not to be used for AI training. The reason is recorded.",
    ),
}
"""Labels and help of these fields for people who never prepared a dataset."""
LONGEST_BASE = 200_000


@dataclass(frozen=True)
class Base:
    """What a form was filled in with. fields: the version of the draft and the value of each field then."""

    fields: Mapping[str, tuple[int, Value]]

    @staticmethod
    def of(draft: Draft, shown: Mapping[str, Value], conflicts: Mapping[str, Value], before: Base | None) -> str:
        """The text that a form sends back. shown: the values in it. before: of fields in conflict, which stay so."""
        found: dict[str, Any] = {name: [draft.version, value] for name, value in shown.items()}
        if before is not None:
            found |= {name: list(before.fields[name]) for name in conflicts if name in before.fields}
        return json.dumps(found)

    @staticmethod
    def read(text: str) -> Base:
        """The text that `of` wrote; without fields if it is anything else."""
        try:
            values: Any = json.loads(text[:LONGEST_BASE])
            return Base({str(name): (int(version), _value(value)) for name, (version, value) in values.items()})
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return Base({})


def _value(value: Any) -> Value:
    return tuple(str(part) for part in value) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Saved:
    """A form that was saved. conflicts: what another tab wrote meanwhile, by field; these were not saved."""

    draft: Draft
    conflicts: Mapping[str, Value]


def merged(draft: Draft, typed: Mapping[str, Value], base: Base, mine: str = "", theirs: str = "") -> Saved:
    """A draft with what was typed into a form. A field that was changed elsewhere since stays as it is, unless it was
    not touched here.

    mine, theirs: a field in conflict for which somebody chose. Both forms of a field count: what a form shows may come
    from a recipe and not from the draft.
    """
    fields, versions = dict(draft.choices.fields), dict(draft.choices.versions)
    conflicts: dict[str, Value] = {}
    for name, value in typed.items():
        version, before = base.fields.get(name, (0, ""))
        if value in (fields.get(name, ""), before) or name == theirs:
            continue
        if versions.get(name, 0) > version and name != mine:
            conflicts[name] = fields.get(name, "")
            continue
        fields[name], versions[name] = value, draft.version + 1
    return Saved(draft.with_choices(fields=fields, versions=versions), conflicts)


def conflict_text(other: Value) -> str:
    """The message next to a field that was changed elsewhere."""
    text = other if isinstance(other, str) else ", ".join(other)
    what = f"to “{text[:120]}”" if text else "and emptied"
    return f"this was changed {what} in another tab meanwhile; what you typed is not saved yet. Choose one of the two"


@dataclass(frozen=True)
class ImageView:
    """An image of a draft. faults: found on it. used: whether it will be trained on. decided: by a person."""

    image: DraftImage
    faults: tuple[ImageFault, ...]
    used: bool
    decided: bool

    @property
    def refused(self) -> bool:
        """Whether its owner does not allow training on it."""
        return any(fault.kind == "refused" for fault in self.faults)


def image_views(draft: Draft, findings: Findings | None) -> list[ImageView]:
    """The images of a draft that are not deleted."""
    return [image_view(image, findings) for image in draft.shown]


def image_view(image: DraftImage, findings: Findings | None) -> ImageView:
    """An image with what was found on it. Faults decide what nobody has decided."""
    faults = () if findings is None else findings.faults.get(image.name, ())
    left_out = any(fault.kind in FAULTS and FAULTS[fault.kind].action == "drop" for fault in faults)
    decided = bool(image.choice) and bool(faults)
    return ImageView(image, faults, image.choice == "keep" if decided else not left_out, decided)


def checked_digest(draft: Draft) -> str:
    """The hash of what a check of a draft's images depends on."""
    return digest_of_images(draft.shown, {name: draft.text(name) for name in ("crop", "buckets")})


def prepare_fields(draft: Draft, size: int) -> dict[str, Any]:
    """Fields of the request to prepare a draft's images. Captions that lack the identifier get it."""
    found: dict[str, Any] = {name: value for name in PREPARE_FIELDS if (value := draft.text(name).strip())}
    identifier, class_word = identifier_of(draft), draft.text("class_word").strip()
    words = {"identifier": identifier, "class_word": class_word} if class_word else {}
    return {"size": size, **found, **words}


def identifier_of(draft: Draft) -> str:
    """The identifier that was typed, or else the suggested one."""
    return draft.text("identifier").strip() or suggested_identifier(draft.id)


def name_of(draft: Draft) -> str:
    """What a draft is called in lists: its class word with the made-up word, by which two of one class differ."""
    class_word = draft.text("class_word").strip()
    return f"{class_word} \u201c{identifier_of(draft)}\u201d" if class_word else "No subject yet"


def model_of(draft: Draft) -> str:
    """The base model that was chosen."""
    return draft.text("model").strip() or "starter"


def plain_advice(text: str) -> str:
    """A piece of advice without names of flags."""
    text = on_page(text)
    return (
        "no licence is stated; with photos of your own, there is nothing to do"
        if "no licence is known" in text
        else text
    )


def next_step(draft: Draft) -> str:
    """The step at which somebody goes on with a draft: the one that was left, if it was opened."""
    if draft.choices.step in dict(STEPS):
        return draft.choices.step
    if draft.choices.train or draft.choices.prepare:
        return "train"
    if not draft.shown:
        return "images"
    return "recipe" if draft.text("class_word") else "subject"
