"""Zip archives: hostile uploads, their limits, and streamed downloads."""

import io
import struct
import zipfile
from pathlib import Path

import pytest
from starlette.datastructures import UploadFile

from limner.core.errors import LimnerError
from limner.server.archives import DIRECTORY_BYTES, MAX_FOLDERS, unzip, write_form_files, zip_stream
from limner.store.blobs import Blobs
from limner.studio.files import MAX_FILES


def archive(place: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return place


def test_unzip_returns_what_was_zipped(tmp_path: Path) -> None:
    members = {"a.png": b"1" * 3_000_000, "deep/b.txt": b"a cat"}
    assert unzip(archive(tmp_path / "a.zip", members), tmp_path / "out", 2**22) == 3_000_005
    assert {name: (tmp_path / "out" / name).read_bytes() for name in members} == members


def test_a_zip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="unpacks to more than 1,048,576 bytes"):
        unzip(archive(tmp_path / "a.zip", {"bomb": b"\0" * (2**20 + 1)}), tmp_path / "out", 2**20)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_methods_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("a.png", bytes(1000))
    with pytest.raises(LimnerError, match=r"'a\.png' in the zip is neither stored nor deflated; create the zip again"):
        unzip(tmp_path / "a.zip", tmp_path / "out", 2**20)


