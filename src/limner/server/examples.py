"""Example images for people who have none at hand: the character of `limner demo`."""

from __future__ import annotations

from pathlib import Path

from limner.starter.demo import CLASS, IDENTIFIER, write_character_images

__all__ = ["CLASS", "IDENTIFIER", "draw_example_images"]


def draw_example_images(folder: Path) -> dict[Path, str]:
    """Draw eight images of the demo's character into a new folder; returns their captions by path."""
    return write_character_images(folder)
