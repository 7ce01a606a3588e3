"""A dataset of the Hugging Face hub, streamed, or one that `save_to_disk` of `datasets` has written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limner.core.datasets import Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, quoted, read_file, short_line, too_large
from limner.data.entries.cells import MASKS, PICTURES, named
from limner.data.entries.kinds import HUB_ID, kind_of, local
from limner.data.entries.notes import columns, note
from limner.data.entries.places import BytesPlace, legible
from limner.data.entries.rowentries import row_entries


class Hub:
    title = "dataset of the Hugging Face hub, or one saved to disk"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) in ("hub", "saved")

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        path = local(reference)
        yield from _saved(path) if path.is_dir() else _streamed(reference)


def _saved(folder: Path) -> Iterator[Entry | Skipped]:
    """The rows of every split, read where they lie."""
    states = sorted(folder.glob("**/state.json"))
    if not states:
        raise LimnerError(f"no split of the dataset {quoted(folder)} is there", "copy the whole folder again")
    for state in states:
        split = state.parent.relative_to(folder).as_posix()
        for number, name in enumerate(_files(state)):
            prefix = "" if split == "." else f"{legible(split)}/"
            yield from row_entries(state.parent / name, f"{prefix}{number:05d}/")


def _files(state: Path) -> list[str]:
    """The Arrow files that a split's state names; they lie beside it, whatever it says."""
    try:
        names = [Path(each["filename"]).name for each in json.loads(read_file(state))["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LimnerError(f"{str(state)!r} tells no files", "save the dataset again") from error
    if any(not name.endswith(".arrow") for name in names):
        raise LimnerError(f"{str(state)!r} tells files that are no Arrow files", "save the dataset again")
    return names


def _streamed(reference: str) -> Iterator[Entry | Skipped]:
    """The rows of a dataset of the hub, fetched as they come."""
    for split, rows in _splits(reference):
        picture, mask = _columns(rows, reference)
        labels = {name: kind.names for name, kind in rows.features.items() if type(kind).__name__ == "ClassLabel"}
        rows = rows.decode(False)
        number = -1
        try:
            for number, row in enumerate(rows):
                key = f"{split}/{number:09d}"
                texts = {name: it for name, it in row.items() if name not in (picture, mask)}
                told = note(columns({name: named(it, labels.get(name)) for name, it in texts.items()}))
                try:
                    place = _place(row[picture], key)
                    masked = _place(row[mask], key) if mask and row[mask] else None
                except LimnerError as error:
                    yield Skipped(key, Fault("unreadable", str(error)))
                    continue
                yield Entry(key, place, "", told.caption, told.fields, told.rights, masked, faults=told.faults)
        except Exception as error:  # the hub's library raises what its many formats and the network do
            raise _unreachable(reference, error) from error


def _splits(reference: str) -> Iterator[tuple[str, Any]]:
    found = HUB_ID.fullmatch(reference)
    assert found is not None
    try:
        import datasets
    except ImportError as error:
        raise LimnerError(
            f"to read {reference!r} from the hub datasets is needed", "pip install 'limner[prepare]'"
        ) from error
    try:
        loaded: Any = datasets.load_dataset(found["name"], found["config"], split=found["split"], streaming=True)
    except Exception as error:
        raise _unreachable(reference, error) from error
    splits: Mapping[str, Any] = loaded if isinstance(loaded, dict) else {found["split"] or "train": loaded}
    yield from sorted(splits.items())


def _columns(rows: Any, reference: str) -> tuple[str, str | None]:
    """The names of the columns of pictures and of masks."""
    features: Mapping[str, Any] = rows.features or {}
    kept = [name for name, kind in features.items() if _is_picture(kind)]
    mask = next((name for name in kept if name.lower() in MASKS), None)
    pictures = [name for name in kept if name != mask]
    if not pictures:
        told = f" (it has: {', '.join(list(features)[:12])})" if features else ""
        raise LimnerError(f"{reference!r} has no column of pictures{told}", "choose another dataset")
    return next((name for known in PICTURES for name in pictures if name.lower() == known), pictures[0]), mask


def _is_picture(kind: Any) -> bool:
    """Whether a feature is `datasets.Image`, or the struct that it is stored as."""
    return type(kind).__name__ == "Image" or (isinstance(kind, dict) and "bytes" in kind)


def _place(cell: Any, key: str) -> BytesPlace:
    """A picture's bytes, which cannot be had again by themselves; those that the hub keeps as files are fetched."""
    data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    name = legible(str(path).replace("\\", "/").rsplit("/", 1)[-1]) if path else key
    if data is None and isinstance(path, str) and "://" in path:
        from datasets.utils.file_utils import xopen

        with xopen(path, "rb") as file:
            data = file.read(BYTE_CAP + 1)
    if isinstance(data, bytes) and len(data) > BYTE_CAP:
        raise too_large(name)
    if not isinstance(data, bytes):
        raise LimnerError(f"{key} holds no picture", "choose another split")
    return BytesPlace(name, data)


def _unreachable(reference: str, error: Exception) -> LimnerError:
    if isinstance(error, LimnerError):
        return error
    return LimnerError(
        f"the dataset {reference!r} cannot be had from the hub ({short_line(str(error))})",
        "check its name and the network, or give the path of a folder",
    )


plugin = Hub()
