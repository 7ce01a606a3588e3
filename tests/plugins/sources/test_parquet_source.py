"""Parquet files as written by stock `datasets` and others."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gathering import entries, gathered, kept, lost, png, put
from limner.core.errors import LimnerError
from limner.data.entries import image_tables, table_entries
from limner.data.entries.byte_sources import UrlBytes
from limner.data.entries.table_entries import CellBytes


def dataset(count: int) -> datasets.Dataset:
    rows = {
        "label": [number % 2 for number in range(count)],
        "image": [{"bytes": png(number), "path": f"d/{number}.png"} for number in range(count)],
        "text": [f"dog {number}" for number in range(count)],
        "score": [number / 2 for number in range(count)],
        "tags": [["a"]] * count,
    }
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["corgi", "husky"]),
            "image": datasets.Image(),
            "text": datasets.Value("string"),
            "score": datasets.Value("float32"),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    return datasets.Dataset.from_dict(rows, features=features)


def test_what_stock_datasets_writes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    dataset(7).to_parquet(tmp_path / "data/train-00000-of-00002.parquet", batch_size=3)
    dataset(2).to_parquet(tmp_path / "data/train-00001-of-00002.parquet")
    put(tmp_path / "README.md")
    assert pq.ParquetFile(tmp_path / "data/train-00000-of-00002.parquet").num_row_groups == 3
    found = entries(tmp_path)
    assert list(found)[6:8] == ["data/train-00000-of-00002/000000006", "data/train-00001-of-00002/000000000"]
    for number, entry in enumerate([*found.values()][:7]):
        assert entry.data.read() == png(number) and entry.data.name == f"{number}.png" and entry.folder == ""
        assert entry.caption == f"dog {number}"
        assert entry.fields == {"label": ("corgi", "husky")[number % 2], "score": str(number / 2)}


def test_plain_bytes_masks_and_rights(tmp_path: Path) -> None:
    table = pa.table(
        {
            "mask": pa.array([png(9), None]),
            "jpg": pa.array([png(0), png(1)], pa.large_binary()),
            "Prompt": ["a dog", None],
            "License": ["CC0", ""],
            "url": ["https://a.example/0.jpg", None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = entries(tmp_path / "a.parquet").values()
    assert first.data.read() == png(0) and second.data.read() == png(1)
    assert first.mask is not None and first.mask.read() == png(9)
    assert (first.caption, first.rights.licence, first.rights.source) == ("a dog", "CC0", "https://a.example/0.jpg")
    assert (second.caption, second.rights.licence, second.mask) == (None, None, None)


def test_only_pictures(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [png(number) for number in range(5)]}), tmp_path / "a.parquet", row_group_size=2)
    found = entries(tmp_path / "a.parquet")
    assert [entry.data.read() for entry in found.values()] == [png(number) for number in range(5)]


def test_tables_of_urls(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"URL": ["https://a.example/0.jpg?id=1", "file:///etc/passwd", None], "TEXT": ["a", "b", "c"]}),
        tmp_path / "a.parquet",
    )
    (entry,) = kept(tmp_path / "a.parquet").values()
    assert entry.data == UrlBytes("https://a.example/0.jpg?id=1") and entry.caption == "a"
    assert len(lost(tmp_path / "a.parquet")) == 2


def test_a_name_without_bytes_reads_no_file(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret.png", png())
    pq.write_table(
        pa.table({"image": [{"bytes": None, "path": str(secret)}, {"bytes": png(), "path": None}]}),
        tmp_path / "a.parquet",
    )
    first, second = entries(tmp_path / "a.parquet").values()
    with pytest.raises(LimnerError, match="without its bytes"):
        first.data.read()
    assert second.data.read() == png()


def test_a_file_is_opened_once_for_all_its_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"x": [png(number) for number in range(40)]}), tmp_path / "a.parquet", row_group_size=20)
    found = entries(tmp_path / "a.parquet")
    opened: list[Path] = []
    real = image_tables._table
    monkeypatch.setattr(image_tables, "_table", lambda path: [opened.append(path), real(path)][1])
    assert len({entry.data.read() for entry in found.values()}) == 40 and len(opened) == 1


def test_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"x": [bytes(3000), png()]}), tmp_path / "a.parquet")
    first, second = entries(tmp_path / "a.parquet").values()
    monkeypatch.setattr(table_entries, "BYTE_CAP", 2000)
    with pytest.raises(LimnerError, match="is larger than"):
        first.data.read()
    assert second.data.read() == png()
    monkeypatch.setattr(image_tables, "SAMPLE_BYTES", 10)
    image_tables._column.cache_clear()
    with pytest.raises(LimnerError, match="fewer rows per group"):
        second.data.read()


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(50) + b"PAR1", b"text"])
def test_damaged(tmp_path: Path, data: bytes) -> None:
    put(tmp_path / "a.parquet", data)
    pq.write_table(pa.table({"x": [png()]}), tmp_path / "b.parquet")
    assert list(kept(tmp_path)) == ["b/000000000"]
    assert lost(tmp_path)["a.parquet"][0] == "unreadable"


def test_a_damaged_middle(tmp_path: Path) -> None:
    texts = [f"text {number} {hash(number) * 7919}" for number in range(3000)]
    pq.write_table(pa.table({"image": [png()] * 3000, "text": texts}), tmp_path / "a.parquet", compression="gzip")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    put(tmp_path / "a.parquet", bytes(data))
    assert "unreadable" in [kind for kind, _ in lost(tmp_path / "a.parquet").values()]


def test_no_pictures_and_hostile_names_of_classes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(LimnerError, match=r"no column of images \(it has: a, b\)"):
        gathered(tmp_path / "a.parquet")
    for metadata in (
        "[" * 10_000,
        json.dumps({"info": {"features": {"n": {"_type": "ClassLabel", "names": 5}}}}),
        "\udcff",
    ):
        table = pa.table({"x": [png()], "n": [7]})
        table = table.replace_schema_metadata({"huggingface": metadata.encode("utf-8", "surrogateescape")})
        pq.write_table(table, tmp_path / "b.parquet")
        assert next(iter(entries(tmp_path / "b.parquet").values())).fields == {"n": "7"}


def test_a_file_that_went(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="does not exist"):
        CellBytes(tmp_path / "a.parquet", 0, 0, "x").read()


def test_files_in_hidden_folders_are_left_out_wherever_the_folder_lies(tmp_path: Path) -> None:
    for name in ("b/2.PARQUET", "a.parquet", ".cache/x.parquet", "b/.y.parquet", "b/.c/z.parquet"):
        (tmp_path / ".home" / name).parent.mkdir(parents=True, exist_ok=True)
        dataset(1).to_parquet(tmp_path / ".home" / name)
    assert list(entries(tmp_path / ".home")) == ["a/000000000", "b/2/000000000"]
