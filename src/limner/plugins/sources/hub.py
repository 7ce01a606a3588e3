"""A dataset of the Hugging Face hub, streamed, or one saved by `save_to_disk` of `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limner.core.datasets import Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, quoted, read_file, short_line, too_large
from limner.data.entries.annotations import normalized_columns, parse_annotation
from limner.data.entries.byte_sources import BytesInMemory, escaped_name
from limner.data.entries.image_tables import IMAGES, MASKS, class_name
from limner.data.entries.links import LinkPolicy
from limner.data.entries.references import HUB_ID, local_path, reference_kind
from limner.data.entries.table_entries import table_entries


class HubSource:
    """Images in a dataset of the hub or on disk."""

    title = "dataset of the Hugging Face hub, or one saved to disk"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) in ("hub", "saved")

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=False)

    def linked_entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=True)

    def _entries(self, reference: str, follow: bool) -> Iterator[Entry | Skipped]:
        path = local_path(reference)
        yield from _saved(path, LinkPolicy(path, follow)) if path.is_dir() else _streamed(reference)


def _saved(folder: Path, links: LinkPolicy) -> Iterator[Entry | Skipped]:
    """The rows of all splits of a saved dataset."""
    states = sorted(folder.glob("**/state.json"))
    if not states:
        raise LimnerError(f"the dataset {quoted(folder)} has no split", "copy the whole folder again")
    for state in states:
        split = state.parent.relative_to(folder).as_posix()
        for number, name in enumerate(_files(state)):
            prefix = "" if split == "." else f"{escaped_name(split)}/"
            if fault := links.fault(state) or links.fault(state.parent / name):
                yield Skipped(f"{prefix}{escaped_name(name)}", fault)
                continue
            yield from table_entries(state.parent / name, f"{prefix}{number:05d}/")


def _files(state: Path) -> list[str]:
    """The Arrow files that the state of a split names; they must be next to it, whatever it says."""
    try:
        names = [Path(each["filename"]).name for each in json.loads(read_file(state))["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LimnerError(f"{str(state)!r} lists no files", "save the dataset again") from error
    if any(not name.endswith(".arrow") for name in names):
        raise LimnerError(f"{str(state)!r} lists files that are not Arrow files", "save the dataset again")
    return names


def _streamed(reference: str) -> Iterator[Entry | Skipped]:
    """The rows of a dataset of the hub, streamed."""
    for split, rows in _splits(reference):
        image, mask = _image_columns(rows, reference)
        labels = {name: kind.names for name, kind in rows.features.items() if type(kind).__name__ == "ClassLabel"}
        rows = rows.decode(False)
        number = -1
        try:
            for number, row in enumerate(rows):
                key = f"{split}/{number:09d}"
                texts = {name: it for name, it in row.items() if name not in (image, mask)}
                named = {name: class_name(it, labels.get(name)) for name, it in texts.items()}
                found = parse_annotation(normalized_columns(named))
                try:
                    place = _place(row[image], key)
                    masked = _place(row[mask], key) if mask and row[mask] else None
                except LimnerError as error:
                    yield Skipped(key, Fault("unreadable", str(error)))
                    continue
                yield Entry(key, place, "", found.caption, found.fields, found.rights, masked, faults=found.faults)
        except Exception as error:  # datasets raises whatever its formats and the network do
            raise _hub_error(reference, error) from error


def _splits(reference: str) -> Iterator[tuple[str, Any]]:
    found = HUB_ID.fullmatch(reference)
    assert found is not None
    try:
        import datasets
    except ImportError as error:
        raise LimnerError(
            f"{reference!r} needs the package datasets, which is missing", "pip install 'limner[prepare]'"
        ) from error
    try:
        loaded: Any = datasets.load_dataset(found["name"], found["config"], split=found["split"], streaming=True)
    except Exception as error:
        raise _hub_error(reference, error) from error
    splits: Mapping[str, Any] = loaded if isinstance(loaded, dict) else {found["split"] or "train": loaded}
    yield from sorted(splits.items())


def _image_columns(rows: Any, reference: str) -> tuple[str, str | None]:
    """The names of the columns of images and of masks."""
    features: Mapping[str, Any] = rows.features or {}
    kept = [name for name, kind in features.items() if _is_image(kind)]
    mask = next((name for name in kept if name.lower() in MASKS), None)
    images = [name for name in kept if name != mask]
    if not images:
        columns = f" (it has: {', '.join(list(features)[:12])})" if features else ""
        raise LimnerError(f"{reference!r} has no column of images{columns}", "choose another dataset")
    return next((name for known in IMAGES for name in images if name.lower() == known), images[0]), mask


def _is_image(kind: Any) -> bool:
    """Whether a feature is `datasets.Image`, or its storage struct."""
    return type(kind).__name__ == "Image" or (isinstance(kind, dict) and "bytes" in kind)


def _place(cell: Any, key: str) -> BytesInMemory:
    """The bytes of an image in a cell; an image that the hub stores as a file is fetched."""
    data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    name = escaped_name(str(path).replace("\\", "/").rsplit("/", 1)[-1]) if path else key
    if data is None and isinstance(path, str) and "://" in path:
        from datasets.utils.file_utils import xopen

        with xopen(path, "rb") as file:
            data = file.read(BYTE_CAP + 1)
    if isinstance(data, bytes) and len(data) > BYTE_CAP:
        raise too_large(name)
    if not isinstance(data, bytes):
        raise LimnerError(f"{key} has no image", "choose another split")
    return BytesInMemory(name, data)


def _hub_error(reference: str, error: Exception) -> LimnerError:
    if isinstance(error, LimnerError):
        return error
    return LimnerError(
        f"the dataset {reference!r} cannot be loaded from the hub ({short_line(str(error))})",
        "check its name and the network, or give the path of a folder",
    )


plugin = HubSource()
