"""Tables of images and captions, also hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gathering import entries, gathered, kept, lost, png, put
from limner.core.datasets import Rights
from limner.core.errors import LimnerError
from limner.data.entries.byte_sources import UrlBytes


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    for name in ("a/0.png", "a/1.png", "2.png"):
        put(tmp_path / name, png())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "Image Path,Caption,Breed\na/0.png,a dog,corgi\n2.png,,\n"),
        ("a.csv", '\ufeff"image_path";"caption";"breed"\r\n"a/0.png";"a dog";"corgi"\r\n2.png;;\r\n'),
        ("a.tsv", "image\tprompt\tBreed\na/0.png\ta dog\tcorgi\n2.png\n"),
        (
            "a.jsonl",
            '{"file_name": "a/0.png", "text": "a dog", "breed": "corgi"}\n\n{"file_name": "./2.png", "text": null}\n',
        ),
    ],
)
def test_forms_of_tables(shots: Path, name: str, text: str) -> None:
    found = entries(put(shots / name, text))
    assert list(found) == ["a/0.png", "2.png"]
    first, second = found.values()
    assert (first.caption, first.fields, first.folder) == ("a dog", {"breed": "corgi"}, "a")
    assert (second.caption, second.fields, second.folder) == (None, {}, "")
    assert first.data.read() == png()


def test_rights_masks_and_urls(shots: Path) -> None:
    rows = [
        {"path": "a/0.png", "mask": "a/1.png", "author": "Ann", "license": "CC0", "url": "https://a.example/x"},
        {"url": "https://b.example/y.jpg?signature=abc", "text": "a cat", "consent": "given"},
    ]
    first, second = entries(put(shots / "a.jsonl", "\n".join(map(json.dumps, rows)))).values()
    assert first.rights == Rights("Ann", "CC0", "https://a.example/x") and first.mask is not None
    assert isinstance(second.data, UrlBytes) and second.key.startswith("b.example/y.jpg#")
    assert second.rights == Rights(source="https://b.example/y.jpg", consent="given") and second.caption == "a cat"


def test_quotes_with_newlines_and_bytes_that_are_no_text(shots: Path) -> None:
    text = b'file,text\na/0.png,"a dog,\non ""grass"""\na/1.png,caf\xe9\n2.png,"a\x00b"\n'
    found = kept(put(shots / "a.csv", text))
    assert [entry.caption for entry in found.values()] == ['a dog, on "grass"', None, "a b"]
    assert lost(shots / "a.csv") == {"a/1.png": ("caption", "the text is not UTF-8 text; save it as UTF-8")}


def test_rows_that_cannot_be_read_cost_only_themselves(shots: Path) -> None:
    text = 'file,text\na/0.png,a dog, on grass\na/1.png,"x"y\n,nothing\n2.png,' + "z" * 2**20 + "\n2.png,good\n"
    path = put(shots / "a.csv", text)
    assert [entry.caption for entry in kept(path).values()] == ["good"]
    problems = [problems for problems in gathered(path) if problems.key != "2.png"]
    assert len(problems) == 4 and {each.fault.kind for each in problems} == {"unreadable"}  # type: ignore[union-attr]
    put(shots / "b.csv", 'file,text\n2.png,good\na/0.png,"never ends\na/1.png,lost\n')
    assert len(kept(shots / "b.csv")) == 1 and len(lost(shots / "b.csv")) == 1


@pytest.mark.parametrize("line", ["[1]", "nope", "[" * 10_000, '{"a": ' * 5000, "\ufffe", "NaN", '"text"'])
def test_lines_that_are_no_objects(shots: Path, line: str) -> None:
    path = put(shots / "a.jsonl", f'{line}\n{{"file_name": "2.png"}}\n')
    assert list(kept(path)) == ["2.png"] and "line 1" in lost(path)["a.jsonl"][1]


@pytest.mark.parametrize(
    "named",
    [
        "../secret.png",
        "/etc/passwd",
        "a/../../secret.png",
        "out/secret.png",
        "out.png",
        ".",
        "",
        "~/x",
        "a\0b",
        "file:///x",
    ],
)
def test_only_the_table_s_own_folder_is_read(tmp_path: Path, named: str) -> None:
    put(tmp_path / "secret.png", png())
    put(tmp_path / "home/2.png", png())
    (tmp_path / "home/out").symlink_to(tmp_path)
    (tmp_path / "home/out.png").symlink_to(tmp_path / "secret.png")
    path = put(tmp_path / "home/a.jsonl", json.dumps({"file_name": named}) + '\n{"file_name": "2.png"}\n')
    for key, entry in kept(path).items():
        if key != "2.png":
            with pytest.raises(LimnerError, match="does not exist"):
                entry.data.read()
    if named not in ("~/x", "file:///x"):
        problems = lost(path)
        assert list(kept(path)) == ["2.png"] and len(problems) == 1
        assert "not in the table's folder" in problems["a.jsonl line 1"][1] or not named


