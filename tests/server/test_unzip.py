"""Zips of strangers at the edges: the most bytes, the most files, and what is no plain file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from limner.core.errors import LimnerError
from limner.server.archives import unzip
from limner.store.manifests import MAX_FILES


def archive(folder: Path, *members: tuple[str, bytes], mode: int | None = None) -> Path:
    place = folder / "a.zip"
    with zipfile.ZipFile(place, "w") as packed:
        for name, body in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0 if mode is None else mode << 16
            packed.writestr(info, body)
    return place


def test_a_zip_unpacks_to_the_most_bytes_and_no_more(tmp_path: Path) -> None:
    place = archive(tmp_path, ("a", b"x" * 600), ("b", b"y" * 400))
    assert unzip(place, tmp_path / "fits", 1000) == 1000
    with pytest.raises(LimnerError, match="unpacks to more than 999 bytes"):
        unzip(place, tmp_path / "larger", 999)


def test_a_zip_holds_the_most_files_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FILES == 10_000
    monkeypatch.setattr("limner.server.archives.MAX_FILES", 3)
    three = [(name, b"x") for name in "abc"]
    assert unzip(archive(tmp_path, *three, ("folder/", b"")), tmp_path / "fits", 1000) == 3
    with pytest.raises(LimnerError, match="the zip holds 4 files; send at most 3"):
        unzip(archive(tmp_path, *three, ("d", b"x")), tmp_path / "more", 1000)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "c:\\a", "a\\..\\b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LimnerError, match="name its files plainly"):
        unzip(archive(tmp_path, (name, b"x")), tmp_path / "out", 1000)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("mode", "taken"), [(0o100644, True), (0o120777, False)])
def test_links_are_refused(tmp_path: Path, mode: int, taken: bool) -> None:
    place = archive(tmp_path, ("a", b"/etc/passwd"), mode=mode)
    if taken:
        assert unzip(place, tmp_path / "out", 1000) == 11
        return
    with pytest.raises(LimnerError, match="the zip holds 'a'; name its files plainly"):
        unzip(place, tmp_path / "out", 1000)


@pytest.mark.parametrize("members", [[], [("empty", b"")], [("folder/", b"")]])
def test_a_zip_of_nothing_is_refused(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    with pytest.raises(LimnerError, match="the zip holds no files"):
        unzip(archive(tmp_path, *members), tmp_path / "out", 1000)
