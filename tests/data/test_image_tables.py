"""Small Parquet and Arrow files that unpack to much: little is in memory at a time, or they are rejected."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limner.core.datasets import Entry, Skipped
from limner.core.errors import LimnerError
from limner.data.entries import image_tables
from limner.data.entries.table_entries import table_entries
from limner.data.entries.unpacked_sizes import _PageHeader, largest_page_sizes

ROWS, LARGE, MOST = 200, 2**16, 2**18
"""Rows of a table, the size of each of its values, and what may be unpacked at once."""


@pytest.fixture(autouse=True)
def most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_tables, "SAMPLE_BYTES", MOST)


Counted = Callable[[], pa.MemoryPool]
POOLS = [pa.default_memory_pool()]
"""Kept, for what was allocated from a pool may be freed after its test."""


@pytest.fixture
def counted() -> Iterator[Counted]:
    """Makes what pyarrow allocates from now on; it knows the most that was allocated at a time."""

    def begin() -> pa.MemoryPool:
        POOLS.append(pa.proxy_memory_pool(POOLS[0]))
        pa.set_memory_pool(POOLS[-1])
        return POOLS[-1]

    yield begin
    pa.set_memory_pool(POOLS[0])


def repeated(value: str | bytes) -> pa.Array:
    """One value in all rows, kept once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([value]))


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    options = {"compression": "zstd", "store_schema": False, "dictionary_pagesize_limit": 2**30, **options}
    pq.write_table(pa.table(columns), path, **options)
    return path


