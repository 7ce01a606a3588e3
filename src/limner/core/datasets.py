"""What datasets are built from: entries of sources, rights, faults; and the protocols of plugins that provide them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from limner.core.errors import LimnerError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUBJECT_IMAGES = (5, 20)
"""How many images of one subject are recommended, at least and at most. DreamBooth's own sets have 4 to 6 (arXiv
2208.12242); with fewer, the model learns what they share by accident."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the upright image; right and bottom are exclusive."""


class ByteSource(Protocol):
    """Where the bytes of one file are: a small picklable value that other processes can read from."""

    @property
    def name(self) -> str:
        """The file's name for messages."""
        ...

    @property
    def stamp(self) -> str:
        """Changes when the bytes change, as far as size and time show that."""
        ...

    def read(self) -> bytes:
        """All of its bytes; raises LimnerError if they cannot be read, TrainingRefused if training is forbidden."""
        ...


class TrainingRefused(LimnerError):
    """A file's source forbids training on it, but still returned its bytes. statement: the mark that forbids it."""

    def __init__(self, name: str, data: bytes, statement: str) -> None:
        super().__init__(f"{name!r} is marked as not to be trained on ({statement})", "leave it out")
        self.data, self.statement = data, statement


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of an image; None where nothing is known.

    source: where it is from, such as a URL. consent: of the people in it, as stated. training: whether its owner allows
    training on it. statement: the mark that states that.
    """

    author: str | None = None
    licence: str | None = None
    source: str | None = None
    consent: str | None = None
    training: Literal["allowed", "refused"] | None = None
    statement: str | None = None

    def over(self, other: Rights) -> Rights:
        """These rights, completed by the other ones; a refusal in either of them holds."""
        refusing = next((each for each in (self, other) if each.training == "refused"), None)
        deciding = refusing or (self if self.training else other)
        return Rights(
            self.author or other.author,
            self.licence or other.licence,
            self.source or other.source,
            self.consent or other.consent,
            deciding.training,
            deciding.statement,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source, not yet read.

    key: its name within the source, such as "dog/01.jpg"; the same whenever the source is the same. folder: the folders
    below the source that it lies in, "" for none. fields: its attributes, such as its breed. rights: as stated in files
    beside it. repeats: how often it is used per epoch (kohya's `10_sks dog`, or a weight). faults: metadata that cannot
    be used.
    """

    key: str
    data: ByteSource
    folder: str = ""
    caption: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    rights: Rights = Rights()
    mask: ByteSource | None = None
    repeats: float = 1
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an image.

    kind: a key of `image_faults.FAULTS`. message: one sentence. value: the measurement.
    """

    kind: str
    message: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a source that is not used as an entry, and why."""

    key: str
    fault: Fault


@runtime_checkable
class Source(Protocol):
    """A kind of source of images: a plugin of `limner.sources`, one file each.

    title: what it is, for people.
    """

    title: str

    def claims(self, reference: str) -> bool:
        """Whether a reference given by the user is of this kind; looks only at names and at the start of files."""
        ...

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        """All its entries, always in the same order, streamed in little memory.

        A symbolic link that leads out of a folder is not followed, but yielded as Skipped.
        """
        ...


@runtime_checkable
class LinkedSource(Source, Protocol):
    """A source that can follow symbolic links."""

    def linked_entries(self, reference: str) -> Iterator[Entry | Skipped]:
        """All its entries, also those behind links that lead out of a folder."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds the subject in an image: a plugin of `limner.detectors`, one file each.

    title: for people. named: whether it needs the name of a model, whose weights must be on disk. faces: whether it
    finds faces instead of whole subjects.
    """

    title: str
    named: bool
    faces: bool

    def finder(self, model: str | None) -> Finder:
        """The function that finds the subject, with a model of this name; raises LimnerError if there is none."""
        ...


class Finder(Protocol):
    def __call__(self, picture: Image, words: str) -> np.ndarray | None:
        """How likely each pixel of an upright RGB image belongs to the subject: (h, w) fp32, 0 to 1, of any size with
        the image's aspect ratio; None if nothing is found. words: what the subject is, such as "dog".
        """
        ...


@runtime_checkable
class Captioner(Protocol):
    """Captions images: a plugin of `limner.captioners`, one file each.

    title: for people. named: whether it needs the name of a model, whose weights must be on disk.
    """

    title: str
    named: bool

    def speaker(self, model: str | None, device: str) -> Speaker:
        """The captioner with a model of this name; raises LimnerError if there is none."""
        ...


class Speaker(Protocol):
    def captions(self, pictures: Sequence[Image], words: str | None) -> list[str]:
        """A caption for each RGB image, "" if it has none. words: the name of the subject, which the caption should
        contain.
        """
        ...

    def fields(self, pictures: Sequence[Image]) -> list[dict[str, str]]:
        """Attributes of each image by name, such as its breed; empty if it knows none."""
        ...
