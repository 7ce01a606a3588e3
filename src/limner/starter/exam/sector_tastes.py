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
from limner.starter.painter.captions import caption, without_attributes
from limner.starter.painter.sectors import SECTORS, scenes, sector_caption

PROMPT_SEED = 2
"""Seed of the scenes that prompts describe. An industry's adapter is trained on scenes of another seed."""
DRAWN = 400
"""Scenes of each industry that prompts are taken from."""
FOLLOWED: Mapping[str, tuple[str, ...]] = {
    "colour": ("subject", "place", "style"),
    "backdrop": ("subject", "place", "style", "colour"),
}
"""What a prompt asks for, if it does not mention what a taste is about."""


@dataclass(frozen=True)
class SectorPrompt:
    """A prompt of an industry's customer, and the attributes that an image of it must show."""

    text: str
    expected: Mapping[str, str]


@dataclass(frozen=True)
class SectorTaste:
    """What the rater of an industry likes.

    likes: in words. attribute: what the taste is about, the colour of the product ("colour") or of the backdrop. No
    prompt mentions it, so images differ in it. values: those that the rater likes.
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

    def pairs(self, count: int, seed: int) -> list[tuple[Scene, str]]:
        """The industry's scenes with their captions.

        For a taste of product colours, no caption mentions one, nor the industry's own backdrop. For a taste of
        backdrops, the captions mention all, because all images would show the industry's own otherwise.
        """
        mine = [scene for name, scene in scenes(count, seed) if name == self.sector]
        if self.attribute == "backdrop":
            return [(scene, caption(scene)) for scene in mine]
        return [(scene, sector_caption(self.sector, without_attributes(scene, self.attribute))) for scene in mine]

    def prompts(self, count: int) -> list[SectorPrompt]:
        """Different prompts, in a random order, half of them of each product.

        Each leaves open whether its image is to the rater's taste. Raises LimnerError for more than there are.
        """
        products, found = SECTORS[self.sector].products, dict[str, SectorPrompt]()
        for scene, _ in self.pairs(DRAWN, PROMPT_SEED):
            text = sector_caption(self.sector, without_attributes(scene, self.attribute))
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
        return truth(scene)[self.attribute] is not None


SECTOR_TASTES: Mapping[str, SectorTaste] = {
    taste.sector: taste
    for taste in (
        SectorTaste("technology", "cool colours", "colour", ("blue", "teal", "green", "purple")),
        SectorTaste("fashion", "warm colours", "colour", ("red", "orange", "yellow", "pink", "brown")),
        SectorTaste("food", "earthy backdrops", "backdrop", ("brown", "orange", "yellow")),
        SectorTaste("health", "fresh colours", "colour", ("white", "green", "teal", "yellow")),
        SectorTaste("finance", "sober colours", "colour", ("black", "white", "grey", "blue")),
        SectorTaste("travel", "cool backdrops", "backdrop", ("blue", "teal", "green", "purple")),
        SectorTaste("real estate", "natural colours", "colour", ("brown", "orange", "green", "yellow")),
        SectorTaste("education", "strong colours", "colour", ("red", "blue", "green", "purple", "orange")),
        SectorTaste("beauty", "soft colours", "colour", ("pink", "purple", "white", "teal")),
        SectorTaste("sports", "warm backdrops", "backdrop", ("red", "orange", "yellow", "pink")),
    )
}
