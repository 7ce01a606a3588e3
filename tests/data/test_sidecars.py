"""Captions beside images: `train` and `prepare` read the same files, and name those that look like captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from limner.core.datasets import Entry, Skipped
from limner.data.entries.annotations import caption_value, parse_annotation
from limner.data.sets.folder import scan
from limner.plugins.sources.folder import plugin

CASES = Path(__file__).parents[2] / "../shared/cases/captions-not-seen"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, name in enumerate("abc"):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{name}.png")
    return tmp_path


def trained(folder: Path) -> dict[str, str | None]:
    return {image.path.name: image.caption for image in scan(folder).images}


def prepared(folder: Path) -> dict[str, str | None]:
    return {found.key: found.caption for found in plugin.entries(str(folder)) if isinstance(found, Entry)}


def strays(folder: Path) -> list[str]:
    return [found.fault.message for found in plugin.entries(str(folder)) if isinstance(found, Skipped)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a dog"),
        ("a.TXT", "a dog"),
        ("a.caption", "a dog"),
        ("a.Caption", "a dog"),
        ("a.json", '{"caption": "a dog"}'),
        ("a.JSON", '{"Prompt": "a dog"}'),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "a dog"}'),
        ("metadata.jsonl", '{"image_file_name": "a.png", "caption": "a dog"}'),
        ("metadata.csv", "file_name,prompt\na.png,a dog\n"),
        ("metadata.csv", "\ufeffFile_Name;Text;weight\r\na.png;a dog;\r\n"),
    ],
)
def test_training_reads_the_captions_that_prepare_reads(photos: Path, name: str, text: str) -> None:
    (photos / name).write_text(text, encoding="utf-8")
    assert trained(photos) == prepared(photos) == {"a.png": "a dog", "b.png": None, "c.png": None}
    assert scan(photos).unused == () and strays(photos) == []


def test_captions_are_preferred_in_one_order(photos: Path) -> None:
    (photos / "metadata.csv").write_text("file_name,text\na.png,csv\n")
    for name, text in (
        ("metadata.jsonl", '{"file_name": "a.png", "text": "jsonl"}'),
        ("a.json", '{"caption": "json"}'),
        ("a.CAPTION", "CAPTION"),
        ("a.caption", "caption"),
        ("a.TXT", "TXT"),
        ("a.txt", "txt"),
    ):
        (photos / name).write_text(text)
        expected = json.loads(text).get("caption", "jsonl") if text.startswith("{") else text
        assert trained(photos)["a.png"] == prepared(photos)["a.png"] == expected


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("other.txt", "a dog", "belongs to no image here; give it the name of its image"),
        ("a.png.txt", "a dog", "belongs to no image here"),
        ("other.tags", "a dog", "belongs to no image here"),
        ("a.tags", "a dog", "is not read; save the caption as .txt"),
        ("a.yaml", "caption: a dog", "is not read; save the caption as .txt"),
        ("a.md", "a dog", "is not read; save the caption as .txt"),
        ("captions.csv", "picture,caption\na.png,a dog\n", "is not read as captions; name it metadata.csv"),
        ("Metadata.JSONL", "{}", "is not read as captions"),
        ("meta_cap.json", "{}", "is not read as captions"),
        ("a.caption", "another dog", "has another caption, which is not used: .txt, .caption, .json are read in this"),
    ],
)
def test_what_looks_like_a_caption_and_is_not_used_is_named(photos: Path, name: str, text: str, reason: str) -> None:
    (photos / "a.txt").write_text("a cat")
    (photos / name).write_text(text)
    for found in (scan(photos).unused, strays(photos)):
        assert len(found) == 1 and found[0].startswith(f"{name!r} ") and reason in found[0]


def test_what_is_no_caption_is_not_named(photos: Path) -> None:
    for name in ("a.xmp", "a.log", "report.json", "README.md", "subjects.csv", "b.json", ".captions.csv"):
        (photos / name).write_text('{"text": "a cat"}')
    (photos / "b.txt").write_text("a cat")
    assert scan(photos).unused == () and strays(photos) == []


def test_many_unused_captions_are_one_line(photos: Path) -> None:
    for number in range(5):
        (photos / f"{number}.txt").write_text("a dog")
    assert scan(photos).unused == (
        "each of '0.txt', '1.txt', '2.txt' and 2 more belongs to no image here; give it the name of its image",
    )


def test_json_that_is_no_caption_leaves_the_image_in(photos: Path) -> None:
    (photos / "a.json").write_text("[1]")
    (photos / "b.json").write_text(json.dumps({"caption": "a dog", "shapes": "x" * 2**20}))
    (photos / "c.json").write_text('{"version": "5.1", "shapes": []}')
    found = scan(photos)
    assert [image.caption for image in found.images] == [None, None, None]
    assert found.unused == (
        "'c.json' has no caption under text, caption or prompt",
        "each of 'a.json', 'b.json' is not used; it is not a JSON object, or a value in it is too long",
    )


def test_rights_beside_an_image_hold_in_training_too(photos: Path) -> None:
    (photos / "a.json").write_text('{"noai": true}')
    (photos / "b.json").write_text('{"caption": "a cat", "license": "CC0"}')
    found = scan(photos)
    assert [image.path.name for image in found.images] == ["b.png", "c.png"]
    assert "'a.png' is not to be trained on" in found.skipped[0] and found.images[0].rights.licence == "CC0"


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "none", "null", "<NA>", " nan\n"])
def test_words_of_programs_for_a_missing_value_are_no_captions(photos: Path, word: str) -> None:
    assert caption_value(word) is None
    row = parse_annotation({"text": word, "caption": "a dog", "breed": word, "licence": word})
    assert row.caption == "a dog" and row.fields == {}
    assert row.rights.licence == (None if "a" in word.lower() else word.strip())
    (photos / "a.txt").write_text(word)
    (photos / "metadata.jsonl").write_text(json.dumps({"file_name": "b.png", "text": word}))
    assert trained(photos) == prepared(photos) == dict.fromkeys(("a.png", "b.png", "c.png"))


@pytest.mark.parametrize("text", ["Nan the bread", "none of it", "nano", "a null"])
def test_captions_may_contain_these_words(text: str) -> None:
    assert caption_value(text) == text


@pytest.mark.skipif(not CASES.is_dir(), reason="the files in ../shared/cases/captions-not-seen are not here")
def test_captions_of_other_programs() -> None:
    found = trained(CASES)
    assert found == prepared(CASES) and all(found.values()) and len(found) == 4
