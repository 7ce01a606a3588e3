"""Colours that several places share."""

from __future__ import annotations

from limner.starter.painter.vocabulary import RGB

WHITE: RGB = (255, 255, 255)
LAMPLIGHT: RGB = (255, 220, 130)
BARK: RGB = (122, 84, 60)
LEAF: RGB = (86, 164, 92)
PINE: RGB = (52, 118, 96)
