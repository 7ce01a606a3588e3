"""Where the parts of a drawn animal are, for what it wears."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 18.0  # head units in one head radius


@dataclass(frozen=True)
class Anatomy:
    """Where extras go, in animal units; `tilt` is the head's turn in degrees."""

    head_centre: tuple[float, float]
    head_radius: float
    head_top: tuple[float, float]
    eyes: tuple[tuple[float, float], tuple[float, float]]
    neck_centre: tuple[float, float]
    neck_width: float
    tilt: float
