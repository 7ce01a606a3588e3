"""Words of prompts by part, from `words.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

PARTS = (
    "subject",
    "medium",
    "style",
    "lighting",
    "composition",
    "setting",
    "colour",
    "quality",
    "artist",
    "negative",
)
"""What a prompt speaks of, in the order in which a page shows it."""


@dataclass(frozen=True)
class World:
    """One kind of images. name: of it. words: by list: adjective, subject, detail, setting and the other parts.

    caption: whether its prompts are plain captions of words of its own, for a model that knows few words.
    """

    name: str
    words: Mapping[str, Sequence[str]]
    caption: bool = False


@cache
def worlds() -> tuple[World, ...]:
    """All kinds of images, each with words for every part."""
    text = files("limner.data.prompts").joinpath("words.yaml").read_text(encoding="utf-8")
    found: Any = yaml.safe_load(text)
    shared, fitting = found["any"], found.get("fitting", {})
    return tuple(
        World(
            name,
            {
                **shared,
                **{part: words for part, words in own.items() if isinstance(words, list)},
                "adjective": found["adjectives"].get(own.get("adjective"), []),
                **fitting.get(name, {}),
            },
            caption=own.get("caption", False),
        )
        for name, own in found["worlds"].items()
    )
