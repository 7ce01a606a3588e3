"""The user's table of fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from gathering import put
from limner.core.datasets import Entry, Rights
from limner.core.errors import LimnerError
from limner.data.entries.byte_sources import FileBytes
from limner.data.entries.text_tables import apply_field_table, read_field_table


def entry(key: str, **more: object) -> Entry:
    folder = key.rpartition("/")[0]
    return Entry(key, FileBytes(Path("/x") / key), folder, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_the_nearest_name_counts(tmp_path: Path, name: str) -> None:
    text = (
        "Picture,breed,mood,licence,caption,class\n"
        "dogs,dog,calm,CC0,,animal\ndogs/corgi/,corgi,,,,\ncorgi,x,,,,\n0,,wild,,a wild corgi,\n"
        "dogs/corgi/1.png,pembroke,,MIT,,\nnone.png,,,,,\n"
    )
    if name == "a.jsonl":
        text = (
            '{"Picture": "dogs", "breed": "dog", "mood": "calm", "licence": "CC0", "class": "animal"}\n'
            '{"Picture": "dogs/corgi", "breed": "corgi"}\n{"Picture": "corgi", "breed": "x"}\n'
            '{"Picture": "0", "mood": "wild", "caption": "a wild corgi"}\n'
            '{"Picture": "dogs/corgi/1.png", "breed": "pembroke", "licence": "MIT"}\n{"Picture": "none.png"}\n'
        )
    table = read_field_table(put(tmp_path / name, text))
    assert len(table.unused) == 6
    first = apply_field_table(table, entry("dogs/corgi/0.png", caption="old", fields={"mood": "sad", "age": "3"}))
    assert first.fields == {"breed": "corgi", "mood": "wild", "class": "animal", "age": "3"}
    assert (first.caption, first.rights.licence) == ("a wild corgi", "CC0")
    second = apply_field_table(table, entry("dogs/corgi/1.png", caption="old", rights=Rights("Ann", "BSD")))
    assert (second.caption, second.fields["breed"]) == ("old", "pembroke")
    assert second.rights == Rights("Ann", "MIT")
    other = entry("cats/7.png", caption="a cat")
    assert apply_field_table(table, other) == other
    assert table.unused == ["none.png"]


def test_a_refusal_stands(tmp_path: Path) -> None:
    table = read_field_table(put(tmp_path / "a.csv", "picture,training\n0.png,allowed\n"))
    refused = apply_field_table(table, entry("0.png", rights=Rights(training="refused", statement="XMP")))
    assert (refused.rights.training, refused.rights.statement) == ("refused", "XMP")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("picture,breed\n", "has no rows"),
        ("picture,breed\n0.png,a\n0.png,b\n", r"line 3 .* names '0\.png' again"),
        ("picture,breed\n,a\n", "line 2 .*it names no image or folder"),
        ("picture,breed\n0.png,a,b\n", "line 2 .* has 3 cells for 2 columns"),
        ("picture,breed\n0.png," + "a" * 2001 + "\n", "line 2 .*the breed has 2,001 characters"),
        ("picture,breed\n0.png,\udcff\n", "line 2 .*the breed is not UTF-8 text"),
        ('picture,breed\n0.png,"a\n', "line 2 .*is not a valid row"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LimnerError, match=said) as caught:
        read_field_table(path)
    assert str(caught.value).isprintable()


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"'a\.xlsx' is not a table; give a file with the suffix \.csv"):
        read_field_table(put(tmp_path / "a.xlsx"))
    with pytest.raises(LimnerError, match="does not exist"):
        read_field_table(tmp_path / "a.csv")


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_a_table_is_separated_by_what_its_header_has_most_of(tmp_path: Path, sign: str) -> None:
    text = sign.join(("\ufeffpicture", "breed", "mood")) + "\n" + sign.join(("1", "a b", "c")) + "\n"
    table = read_field_table(put(tmp_path / "a.csv", text))
    assert apply_field_table(table, entry("x/1.png")).fields == {"breed": "a b", "mood": "c"}


@pytest.mark.parametrize("name", ["x/1", "x/1.png", "1.png", "1", "x"])
def test_an_image_is_named_with_its_folder_or_without_and_with_its_suffix_or_without(tmp_path: Path, name: str) -> None:
    table = read_field_table(put(tmp_path / "a.csv", f"picture,breed\n{name},pug\n"))
    assert apply_field_table(table, entry("x/1.png")).fields == {"breed": "pug"} and table.unused == []
    assert apply_field_table(table, entry("y/2.png")).fields == {}
