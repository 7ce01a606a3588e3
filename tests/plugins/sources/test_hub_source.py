"""Datasets saved to disk, and datasets of the hub, replaced by local folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gathering import entries, gathered, kept, lost, png, put
from limner.core.errors import LimnerError
from limner.data.entries.byte_sources import BytesInMemory
from limner.data.entries.table_entries import CellBytes
from limner.plugins.sources import hub as source


def dataset(count: int, first: int = 0) -> datasets.Dataset:
    rows = {
        "image": [{"bytes": png(number), "path": f"{number}.png"} for number in range(first, first + count)],
        "text": [f"dog {number}" for number in range(first, first + count)],
        "label": [0] * count,
    }
    features = {
        "image": datasets.Image(),
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["corgi"]),
    }
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def test_splits_saved_to_disk(tmp_path: Path) -> None:
    splits = datasets.DatasetDict({"train": dataset(5).shuffle(seed=1).select(range(4)), "test": dataset(2, 5)})
    splits.save_to_disk(tmp_path / "saved", num_shards={"train": 2, "test": 1})
    found = entries(tmp_path / "saved")
    assert [key.split("/")[:2] for key in found] == [["test", "00000"]] * 2 + [["train", "00000"]] * 2 + [
        ["train", "00001"]
    ] * 2
    for entry in found.values():
        number = int(entry.data.name.removesuffix(".png"))
        assert isinstance(entry.data, CellBytes) and entry.data.read() == png(number)
        assert entry.caption == f"dog {number}" and entry.fields == {"label": "corgi"}


def test_many_record_batches(tmp_path: Path) -> None:
    dataset(5).save_to_disk(tmp_path / "saved")
    table = datasets.load_from_disk(str(tmp_path / "saved")).data.table
    file = tmp_path / "new.arrow"
    with pa.OSFile(str(file), "wb") as held, pa.ipc.new_stream(held, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    file.replace(tmp_path / "saved/data-00000-of-00001.arrow")
    found = list(entries(tmp_path / "saved").values())
    assert [entry.data.read() for entry in found] == [png(number) for number in range(5)]
    assert isinstance(found[4].data, CellBytes) and (found[4].data.group, found[4].data.row) == (2, 0)


def test_offsets_that_lead_out_of_the_file(tmp_path: Path) -> None:
    """Arrow files are mapped into memory: what they say of themselves is checked before it is followed."""
    dataset(3).save_to_disk(tmp_path / "saved")
    path = tmp_path / "saved/data-00000-of-00001.arrow"
    size = len(png())
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, size, 2 * size, 3 * size))
    wrong = b"".join(number.to_bytes(4, "little") for number in (0, 2**30, 2**30 + 9, 2**31 - 1))
    data = path.read_bytes()
    assert data.count(offsets) == 1
    put(tmp_path / "new", data.replace(offsets, wrong)).replace(path)
    problems = lost(tmp_path / "saved")
    assert [kind for kind, _ in problems.values()] == ["unreadable"] and kept(tmp_path / "saved") == {}


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[]",
        "{}",
        '{"_data_files": [{"filename": "../../secret.arrow"}]}',
        '{"_data_files": [{"filename": "/etc/passwd"}]}',
    ],
)
def test_a_hostile_state(tmp_path: Path, state: str) -> None:
    dataset(1).save_to_disk(tmp_path / "secret")
    put(tmp_path / "secret.arrow", (tmp_path / "secret/data-00000-of-00001.arrow").read_bytes())
    put(tmp_path / "a/b/state.json", state)
    put(tmp_path / "a/b/dataset_info.json", "{}")
    if "secret" in state:
        assert (
            kept(tmp_path / "a/b") == {}
            and "'secret.arrow' does not exist" in lost(tmp_path / "a/b")["secret.arrow"][1]
        )
    else:
        with pytest.raises(LimnerError, match=r"lists (no files|files that are not Arrow files)"):
            gathered(tmp_path / "a/b")


@pytest.mark.parametrize("data", [b"", b"text", b"\xff" * 100])
def test_a_damaged_file(tmp_path: Path, data: bytes) -> None:
    dataset(1).save_to_disk(tmp_path / "saved")
    put(tmp_path / "saved/data-00000-of-00001.arrow", data)
    assert [kind for kind, _ in lost(tmp_path / "saved").values()] == ["unreadable"]


def test_a_dataset_without_files(tmp_path: Path) -> None:
    put(tmp_path / "dataset_dict.json", json.dumps({"splits": ["train"]}))
    with pytest.raises(LimnerError, match="has no split"):
        gathered(tmp_path)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[Any]]:
    """Have the hub's library find files of this machine under any id; returns what it was asked for."""
    real, asked = datasets.load_dataset, []

    def setup(files: Any) -> list[Any]:
        def load(*given: Any, **more: Any) -> Any:
            asked.append((*given, more["split"]))
            return real(files["kind"], **files["given"], split=more["split"], streaming=more["streaming"])

        monkeypatch.setattr(datasets, "load_dataset", load)
        return asked

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return setup