def directory(entries: int, zip64: bool) -> bytes:
    """A zip's central directory with many entries, and the record of its position."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, *(0,) * 7, 1, *(0,) * 6) + b"a"
    listed = entry * entries
    if not zip64:
        return listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(listed), 0, 0)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(listed), 0)
    place = struct.pack("<4sLQL", b"PK\6\7", 0, len(listed), 1)
    return listed + end + place + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)


@pytest.mark.parametrize("zip64", [False, True])
def test_the_directory_of_a_zip_is_limited_before_it_is_read(tmp_path: Path, zip64: bool) -> None:
    hostile = tmp_path / "many.zip"
    hostile.write_bytes(directory(DIRECTORY_BYTES // 47 + 1, zip64))
    with zipfile.ZipFile(hostile) as found:  # zipfile itself reads it
        assert len(found.infolist()) > 80_000
    with pytest.raises(LimnerError, match=f"directory is larger than {DIRECTORY_BYTES:,} bytes"):
        unzip(hostile, tmp_path / "out", 2**20)


def test_too_many_files_in_a_zip(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(directory(10_001, False))
    with pytest.raises(LimnerError, match="the zip has 10,001 files"):
        unzip(tmp_path / "many.zip", tmp_path / "out", 2**20)


def test_a_zip_is_streamed(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(range(256)) * 2**14)
    (tmp_path / "small").write_bytes(b"a cat")
    blobs = Blobs(str(tmp_path / "files"), tmp_path / "cache")
    files = {"b/large.bin": blobs.put(tmp_path / "large"), "a.txt": blobs.put(tmp_path / "small")}
    pieces = list(zip_stream(blobs, files))
    assert len(pieces) > 4 and max(map(len, pieces)) < 2**20 + 1000, "the zip is streamed in pieces"
    assert b"".join(zip_stream(blobs, files)) == b"".join(pieces)
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["a.txt", "b/large.bin"]
        assert packed.read("b/large.bin") == (tmp_path / "large").read_bytes()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a\\..\\evil", "", None])
def test_files_of_a_form_stay_inside_the_folder(tmp_path: Path, name: str | None) -> None:
    fine = UploadFile(io.BytesIO(b"12"), filename="deep/a.png")
    assert write_form_files([fine], tmp_path / "fine") == 2 and (tmp_path / "fine/deep/a.png").read_bytes() == b"12"
    (tmp_path / "in").mkdir()
    with pytest.raises(LimnerError, match="use relative names inside the folder"):
        write_form_files([UploadFile(io.BytesIO(b"12"), filename=name)], tmp_path / "in" / "form")
    assert not [*tmp_path.rglob("*evil*")]


def archive_of(folder: Path, *members: tuple[str, bytes], mode: int | None = None) -> Path:
    place = folder / "a.zip"
    with zipfile.ZipFile(place, "w") as packed:
        for name, body in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0 if mode is None else mode << 16
            packed.writestr(info, body)
    return place


def test_size_limit_of_an_unpacked_zip(tmp_path: Path) -> None:
    place = archive_of(tmp_path, ("a", b"x" * 600), ("b", b"y" * 400))
    assert unzip(place, tmp_path / "fits", 1000) == 1000
    with pytest.raises(LimnerError, match="unpacks to more than 999 bytes"):
        unzip(place, tmp_path / "larger", 999)


def test_file_limit_of_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_FILES == 10_000
    monkeypatch.setattr("limner.server.archives.MAX_FILES", 3)
    three = [(name, b"x") for name in "abc"]
    assert unzip(archive_of(tmp_path, *three, ("folder/", b"")), tmp_path / "fits", 1000) == 3
    with pytest.raises(LimnerError, match="the zip has 4 files; send at most 3"):
        unzip(archive_of(tmp_path, *three, ("d", b"x")), tmp_path / "more", 1000)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "c:\\a", "a\\..\\b"])
def test_names_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LimnerError, match="use relative names inside the zip"):
        unzip(archive_of(tmp_path, (name, b"x")), tmp_path / "out", 1000)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("mode", "taken"), [(0o100644, True), (0o120777, False)])
def test_links_in_a_zip_are_refused(tmp_path: Path, mode: int, taken: bool) -> None:
    place = archive_of(tmp_path, ("a", b"/etc/passwd"), mode=mode)
    if taken:
        assert unzip(place, tmp_path / "out", 1000) == 11
        return
    with pytest.raises(LimnerError, match="the zip has the file name 'a'; use relative names"):
        unzip(place, tmp_path / "out", 1000)


@pytest.mark.parametrize("members", [[], [("empty", b"")], [("folder/", b"")]])
def test_an_empty_zip_is_refused(tmp_path: Path, members: list[tuple[str, bytes]]) -> None:
    with pytest.raises(LimnerError, match="the zip has no files"):
        unzip(archive_of(tmp_path, *members), tmp_path / "out", 1000)


def test_a_form_needs_files_with_different_names(tmp_path: Path) -> None:
    def form(*names: str, body: bytes = b"x") -> list[UploadFile]:
        return [UploadFile(io.BytesIO(body), filename=name) for name in names]

    assert write_form_files(form("a", "deep/b", "deep/c", body=b"12"), tmp_path / "fine") == 6
    for number, names in enumerate((("a", "a"), ("a", "a/b"))):
        with pytest.raises(LimnerError, match=f"the form has two files named '{names[1]}'; rename one of them"):
            write_form_files(form(*names), tmp_path / str(number))
    for number, files in enumerate(([], form("a", body=b""))):
        with pytest.raises(LimnerError, match="the form has no files; send them as parts named files"):
            write_form_files(files, tmp_path / f"empty {number}")


FOLDERS = {
    "beside": [f"{number}/a.png" for number in range(MAX_FOLDERS + 1)],
    "inside": [f"{number}/{'a/' * 99}b.png" for number in range(MAX_FOLDERS // 100 + 1)],
}
"""Names of files in one folder more than there may be, and of files in deep folders."""


@pytest.mark.parametrize("names", FOLDERS.values(), ids=FOLDERS)
def test_an_upload_of_too_many_folders_is_refused_before_it_is_unpacked(tmp_path: Path, names: list[str]) -> None:
    zipped = archive(tmp_path / "a.zip", dict.fromkeys(names, b"x"))
    with pytest.raises(LimnerError, match="the zip has more than 2,000 folders"):
        unzip(zipped, tmp_path / "out", 2**20)
    files = [UploadFile(io.BytesIO(b"x"), filename=name) for name in names]
    with pytest.raises(LimnerError, match="the form has more than 2,000 folders"):
        write_form_files(files, tmp_path / "form")
    assert not [*(tmp_path / "out").iterdir(), *(tmp_path / "form").iterdir()]


def test_an_upload_may_have_as_many_folders_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.server.archives.MAX_FOLDERS", 3)
    members = {"a/b/c/1.png": b"x", "a/b/c/2.png": b"x", "a/3.png": b"x", "4.png": b"x"}
    assert unzip(archive(tmp_path / "a.zip", members), tmp_path / "out", 2**20) == 4
    files = [UploadFile(io.BytesIO(body), filename=name) for name, body in members.items()]
    assert write_form_files(files, tmp_path / "form") == 4
