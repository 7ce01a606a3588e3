"""New pictures to ask of a model that was taught a character, and what of them is read. How much of a character the judge finds in pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.scoring import Share
from limner.starter.judge import Judge

DRIFT_PROMPTS = ("a photo of a {}", "a {} in the park", "a picture of a {} on the beach", "a {} in a living room")
DRIFT_PICTURES = 8


@dataclass(frozen=True)
class Ask:
    """A new picture of the subject: the prompt without its subject, and what of it is read."""

    template: str
    values: Mapping[str, str]

    def prompt(self, subject: str) -> str:
        return self.template.format(subject)


ASKS = (
    Ask("a photo of {} in the desert", {"place": "desert"}),
    Ask("a photo of {} in the forest", {"place": "forest"}),
    Ask("a photo of {} on the beach", {"place": "beach"}),
    Ask("a photo of {} in the snow", {"place": "snow"}),
    Ask("a photo of {} in the city", {"place": "city"}),
    Ask("a photo of {} with mountains in the background", {"place": "mountains"}),
    Ask("a photo of {} wearing a crown in the park", {"extra": "crown", "place": "park"}),
    Ask("a photo of {} wearing sunglasses on the beach", {"extra": "sunglasses", "place": "beach"}),
    Ask("a photo of {} wearing a red scarf in the snow", {"extra": "scarf", "extra_colour": "red", "place": "snow"}),
    Ask("a photo of {} with a blue bow tie in the city", {"extra": "bow tie", "extra_colour": "blue", "place": "city"}),
    Ask(
        "a photo of {} wearing a black top hat in the park",
        {"extra": "top hat", "extra_colour": "black", "place": "park"},
    ),
    Ask("a photo of {} wearing glasses in the living room", {"extra": "glasses", "place": "living room"}),
    Ask("a watercolour painting of {} in the park", {"style": "watercolour", "place": "park"}),
    Ask("an oil painting of {} in the desert", {"style": "oil painting", "place": "desert"}),
    Ask("pixel art of {} on the beach", {"style": "pixel art", "place": "beach"}),
    Ask("a pencil sketch of {} in the forest", {"style": "pencil sketch", "place": "forest"}),
    Ask("a photo of {} in the forest at night", {"place": "forest", "light": "night"}),
    Ask("a photo of {} on the beach at sunset", {"place": "beach", "light": "sunset"}),
    Ask("a photo of {} lying in the living room", {"pose": "lying", "place": "living room"}),
    Ask("a photo of {} standing in the mountains", {"pose": "standing", "place": "mountains"}),
)


def prompts_for(subject: str, species: str) -> list[str]:
    """The 20 new prompts, then those that name the class alone."""
    drift = [DRIFT_PROMPTS[i % len(DRIFT_PROMPTS)].format(species) for i in range(DRIFT_PICTURES)]
    return [ask.prompt(subject) for ask in ASKS] + drift


@dataclass(frozen=True)
class Likeness:
    """What the judge found for one character, in the painter's own pictures of it, and for the base model.

    All at the same prompts.
    """

    marks: Share
    painter_marks: Share
    coat: Share
    prompt: Share
    base_prompt: Share
    drift: Share
    base_drift: Share

    @property
    def obeyed(self) -> float:
        """What the prompts ask for, in shares of the base model's."""
        return self.prompt.value / self.base_prompt.value if self.base_prompt.right else float("nan")


def likeness(judge: Judge, name: str, species: str, pixels: np.ndarray, plain: np.ndarray) -> Likeness:
    """Read what was painted for `prompts_for` the character, (n, 128, 128, 3) uint8, and for the class word alone."""
    from limner.starter.judge import MARKINGS, truth
    from limner.starter.painter import Scene, paint

    scenes = [Scene.model_validate({"subject": species, "character": name, **ask.values}) for ask in ASKS]
    painted = judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))
    taught, base = judge.read(pixels), judge.read(plain)
    marks, painter_marks, coat, prompt, base_prompt = [], [], [], [], []
    for index, (ask, scene) in enumerate(zip(ASKS, scenes, strict=True)):
        told = truth(scene)
        borne = {place: value for place in MARKINGS if (value := told[place]) and value != MARKINGS[place][0]}
        marks += [taught.shows(index, place, value) for place, value in borne.items()]
        painter_marks += [painted.shows(index, place, value) for place, value in borne.items()]
        if told["coat"]:
            coat.append(taught.shows(index, "coat", told["coat"]))
        prompt += [taught.shows(index, key, value) for key, value in ask.values.items()]
        base_prompt += [base.shows(index, key, value) for key, value in ask.values.items()]
    own = truth(Scene(subject=species, character=name))["coat"]
    assert own is not None
    turned = range(len(ASKS), len(ASKS) + DRIFT_PICTURES)
    return Likeness(
        Share.of(marks),
        Share.of(painter_marks),
        Share.of(coat),
        Share.of(prompt),
        Share.of(base_prompt),
        Share.of(taught.shows(i, "coat", own) for i in turned),
        Share.of(base.shows(i, "coat", own) for i in turned),
    )


def total(scores: Iterable[Likeness]) -> Likeness:
    """All characters together."""
    columns = zip(*(vars(score).values() for score in scores), strict=True)
    return Likeness(*(Share(sum(s.right for s in column), sum(s.count for s in column)) for column in columns))


COLUMNS = (
    "marks",
    "painter's marks",
    "coat",
    "prompt",
    "base model's prompt",
    "of the base model's",
    "class drift",
    "base model's",
)


def rows(scores: Mapping[str, Likeness]) -> list[tuple[str, list[str]]]:
    """A row a character and one for all, in percent."""
    found = []
    for name, score in [*scores.items(), ("all", total(scores.values()))]:
        shares = [f"{100 * share.value:.0f}" for share in vars(score).values()]
        found.append((name, [*shares[:5], f"{100 * score.obeyed:.0f}", *shares[5:]]))
    return found


def told(score: Likeness) -> dict[str, object]:
    """Plain values for JSON: shares with the counts behind them."""
    values: dict[str, object] = {
        name: {"right": share.right, "count": share.count, "share": round(share.value, 4)}
        for name, share in vars(score).items()
    }
    return values | {"obeyed": round(score.obeyed, 4)}
