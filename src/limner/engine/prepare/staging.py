"""Where a dataset grows until it is whole: a hidden folder beside it, with a journal of what was read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from pydantic import ValidationError

from limner.core.datasets import Entry, Place, Skipped
from limner.core.errors import LimnerError
from limner.core.requests.request import digest_of
from limner.engine.prepare.record import Record
from limner.store.files import atomic_file, make_folder, sha256_of, translate_disk_errors
from limner.store.removal import discard

JOURNAL, SETTINGS, PICTURES = "journal.jsonl", "settings.json", "pictures"


class Staging:
    """What was read so far, in the order of the sources. Of other settings nothing is taken over.

    The journal tells only of pictures that are whole on disk, and its last line may be torn: so what was interrupted
    goes on after the last picture that it tells of.
    """

    def __init__(self, out: Path) -> None:
        name = hashlib.sha256(os.fsencode(out.name)).hexdigest()[:16]
        self.out, self.place = out, out.with_name(f".limner-prepare-{name}")
        self.folder = self.place / "work"
        self.journal, self.pictures = self.folder / JOURNAL, self.folder / PICTURES

    @contextmanager
    def opened(self) -> Generator[None]:
        """The hidden folder, which goes again where an error comes before anything was read."""
        make_folder(self.place)
        try:
            yield
        except LimnerError:
            if not self.journal.exists() or not self.journal.stat().st_size:
                self.remove()
            raise

    def begin(self, digest: str) -> None:
        """Go on with what lies there, or where that was of other settings, anew."""
        with translate_disk_errors(self.out):
            if self._settings() != digest:
                self.forget()
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
        """All that the journal tells."""
        yield from (record for record, _ in self._lines())

    def placed(self) -> Iterator[tuple[Record, int]]:
        """Each record, and where in the journal it begins."""
        begin = 0
        for record, end in self._lines():
            yield record, begin
            begin = end

    def record(self, offset: int) -> Record:
        """The record that begins there."""
        with self.journal.open("rb") as file:
            file.seek(offset)
            return Record.model_validate_json(file.readline())

    def _lines(self) -> Generator[tuple[Record, int]]:
        """Each record, and where its line ends; a torn or strange line ends them all."""
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
        """What the journal does not tell of yet, with its number and its stamp; what it tells of in vain is forgotten.

        Entries are known again by their keys and stamps, as long as they come in the order in which they came before.
        """
        known, end = self._lines(), 0
        fresh = False
        for number, item in enumerate(items):
            stamp = _stamp(item)
            if not fresh:
                record, after = next(known, (None, end))
                if record is not None and (record.key, record.stamp) == (item.key, stamp) and self._has(record):
                    end = after
                    continue
                fresh = True
                known.close()
                os.truncate(self.journal, end)
            yield number, item, stamp
        if not fresh:
            known.close()
            os.truncate(self.journal, end)

    def _has(self, record: Record) -> bool:
        """Whether the picture is there as it was written; a machine that stopped may have lost its bytes."""
        if any(not (self.pictures / name).is_file() for name in (record.mask, record.thumbnail) if name):
            return False
        try:
            return record.picture is None or (self.pictures / record.picture).stat().st_size == record.bytes
        except OSError:
            return False

    def add(self, records: Iterable[Record]) -> Iterator[Record]:
        """Write each record down as it comes, and hand it on."""
        with self.journal.open("ab") as file:
            for record in records:
                file.write(record.model_dump_json().encode() + b"\n")
                file.flush()
                yield record

    def forget(self) -> None:
        """Take away what was read."""
        discard(self.folder, self.place)

    def digest(self) -> str:
        """The same as long as the journal is."""
        return sha256_of(self.journal)

    def remove(self) -> None:
        """Take all of it away."""
        discard(self.place, self.out.parent)


def _stamp(item: Entry | Skipped) -> str:
    """Changes when the entry does: its bytes, its mask's, or what is told of it; "" for what is no entry."""
    if isinstance(item, Skipped):
        return ""
    places = [item.place, *([item.mask] if item.mask is not None else [])]
    told = [item.caption, sorted(item.fields.items()), astuple(item.rights), item.repeats, item.folder]
    return digest_of([*map(_stamp_of, places), *told])


def _stamp_of(place: Place) -> str:
    try:
        return place.stamp
    except LimnerError:  # of what is not there, which reading tells
        return ""
