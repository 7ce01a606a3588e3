"""The staging folder of a dataset: a hidden folder next to it, with written images and a journal of records."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from pydantic import Field, ValidationError

from limner.core.datasets import Box, ByteSource, Entry, Fault, Rights, Skipped
from limner.core.errors import LimnerError
from limner.core.requests import Frozen
from limner.core.requests.request import digest_of
from limner.store.files import MARKER, atomic_file, make_folder, sha256_of, translate_disk_errors
from limner.store.removal import discard

JOURNAL, SETTINGS, PICTURES, WRITTEN = "journal.jsonl", "settings.json", "pictures", "written"


class Record(Frozen):
    """What became of one entry, or of something that is not one: a line of the journal.

    stamp: changes when the source's bytes do. sha256: of the file, "" if it could not be read. source_bytes: its size.
    size: (width, height) of the upright image. notes: repairs, in plain words. located: whether it had a location. box:
    the crop, in its pixels. shape: (width, height) of the written image, and bytes its file size. picture, mask,
    thumbnail: file names in the staging folder, None if not written. signature, surroundings: arrays of
    `data.duplicates.signatures` and `data.diversity.scenes`, in base64.
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
    def of(cls, item: Entry | Skipped, stamp: str = "", *faults: Fault) -> Record:
        """The record of an entry of which only its source is known, or of something that is not an entry."""
        if isinstance(item, Skipped):
            return cls(key=item.key, faults=(item.fault,))
        return cls(
            key=item.key,
            stamp=stamp,
            folder=item.folder,
            faults=(*item.faults, *faults),
            rights=item.rights,
            caption=item.caption,
            fields=dict(item.fields),
            repeats=item.repeats,
        )

    def with_faults(self, *faults: Fault) -> Record:
        return self.model_copy(update={"faults": (*self.faults, *faults)})


class Staging:
    """The images read so far, in the order of the sources. Nothing is reused under other settings.

    The journal only has records of images that are complete on disk, and its last line may be torn, so interrupted work
    continues after the last record.
    """

    def __init__(self, out: Path) -> None:
        name = hashlib.sha256(os.fsencode(out.name)).hexdigest()[:16]
        self.out, self.place = out, out.with_name(f".limner-prepare-{name}")
        self.folder = self.place / "work"
        self.journal, self.pictures = self.folder / JOURNAL, self.folder / PICTURES

    @contextmanager
    def opened(self) -> Generator[None]:
        """Make the folder; it is removed again if an error is raised before anything was read."""
        make_folder(self.place)
        try:
            yield
        except LimnerError:
            if not self.journal.exists() or not self.journal.stat().st_size:
                self.remove()
            raise

    def begin(self, digest: str) -> None:
        """Continue with the folder if it was made under the same settings, and start again if not. digest: of these."""
        with translate_disk_errors(self.out):
            if self._settings() != digest:
                self.clear()
            make_folder(self.pictures)
            if not self.journal.exists():
                self.journal.touch()
                with atomic_file(self.folder / SETTINGS) as partial:
                    partial.write_text(json.dumps({"digest": digest}), encoding="utf-8")

    def _settings(self) -> str | None:
        try:
            return json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def records(self) -> Iterator[Record]:
        """All records of the journal."""
        yield from (record for record, _ in self._lines())

    def records_with_offsets(self) -> Iterator[tuple[Record, int]]:
        """Each record, and where it begins in the journal."""
        begin = 0
        for record, end in self._lines():
            yield record, begin
            begin = end

    def record(self, offset: int) -> Record:
        """The record that begins at an offset of the journal."""
        with self.journal.open("rb") as file:
            file.seek(offset)
            return Record.model_validate_json(file.readline())

    def _lines(self) -> Generator[tuple[Record, int]]:
        """Each record, and where its line ends, up to the first line that is torn or invalid."""
        end = 0
        with self.journal.open("rb") as file:
            for line in file:
                end += len(line)
                try:
                    record = Record.model_validate_json(line)
                except ValidationError:
                    return
                if not line.endswith(b"\n"):
                    return
                yield record, end

    def unread(self, items: Iterable[Entry | Skipped]) -> Iterator[tuple[int, Entry | Skipped, str]]:
        """The entries that are not in the journal yet, each with its number and stamp.

        Entries are recognised by key and stamp, as long as they come in the same order as before. From the first change
        on, the journal is cut off.
        """
        known, end = self._lines(), 0
        fresh = False
        for number, item in enumerate(items):
            stamp = _stamp(item)
            if not fresh:
                record, after = next(known, (None, end))
                if record is not None and (record.key, record.stamp) == (item.key, stamp) and self._is_complete(record):
                    end = after
                    continue
                fresh = True
                known.close()
                os.truncate(self.journal, end)
            yield number, item, stamp
        if not fresh:
            known.close()
            os.truncate(self.journal, end)

    def _is_complete(self, record: Record) -> bool:
        """Whether a record's files are as they were written; a machine that stopped may have lost their bytes."""
        if any(not (self.pictures / name).is_file() for name in (record.mask, record.thumbnail) if name):
            return False
        try:
            return record.picture is None or (self.pictures / record.picture).stat().st_size == record.bytes
        except OSError:
            return False

    def add(self, records: Iterable[Record]) -> Iterator[Record]:
        """Write each record to the journal and yield it."""
        with self.journal.open("ab") as file:
            for record in records:
                file.write(record.model_dump_json().encode() + b"\n")
                file.flush()
                yield record

    def clear(self) -> None:
        """Remove the images and the journal."""
        discard(self.folder, self.place)

    def note_written(self, digest: str) -> None:
        """Record that the dataset of this request is complete and only needs its name."""
        with atomic_file(self.folder / WRITTEN) as temporary:
            temporary.write_text(digest)

    def has_written(self, digest: str) -> bool:
        """Whether this request's dataset was written, and the program stopped before it removed this folder."""
        try:
            return (self.out / MARKER).exists() and (self.folder / WRITTEN).read_text() == digest
        except (OSError, UnicodeError):
            return False

    def digest(self) -> str:
        """The hash of the journal."""
        return sha256_of(self.journal)

    def remove(self) -> None:
        """Remove the whole folder."""
        discard(self.place, self.out.parent)


def _stamp(item: Entry | Skipped) -> str:
    """Changes with the bytes of the entry or its mask, or with what is known about it; "" for what is not an entry."""
    if isinstance(item, Skipped):
        return ""
    places = [item.data, *([item.mask] if item.mask is not None else [])]
    known = [item.caption, sorted(item.fields.items()), astuple(item.rights), item.repeats, item.folder]
    return digest_of([*map(_place_stamp, places), *known])


def _place_stamp(place: ByteSource) -> str:
    try:
        return place.stamp
    except LimnerError:  # of a missing file, which reading it reports
        return ""
