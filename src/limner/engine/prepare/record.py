"""What became of one entry: a line of the journal."""

from __future__ import annotations

from pydantic import Field

from limner.core.datasets import Box, Entry, Fault, Rights, Skipped
from limner.core.requests import Frozen


class Record(Frozen):
    """One entry after it was read, or something that is no entry, and why.

    stamp: changes when the source's bytes do. sha256: of the file's bytes, "" where it could not be read. source_bytes:
    how many those are. size: (width, height) of the upright picture. notes: what was done to it, in plain words.
    located: whether it told where it was taken. box: the crop, in its pixels. shape: (width, height) of what was
    written, and bytes its length. picture, mask, thumbnail: names in the staging folder, None where nothing was
    written. signature, surroundings: as `data.signatures` and `data.surroundings` make them, in base64.
    """

    key: str
    stamp: str = ""
    folder: str = ""
    sha256: str = ""
    source_bytes: int = 0
    format: str = ""
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    measures: dict[str, float] = Field(default_factory=dict)
    rights: Rights = Rights()
    located: bool = False
    caption: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    repeats: float = 1
    box: Box | None = None
    shape: tuple[int, int] | None = None
    picture: str | None = None
    bytes: int = 0
    mask: str | None = None
    thumbnail: str | None = None
    signature: str = ""
    surroundings: str = ""

    @classmethod
    def of(cls, entry: Entry, stamp: str, *faults: Fault) -> Record:
        """Of an entry of which nothing is known but what came with it."""
        return cls(
            key=entry.key,
            stamp=stamp,
            folder=entry.folder,
            faults=(*entry.faults, *faults),
            rights=entry.rights,
            caption=entry.caption,
            fields=dict(entry.fields),
            repeats=entry.repeats,
        )

    def with_faults(self, *faults: Fault) -> Record:
        return self.model_copy(update={"faults": (*self.faults, *faults)})

    @classmethod
    def lost(cls, lost: Skipped) -> Record:
        return cls(key=lost.key, faults=(lost.fault,))