def stream(path: Path, columns: dict[str, Any], compression: str | None = "zstd") -> Path:
    batch = pa.record_batch(columns)
    with pa.ipc.new_stream(path, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as file:
        file.write_batch(batch)
    return path


def lines(path: Path) -> list[Entry | Skipped]:
    return list(table_entries(path, ""))


def structs(data: bytes, path: str) -> pa.Array:
    return pa.array([{"bytes": data, "path": path}] * ROWS)


BOMBS: dict[str, Callable[[Path], Path]] = {
    "pictures": lambda at: parquet(at, {"image": repeated(bytes(LARGE))}),
    "pictures in structs": lambda at: parquet(at, {"image": structs(bytes(LARGE), "a.png")}),
    "texts": lambda at: parquet(at, {"image": [b"x"] * ROWS, "text": repeated("a" * LARGE)}),
    "names": lambda at: parquet(at, {"image": structs(b"x", "a" * LARGE)}),
    "masks": lambda at: parquet(at, {"image": [b"x"] * ROWS, "mask": repeated(bytes(LARGE))}),
    "beginnings": lambda at: parquet(
        at, {"x": [bytes(LARGE)] * ROWS}, use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"}
    ),
    "a stored schema": lambda at: parquet(at, {"x": [b"x"] * ROWS, "text": repeated("a" * LARGE)}, store_schema=True),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_few_rows_are_held_at_a_time_where_they_are_large(tmp_path: Path, counted: Counted, kind: str) -> None:
    path = BOMBS[kind](tmp_path / "a.parquet")
    assert path.stat().st_size < 20_000
    pool = counted()
    found = lines(path)
    assert len(found) == ROWS
    for entry in (found[0], found[1], found[-1]):
        assert isinstance(entry, Entry)
        assert len(entry.data.read()) in (1, LARGE)
    assert pool.max_memory() < 8 * MOST


@pytest.mark.parametrize("kind", ["dictionary", "views"])
def test_texts_that_share_their_bytes_in_an_arrow_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    shared = repeated("a" * LARGE)
    if kind == "views":
        views = struct.pack("<i4sii", LARGE, b"aaaa", 0, 0) * ROWS
        buffers = [None, pa.py_buffer(views), pa.py_buffer(b"a" * LARGE)]
        shared = pa.Array.from_buffers(pa.string_view(), ROWS, buffers)
    path = stream(tmp_path / "a.arrow", {"x": [b"x"] * ROWS, "text": shared}, None)
    assert path.stat().st_size < 3 * LARGE
    held: list[int] = []
    real = image_tables.ImageTable._batches
    monkeypatch.setattr(
        image_tables.ImageTable,
        "_batches",
        lambda self, group: (held.append(it.num_rows) or it for it in real(self, group)),
    )
    assert len(lines(path)) == ROWS
    assert sum(held) == ROWS and max(held) * LARGE <= MOST


REFUSED: dict[str, Callable[[Path], Path]] = {
    "a page": lambda at: parquet(at / "a.parquet", {"x": [bytes(2 * MOST)]}, use_dictionary=False),
    "a dictionary": lambda at: parquet(at / "a.parquet", {"x": [bytes(2 * MOST)]}),
    "pages of several columns": lambda at: parquet(
        at / "a.parquet", {"x": [b"x"], **{f"t{number}": ["a" * (MOST // 2)] for number in range(3)}}
    ),
    "a stream": lambda at: stream(at / "a.arrow", {"x": [bytes(2 * MOST)]}),
    "the dictionary of a stream": lambda at: stream(
        at / "a.arrow", {"x": [b"x"] * ROWS, "t": repeated("a" * 2 * MOST)}
    ),
    "several buffers of a stream": lambda at: stream(
        at / "a.arrow", {"x": [b"x"], **{f"t{number}": ["a" * (MOST // 2)] for number in range(3)}}
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_unpacks_to_too_much_at_once_is_refused(tmp_path: Path, counted: Counted, kind: str) -> None:
    path = REFUSED[kind](tmp_path)
    pool = counted()
    (found,) = lines(path)
    message = found.fault.message if isinstance(found, Skipped) else ""
    if isinstance(found, Entry):
        with pytest.raises(LimnerError) as refused:
            found.data.read()
        message = str(refused.value)
    assert "at once; write it again without compression, or with fewer rows per group" in message
    assert pool.max_memory() < MOST


@pytest.mark.parametrize("made", [parquet, stream])
def test_large_pictures_that_hardly_pack_are_read(tmp_path: Path, made: Callable[..., Path]) -> None:
    data = [os.urandom(MOST) for _ in range(3)]
    found = lines(made(tmp_path / ("a.parquet" if made is parquet else "a.arrow"), {"x": data}))
    assert [entry.data.read() for entry in found if isinstance(entry, Entry)] == data


def test_cells_are_read_in_any_order(tmp_path: Path) -> None:
    data = [os.urandom(MOST // 3) for _ in range(8)]
    found = lines(parquet(tmp_path / "a.parquet", {"x": data}))
    for at in (5, 2, 2, 7, 0, 6, 1):
        entry = found[at]
        assert isinstance(entry, Entry) and entry.data.read() == data[at]
    with pytest.raises(LimnerError, match="without its bytes"):
        image_tables.read_cell(tmp_path / "a.parquet", "", 0, 8, "x", "y")
    assert image_tables.read_cell(tmp_path / "a.parquet", "", 0, 3, "x", "y") == data[3]


def test_columns_whose_cells_may_have_any_size_are_passed_over(tmp_path: Path) -> None:
    columns = {"x": [b"x"], "y": pa.array([None], pa.binary(8)), "z": [["a"]], "n": [1], "t": ["a"]}
    assert image_tables.ImageTable(parquet(tmp_path / "a.parquet", columns)).others == ["n", "t"]
    views = {"x": [b"x"], "w": pa.RunEndEncodedArray.from_arrays([1], ["a"]), "n": [1]}
    assert image_tables.ImageTable(stream(tmp_path / "a.arrow", views, None)).others == ["n"]


def test_a_column_of_lists_with_the_name_of_another(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"x.y": [["a"] * 3], "x": [{"y": "b"}]})
    with pytest.raises(ValueError, match="contains lists"):
        largest_page_sizes(path, pq.ParquetFile(path).metadata, 0, ["x.y"])


def test_a_file_of_many_groups_or_batches_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    real = image_tables._table
    monkeypatch.setattr(image_tables, "_table", lambda path: opened.append(path) or real(path))
    batch = pa.record_batch({"x": [b"x"]})
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as file:
        for _ in range(50):
            file.write_batch(batch)
    pq.write_table(pa.table({"x": [b"x"] * 50}), tmp_path / "a.parquet", row_group_size=1)
    for name in ("a.arrow", "a.parquet"):
        assert all(isinstance(entry, Entry) and entry.data.read() == b"x" for entry in lines(tmp_path / name))
        assert opened == [tmp_path / name] * 2, "for its rows, and for its cells"
        opened.clear()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("encoding", [None, "PLAIN", "DELTA_BYTE_ARRAY"])
def test_pages_are_found_whatever_the_writer_does(tmp_path: Path, version: str, encoding: str | None) -> None:
    options = {"use_dictionary": encoding is None, "column_encoding": encoding and {"x": encoding}}
    more = {"write_page_index": version == "2.0", "write_page_checksum": version == "2.0", "data_page_size": 20_000}
    values = [os.urandom(500) + bytes(500) for _ in range(3000)]
    path = parquet(tmp_path / "a.parquet", {"x": values}, data_page_version=version, **options, **more)
    ((unpacked, packed),) = largest_page_sizes(path, pq.ParquetFile(path).metadata, 0, ["x"])
    assert 500_000 < unpacked < 4_000_000 and 200_000 < packed < 2_100_000


def test_the_size_that_counts_is_the_one_that_the_reader_takes() -> None:
    kind, plain = b"\x15\x00", b"\x15\x80\x80\x01"  # fields of 32 bits: the type of page, 8,192
    again = b"\x05\x04"  # a field of 32 bits whose id, 2, is written out
    header = _PageHeader(kind + plain + b"\x06\x04\x02" + b"\x15\x10" + b"\x00", 0, 40)  # type: ignore[arg-type]
    assert (header.unpacked, header.packed) == (8192, 8), "64 bits are no size"
    header = _PageHeader(kind + plain + again + b"\x06" + b"\x15\x10" + b"\x00", 0, 40)  # type: ignore[arg-type]
    assert (header.unpacked, header.packed) == (3, 8), "the last one counts"
    for broken in (b"\x15", b"\x18\xff\xff\xff\xff\x7f", b"\x1c" * 40, b"\x19\xf1\xff\xff\xff\xff\x0f", b"\x1d"):
        with pytest.raises((ValueError, IndexError)):
            _PageHeader(broken, 0, len(broken))  # type: ignore[arg-type]


def test_a_row_has_its_own_mask_and_its_faults_and_rows_are_numbered_from_the_first(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([b"1", b"2"], pa.binary()),
        "mask": pa.array([None, b"m"], pa.binary()),
        "text": ["a", "x" * 2001],
        "author": ["Ann", "Ben"],
    }
    path = parquet(tmp_path / "a.parquet", columns, row_group_size=1)
    first, second = table_entries(path, "p-", 7)
    assert isinstance(first, Entry) and isinstance(second, Entry)
    assert [entry.key for entry in (first, second)] == ["p-000000007", "p-000000008"]
    assert (first.caption, first.mask, first.faults, first.rights.author) == ("a", None, (), "Ann")
    assert second.caption is None and [fault.kind for fault in second.faults] == ["caption"]
    assert second.mask is not None and (second.mask.read(), second.data.read()) == (b"m", b"2")


def test_the_column_of_images_is_the_one_of_the_best_known_name_or_else_the_first(tmp_path: Path) -> None:
    cells = pa.array([b"1"], pa.binary())
    for names, chosen in ((("a", "b"), "a"), (("a", "Photo"), "Photo"), (("photo", "image"), "image")):
        path = parquet(tmp_path / f"{chosen}.parquet", dict.fromkeys(names, cells))
        assert image_tables.ImageTable(path).image == chosen


def test_a_class_is_named_by_its_number_where_it_has_a_name() -> None:
    names = ["cat", "dog"]
    found = [image_tables.class_name(value, names) for value in (0, 1, 2, -1, "x", None)]
    assert found == ["cat", "dog", None, None, "x", None] and image_tables.class_name(1, None) == 1


def test_a_table_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for data in (b"old", b"much newer"):
        parquet(path, {"image": pa.array([data], pa.binary())})
        (entry,) = lines(path)
        assert isinstance(entry, Entry) and entry.data.read() == data


def test_of_a_long_file_name_the_end_is_kept(tmp_path: Path) -> None:
    name = "x/" * 600 + "1.png"
    (entry,) = lines(parquet(tmp_path / "a.parquet", {"image": pa.array([{"bytes": b"1", "path": name}])}))
    assert isinstance(entry, Entry) and entry.data.name == "1.png"
