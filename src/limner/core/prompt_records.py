"""A prompt with an image and its settings, as libraries and files of other tools have it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

LONGEST_PROMPT = 20_000
"""The longest prompt of a library, in characters."""


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """One image of a prompt. Numbers are None where they are unknown.

    image: the absolute path of a file in the folder of its source, or a URL, which can be shown; the bare name of an
    image that the library itself holds, or that is not there; "" for none. unsafe: whether its source says that prompt
    or image is not safe for work. stars: 1 to 5.
    """

    prompt: str
    negative: str = ""
    image: str = ""
    model: str = ""
    adapter: str = ""
    sampler: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    stars: int | None = None
    created: datetime | None = None
    unsafe: bool = False

    def marked(self) -> PromptRecord:
        """The same record, marked as unsafe."""
        return replace(self, unsafe=True)


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """A library of prompts. source: where it is from. owner: the only account that sees it; "" for everybody.

    licence: its name or address, "" where it is unknown. images: those that it names. complete: whether all of its
    source was read.
    """

    name: str
    source: str
    licence: str = ""
    owner: str = ""
    prompts: int = 0
    images: int = 0
    unsafe: int = 0
    skipped: int = 0
    complete: bool = False
    columns: dict[str, str] = field(default_factory=dict[str, str])
