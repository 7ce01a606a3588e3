"""Tables of several folders for one image: the nearest one wins, the others complete it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from limner.core.datasets import Entry, Fault, Skipped
from limner.core.errors import LimnerError
from limner.data.entries.byte_sources import FileBytes
from limner.plugins.sources.folder import plugin


def entries(folder: Path) -> dict[str, Entry]:
    return {found.key: found for found in plugin.entries(str(folder)) if isinstance(found, Entry)}


def table(folder: Path, **values: str) -> None:
    (folder / "metadata.jsonl").write_text(json.dumps(values))


def image(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(folder / name)


def test_the_table_of_the_nearest_folder_has_the_first_word(tmp_path: Path) -> None:
    image(tmp_path, "a/b/1.png")
    table(tmp_path, file_name="a/b/1.png", text="outer", breed="husky", place="snow")
    table(tmp_path / "a", file_name="b/1.png", text="middle", place="park")
    table(tmp_path / "a" / "b", file_name="1.png", text="inner")
    entry = entries(tmp_path)["a/b/1.png"]
    assert entry.caption == "inner" and entry.fields == {"breed": "husky", "place": "park"}


def test_a_text_beside_the_picture_comes_before_all_tables(tmp_path: Path) -> None:
    image(tmp_path, "1.png")
    table(tmp_path, file_name="1.png", text="of the table", breed="husky")
    (tmp_path / "1.txt").write_text("beside it")
    entry = entries(tmp_path)["1.png"]
    assert entry.caption == "beside it" and entry.fields == {"breed": "husky"}


def test_a_kohya_folder_sets_repeats_unless_there_is_a_weight(tmp_path: Path) -> None:
    for name in ("10_sks dog/1.png", "10_sks dog/2.png", "plain/3.png"):
        image(tmp_path, name)
    table(tmp_path / "10_sks dog", file_name="2.png", weight="2.5")
    found = entries(tmp_path)
    assert [found[key].repeats for key in sorted(found)] == [10, 2.5, 1]
    assert [found[key].caption for key in sorted(found)] == ["sks dog", "sks dog", None]


@pytest.mark.parametrize(
    ("weight", "repeats"),
    [("1e-6", 1e-6), ("1e6", 1e6), ("9e-7", 10), ("1.1e6", 10), ("0", 10), ("-1", 10), ("nan", 10)],
)
def test_a_weight_is_from_a_millionth_to_a_million(tmp_path: Path, weight: str, repeats: float) -> None:
    image(tmp_path, "10_sks dog/1.png")
    table(tmp_path / "10_sks dog", file_name="1.png", weight=weight)
    assert entries(tmp_path)["10_sks dog/1.png"].repeats == repeats


def test_the_first_row_and_the_first_mask_of_an_image_count(tmp_path: Path) -> None:
    for name in ("1.png", "masks/1.jpg", "masks/1.png"):
        image(tmp_path, name)
    rows = [{"file_name": "1.png", "text": text} for text in ("first", "second")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    entry = entries(tmp_path)["1.png"]
    assert entry.caption == "first" and entry.mask is not None and entry.mask.name == "1.jpg"


def test_what_belongs_to_no_image_is_reported_only_beside_images(tmp_path: Path) -> None:
    image(tmp_path, "a/1.png")
    image(tmp_path, "b/masks/2.png")
    for name in ("a/other.txt", "b/other.txt"):
        (tmp_path / name).write_text("a note")
    found = list(plugin.entries(str(tmp_path)))
    assert {item.key: type(item) for item in found} == {
        "a/1.png": Entry,
        "a/other.txt": Skipped,
        "b/masks/2.png": Entry,
    }


def test_a_table_that_is_too_large_is_reported_and_a_mask_without_image_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path, "1.png")
    image(tmp_path, "masks/2.png")
    (tmp_path / "masks" / "notes.txt").write_text("a note")
    table(tmp_path, file_name="1.png", text="a")

    def read(self: FileBytes) -> bytes:
        raise LimnerError("it is too large", "split it")

    monkeypatch.setattr(FileBytes, "read", read)
    found = {item.key: item for item in plugin.entries(str(tmp_path))}
    assert found.keys() == {"1.png", "metadata.jsonl", "masks/2.png"}
    lost = [found[key] for key in ("metadata.jsonl", "masks/2.png")]
    assert [each.fault for each in lost if isinstance(each, Skipped)] == [
        Fault("caption", "it is too large; split it"),
        Fault("mask", "the mask '2.png' belongs to no image here"),
    ]
