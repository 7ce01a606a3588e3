"""Tables of several folders for one image: the nearest one wins, the others complete it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from limner.core.datasets import Entry
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
