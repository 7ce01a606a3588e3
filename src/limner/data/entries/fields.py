"""The user's table of fields: what pictures or folders show, by their names in its first column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from limner.core.datasets import Entry
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted
from limner.data.entries.notes import Note, note, words
from limner.data.entries.tables import TABLES, Row, rows


@dataclass(frozen=True, slots=True)
class FieldTable:
    """What is told, by the names of pictures and folders; the names that were met are in `met`."""

    notes: dict[str, Note]
    met: set[str] = field(default_factory=set[str])

    @property
    def unmet(self) -> list[str]:
        """The rows that fitted no picture so far, by their names, in the table's order."""
        return [name for name in self.notes if name not in self.met]


def read_fields(path: Path) -> FieldTable:
    """The table in a CSV, TSV or JSONL file; raises LimnerError for any row that cannot be used."""
    if path.suffix.lower() not in TABLES:
        raise LimnerError(f"{quoted(path)} is no table", f"give a file with an ending of {', '.join(TABLES)}")
    notes: dict[str, Note] = {}
    with open_file(path) as file:
        for row in rows(file, path.name):
            if isinstance(row, LimnerError):
                raise row
            name, told = _row(path, row)
            if name in notes:
                raise LimnerError(f"line {row.line} of {quoted(path)} names {name[:80]!r} again", "leave one of them")
            notes[name] = told
    if not notes:
        raise LimnerError(f"{quoted(path)} holds no rows", "write a row for each picture or folder, below a header")
    return FieldTable(notes)


def told(table: FieldTable, entry: Entry) -> Entry:
    """An entry with what the table tells of it, above what it knew: of its key before its file's name, its stem, and
    the folders that it is in, the innermost first.
    """
    known = Note()
    for name in _names(entry):
        if found := table.notes.get(name):
            table.met.add(name)
            known = known.over(found)
    return known.told(entry)


def _row(path: Path, row: Row) -> tuple[str, Note]:
    """The name in a row's first column, and what the others tell."""
    first = next(iter(row.values), "")
    try:
        name = words(row.values.get(first), "the name")
        if name is None:
            raise LimnerError("no picture or folder is named", "name one in the first column")
        found = note(row.values, (first,))
        if found.faults:
            raise LimnerError(found.faults[0].told)
    except LimnerError as error:
        raise LimnerError(f"line {row.line} of {quoted(path)}: {error.problem}", error.remedy) from error
    return name.rstrip("/"), found


def _names(entry: Entry) -> Iterator[str]:
    """All names by which a table may mean an entry, each once, the nearest first."""
    name, folder = entry.place.name, PurePosixPath(entry.folder)
    folders = [part for at in (folder, *folder.parents) if at.name for part in (at.as_posix(), at.name)]
    without = entry.key.removesuffix(PurePosixPath(entry.key).suffix)
    yield from dict.fromkeys((entry.key, without, name, PurePosixPath(name).stem, *folders))
