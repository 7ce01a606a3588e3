"""Zip archives, also hostile ones."""

from __future__ import annotations

import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest

from gathering import entries, gathered, kept, lost, png, put, zipped
from limner.core.datasets import Entry
from limner.core.errors import LimnerError
from limner.data.entries import byte_sources, unpacked_sizes
from limner.data.entries.annotations import TEXT_CAP
from limner.data.entries.byte_sources import ZipBytes
from limner.plugins.sources import zip as source


def test_the_same_tree_as_a_folder(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "10_sks dog/0.png": png(0),
        "10_sks dog/1.png": png(1),
        "10_sks dog/1.txt": "a dog",
        "10_sks dog/masks/1.png": png(2),
        "metadata.jsonl": '{"file_name": "10_sks dog/0.png", "breed": "corgi"}',
        "__MACOSX/10_sks dog/._0.png": "x",
        ".DS_Store": "x",
        "z/notes.docx": "x",
    }
    for name, data in files.items():
        put(tmp_path / "in" / name, data)
    (tmp_path / "in/__MACOSX/10_sks dog/._0.png").unlink()
    archive = zipped(tmp_path / "in.zip", files)
    inside, outside = kept(archive), kept(tmp_path / "in")
    assert list(inside) == list(outside) == ["10_sks dog/0.png", "10_sks dog/1.png"]
    for key, entry in inside.items():
        other = outside[key]
        assert (entry.caption, entry.fields, entry.folder) == (other.caption, other.fields, other.folder)
        assert (entry.repeats, entry.data.name, entry.data.read()) == (10, other.data.name, other.data.read())
    assert inside["10_sks dog/1.png"].mask is not None
    assert lost(archive) == lost(tmp_path / "in")


