"""Keys are met once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.core.datasets import Entry, Skipped
from limner.data.entries import once as module
from limner.data.entries.once import once
from limner.data.entries.places import FilePlace


def test_every_key_once_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH", 10)
    place = FilePlace(Path("x"))

    def named() -> Iterator[Entry | Skipped]:
        for number in range(300):
            yield Entry(str(number), place)
            yield Entry(str(number // 3), place)

    found = list(once(named()))
    assert [each.key for each in found if isinstance(each, Entry)] == [str(number) for number in range(300)]
    assert sum(isinstance(each, Skipped) for each in found) == 300
