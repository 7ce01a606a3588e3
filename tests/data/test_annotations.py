"""Annotations of images: which one counts where there are several, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.core.datasets import Entry, Fault, Rights
from limner.core.errors import LimnerError
from limner.core.files import BYTE_CAP
from limner.data.entries import annotations, byte_sources
from limner.data.entries.annotations import (
    CAPTION_CAP,
    TEXT_CAP,
    Annotation,
    parse_annotation,
    read_json_file,
    read_text,
    text_value,
)
from limner.data.entries.byte_sources import BytesInMemory, FileBytes, TarBytes, UnreadableBytes, ZipBytes, held_bytes
from limner.data.entries.references import public_url, reference_kind, url_key
from limner.data.entries.table_entries import CellBytes

LOST, BAD = Fault("caption", "lost"), Fault("caption", "bad")


def test_one_annotation_is_completed_by_another() -> None:
    own = Annotation("own", {"breed": "husky", "age": "3"}, Rights("Ann"), (LOST,), 2)
    other = Annotation("other", {"breed": "pug", "place": "park"}, Rights("Ben", "MIT"), (BAD,), 5)
    fields = {"breed": "husky", "age": "3", "place": "park"}
    assert own.over(other) == Annotation("own", fields, Rights("Ann", "MIT"), (LOST, BAD), 2)
    assert Annotation().over(other) == other and other.over(Annotation()) == other
    assert Annotation(weight=None).over(Annotation(weight=5)).weight == 5


def test_an_annotation_overrides_an_entry() -> None:
    place = BytesInMemory("1.png", b"")
    entry = Entry("1.png", place, "", "old", {"breed": "pug", "age": "3"}, Rights("Ben", "MIT"), repeats=4)
    found = Annotation("new", {"breed": "husky"}, Rights("Ann"), (), 2.5).apply_to(entry)
    fields = {"breed": "husky", "age": "3"}
    assert found == Entry("1.png", place, "", "new", fields, Rights("Ann", "MIT"), repeats=2.5)
    assert Annotation().apply_to(entry) == entry


def test_columns_are_told_apart_by_their_names() -> None:
    row = {"text": "a", "caption": "b", "prompt": "c", "breed": "d", "licence": "MIT", "md5": "e", "width": 9}
    found = parse_annotation(row | {"weight": "2.5", "file_name": "1.png"}, ("file_name",))
    assert found == Annotation("a", {"caption": "b", "prompt": "c", "breed": "d"}, Rights(licence="MIT"), (), 2.5)
    del row["text"]
    assert parse_annotation(row).caption == "b"
    del row["caption"]
    assert parse_annotation(row).caption == "c"
    assert [parse_annotation({"weight": weight}).weight for weight in ("1e-6", "9e-7", "1e6", "1000001", "x")] == [
        1e-6,
        None,
        1e6,
        None,
        None,
    ]


def test_a_text_of_the_most_characters_is_read() -> None:
    assert text_value("x" * CAPTION_CAP) == "x" * CAPTION_CAP == "x" * 2000
    for count in (CAPTION_CAP + 1, TEXT_CAP + 1):
        with pytest.raises(LimnerError, match=f"the caption has {count:,} characters; keep it under 2,000"):
            text_value("x" * count)
    assert text_value(" " * TEXT_CAP) is None
    assert read_text(BytesInMemory("a.txt", b"x" * TEXT_CAP)) == "x" * TEXT_CAP
    with pytest.raises(LimnerError, match=r"'a\.txt' is larger than 1 MiB"):
        read_text(BytesInMemory("a.txt", b"x" * (TEXT_CAP + 1)))


def test_a_json_file_that_cannot_be_read_is_a_fault() -> None:
    (fault,) = read_json_file(UnreadableBytes("1.json", "it is gone", "look for it")).faults
    assert fault == Fault("caption", "it is gone; look for it")
    for text in (b"[1]", b"{", b'"a"'):
        (fault,) = read_json_file(BytesInMemory("1.json", text)).faults
        assert fault.message == "'1.json' is not a JSON object; correct it or remove it"
    assert read_json_file(BytesInMemory("1.json", b'{"Caption": "a", " Mood": "b"}')) == Annotation("a", {"mood": "b"})


def test_files_above_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (
        ZipBytes(tmp_path / "none.zip", "a/1.png", 0, BYTE_CAP + 1),
        TarBytes(tmp_path / "none.tar", 0, BYTE_CAP + 1, "a/1.png"),
    ):
        with pytest.raises(LimnerError, match=r"'1\.png' is larger than 512 MiB"):
            place.read()
    monkeypatch.setattr(byte_sources, "BYTE_CAP", 3)
    assert BytesInMemory("1.png", b"123").read() == b"123"
    with pytest.raises(LimnerError, match=r"'1\.png' is larger than"):
        BytesInMemory("1.png", b"1234").read()


def test_a_stamp_changes_with_everything_that_names_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"1234")
    assert FileBytes(tmp_path / "none").stamp == "gone" != FileBytes(tmp_path / "a").stamp
    stamps = [FileBytes(tmp_path / name).stamp for name in "ab"]
    stamps += [ZipBytes(tmp_path, "m", crc, size).stamp for crc, size in ((1, 2), (2, 1), (1, 1))]
    tar = ((0, 1), (1, 1), (0, 2))
    stamps += [TarBytes(tmp_path / "a", offset, size, "m").stamp for offset, size in tar]
    stamps += [TarBytes(tmp_path / "b", 0, 1, "m").stamp]
    cells = ((0, 0, "c"), (1, 0, "c"), (0, 1, "c"), (0, 0, "d"))
    stamps += [CellBytes(tmp_path / "a", group, row, column).stamp for group, row, column in cells]
    assert len(set(stamps)) == len(stamps)


def test_bytes_of_images_and_masks_are_held() -> None:
    image, mask = BytesInMemory("1.png", b"123"), BytesInMemory("2.png", b"12345")
    assert held_bytes(Entry("1.png", image, mask=mask)) == 8
    assert held_bytes(Entry("1.png", FileBytes(Path("x")), mask=mask)) == 5


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://ann:pass@a.org/1.png?size=2", "https://a.org/1.png?size=2"),
        ("https://ann:p@ss@a.org/1.png?size=2", "https://a.org/1.png?size=2"),
        ("https://a.org/1.png?by=ann@b.org", "https://a.org/1.png?by=ann@b.org"),
        ("https://a.org/1.png?size=2&Token=3", "https://a.org/1.png"),
        ("https://a.org/1.png#part", "https://a.org/1.png"),
        ("https://a.org//ann@b/1.png?size=2", "https://a.org//ann@b/1.png?size=2"),
        ("http://[a/1.png?token=2", "http://[a/1.png"),
    ],
)
def test_a_public_url_has_no_secret(url: str, public: str) -> None:
    assert public_url(url) == public


def test_the_key_of_a_url_tells_its_queries_apart_without_their_text() -> None:
    assert url_key("https://ann:pass@a.org/1.png") == "a.org/1.png"
    keys = {url_key(f"https://a.org/1.png{more}") for more in ("", "?a=1", "?a=2", "#a")}
    assert len(keys) == 4 and all(key.startswith("a.org/1.png") and "a=" not in key for key in keys)


def test_the_kind_of_a_folder_is_seen_three_folders_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "set" / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "0.parquet").touch()
    assert reference_kind(str(tmp_path / "set")) == "parquet"
    assert reference_kind(str(tmp_path)) == "tree", "four folders down"
    (tmp_path / "set" / "1.PNG").touch()
    assert reference_kind(str(tmp_path / "set")) == "tree"
    monkeypatch.chdir(tmp_path)
    assert reference_kind("set/none") == "hub"
    (tmp_path / "set" / "file").touch()
    assert reference_kind("set/file") is None, "it is a file of an unknown kind"

    def fail(folder: Path) -> None:
        raise PermissionError

    monkeypatch.setattr("os.listdir", fail)
    assert reference_kind(str(tmp_path / "set")) == "tree"


def test_readable_text_of_a_place_says_its_own_size_first() -> None:
    class Large(BytesInMemory):
        size = annotations.TEXT_CAP + 1

        def read(self) -> bytes:
            raise AssertionError("it is too large to be read")

    with pytest.raises(LimnerError, match="is larger than 1 MiB"):
        read_text(Large("a.txt", b""))