def test_path_traversal_links_and_nested_archives_are_reported_and_nothing_is_written(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    home = tmp_path / "home"
    home.mkdir()
    with zipfile.ZipFile(home / "bad.zip", "w") as archive:
        for name in ("good.png", "../slip.png", "a/../../slip.png", "/etc/x.png", "C:/x.png", "..\\slip.png"):
            archive.writestr(name, png())
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", b"PK")
        archive.writestr("d/" * 200 + "deep.png", png())
        archive.writestr("new\nline.png", png())
    assert list(kept(home / "bad.zip")) == ["good.png", "new\nline.png"]
    problems = lost(home / "bad.zip")
    assert len(problems) == 8 and {kind for kind, _ in problems.values()} == {"stray"}
    assert sorted(at.name for at in tmp_path.rglob("*")) == ["bad.zip", "home"]


def test_encrypted_members(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"secret.png": png()})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert kept(archive) == {}
    assert lost(archive)["secret.png"] == (
        "unreadable",
        "'secret.png' needs a password; create the archive again without one",
    )


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (byte_sources, source):
        monkeypatch.setattr(module, "BYTE_CAP", 2**20)
    archive = zipped(tmp_path / "a.zip", {"bomb.png": bytes(2**21), "good.png": png()})
    assert archive.stat().st_size < 10_000
    assert list(kept(archive)) == ["good.png"] and "unpacks to more" in lost(archive)["bomb.png"][1]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_lost(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as packed:
        packed.writestr("bomb.png", bytes(1000))
        packed.writestr("good.png", png(), compress_type=zipfile.ZIP_DEFLATED)
    assert list(kept(tmp_path / "a.zip")) == ["good.png"]
    assert "neither stored nor deflated" in lost(tmp_path / "a.zip")["bomb.png"][1]


def test_many_small_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive has a budget for all of its members, and a packed member a smaller one than a stored one."""
    monkeypatch.setattr(unpacked_sizes, "ARCHIVE_BYTES", 2**20)
    archive = zipped(tmp_path / "a.zip", {f"{number}.png": bytes(2**17) for number in range(10)})
    with pytest.raises(LimnerError, match=r"'a\.zip' unpacks to more than 1,048,576 bytes; split it into several"):
        gathered(archive)
    monkeypatch.setattr(unpacked_sizes, "ARCHIVE_BYTES", 2**30)
    monkeypatch.setattr(source, "SAMPLE_BYTES", 2**16)
    assert kept(archive) == {} and "unpacks to more than 0 MiB" in lost(archive)["0.png"][1]
    with zipfile.ZipFile(tmp_path / "stored.zip", "w") as stored:
        stored.writestr("0.png", bytes(2**17))
    assert list(kept(tmp_path / "stored.zip")) == ["0.png"]


def test_a_text_is_not_unpacked_to_find_that_it_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", {"0.png": png(), "0.txt": bytes(TEXT_CAP + 1)})
    read = byte_sources.ZipBytes.read
    monkeypatch.setattr(
        byte_sources.ZipBytes, "read", lambda place: pytest.fail("read") if place.name == "0.txt" else read(place)
    )
    assert "is larger than" in str(lost(archive)) or "is larger than" in str(gathered(archive))


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"bomb.png": bytes(2**21)})
    data = bytearray(archive.read_bytes())
    for at in (22, data.index(b"PK\x01\x02") + 24):
        data[at : at + 4] = struct.pack("<I", 100)
    archive.write_bytes(data)
    with pytest.raises(LimnerError, match="cannot be unpacked"):
        kept(archive)["bomb.png"].data.read()


def test_a_name_twice(tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name, shade in (("a/0.png", 0), ("a/0.png", 1), ("a//0.png", 2), ("b.png", 3)):
            archive.writestr(name, png(shade))
    found = [each for each in gathered(tmp_path / "a.zip") if isinstance(each, Entry)]
    assert [entry.key for entry in found] == ["b.png", "a/0.png"] and found[1].data.read() == png(2)
    assert "twice" in lost(tmp_path / "a.zip")["a/0.png"][1]


@pytest.mark.parametrize("size", [0, 1, 30, 90, -1])
def test_truncated_and_empty(tmp_path: Path, size: int) -> None:
    archive = zipped(tmp_path / "a.zip", {"0.png": png()})
    archive.write_bytes(archive.read_bytes()[:size])
    with pytest.raises(LimnerError, match=r"'a\.zip' is not a zip archive, or a damaged one"):
        gathered(archive)


def test_a_member_that_is_damaged(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"0.png": png(), "1.png": png(1)})
    data = bytearray(archive.read_bytes())
    data[50] ^= 0xFF
    archive.write_bytes(data)
    found = entries(archive)
    with pytest.raises(LimnerError, match=r"'0\.png' cannot be unpacked"):
        found["0.png"].data.read()
    assert found["1.png"].data.read() == png(1)


def test_an_archive_that_changed_or_went(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"0.png": png()})
    place = entries(archive)["0.png"].data
    zipped(archive, {"0.png": png(1)})
    with pytest.raises(LimnerError, match="has changed"):
        place.read()
    zipped(archive, {"1.png": png(1)})
    with pytest.raises(LimnerError, match="cannot be unpacked"):
        place.read()
    archive.unlink()
    with pytest.raises(LimnerError, match="does not exist"):
        place.read()


def test_many_members_are_read_without_reading_the_directory_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "a.zip", {f"{number}.png": png(number) for number in range(20)})
    opened: list[object] = []
    real = zipfile.ZipFile

    def counting(*given: object) -> object:
        opened.append(given)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(byte_sources.zipfile, "ZipFile", counting)
    assert len({entry.data.read() for entry in entries(archive).values()}) == 20 and len(opened) == 1


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="is a device"):
        ZipBytes(Path("/dev/zero"), "a", 0, 1).read()


def test_the_archives_name_without_its_suffix_is_the_name_of_its_root(tmp_path: Path) -> None:
    assert entries(zipped(tmp_path / "10_sks dog.zip", {"0.png": png()}))["0.png"].repeats == 10


def test_hidden_folders_and_those_of_a_mac_are_skipped_and_dots_in_paths_count_for_nothing(tmp_path: Path) -> None:
    names = (
        ".git/0.png",
        "a/.b/1.png",
        "__MACOSX/2.png",
        "a/__MACOSX/3.png",
        "./a//4.png",
        "z/5.png",
        "b/c/6.png",
        "b/a/7.png",
    )
    archive = zipped(tmp_path / "a.zip", dict.fromkeys(names, png()))
    assert list(entries(archive)) == ["a/4.png", "b/a/7.png", "b/c/6.png", "z/5.png"]


@pytest.mark.parametrize(("depth", "read"), [(100, True), (101, False)])
def test_a_member_may_be_a_hundred_folders_deep(tmp_path: Path, depth: int, read: bool) -> None:
    archive = zipped(tmp_path / "a.zip", {"d/" * depth + "0.png": png()})
    assert bool(kept(archive)) is read
    assert read or "more than 100 folders deep" in next(iter(lost(archive).values()))[1]


def test_an_encrypted_member_may_have_other_flags(tmp_path: Path) -> None:
    member = zipfile.ZipInfo("a.png")
    assert source._fault(member) is None
    for flags, encrypted in ((0x1, True), (0x801, True), (0x800, False)):
        member.flag_bits = flags
        assert (source._fault(member) is not None) is encrypted


def test_limits_of_sizes_include_their_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = zipfile.ZipInfo("a.png")
    monkeypatch.setattr(source, "BYTE_CAP", 3 * 2**20)
    monkeypatch.setattr(source, "SAMPLE_BYTES", 2 * 2**20)
    for method, most in ((zipfile.ZIP_STORED, 3), (zipfile.ZIP_DEFLATED, 2)):
        member.compress_type, member.file_size = method, most * 2**20
        assert source._fault(member) is None
        member.file_size += 1
        fault = source._fault(member)
        assert fault is not None and f"unpacks to more than {most} MiB" in fault.message
    archive = zipped(tmp_path / "a.zip", {"a.png": png()})
    monkeypatch.setattr(source, "archive_bytes", lambda path: len(png()))
    assert list(entries(archive)) == ["a.png"]
    monkeypatch.setattr(source, "archive_bytes", lambda path: len(png()) - 1)
    with pytest.raises(LimnerError, match=f"unpacks to more than {len(png()) - 1} bytes"):
        gathered(archive)


def test_the_folders_of_an_archive_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those inside others too: a zip of 64 MiB could name so many that they fill the memory."""
    monkeypatch.setattr(source, "_MOST_FOLDERS", 12)
    deep = {f"{number}/{'a/' * 4}b.png": png(0) for number in range(2)}
    assert len(kept(zipped(tmp_path / "few.zip", deep))) == 2
    with pytest.raises(LimnerError, match=r"'many\.zip' has more than 12 folders"):
        entries(zipped(tmp_path / "many.zip", deep | {"a/b/c.png": png(0)}))
