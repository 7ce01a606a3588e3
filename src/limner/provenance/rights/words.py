"""Marks in words and numbers: `noai`, the PLUS vocabulary, and texts made fit to be told."""

from __future__ import annotations

import re
from typing import Literal

from limner.core.files import short_line

LONGEST = 300
"""The longest text that is told of a picture's owner, in characters."""
SOURCE_TYPES = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
"""IPTC digital source types of what a model painted, all of it or a part."""

# As tags, or as a sentence that can only mean this: "no AI was used" is none.
_MARK = re.compile(
    r"(?<![\w])(?:no-?ai|no-?image-?ai|no[ _-](?:generative[ _-])?(?:ai|ml|machine[ _-]learning)[ _-]training)(?!\w)",
    re.IGNORECASE,
)
_MINING = re.compile(r"(?:^|/|\b)DMI-([A-Z-]{3,60})\s*$", re.IGNORECASE)


def told(text: str | None) -> str | None:
    """A text on one line, None where there is nothing to read in it."""
    line = short_line(text or "", LONGEST)
    return line if any(char.isalnum() for char in line) else None


def marked_in(*texts: str) -> str | None:
    """The mark by which one of some texts refuses training, as it is written there."""
    found = next((found for text in texts if (found := _MARK.search(text[: 2**22]))), None)
    return found[0] if found else None


def mining(value: str) -> tuple[Literal["allowed", "refused"] | None, str]:
    """What a term of PLUS's data mining vocabulary (http://ns.useplus.org/ldf/vocab/DMI-...) means for training.

    The term is told in short. One that prohibits in any way refuses, for what it excepts cannot be told from here;
    one that allows allows; another says nothing.
    """
    value = value.strip()[:200]
    found = _MINING.search(value)
    term = (found[1] if found else value).upper()
    if re.match(r"PROHIBITED(?:-|$)", term):
        return "refused", term
    return ("allowed" if term == "ALLOWED" else None), term
