"""Files are read up to a limit, whatever their size says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from limner.core import files
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP, read_file, short_line


@pytest.mark.parametrize(("size", "read"), [(10, True), (11, False)])
def test_a_file_of_the_most_bytes_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, read: bool
) -> None:
    assert BYTE_CAP == 512 * 2**20
    monkeypatch.setattr(files, "BYTE_CAP", 10)
    (tmp_path / "a").write_bytes(b"x" * size)
    if read:
        assert read_file(tmp_path / "a") == b"x" * size
        return
    with pytest.raises(LimnerError, match="is larger than"):
        read_file(tmp_path / "a")


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BYTE_CAP", 10)
    (tmp_path / "a").write_bytes(b"x" * 11)
    (tmp_path / "small").write_bytes(b"x")
    monkeypatch.setattr(files.os, "fstat", lambda descriptor: os.stat(tmp_path / "small"))
    with pytest.raises(LimnerError, match="is larger than"):
        read_file(tmp_path / "a")


def test_a_text_of_unknown_origin_is_one_short_line() -> None:
    assert short_line("a\nb\x1b[31m  c") == "a b [31m c"
    assert short_line("x" * 160) == "x" * 160 and short_line("x" * 161) == "x" * 159 + "\u2026"
    assert len(short_line("y" * 10**6, 20)) == 20
