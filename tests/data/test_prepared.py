"""Folders with a table: its rows, and tables that are broken or hostile."""

from __future__ import annotations

import hashlib
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


def test_what_is_said_of_the_validation_is_kept_apart_from_the_training(dataset):
    (dataset / "train" / "1.tar").touch()
    (dataset / "validation" / "2.tar").touch()
    whole, part = scan(dataset), scan(dataset / "train")
    assert [line.split(" ")[0] for line in whole.skipped] == ["'1.tar'", "'2.tar'"]
    assert [line.split(" ")[0] for line in part.skipped] == ["'1.tar'"]
    (dataset / "validation" / "metadata.jsonl").unlink()
    assert scan(dataset).validation == () and scan(dataset).images == part.images


def test_a_folder_with_its_own_table_is_no_set_of_parts(tmp_path):
    place = fill(tmp_path / "set", "1.png", "train/2.png", table=[{"file_name": "1.png", "text": "own"}])
    fill(place / "train", "2.png", table=[{"file_name": "2.png", "text": "part"}])
    fill(place / "validation", "3.png", table=[{"file_name": "3.png", "text": "other"}])
    found = scan(place)
    assert [image.caption for image in found.images] == ["own"] and found.validation == ()


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"width": 40, "height": 30}, (40, 30)),
        ({"width": 40}, None),
        ({"width": 40.0, "height": 30}, None),
        ({"width": True, "height": 30}, None),
    ],
)
def test_a_row_states_width_and_height_in_whole_numbers(tmp_path, values, size):
    folder = fill(tmp_path, "1.png", table=[{"file_name": "1.png", **values}])
    assert next(iter(rows_of(folder).values())).size == size
    assert scan(folder).images[0].prepared == (size is not None)
    folder = fill(tmp_path, "1.png", table=[{"file_name": "1.png", "width": 30, "height": 40}])
    assert not scan(folder).images[0].prepared, "it is not the image that was prepared"


@pytest.mark.parametrize(
    ("weight", "read"), [(1e-6, True), (1e6, True), (9e-7, False), (1000001, False), (True, False)]
)
def test_a_weight_of_a_row_is_from_a_millionth_to_a_million(tmp_path, weight, read):
    folder = fill(tmp_path, "1.png", table=[{"file_name": "1.png", "weight": weight}])
    if read:
        assert scan(folder).images[0].weight == weight
        return
    with pytest.raises(LimnerError, match="not a number from 1e-6 to 1e6"):
        scan(folder)


def test_a_mask_beside_the_image_counts_before_that_of_the_table(tmp_path):
    rows = [{"file_name": f"{number}.png", "mask_file_name": f"other/{number}.png"} for number in (1, 2)]
    folder = fill(tmp_path, "1.png", "2.png", "masks/1.png", "other/1.png", "other/2.png", table=rows)
    images = scan(folder).images
    assert [image.mask.relative_to(folder).as_posix() for image in images] == ["masks/1.png", "other/2.png"]
    hashes = [hashlib.sha256(image.mask.read_bytes()).hexdigest() for image in images]
    assert [image.mask_sha256 for image in images] == hashes


def test_images_are_sorted_by_their_path_in_the_folder(tmp_path):
    names = ["b/1.png", "a/2.png", "c.png"]
    fill(tmp_path, *names, table=[{"file_name": name} for name in names])
    for number, name in enumerate(names):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / name)
    found = [image.path.relative_to(tmp_path).as_posix() for image in scan(tmp_path).images]
    assert found == ["a/2.png", "b/1.png", "c.png"]


def test_a_header_names_twenty_authors_and_counts_the_rest(tmp_path):
    rows = [{"file_name": f"{number:02}.png", "author": f"a{number:02}"} for number in range(22)]
    rows[0]["training_override"] = "it is mine"
    fill(tmp_path, *(row["file_name"] for row in rows))
    for number, row in enumerate(rows):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / row["file_name"])
    fill(tmp_path, table=rows)
    found = scan(tmp_path).rights
    assert len(found["authors"]) == 21 and found["authors"]["others"] == 2
    assert found["overrides"] == {"it is mine": 1}


def test_a_way_that_leads_nowhere_leaves_the_folder(tmp_path, monkeypatch):
    folder = fill(tmp_path, "1.png", table=[{"file_name": "loop/1.png"}])

    def fail(self, strict=False):
        raise RuntimeError("a loop of links")

    monkeypatch.setattr("pathlib.Path.resolve", fail)
    with pytest.raises(LimnerError, match="which is not in the folder"):
        rows_of(folder)
