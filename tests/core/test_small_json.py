"""Small JSON files of strangers are read up to a limit, and refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.core.errors import LimnerError
from limner.core.requests import Frozen
from limner.core.small_json import read_small_json


class Body(Frozen):
    text: str
    number: int = 0


def refused(path: Path, longest: int = 100) -> str:
    with pytest.raises(LimnerError) as caught:
        read_small_json(path, Body, "a body", "give another", longest)
    assert caught.value.remedy == "give another"
    return caught.value.problem


def test_a_file_of_the_most_bytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"text": "a"}')
    assert read_small_json(path, Body, "a body", "give another", 13) == Body(text="a")
    assert refused(path, 12) == f"{str(path)!r} is larger than a body can be (12 bytes)"


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert refused(path) == f"{str(path)!r} does not exist"
    assert refused(tmp_path) == f"{str(tmp_path)!r} is not a file"
    path.write_text('{"text": 3, "number": "x"}')
    assert refused(path) == f"{str(path)!r} is not a body: text '3': use text"


def test_a_file_that_the_disk_does_not_give_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"text": "a"}')

    def fail(self: Path, mode: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    assert refused(path) == f"{str(path)!r} cannot be read: Input/output error"
