"""Scores of a personalised model: prompts for a character, and what the judge finds of it in their images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.scoring import Proportion, Rows
from limner.starter.judge import MARKINGS, Judge, Readings, truth
from limner.starter.painter import Scene, paint

DRIFT_PROMPTS = ("a photo of a {}", "a {} in the park", "a picture of a {} on the beach", "a {} in a living room")
DRIFT_IMAGES = 8


@dataclass(frozen=True)
class PersonalisationPrompt:
    """A prompt with {} for the subject, and the attributes that an image of it must show."""

    template: str
    expected: Mapping[str, str]

    def text(self, subject: str) -> str:
        return self.template.format(subject)


SUBJECT_PROMPTS = (
    PersonalisationPrompt("a photo of {} in the desert", {"place": "desert"}),
    PersonalisationPrompt("a photo of {} in the forest", {"place": "forest"}),
    PersonalisationPrompt("a photo of {} on the beach", {"place": "beach"}),
    PersonalisationPrompt("a photo of {} in the snow", {"place": "snow"}),
    PersonalisationPrompt("a photo of {} in the city", {"place": "city"}),
    PersonalisationPrompt("a photo of {} with mountains in the background", {"place": "mountains"}),
    PersonalisationPrompt("a photo of {} wearing a crown in the park", {"extra": "crown", "place": "park"}),
    PersonalisationPrompt("a photo of {} wearing sunglasses on the beach", {"extra": "sunglasses", "place": "beach"}),
    PersonalisationPrompt(
        "a photo of {} wearing a red scarf in the snow", {"extra": "scarf", "extra_colour": "red", "place": "snow"}
    ),
    PersonalisationPrompt(
        "a photo of {} with a blue bow tie in the city", {"extra": "bow tie", "extra_colour": "blue", "place": "city"}
    ),
    PersonalisationPrompt(
        "a photo of {} wearing a black top hat in the park",
        {"extra": "top hat", "extra_colour": "black", "place": "park"},
    ),
    PersonalisationPrompt(
        "a photo of {} wearing glasses in the living room", {"extra": "glasses", "place": "living room"}
    ),
    PersonalisationPrompt("a watercolour painting of {} in the park", {"style": "watercolour", "place": "park"}),
    PersonalisationPrompt("an oil painting of {} in the desert", {"style": "oil painting", "place": "desert"}),
    PersonalisationPrompt("pixel art of {} on the beach", {"style": "pixel art", "place": "beach"}),
    PersonalisationPrompt("a pencil sketch of {} in the forest", {"style": "pencil sketch", "place": "forest"}),
    PersonalisationPrompt("a photo of {} in the forest at night", {"place": "forest", "light": "night"}),
    PersonalisationPrompt("a photo of {} on the beach at sunset", {"place": "beach", "light": "sunset"}),
    PersonalisationPrompt("a photo of {} lying in the living room", {"pose": "lying", "place": "living room"}),
    PersonalisationPrompt("a photo of {} standing in the mountains", {"pose": "standing", "place": "mountains"}),
)


def prompts_for(subject: str, species: str) -> list[str]:
    """The 20 prompts of a subject, then 8 with only its class word, to measure class drift."""
    drift = [DRIFT_PROMPTS[i % len(DRIFT_PROMPTS)].format(species) for i in range(DRIFT_IMAGES)]
    return [prompt.text(subject) for prompt in SUBJECT_PROMPTS] + drift


@dataclass(frozen=True)
class SubjectScores:
    """Scores of a character, all at the same prompts.

    marks: marks of the character that are seen. painter_marks: the same in images that the painter drew of it. coat:
    its coat is seen. prompt: other attributes of the prompts that are seen. base_prompt: the same for the base model.
    drift: images of only the class word that show the coat of the character. base_drift: the same for the base model.
    """

    marks: Proportion
    painter_marks: Proportion
    coat: Proportion
    prompt: Proportion
    base_prompt: Proportion
    drift: Proportion
    base_drift: Proportion

    @property
    def obeyed(self) -> float:
        """Prompt attributes that are seen, relative to the base model."""
        return self.prompt.value / self.base_prompt.value if self.base_prompt.right else float("nan")

    def as_json(self) -> dict[str, object]:
        """Proportions with the counts behind them."""
        values: dict[str, object] = {name: proportion.as_json() for name, proportion in vars(self).items()}
        return values | {"obeyed": round(self.obeyed, 4)}


def score_subject(judge: Judge, name: str, species: str, pixels: np.ndarray, base_pixels: np.ndarray) -> SubjectScores:
    """Score images (n, 128, 128, 3) uint8 of `prompts_for` the character `name`.

    base_pixels: images of the base model for the same prompts with the class word.
    """
    character = {"subject": species, "character": name}
    scenes = [Scene.model_validate(character | dict(prompt.expected)) for prompt in SUBJECT_PROMPTS]
    drawn = judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))
    personalised, base = judge.read(pixels), judge.read(base_pixels)
    truths = [truth(scene) for scene in scenes]
    marks = [
        (index, place, value)
        for index, true in enumerate(truths)
        for place, values in MARKINGS.items()
        if (value := true[place]) and value != values[0]
    ]
    expected = [(i, key, value) for i, prompt in enumerate(SUBJECT_PROMPTS) for key, value in prompt.expected.items()]
    coat = truth(Scene.model_validate(character))["coat"]
    assert coat is not None
    drift = [(i, "coat", coat) for i in range(len(SUBJECT_PROMPTS), len(SUBJECT_PROMPTS) + DRIFT_IMAGES)]
    return SubjectScores(
        _seen(personalised, marks),
        _seen(drawn, marks),
        _seen(personalised, [(i, "coat", value) for i, true in enumerate(truths) if (value := true["coat"])]),
        _seen(personalised, expected),
        _seen(base, expected),
        _seen(personalised, drift),
        _seen(base, drift),
    )


def _seen(readings: Readings, attributes: Iterable[tuple[int, str, str]]) -> Proportion:
    """How many of these attributes, given as image, name and value, the judge finds."""
    return Proportion.of(readings.shows(*attribute) for attribute in attributes)


def total_scores(scores: Iterable[SubjectScores]) -> SubjectScores:
    """The scores of all characters together."""
    columns = zip(*(vars(score).values() for score in scores), strict=True)
    return SubjectScores(
        *(Proportion(sum(s.right for s in column), sum(s.count for s in column)) for column in columns)
    )


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


def rows(scores: Mapping[str, SubjectScores]) -> Rows:
    """A table in percent: a row per character and one for all."""
    table: Rows = []
    for name, score in [*scores.items(), ("all", total_scores(scores.values()))]:
        cells = [f"{100 * proportion.value:.0f}" for proportion in vars(score).values()]
        table.append((name, [*cells[:5], f"{100 * score.obeyed:.0f}", *cells[5:]]))
    return table
