"""What a dataset is made of before it is one: entries of sources, their rights, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from limner.core.errors import LimnerError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the upright picture; right and bottom are outside."""


class Place(Protocol):
    """Where the bytes of one file are: a small value that other processes can be sent and read by themselves."""

    @property
    def name(self) -> str:
        """The file's name, as messages say it."""
        ...

    @property
    def stamp(self) -> str:
        """Changes when the bytes do, as far as that can be told without reading them: size and time."""
        ...

    def read(self) -> bytes:
        """All of its bytes; LimnerError where they cannot be had, Refused where they are not to be learnt from."""
        ...


class TrainingRefused(LimnerError):
    """A place that gives its bytes, and says that they are not to be learnt from. said: the mark that tells so."""

    def __init__(self, name: str, data: bytes, said: str) -> None:
        super().__init__(f"{name!r} is not to be learnt from ({said})", "leave it out")
        self.data, self.said = data, said


@dataclass(frozen=True, slots=True)
class Rights:
    """What is known of whose a picture is, None where nothing is.

    source: where it is from, such as a URL. consent: of the people in it, as it was told. training: whether whoever
    owns it lets models be trained on it, by `said`, the mark that tells so.
    """

    author: str | None = None
    licence: str | None = None
    source: str | None = None
    consent: str | None = None
    training: Literal["allowed", "refused"] | None = None
    said: str | None = None

    def over(self, other: Rights) -> Rights:
        """This, and where it says nothing, what the other says; a refusal of either stands."""
        refusing = next((each for each in (self, other) if each.training == "refused"), None)
        deciding = refusing or (self if self.training else other)
        return Rights(
            self.author or other.author,
            self.licence or other.licence,
            self.source or other.source,
            self.consent or other.consent,
            deciding.training,
            deciding.said,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of a source, not yet read.

    key: what it is called within the source, the same whenever the source is the same: "dog/01.jpg". folder: the
    names of the folders it lies in below the source, "" for none. fields: what is told of it, such as its breed.
    rights: what files beside it tell. repeats: how often it is to be shown for once (kohya's `10_sks dog`, a weight).
    faults: what was told of it and cannot be used.
    """

    key: str
    place: Place
    folder: str = ""
    caption: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    rights: Rights = Rights()
    mask: Place | None = None
    repeats: float = 1
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a picture. kind: a name of `faults.FAULTS`. told: for people. value: what was measured."""

    kind: str
    told: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a source that is no entry, and why."""

    key: str
    fault: Fault


@runtime_checkable
class Source(Protocol):
    """A kind of place that pictures come from: a plugin of `limner.sources`, one file each.

    title: what it is, for people.
    """

    title: str

    def claims(self, reference: str) -> bool:
        """Whether a reference, as the user gives it, is of this kind; looks at names and heads of files only."""
        ...

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        """All that is in it, in an order that is always the same, without holding more than a little of it."""
        ...


@runtime_checkable
class Detector(Protocol):
    """What finds the subject in a picture: a plugin of `limner.detectors`, one file each.

    title: for people. named: whether it needs the name of a model, whose weights must be at hand. faces: whether it
    finds faces, and not whole subjects.
    """

    title: str
    named: bool
    faces: bool

    def finder(self, model: str | None) -> Finder:
        """What finds, with a model of this name; LimnerError where it is not to be had."""
        ...


class Finder(Protocol):
    def __call__(self, picture: Image, words: str) -> np.ndarray | None:
        """How much each pixel of an upright RGB picture is the subject's, (h, w) in fp32 from 0 to 1, of any size in
        the picture's shape; None where nothing is found. words: what the subject is, such as "dog".
        """
        ...


@runtime_checkable
class Captioner(Protocol):
    """What puts pictures into words: a plugin of `limner.captioners`, one file each.

    title: for people. named: whether it needs the name of a model, whose weights must be at hand.
    """

    title: str
    named: bool

    def speaker(self, model: str | None, device: str) -> Speaker:
        """What speaks, with a model of this name; LimnerError where it is not to be had."""
        ...


class Speaker(Protocol):
    def captions(self, pictures: Sequence[Image], words: str | None) -> list[str]:
        """A caption for each RGB picture, "" where it can tell nothing. words: what the subject is called, which the
        caption shall hold.
        """
        ...

    def fields(self, pictures: Sequence[Image]) -> list[dict[str, str]]:
        """What it knows of each picture by name, such as its breed; empty where it knows no names."""
        ...
