"""Folders with a table: its rows, and tables that are broken or hostile."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image

from limner import LimnerError
from limner.data.sets.folder import scan
from limner.data.sets.prepared import rows_of


def fill(folder, *names, table=None):
    """A folder of pictures that all differ, and its table."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        red, green, blue = (sum(str(path).encode()) % 200, len(list(path.parent.iterdir())) * 20, 9)
        Image.new("RGB", (40, 30), (red, green, blue)).save(path)
    if table is not None:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in table]
        (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path):
    """A prepared dataset of three parts."""
    place = tmp_path / "set"
    table = [
        {
            "file_name": f"{number}.png",
            "text": f"caption {number}",
            "author": "Jane" if number < 3 else "Max",
            "licence": "CC-BY-4.0",
            "original": f"dog/{number}.jpg",
            "weight": number,
        }
        for number in (1, 2, 3)
    ]
    fill(place / "train", "1.png", "2.png", "3.png", table=table)
    fill(place / "validation", "4.png", table=[{"file_name": "4.png", "text": "caption 4"}])
    fill(place / "test", "5.png", table=[{"file_name": "5.png", "text": "caption 5"}])
    (place / "README.md").write_text("a card")
    return place


def test_a_prepared_dataset(dataset):
    fill(dataset / "train", "masks/2.png")
    found = scan(dataset)
    assert [photo.caption for photo in found.images] == ["caption 1", "caption 2", "caption 3"]
    assert [photo.weight for photo in found.images] == [1, 2, 3] and found.skipped == ()
    assert [photo.mask and photo.mask.name for photo in found.images] == [None, "2.png", None]
    assert [photo.caption for photo in found.validation] == ["caption 4"]
    assert found.rights == {"licences": {"CC-BY-4.0": 3}, "authors": {"Jane": 2, "Max": 1}}
    part = scan(dataset / "train")
    assert part.images == found.images and part.digest == found.digest and part.validation == ()


def test_a_text_file_beside_has_the_word(dataset):
    (dataset / "train" / "2.txt").write_text("by hand")
    assert [photo.caption for photo in scan(dataset).images] == ["caption 1", "by hand", "caption 3"]


def test_the_digest_knows_captions_and_weights_and_not_where_they_are_written(tmp_path):
    plain = fill(tmp_path / "set", "1.png", "2.png")
    bare = scan(plain).digest
    table = plain / "metadata.jsonl"
    table.write_text('{"file_name": "1.png", "author": "Jane", "weight": 1}\n')
    assert scan(plain).digest == bare
    table.write_text('{"file_name": "1.png", "text": "a  dog"}\n')
    captioned = scan(plain).digest
    table.unlink()
    (plain / "1.txt").write_text("a dog")
    assert scan(plain).digest == captioned != bare
    table.write_text('{"file_name": "1.png", "weight": 2}\n')
    assert scan(plain).digest not in (captioned, bare)


def test_imagefolder_from_anywhere_with_nested_names(tmp_path):
    table = [
        {"file_name": "dog/1.png", "text": "a dog", "license": "CC0", "mask_file_name": "m/one.png"},
        {"file_name": "cat/1.png", "text": None, "label": 3},
    ]
    folder = fill(tmp_path / "set", "dog/1.png", "cat/1.png", "loose.png", "left/9.png", "m/one.png", table=table)
    found = scan(folder)
    named = {photo.path.relative_to(folder).as_posix(): photo for photo in found.images}
    assert list(named) == ["cat/1.png", "dog/1.png", "loose.png"]
    assert named["dog/1.png"].mask == folder / "m" / "one.png" and named["dog/1.png"].rights.licence == "CC0"
    assert found.rights == {"licences": {"CC0": 1, "unknown": 2}}
    assert [line.split(" with")[0] for line in found.skipped] == ["the folder 'left'", "the folder 'm'"]


def test_pictures_that_refuse_are_left_out_unless_it_was_said_why(tmp_path):
    table = [
        {"file_name": "1.png", "noai": True},
        {"file_name": "2.png", "noai": True, "training_override": "the painter agreed"},
        {"file_name": "3.png"},
    ]
    found = scan(fill(tmp_path / "set", "1.png", "2.png", "3.png", table=table))
    assert [photo.path.name for photo in found.images] == ["2.png", "3.png"]
    assert len(found.skipped) == 1 and "'1.png' is not to be trained on (noai beside it)" in found.skipped[0]
    assert found.rights["overrides"] == {"the painter agreed": 1} and found.rights["refused"] == {"noai beside it": 1}


def test_a_picture_that_is_not_there_is_reported(tmp_path):
    found = scan(fill(tmp_path / "set", "1.png", table=[{"file_name": "1.png"}, {"file_name": "2.png"}]))
    assert len(found.images) == 1 and found.skipped[0].startswith("'2.png' does not exist")
    long = [{"file_name": "1.png", "text": "x" * 3000}]
    with pytest.raises(LimnerError, match=r"the caption in 'metadata.jsonl' has 3,000 characters"):
        scan(fill(tmp_path / "long", "1.png", table=long))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"file_name": "1.png"', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"text": "a dog"}', "has no file_name"),
        ('{"file_name": 7}', "has a file_name that is not text"),
        ('{"file_name": "2.png", "text": ["x"]}', "has a text that is not text"),
        ('{"file_name": "2.png", "weight": "3"}', 'has the weight "3"'),
        ('{"file_name": "2.png", "weight": true}', "has the weight true"),
        ('{"file_name": "2.png", "weight": 0}', "has the weight 0"),
        ('{"file_name": "2.png", "weight": -1}', "has the weight -1"),
        ('{"file_name": "2.png", "weight": NaN}', "has the weight NaN"),
        ('{"file_name": "2.png", "weight": 1e999}', "has the weight Infinity"),
        ('{"file_name": "1.png"}', "a second time"),
        ('{"file_name": "./1.png"}', "a second time"),
    ],
)
def test_lines_that_cannot_be_read(tmp_path, line, said):
    folder = fill(tmp_path / "set", "1.png", table=['{"file_name": "1.png"}', "", line])
    with pytest.raises(LimnerError) as caught:
        scan(folder)
    assert said in str(caught.value) and "line 3 of 'set/metadata.jsonl'" in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "name",
    [
        "../out.png",
        "a/../../out.png",
        "/etc/passwd",
        "..\\out.png",
        "C:\\out.png",
        "\\out.png",
        ".",
        "link/out.png",
        "a\0b",
    ],
)
@pytest.mark.parametrize("key", ["file_name", "mask_file_name"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name, key):
    Image.new("RGB", (9, 9)).save(tmp_path / "out.png")
    folder = fill(tmp_path / "set", "1.png", table=[{"file_name": "1.png"} | {key: name}])
    os.symlink(tmp_path, folder / "link")
    with pytest.raises(LimnerError, match="which is not in the folder"):
        scan(folder)


def test_a_table_that_is_no_text(tmp_path):
    folder = fill(tmp_path / "set", "1.png")
    (folder / "metadata.jsonl").write_bytes(b"\xff\xfe\0")
    with pytest.raises(LimnerError, match="is not UTF-8 text"):
        scan(folder)
    assert rows_of(tmp_path) == {}


def test_line_separators_within_a_caption_end_no_line(tmp_path):
    row = json.dumps({"file_name": "1.png", "text": "a\u2028dog\x85 here"}, ensure_ascii=False)
    assert scan(fill(tmp_path / "set", "1.png", table=[row])).images[0].caption == "a dog here"
