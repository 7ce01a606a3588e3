"""The faults that an image of a dataset can have, and what is done about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["drop", "flag", "ignore", "cut"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """title: for people. action: what is done by default. limit: the value from which a measurement is a fault, None if
    nothing is measured. unit: of the limit, and which side of it is bad. certain: whether an image with this fault can
    never be used.
    """

    title: str
    action: Action
    limit: float | None = None
    unit: str = ""
    certain: bool = False


FAULTS: dict[str, FaultKind] = {
    "unreadable": FaultKind("unreadable", "drop", certain=True),
    "refused": FaultKind("not to be trained on", "drop"),
    "duplicate": FaultKind("the same image twice", "drop"),
    "near_duplicate": FaultKind("nearly the same image", "drop", 0.94, "similarity from which"),
    "small": FaultKind("too small", "drop", 0.5, "share of the requested side below which"),
    "enlarged": FaultKind("enlarged", "flag", 1.0, "enlargement above which"),
    "flat": FaultKind("nearly one colour", "drop", 6.0, "spread (0 to 255) below which"),
    "blurred": FaultKind("blurred", "flag", 33.0, "sharpness (0 to 100) below which"),
    "dark": FaultKind("under-exposed", "flag", 0.35, "brightness (0 to 1) of its bright parts below which"),
    "bright": FaultKind("over-exposed", "flag", 0.75, "brightness (0 to 1) of its dark parts above which"),
    "pale": FaultKind("hardly any contrast", "flag", 0.2, "range of brightness (0 to 1) below which"),
    "grey": FaultKind("without colour", "ignore", 0.02, "colourfulness (0 to 1) below which"),
    "odd_shape": FaultKind("odd-shaped", "flag", 3.0, "longer side over shorter side above which"),
    "border": FaultKind("framed by bars", "cut", 0.05, "share of bars above which"),
    "damaged": FaultKind("perhaps damaged", "flag"),
    "animated": FaultKind("animated", "flag"),
    "text": FaultKind("text in it", "flag", 0.5, "likelihood above which"),
    "synthetic": FaultKind("made by AI", "flag"),
    "outlier": FaultKind("unlike the others", "flag", 3.0, "robust deviations above which"),
    "caption": FaultKind("caption that cannot be used", "flag"),
    "mask": FaultKind("mask that cannot be used", "flag"),
    "stray": FaultKind("not an image", "ignore"),
}
"""By name. "drop" leaves the image out; "flag" lists the fault in the report; "cut" removes it and lists it."""
