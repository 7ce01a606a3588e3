"""The journal of images that were read: what is read again, and what is still good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from limner.core.datasets import Entry, Fault, Rights, Skipped
from limner.data.entries.byte_sources import BytesInMemory
from limner.engine.prepare.staging import Record, Staging

ENTRY = Entry("a.png", BytesInMemory("a.png", b"a"), "dogs", "a dog", {"pose": "sits"}, Rights("Ada"))


def staged(tmp_path: Path, *items: Any) -> Staging:
    """A staging folder in which these entries were read, each with a written image of three bytes."""
    staging = Staging(tmp_path / "out")
    staging.begin("digest")
    records = []
    for number, item, stamp in staging.unread(items):
        name = f"{number}.jpg"
        for part in (name, f"{number}.mask.png", f"{number}.thumb.jpg"):
            (staging.pictures / part).write_bytes(b"abc")
        files = {"picture": name, "bytes": 3, "mask": f"{number}.mask.png", "thumbnail": f"{number}.thumb.jpg"}
        records.append(Record.of(item, stamp).model_copy(update=files))
    list(staging.add(records))
    return staging


def left(staging: Staging, *items: Any) -> list[str]:
    return [item.key for _, item, _ in staging.unread(items)]


@pytest.mark.parametrize(
    "change",
    [
        {"data": BytesInMemory("a.png", b"b")},
        {"folder": "cats"},
        {"caption": "a cat"},
        {"fields": {"pose": "runs"}},
        {"rights": Rights("Bea")},
        {"repeats": 2},
        {"mask": BytesInMemory("mask.png", b"m")},
    ],
)
def test_an_entry_is_read_again_when_anything_about_it_changed(tmp_path: Path, change: dict[str, Any]) -> None:
    other = Entry("b.png", BytesInMemory("b.png", b"b"))
    staging = staged(tmp_path, ENTRY, other)
    assert left(staging, ENTRY, other) == [] and len(list(staging.records())) == 2
    assert left(staging, replace(ENTRY, **change), other) == ["a.png", "b.png"], "and all after it"
    assert list(staging.records()) == []


@pytest.mark.parametrize(
    ("name", "data"), [("1.jpg", b"ab"), ("1.jpg", None), ("1.mask.png", None), ("1.thumb.jpg", None)]
)
def test_an_image_whose_files_are_not_whole_is_read_again(tmp_path: Path, name: str, data: bytes | None) -> None:
    items = [replace(ENTRY, key=f"{number}.png") for number in range(3)]
    staging = staged(tmp_path, *items)
    (staging.pictures / name).unlink()
    if data is not None:
        (staging.pictures / name).write_bytes(data)
    assert left(staging, *items) == ["1.png", "2.png"] and [each.key for each in staging.records()] == ["0.png"]


def test_records_of_entries_that_are_gone_are_cut_off(tmp_path: Path) -> None:
    stray = Skipped("notes.txt", Fault("stray", "not an image"))
    staging = staged(tmp_path, ENTRY, stray)
    assert left(staging, ENTRY) == [] and [each.key for each in staging.records()] == ["a.png"]


def test_a_torn_line_ends_the_journal(tmp_path: Path) -> None:
    staging = staged(tmp_path, ENTRY)
    whole = staging.journal.read_bytes()
    staging.journal.write_bytes(whole + whole[:-1])
    assert len(list(staging.records())) == 1
    ((record, offset),) = staging.records_with_offsets()
    assert staging.record(offset) == record
