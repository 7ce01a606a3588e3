"""The recipes of the page Teach: cards with settings of a training, and how long it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from limner.core.drafts import Draft, Value
from limner.core.requests import Heading, TrainRequest
from limner.studio.model_facts import TrainingModel, method_options
from limner.studio.recipes import shipped_recipe
from limner.studio.training import Speed
from limner.web.drafts import identifier_of, model_of
from limner.web.forms import (
    FormField,
    form_fields,
    model_form_fields,
    validated,
    validated_model,
)

KIND = "train"
SUBJECT_FIELDS = ("class_word", "identifier", "model", "adapter")
ELSEWHERE = ("data", *SUBJECT_FIELDS)
"""Fields of a training that other steps ask for."""
ANY_MODEL = ("flip", "prior", "prompt", "caption_dropout")
"""Fields of a recipe that suit every model; the others were tried with the recipe's own."""
OPEN = ("steps",)
"""Fields that everybody sees; the others are in a drawer."""
OPTION = "options."
"""What the name of a field begins with that is an option of the method."""
WHOLE = "full"
"""The method that makes a whole model, of which one is large enough."""
SCORED = "starter"
"""The model whose encoder scores checkpoints well without a download."""
STARTER_SPEED = Speed(seconds=3.1, checkpoint={"best": 140.0}, before=5.0, class_images=5.9, runs=0)
"""Of the starter on two idle cores, for a machine on which no training has ended yet."""
CHECKPOINTS = 8
RECOMMENDED = ("steps", "batch", "learning_rate")
"""Fields of a training that a model recommends values for."""
DEFAULT_CARD = "pet"
SMALLEST_HELD_OUT = 8
EVERY = 50
"""Steps between checkpoints where none are given."""


@dataclass(frozen=True)
class Card:
    """A recipe to choose. recipe: its name."""

    name: str
    title: str
    about: str
    recipe: str


CARDS = (
    Card("portrait", "Portrait", "A person, from photos with different backgrounds, faces and light.", "portrait"),
    Card("pet", "Pet", "An animal, from photos in different places and from different sides.", "pets"),
    Card("product", "Product", "An object, from every side and in front of some backgrounds.", "product"),
    Card("style", "Style", "How pictures are made, not what they show. Describe in captions what they show.", "style"),
)


def card_of(draft: Draft) -> Card:
    """The card that is chosen."""
    name = draft.text("recipe", DEFAULT_CARD)
    return next((card for card in CARDS if card.name == name), CARDS[1])


