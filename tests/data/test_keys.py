"""Each key of a source appears once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.core.datasets import Entry, Skipped
from limner.data import keys
from limner.data.entries.byte_sources import FileBytes
from limner.data.keys import unique_entries


def test_every_key_once_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_FRESH", 10)
    place = FileBytes(Path("x"))

    def named() -> Iterator[Entry | Skipped]:
        for number in range(300):
            yield Entry(str(number), place)
            yield Entry(str(number // 3), place)

    found = list(unique_entries(named()))
    assert [each.key for each in found if isinstance(each, Entry)] == [str(number) for number in range(300)]
    assert sum(isinstance(each, Skipped) for each in found) == 300
