"""Simulated raters of the painter's ten industries: what each likes, and what its customers ask for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from limner.core.errors import LimnerError
from limner.starter.exam.tastes import likelihood
from limner.starter.judge import Readings, truth
from limner.starter.painter import Scene
from limner.starter.painter.sectors import SECTORS, scenes, sector_caption
from limner.starter.painter.vocabulary import PLACES, STUDIO, STYLES

PROMPT_SEED = 2
"""Seed of the scenes that prompts describe. An industry's adapter is trained on scenes of another seed."""
DRAWN = 1000
"""Scenes of each industry that prompts are taken from."""
UNSAID: Mapping[str, Mapping[str, str | None]] = {
    "colour": {"colour": None},
    "light": {"light": "day"},
    "style": {"style": "illustration"},
    "place": {"place": STUDIO, "backdrop": None},
}
"""Values of a scene with which its caption does not mention an attribute."""
FOLLOWED: Mapping[str, tuple[str, ...]] = {
    "colour": ("subject", "place", "style"),
    "light": ("subject", "place", "style", "colour"),
    "style": ("subject", "place"),
    "place": ("subject", "style", "colour"),
}
"""What a prompt asks for, if it does not mention an attribute. Some styles have no colours."""


@dataclass(frozen=True)
class SectorPrompt:
    """A prompt of an industry's customer, and the attributes that an image of it must show."""

    text: str
    expected: Mapping[str, str]


@dataclass(frozen=True)
class SectorTaste:
    """What the rater of an industry likes.

    likes: in words. attribute: what the taste is about; neither captions nor prompts mention it, so images differ in
    it. values: those that the rater likes.
    """

    sector: str
    likes: str
    attribute: str
    values: tuple[str, ...]

    def score(self, readings: Readings) -> np.ndarray:
        """How sure the judge is that each of n images is to the rater's taste and shows a product of the industry,
        (n,), 0 to 1.
        """
        product = likelihood(readings, "subject", SECTORS[self.sector].products)
        return product * likelihood(readings, self.attribute, self.values)

    def caption(self, scene: Scene) -> str:
        """The caption of a scene of the industry, which does not mention what the taste is about."""
        return sector_caption(self.sector, scene.model_copy(update=UNSAID[self.attribute]))

    def pairs(self, count: int, seed: int) -> list[tuple[Scene, str]]:
        """The industry's scenes with their captions."""
        return [(scene, self.caption(scene)) for name, scene in scenes(count, seed) if name == self.sector]

    def prompts(self, count: int) -> list[SectorPrompt]:
        """Different prompts, in a random order, half of them of each product.

        Each leaves open whether its image is to the rater's taste. Raises LimnerError for more than there are.
        """
        products, found = SECTORS[self.sector].products, dict[str, SectorPrompt]()
        for scene, text in self.pairs(DRAWN, PROMPT_SEED):
            in_turn = scene.subject == products[len(found) % len(products)]
            if in_turn and text not in found and self.may_vary(scene):
                true = truth(scene)
                expected = {name: value for name in FOLLOWED[self.attribute] if (value := true[name])}
                found[text] = SectorPrompt(text, expected)
            if len(found) == count:
                return random.Random(f"prompts/{self.sector}").sample([*found.values()], count)
        raise LimnerError(f"{self.sector} has {len(found)} prompts, not {count}", "use fewer")

    def may_vary(self, scene: Scene) -> bool:
        """Whether what the taste is about may have any value in an image of a scene's caption."""
        if self.attribute == "light":
            return scene.place != STUDIO and truth(scene)["light"] is not None
        if self.attribute == "place":  # a studio has daylight and no weather
            return (scene.light, scene.weather) == ("day", "clear")
        return truth(scene)[self.attribute] is not None


SECTOR_TASTES: Mapping[str, SectorTaste] = {
    taste.sector: taste
    for taste in (
        SectorTaste("technology", "cool colours", "colour", ("blue", "teal", "green", "purple")),
        SectorTaste("fashion", "warm colours", "colour", ("red", "orange", "yellow", "pink")),
        SectorTaste("food", "art rather than plain pictures", "style", STYLES[1:]),
        SectorTaste("health", "fresh colours", "colour", ("white", "green", "teal", "yellow")),
        SectorTaste("finance", "sober colours", "colour", ("black", "white", "grey", "blue")),
        SectorTaste("travel", "evening and night", "light", ("sunset", "night")),
        SectorTaste("real estate", "natural colours", "colour", ("brown", "orange", "green", "grey")),
        SectorTaste("education", "primary colours", "colour", ("red", "yellow", "blue", "green")),
        SectorTaste("beauty", "soft colours", "colour", ("pink", "purple", "white", "teal")),
        SectorTaste("sports", "scenes rather than plain backdrops", "place", PLACES),
    )
}
