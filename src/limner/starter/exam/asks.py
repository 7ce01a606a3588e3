"""New pictures to ask of a model that was taught a character, and what of them is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