def card_values(card: Card, model: TrainingModel, models: Sequence[TrainingModel]) -> dict[str, Any]:
    """The settings of a card for a model: those of its recipe, if it was made for such a model; else those that suit
    any, and the recommended ones of the model.
    """
    recipe = dict(shipped_recipe(card.recipe))
    own = next((each for each in models if each.name == recipe["model"]), None)
    kept = {"keep_checkpoints": True, "keep": "best" if model.name == SCORED else "last"}
    if own is None or (own.steps, own.batch, own.learning_rate) != (model.steps, model.batch, model.learning_rate):
        found = {name: recipe[name] for name in ANY_MODEL if name in recipe}
        every = max(1, model.steps // CHECKPOINTS)
        return {**kept, **found, "steps": model.steps, "batch": model.batch, "checkpoint_every": every}
    return {**kept, **{name: value for name, value in recipe.items() if name not in (*ELSEWHERE, "kind")}}


def settings_of(draft: Draft, values: Mapping[str, Any], earlier: TrainRequest | None = None) -> dict[str, Any]:
    """The settings of a draft: those of its card, and over them what was typed.

    Options go with their method only. earlier: the training of the adapter that this one goes on from, whose method
    and options it keeps.
    """
    typed = {name: value for name, value in draft.choices.fields.items() if name in setting_names()}
    found = {**values, **typed}
    method = usual_method()
    if earlier is not None:
        found["method"], found["options"] = earlier.method, {}
    elif typed.get("method", values.get("method")) != values.get("method"):
        found.pop("options", None)
    known = options_model(str(found.get("method") or method))
    options = {name: value for name, value in dict(found.get("options") or {}).items() if name in known.model_fields}
    for name, value in draft.choices.fields.items():
        if name.startswith(OPTION) and name.removeprefix(OPTION) in known.model_fields:
            options[name.removeprefix(OPTION)] = value
    found["options"] = {name: value for name, value in options.items() if value not in ("", (), None)}
    if found.get("method") == WHOLE and "keep_checkpoints" not in typed:
        found.pop("keep_checkpoints", None)
    for name, other in (("steps", "epochs"), ("epochs", "steps")):
        if typed.get(name) and not typed.get(other):
            found.pop(other, None)
    if found.get("prior") in (False, "false"):
        for name in ("class_pictures", "prior_target", "prior_dropout"):
            if name not in typed:
                found.pop(name, None)
    found.setdefault("preview_every", found.get("checkpoint_every", 50))
    return {name: value for name, value in found.items() if value not in ("", (), None, {})}


def usual_method() -> str:
    """The method of a request that names none."""
    return next(field.placeholder for field in form_fields(KIND) if field.name == "method")


def options_model(method: str) -> type[BaseModel]:
    """The options of a method; those of the usual one for a name that no method has."""
    found = method_options(method) or method_options(usual_method())
    assert found is not None
    return found


def setting_names() -> frozenset[str]:
    """Names of the fields that the step Recipe asks for."""
    return frozenset(field.name for field in form_fields(KIND)) - {*ELSEWHERE}


def setting_fields(
    settings: Mapping[str, Any], errors: Mapping[str, str] | None = None, model: TrainingModel | None = None
) -> list[FormField]:
    """The fields of the step Recipe. model: whose recommended values stand in empty fields."""
    fields = form_fields(KIND, {name: value for name, value in settings.items() if name != "options"}, errors)
    usual = {} if model is None else {name: f"{getattr(model, name):g}" for name in RECOMMENDED}
    found = [
        replace(field, placeholder=usual.get(field.name, field.placeholder))
        for field in fields
        if field.name not in ELSEWHERE
    ]
    return [_on_page(field) for field in (*found, *option_fields(settings, errors or {}))]


def _on_page(field: FormField) -> FormField:
    """A field as the page shows it: the method as a choice, and only the length of a training at once."""
    closed = field.name == "method"
    return replace(
        field,
        basic=field.name in OPEN,
        control="select" if closed else field.control,
        suggested=field.suggested and not closed,
    )


def option_fields(settings: Mapping[str, Any], errors: Mapping[str, str]) -> list[FormField]:
    """The fields of the options of the method that is chosen."""
    own = {name.removeprefix(OPTION): text for name, text in errors.items() if name.startswith(OPTION)}
    typed = {name.removeprefix(OPTION): value for name, value in settings.items() if name.startswith(OPTION)}
    values = {**dict(settings.get("options") or {}), **typed}
    fields = model_form_fields(options_model(str(settings.get("method") or usual_method())), values, own)
    return [replace(field, name=OPTION + field.name, heading=Heading.METHOD) for field in fields]


def as_text(value: Any) -> Value:
    """A value as a form sends it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return tuple(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)


def training_body(draft: Draft, settings: Mapping[str, Any], data: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The body of a draft's training as JSON, and what is wrong with which field. data: reference of the images."""
    words = {"identifier": identifier_of(draft)}
    if class_word := draft.text("class_word").strip():
        words["class_word"] = class_word
    if adapter := draft.text("adapter").strip():
        words["adapter"] = adapter
    given = dict(settings.get("options") or {})
    options, wrong = validated_model(options_model(str(settings.get("method") or usual_method())), given)
    parsed = {} if options is None else options.model_dump(mode="json", exclude_unset=True)
    values = {"data": data, "model": model_of(draft), **words, **settings, "options": parsed}
    body, errors = validated(KIND, values)
    errors |= {OPTION + name if name else name: text for name, text in wrong.items()}
    return ({} if body is None else body.model_dump(mode="json", exclude_unset=True)), errors


@dataclass(frozen=True)
class Estimate:
    """How long a training takes. steps: their number. seconds: with the time before; None where it is unknown.
    each: of one step. runs: from how many trainings it was measured.
    """

    steps: int | None
    seconds: float | None
    each: float | None
    runs: int

    @property
    def text(self) -> str:
        """In words."""
        steps = "" if self.steps is None else f"{self.steps:,} steps, "
        if self.seconds is None or self.each is None:
            return f"{steps}time unknown: no training of this model has ended on this machine yet"
        if not self.runs:
            return f"{steps}about {duration(self.seconds)} on two idle cores, by measurements on another machine"
        by = "one training" if self.runs == 1 else f"{self.runs} trainings"
        return f"{steps}about {duration(self.seconds)} ({self.each:.2g} s a step, measured in {by} on this machine)"


def estimate(
    settings: Mapping[str, Any], model: TrainingModel, speed: Speed | None, images: int, *, new_class: bool
) -> Estimate:
    """How long a training with these settings takes, by the speed of earlier ones.

    images: that are trained on. new_class: whether the base model has no images of the class yet.
    """
    batch = _whole(settings.get("batch")) or model.batch
    side = _whole(settings.get("resolution")) or model.side
    steps = _whole(settings.get("steps")) or model.steps
    if epochs := _whole(settings.get("epochs")):
        asked = _whole(settings.get("held_out"))
        held_out = int(images >= SMALLEST_HELD_OUT) if asked is None else min(asked, max(0, images - 4))
        steps = epochs * math.ceil(max(0, images - held_out) / batch) if images else None
    if speed is None and model.name == SCORED:
        speed = STARTER_SPEED
    if speed is None or steps is None:
        return Estimate(steps, None, None, 0)
    each = speed.step(batch, side)
    every = _whole(settings.get("checkpoint_every")) or EVERY
    points = math.ceil(steps / every) * speed.each_checkpoint(str(settings.get("keep") or "last"), side)
    prior = settings.get("prior") not in (False, "false")
    class_images = speed.class_images if new_class and prior else 0.0
    return Estimate(steps, speed.before + class_images + steps * each + points, each, speed.runs)


def _whole(value: Any) -> int | None:
    """A whole number above 0 that was typed; None for anything else."""
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if 0 < number <= 10**9 else None


def few_steps(settings: Mapping[str, Any], model: TrainingModel, learned: int = 0) -> str:
    """That a training is much shorter than its model needs; "" if it is not. learned: steps of the adapter before."""
    steps = _whole(settings.get("steps"))
    if steps is None or settings.get("epochs") or 2 * (steps + learned) > model.steps:
        return ""
    after = f"{steps:,}" if not learned else f"{steps + learned:,}, with the {learned:,} learned before,"
    return f"{model.name} needs about {model.steps:,} steps; after {after} it may not know your subject yet"


def duration(seconds: float) -> str:
    """A length of time in words, such as "3 minutes"."""
    if seconds < 120:
        count, unit = max(1, round(seconds) if seconds < 20 else 5 * round(seconds / 5)), "second"
    elif seconds < 5400:
        count, unit = round(seconds / 60), "minute"
    elif seconds < 86400 * 2:
        count, unit = round(seconds / 3600), "hour"
    else:
        count, unit = round(seconds / 86400), "day"
    return f"{count} {unit}{'s' if count > 1 else ''}"