def test_streaming(tmp_path: Path, hub: Callable[[Any], list[Any]]) -> None:
    dataset(3).to_parquet(tmp_path / "train.parquet")
    dataset(1, 3).to_parquet(tmp_path / "test.parquet")
    asked = hub({"kind": "parquet", "given": {"data_files": {name: f"{name}.parquet" for name in ("train", "test")}}})
    found = entries("owner/name")
    assert list(found) == ["test/000000000", *(f"train/{number:09d}" for number in range(3))]
    for number, entry in zip((3, 0, 1, 2), found.values(), strict=True):
        assert isinstance(entry.data, BytesInMemory) and entry.data.read() == png(number)
        assert (entry.data.name, entry.caption, entry.fields) == (f"{number}.png", f"dog {number}", {"label": "corgi"})
    assert len(entries("owner/name:small@train")) == 3
    assert asked == [("owner/name", None, None), ("owner/name", "small", "train")]


def test_structs_that_nobody_called_pictures(tmp_path: Path, hub: Callable[[Any], list[Any]]) -> None:
    rows = [{"bytes": png(0), "path": "0.png"}, None, {"bytes": None, "path": "/etc/passwd"}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    hub({"kind": "parquet", "given": {"data_files": "a.parquet"}})
    assert kept("owner/name")["train/000000000"].data.read() == png(0)
    assert list(lost("owner/name")) == ["train/000000001", "train/000000002"]


def test_no_pictures(tmp_path: Path, hub: Callable[[Any], list[Any]]) -> None:
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "a.parquet")
    hub({"kind": "parquet", "given": {"data_files": "a.parquet"}})
    with pytest.raises(LimnerError, match=r"no column of images \(it has: a, b\)"):
        gathered("owner/name")


def test_a_dataset_that_cannot_be_had(home: Path) -> None:
    with pytest.raises(LimnerError, match="'owner/name' cannot be loaded from the hub"):
        gathered("owner/name")


def test_a_state_with_any_other_file_is_refused(tmp_path: Path) -> None:
    dataset(1).save_to_disk(tmp_path / "saved")
    files = [{"filename": "data-00000-of-00001.arrow"}, {"filename": "notes.txt"}]
    put(tmp_path / "saved/state.json", json.dumps({"_data_files": files}))
    with pytest.raises(LimnerError, match="lists files that are not Arrow files"):
        gathered(tmp_path / "saved")


def rows_of(table: dict[str, list[Any]], tmp_path: Path, hub: Callable[[Any], list[Any]], name: str = "a") -> None:
    pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    hub({"kind": "parquet", "given": {"data_files": {"test": f"{name}.parquet"}}})


def test_masks_rights_and_faults_of_a_row(tmp_path: Path, hub: Callable[[Any], list[Any]]) -> None:
    image = {"bytes": png(1), "path": "d/e/1.png"}
    table = {"other": [image] * 2, "Image": [image] * 2, "Mask": [{"bytes": png(2), "path": "m.png"}, None]}
    rows_of(table | {"license": ["CC0", ""], "text": ["a dog", "x" * 3000]}, tmp_path, hub)
    found = kept("owner/name:small@test")
    assert list(found) == ["test/000000000", "test/000000001"]
    first, second = found.values()
    assert first.mask is not None and first.mask.read() == png(2) and second.mask is None
    assert first.data.name == "1.png" and first.fields == {} and first.rights.licence == "CC0"
    assert [fault.kind for fault in second.faults] == ["caption"]


@pytest.mark.parametrize(
    ("names", "chosen"), [(("b", "a"), "b"), (("other", "picture", "image"), "image"), (("x", "PHOTO"), "PHOTO")]
)
def test_the_column_of_images_is_the_best_known_or_the_first(
    names: tuple[str, ...], chosen: str, tmp_path: Path, hub: Callable[[Any], list[Any]]
) -> None:
    rows_of({name: [{"bytes": png(at), "path": f"{name}.png"}] for at, name in enumerate(names)}, tmp_path, hub)
    (entry,) = entries("owner/name:small@test").values()
    assert entry.data.name == f"{chosen}.png"


def test_bytes_count_before_an_address_and_what_is_fetched_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets.utils import file_utils

    away, file = "https://a.example/d/away.png", put(tmp_path / "away.png", png(3))
    monkeypatch.setattr(file_utils, "xopen", lambda path, mode: file.open(mode))
    assert source._place({"bytes": png(1), "path": away}, "key").read() == png(1)
    assert source._place({"bytes": None, "path": away}, "key").read() == png(3)
    monkeypatch.setattr(source, "BYTE_CAP", len(png(3)))
    assert source._place({"bytes": None, "path": away}, "key").name == "away.png"
    assert source._place({"bytes": png(3), "path": None}, "key").name == "key"
    monkeypatch.setattr(source, "BYTE_CAP", len(png(3)) - 1)
    for cell in ({"bytes": None, "path": away}, {"bytes": png(3), "path": None}):
        with pytest.raises(LimnerError, match="larger than"):
            source._place(cell, "key")


def test_of_many_columns_twelve_are_named(tmp_path: Path, hub: Callable[[Any], list[Any]]) -> None:
    rows_of({f"c{number}": [1] for number in range(13)}, tmp_path, hub)
    listed = ", ".join(f"c{number}" for number in range(12))
    with pytest.raises(LimnerError, match=rf"\(it has: {listed}\)"):
        gathered("owner/name:small@test")


def test_an_error_that_is_explained_already_is_raised_as_it_is() -> None:
    error = LimnerError("too large", "shrink it")
    assert source._hub_error("owner/name", error) is error