def test_an_absolute_path_into_the_table_s_folder(shots: Path) -> None:
    assert list(entries(put(shots / "a.csv", f"path\n{shots}/a/0.png\n"))) == ["a/0.png"]


def test_a_picture_that_is_named_twice(shots: Path) -> None:
    path = put(shots / "a.csv", "path,text\n2.png,first\n./2.png,second\n")
    assert kept(path)["2.png"].caption == "first" and "appears twice" in lost(path)["2.png"][1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text,breed\na dog,corgi\n", r"no column of images \(line 2 has: text, breed\)"),
        ("a/0.png,a dog\na/1.png,b\n", "no column of images"),
        ("", "has no rows"),
        ("\ufeff", "has no rows"),
        ("file_name,text\n", "has no rows"),
        ("\n\n\n", "has no rows"),
    ],
)
def test_tables_that_are_none(shots: Path, text: str, said: str) -> None:
    with pytest.raises(LimnerError, match=said):
        gathered(put(shots / "a.csv", text))


def test_a_table_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match=r"'a\.csv' does not exist"):
        gathered(tmp_path / "a.csv")


def test_a_long_table_is_streamed(tmp_path: Path) -> None:
    """What a row tells, some 1,500 bytes, is not kept."""
    import tracemalloc

    from limner.plugins import registry

    def peak(count: int) -> int:
        path = put(
            tmp_path / "a.csv", "url,text\n" + "".join(f"https://a.example/{i}.jpg,{'x' * 500}\n" for i in range(count))
        )
        tracemalloc.start()
        assert sum(1 for _ in registry.sources.get("table").entries(str(path))) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(1000) - peak(250) < 750 * 500


def test_the_first_known_column_with_a_value_names_the_image(shots: Path) -> None:
    rows = [
        {"image_url": "https://a.example/x.png", "image_path": "a/1.png", "file_name": " a/0.png "},
        {"image_url": "https://a.example/x.png", "path": "a/1.png", "file_name": ""},
        {"image_url": "https://a.example/y.png"},
    ]
    found = entries(put(shots / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert list(found)[:2] == ["a/0.png", "a/1.png"]
    assert isinstance(list(found.values())[2].data, UrlBytes)


@pytest.mark.parametrize("name", ["mask", "mask_file_name"])
def test_a_mask_is_no_field(shots: Path, name: str) -> None:
    row = {"image_path": "a/0.png", name: " a/1.png ", "breed": "corgi"}
    (entry,) = entries(put(shots / "a.jsonl", json.dumps(row))).values()
    assert entry.mask is not None and entry.mask.name == "1.png" and entry.fields == {"breed": "corgi"}


def test_a_stated_source_counts_before_the_address(shots: Path) -> None:
    rows = [
        {"image": "https://user:word@a.example/0.png?key=secret", "source": "Ann's page"},
        {"image": "https://user:word@a.example/1.png?key=secret"},
    ]
    first, second = kept(put(shots / "a.jsonl", "\n".join(map(json.dumps, rows)))).values()
    assert first.rights.source == "Ann's page" and second.rights.source == "https://a.example/1.png"
    assert "secret" not in first.key + second.key


def test_a_row_without_an_image_or_with_a_bad_caption_is_reported(shots: Path) -> None:
    rows = [{"image": "", "text": "a"}, {"image": "2.png", "text": "x" * 3000}]
    path = put(shots / "a.jsonl", "\n".join(map(json.dumps, rows)))
    found = lost(path)
    assert found["a.jsonl line 1"][0] == "unreadable" and "names no image" in found["a.jsonl line 1"][1]
    assert found["2.png"][0] == "caption"


def test_a_table_without_images_names_its_line_and_twelve_columns(shots: Path) -> None:
    row = {f"c{number}": "x" for number in range(13)}
    path = put(shots / "a.jsonl", f"\n\n{json.dumps(row)}")
    listed = ", ".join(f"c{number}" for number in range(12))
    with pytest.raises(LimnerError, match=rf"has no column of images \(line 3 has: {listed}\)"):
        gathered(path)


@pytest.mark.parametrize("named", [".", "", "./"])
def test_the_tables_own_folder_is_no_image(shots: Path, named: str) -> None:
    path = put(shots / "a.jsonl", json.dumps({"image": named}))
    assert kept(path) == {} and list(lost(path)) == ["a.jsonl line 1"]
