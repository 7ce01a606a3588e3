"""The mood of each light: its sky and its tint."""

from __future__ import annotations

import random
from dataclasses import dataclass

from limner.starter.painter.canvas import darker, mix
from limner.starter.painter.places.palette import LAMPLIGHT, WHITE
from limner.starter.painter.vocabulary import RGB


@dataclass(frozen=True, slots=True)
class Mood:
    """What a light does to a place: sky colours, and how far every surface is tinted (0 to 1)."""

    top: RGB
    bottom: RGB
    tint: RGB
    strength: float
    cloud: RGB
    dark: bool

    def shade(self, colour: RGB, haze: float = 0.0) -> RGB:
        """A surface colour in this light; haze from 0 (near) to 1 (lost in the sky)."""
        return mix(mix(colour, self.tint, self.strength), self.bottom, haze)

    def indoors(self, colour: RGB) -> RGB:
        """A surface colour inside a room, where lamps soften the light of the hour."""
        return mix(colour, self.tint, self.strength * 0.6)

    def window(self, rng: random.Random, wall: RGB) -> RGB:
        """A pane: lit after dark, mostly reflecting the sky by day."""
        if self.dark:
            return LAMPLIGHT if rng.random() < 0.6 else darker(wall, 0.3)
        return mix(wall, self.top, 0.55)


MOODS: dict[str, Mood] = {
    "day": Mood((92, 178, 240), (212, 238, 252), WHITE, 0.0, WHITE, False),
    "sunset": Mood((122, 92, 168), (255, 186, 122), (236, 112, 84), 0.24, (255, 206, 176), False),
    "night": Mood((18, 24, 66), (66, 80, 142), (36, 46, 104), 0.56, (70, 84, 140), True),
}
