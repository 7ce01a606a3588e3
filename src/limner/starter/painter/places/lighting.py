"""Lighting: the sky colours and the tint of each light, and colours that several places share."""

from __future__ import annotations

import random
from dataclasses import dataclass

from limner.starter.painter.canvas import RGB, darker, mix

WHITE: RGB = (255, 255, 255)
LAMPLIGHT: RGB = (255, 220, 130)
BARK: RGB = (122, 84, 60)
LEAF: RGB = (86, 164, 92)
PINE: RGB = (52, 118, 96)


@dataclass(frozen=True, slots=True)
class Lighting:
    """How a place is lit: sky colours, the tint of every surface and its strength (0 to 1), colour of clouds."""

    top: RGB
    bottom: RGB
    tint: RGB
    strength: float
    cloud: RGB
    dark: bool

    def shade(self, colour: RGB, haze: float = 0.0) -> RGB:
        """A surface colour in this light; haze from 0 (near) to 1 (the colour of the sky)."""
        return mix(mix(colour, self.tint, self.strength), self.bottom, haze)

    def indoors(self, colour: RGB) -> RGB:
        """A surface colour inside a room, where the light outside has less effect."""
        return mix(colour, self.tint, self.strength * 0.6)

    def window(self, rng: random.Random, wall: RGB) -> RGB:
        """The colour of a window pane: often lit at night, and reflecting the sky by day."""
        if self.dark:
            return LAMPLIGHT if rng.random() < 0.6 else darker(wall, 0.3)
        return mix(wall, self.top, 0.55)


LIGHTINGS: dict[str, Lighting] = {
    "day": Lighting((92, 178, 240), (212, 238, 252), WHITE, 0.0, WHITE, False),
    "sunset": Lighting((122, 92, 168), (255, 186, 122), (236, 112, 84), 0.24, (255, 206, 176), False),
    "night": Lighting((18, 24, 66), (66, 80, 142), (36, 46, 104), 0.56, (70, 84, 140), True),
}
