"""Sources of libraries of prompts: tables, DiffusionDB, folders of images, datasets of the hub, and malformed ones."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hostile import within
from limner.core.errors import LimnerError
from limner.data.entries.text_tables import LINE_CAP
from limner.data.prompts import source_files as files_module
from limner.data.prompts.source_files import SourceFile, source_files
from limner.data.prompts.sources import ImagePaths, SourceRow, rows_of


def rows(source: Path | str, columns: Mapping[str, str] | None = None) -> Iterator[SourceRow]:
    """All rows of all files of a source; a file that cannot be read is a row with its problem."""
    for file in source_files(str(source), columns or {}):
        if file.problem:
            yield SourceRow(file.name, None, file.problem)
        else:
            yield from rows_of(file, str(source), columns or {})


def prompts(source: Path | str, columns: Mapping[str, str] | None = None) -> list[str]:
    return [row.record.prompt for row in rows(source, columns) if row.record is not None]


def problems(source: Path | str, columns: Mapping[str, str] | None = None) -> list[str]:
    found = [f"{row.where}: {row.problem}" for row in rows(source, columns) if row.record is None]
    assert all("; " in each and len(each.splitlines()) == 1 and len(each) < 500 for each in found), found
    return found


def images(source: Path | str) -> list[str]:
    return [row.record.image for row in rows(source) if row.record is not None]


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def picture(path: Path, prompt: str = "") -> Path:
    """An image, with a prompt as A1111 writes it."""
    info = PngInfo()
    if prompt:
        info.add_text("parameters", prompt)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def table(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Prompt,seed\na cat,1\n\"a dog, big\",2\n"),
        ("a.csv", "\ufeffPrompt;seed\r\na cat;1\r\na dog, big;2\r\n"),
        ("a.tsv", "prompt\tseed\na cat\t1\na dog, big\t2\n"),
        ("A.JSONL", '{"prompt": "a cat", "seed": 1}\n\n{"seed": "2", "prompt": "a dog, big"}'),
    ],
)  # fmt: skip
def test_tables_of_text(tmp_path, name, content):
    found = [row.record for row in rows(put(tmp_path / name, content))]
    assert [(each.prompt, each.seed) for each in found] == [("a cat", 1), ("a dog, big", 2)]


def test_columns_are_named(tmp_path):
    path = put(tmp_path / "a.csv", "My Words,prompt\na cat,no\n")
    assert prompts(path, {"prompt": "my words"}) == ["a cat"]
    assert prompts(put(tmp_path / "a.jsonl", '{"My Words": "a cat"}\n'), {"prompt": "My Words"}) == ["a cat"]
    (line,) = problems(path, {"prompt": "words"})
    assert line == "a.csv: 'a.csv' has no column 'words'; it has: my_words, prompt"
    assert {file.stamp for columns in ({}, {"prompt": "My Words"}) for file in source_files(str(path), columns)} != 1


def test_parquet(tmp_path):
    path = table(tmp_path / "a.parquet", prompt=["a cat", None, "a dog"], seed=[1, 2, None], extra=[[1], [2], [3]])
    assert [(row.where, row.record and row.record.seed) for row in rows(path)] == [
        ("row 1 of a.parquet", 1), ("row 2 of a.parquet", None), ("row 3 of a.parquet", None),
    ]  # fmt: skip
    assert problems(path) == ["row 2 of a.parquet: there is no prompt; fill it in"]
    (file,) = source_files(str(path), {})
    assert [row.where for row in rows_of(file, str(path), {}, 2)] == ["row 3 of a.parquet"]


def metadata(path: Path, count: int = 2) -> Path:
    """DiffusionDB's table, with its types."""
    numbers = range(count)
    return table(
        path,
        image_name=[f"{number}.png" for number in numbers],
        prompt=[f"a cat {number}" for number in numbers],
        part_id=pa.array([1] * count, pa.uint16()),
        seed=pa.array([2**32 - 1] * count, pa.uint32()),
        step=pa.array([50] * count, pa.uint16()),
        cfg=pa.array([7.0] * count, pa.float32()),
        sampler=pa.array([8] * count, pa.uint8()),
        width=pa.array([512] * count, pa.uint16()),
        height=pa.array([512] * count, pa.uint16()),
        user_name=["somebody"] * count,
        timestamp=pa.array([datetime(2022, 8, 10, tzinfo=UTC)] * count, pa.timestamp("us", "UTC")),
        image_nsfw=pa.array([2.0, *[0.1] * (count - 1)], pa.float32()),
        prompt_nsfw=pa.array([0.1] * count, pa.float32()),
    )


def test_diffusiondb(tmp_path):
    metadata(tmp_path / "metadata.parquet")
    settings = {"se": 5, "c": 7.0, "st": 50, "sa": "k_lms", "ts": "2022-08-10 00:00:00+00:00"}
    part = {f"{number}.png": {"p": f"a cat {number}"} | settings for number in range(3)}
    put(tmp_path / "part-000001/part-000001.json", json.dumps(part | {"../../x.png": {"p": "out"}, "bad.png": 3}))
    put(tmp_path / "part-000001/other.json", "{")
    for number in range(3):
        picture(tmp_path / f"part-000001/{number}.png", "from the file")
    found = [row.record for row in rows(tmp_path)]
    first, second, *parts = [each for each in found if each and each.prompt != "from the file"]
    image = str(tmp_path / "part-000001/0.png")
    assert (first.image, first.sampler, first.unsafe, first.seed) == (image, "k_lms", True, 2**32 - 1)
    assert not second.unsafe and "somebody" not in repr(found)
    assert [Path(each.image).name for each in parts] == ["0.png", "1.png", "2.png", "x.png"]
    assert parts[0].image == image and parts[3].image == "x.png", "it is not beside the table"
    assert parts[0].created == first.created == datetime(2022, 8, 10, tzinfo=UTC)
    assert problems(tmp_path) == [
        "'bad.png' of part-000001/part-000001.json: it has no settings; download the part again"
    ]


def test_images_that_tables_name(tmp_path):
    root = tmp_path / "set"
    picture(root / "a.png")
    picture(root / "deep/b.webp")
    picture(tmp_path / "secret.png")
    (root / "out").symlink_to(tmp_path)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    put(root / "secret.txt", "x")
    named = {
        "a.png": f"{root}/a.png",
        "./deep/../a.png": f"{root}/a.png",
        "deep\\b.webp": f"{root}/deep/b.webp",
        f"{root}/a.png": f"{root}/a.png",
        "https://example.org/a.png?b": "https://example.org/a.png?b",
        "gone.png": "gone.png",
        "../secret.png": "secret.png",
        f"{tmp_path}/secret.png": "secret.png",
        "out/secret.png": "secret.png",
        "link.png": "link.png",
        "/etc/passwd": "passwd",
        "secret.txt": "secret.txt",
        "file:///etc/passwd": "passwd",
        "deep": "deep",
        "x" * 3000 + ".png": "x" * 3000 + ".png",
    }
    paths = ImagePaths(root)
    assert {name: paths.find(str(root), name) for name in named} == named
    put(root / "t.csv", "prompt,image\na,a.png\nb,../secret.png\n")
    assert images(root / "t.csv") == [f"{root}/a.png", "secret.png"]
    assert images(tmp_path / "set")[:2] == [f"{root}/a.png", "secret.png"]


def test_folders_of_images(tmp_path):
    picture(tmp_path / "b/1.png", "a cat\nSteps: 20, Sampler: x, Seed: 0")
    picture(tmp_path / "a/2.png", "a dog")
    picture(tmp_path / "plain.png")
    picture(tmp_path / ".hidden/3.png", "no")
    Image.new("RGB", (8, 8)).save(tmp_path / "c.gif")
    put(tmp_path / "broken.png", b"\x89PNG\r\n\x1a\nrest")
    put(tmp_path / "text.jpg", "no image")
    put(tmp_path / "empty.png", "")
    put(tmp_path / "readme.md", "no")
    found = [(row.where, row.record.prompt, row.record.seed, row.record.image) for row in rows(tmp_path) if row.record]
    assert found == [
        ("a/2.png", "a dog", None, f"{tmp_path}/a/2.png"), ("b/1.png", "a cat", 0, f"{tmp_path}/b/1.png"),
    ]  # fmt: skip
    lines = problems(tmp_path)
    assert [line.partition(":")[0] for line in lines] == ["broken.png", "c.gif", "empty.png", "plain.png", "text.jpg"]
    assert "carries no prompt that can be read; give PNG, JPEG or WebP" in lines[1]
    assert "'plain.png' carries no prompt; choose the image that the generator saved" in lines[3]
    assert "object at" not in "".join(lines)


@contextmanager
def unprivileged():
    """The block runs as a user that may not read everything, also where the tests run as the administrator."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_may_not_be_read():
    with TemporaryDirectory() as name:  # others may not enter pytest's own
        folder = Path(name)
        folder.chmod(0o755)
        put(folder / "closed/a.csv", "prompt\nno\n")
        put(folder / "b.csv", "prompt\na cat\n")
        put(folder / "c.csv", "prompt\nno\n").chmod(0)
        (folder / "closed").chmod(0)
        with unprivileged():
            assert prompts(folder) == ["a cat"]
            assert [line.partition(";")[0] for line in problems(folder)] == [
                "c.csv: you have no permission to read 'c.csv'", "closed: you have no permission to read 'closed'",
            ]  # fmt: skip
        (folder / "closed").chmod(0o700)


def test_links_are_not_followed(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    put(outside / "a.csv", "prompt\nout\n")
    put(inside / "b.csv", "prompt\na cat\n")
    (inside / "folder").symlink_to(outside)
    (inside / "c.csv").symlink_to(outside / "a.csv")
    (inside / "loop.csv").symlink_to(inside / "loop.csv")
    (inside / "readme.txt").symlink_to(outside)
    os.mkfifo(inside / "pipe.csv")
    os.link(outside / "a.csv", inside / "kept.csv")
    assert prompts(inside) == ["a cat", "out"]
    assert [line.partition(":")[0] for line in problems(inside)] == [
        "c.csv",
        "folder",
        "loop.csv",
        "pipe.csv",
        "readme.txt",
    ]
    assert all("is a link or no regular file; copy what it stands for here" in line for line in problems(inside))
    assert prompts(inside / "c.csv") == ["out"], "a link that the user names"
    (tmp_path / "to").symlink_to(inside)
    assert prompts(tmp_path / "to") == ["a cat", "out"]


def test_a_name_that_is_no_utf_8(tmp_path):
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")), "prompt\na cat\n")
    picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe.png")), "a cat")
    assert [line.partition(": ")[2] for line in problems(tmp_path)] == ["its name is not UTF-8; rename it"] * 2


def test_too_many_files(tmp_path, monkeypatch):
    for number in range(6):
        put(tmp_path / f"{number % 2}/{number}.csv", "prompt\na cat\n")
    monkeypatch.setattr(files_module, "MAX_FILES", 6)
    assert len(prompts(tmp_path)) == 6
    monkeypatch.setattr(files_module, "MAX_FILES", 5)
    with pytest.raises(LimnerError, match="has more than 5 files; add its parts one by one"):
        next(rows(tmp_path))


def test_names_of_very_many_files_take_little_memory(tmp_path, monkeypatch):
    """The names of one folder are held, and those of its files alone."""

    class Entry:
        def __init__(self, name: str) -> None:
            self.name = name

        def is_dir(self, follow_symlinks: bool) -> bool:
            return False

        is_symlink = lambda self: False  # noqa: E731
        is_file = lambda self, follow_symlinks: True  # noqa: E731

    class Listing:
        def __init__(self, folder: Path) -> None:
            self.entries = (Entry(f"{number:07}.png") for number in range(20_000))

        __enter__ = lambda self: self.entries  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr(os, "scandir", Listing)
    tracemalloc.start()
    try:
        assert sum(1 for _ in files_module._walk(tmp_path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 200 * 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "kept", "expected"),
    [
        ("a.csv", "", [], "a.csv: 'a.csv' is empty; download or save it again"),
        ("a.csv", "\n \n", [], "a.csv: 'a.csv' is empty; download or save it again"),
        ("a.jsonl", "\n", [], "a.jsonl: 'a.jsonl' is empty; download or save it again"),
        ("part-000001.json", "{", [], "part-000001.json: 'part-000001.json' is no JSON; download it again"),
        ("part-000001.json", "[]", [], "part-000001.json: 'part-000001.json' has no settings by name of image"),
        ("part-000001.json", '{"a":' * 10_000, [], "part-000001.json: 'part-000001.json' is no JSON"),
        ("a.csv", "prompt,prompt\na,b\n", [], "a.csv: 'a.csv' has two columns 'prompt'; rename one of them"),
        ("a.csv", '"prompt\na cat\n', [], "a.csv: the first line of 'a.csv' has an unclosed quote; close it"),
        ("a.csv", "x" * (LINE_CAP + 9), [], "a.csv: the first line of 'a.csv' is too long; name the columns in it"),
        ("a.csv", "x" * (LINE_CAP - 9), [], "a.csv: the first line of 'a.csv' is too long; name the columns in it"),
        *(
            (name, content, [], f"{where} holds NUL bytes, so it is no text in UTF-8; save it as UTF-8, or copy")
            for content in (b"\0", b"\n\0\0", b"\0" * 200_000, b"\0" * (LINE_CAP + 9), "prompt\n".encode("utf-16"))
            for name, where in (("a.csv", "a.csv: 'a.csv'"), ("a.tsv", "a.tsv: 'a.tsv'"))
        ),
        ("a.jsonl", b"\0", [], "line 1 of a.jsonl: it holds NUL bytes, so it is no text in UTF-8; save it as UTF-8"),
        ("a.jsonl", b"\0" * 200_000, [], "line 1 of a.jsonl: it holds NUL bytes"),
        ("a.csv", b"prompt\na\n" + b"\0" * 200_000, ["a"], "a.csv: line 3 of 'a.csv' holds NUL bytes"),
        ("a.csv", "prompt,seed\na,1\nb,2,3\nc,3\n", ["a", "c"], "a.csv: line 3 of 'a.csv' has 3 cells for 2 columns"),
        ("a.csv", "prompt,seed\na\nb,2\n,\n,5\n", ["a", "b"], "line 5 of a.csv: there is no prompt; fill it in"),
        ("a.csv", b"prompt\na\n\xff\xfe\nc\n", ["a", "c"], "line 3 of a.csv: prompt has bytes that are no text"),
        ("a.csv", b"prompt\na\nb\0\nc\n", ["a", "c"], "line 3 of a.csv: prompt has bytes that are no text"),
        ("a.csv", f"prompt\na\n{'x' * 2**20}\nc\n", ["a", "c"], "a.csv: line 3 of 'a.csv' is"),
        ("a.csv", f"prompt\na\n{'x' * 100_000}\nc\n", ["a", "c"], "line 3 of a.csv: prompt has 100,000 characters"),
    ],
)  # fmt: skip
def test_malformed_tables(tmp_path, name, content, kept, expected):
    path = put(tmp_path / name, content)
    assert within(prompts, path) == kept
    (line,) = problems(path)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"prompt": "b"', "it is no JSON object; write one per line"),
        ('["b"]', "it is no JSON object"),
        ("[" * 10_000, "it is no JSON object"),
        ('{"prompt": ' + '{"a":' * 10_000 + "1" + "}" * 10_001, ""),
        ('{"prompt": "' + "b" * 2**20 + '"}', "it is too long; keep it under 1,048,576 bytes"),
        ('{"prompt": "' + "b" * 1_000_000 + '"}', "prompt has 1,000,000 characters; use at most 20,000"),
        ('{"prompt": "\\ud800"}', "prompt has bytes that are no text"),
        ('{"prompt": "\\u0000"}', "prompt has bytes that are no text"),
        (b'{"prompt": "\xff"}', "prompt has bytes that are no text"),
        ('{"prompt": "b", "cfg": Infinity}', "guidance is inf"),
        ('{"prompt": "b", "seed": ' + "9" * 5000 + "}", "it is no JSON object"),
        ('{"prompt": {"b": 1}}', "prompt is an object, which is no text"),
        ('{"prompt": "b", "timestamp": "soon"}', "the time is 'soon'"),
    ],
)
def test_malformed_lines(tmp_path, line, expected):
    line = line if isinstance(line, bytes) else line.encode()
    path = put(tmp_path / "a.jsonl", b'{"prompt": "a"}\n' + line + b'\n{"prompt": "c", "cfg": NaN}\n')
    assert within(prompts, path) == ["a", "c"]
    (found,) = problems(path)
    assert found.startswith(f"line 2 of a.jsonl: {expected}")


def test_an_unclosed_quote_loses_no_more_than_its_cell_may_hold(tmp_path):
    lines = [f"a cat {number} {'on a sofa ' * 9}".strip() for number in range(13_000)]
    lines[1000] = '"a dog'
    path = put(tmp_path / "a.csv", "prompt\n" + "\n".join(lines))
    assert path.stat().st_size > 2**20
    found = within(prompts, path)
    assert 1000 < len(found) < 12_999 and found[:1000] == lines[:1000] and found[-1] == lines[-1]
    (line,) = problems(path)
    assert line.startswith("a.csv: line ") and line.endswith("close all quotes")


def test_damaged_parquet(tmp_path):
    whole = table(tmp_path / "whole.parquet", prompt=[f"a cat {number}" for number in range(5000)])
    data = whole.read_bytes()
    for name, content in {"cut": data[:-100], "short": data[:3], "empty": b"", "text": b"no table"}.items():
        (line,) = problems(put(tmp_path / f"{name}.parquet", content))
        assert line.startswith(f"{name}.parquet: '{name}.parquet' is damaged or unfinished"), line
    table(tmp_path / "none.parquet", prompt=pa.array([], pa.string()))
    assert problems(tmp_path / "none.parquet") == ["none.parquet: 'none.parquet' is empty; download or save it again"]
    table(tmp_path / "other.parquet", x=[1])
    assert "has no column of prompts (it has: x)" in problems(tmp_path / "other.parquet")[0]
    assert len(prompts(tmp_path)) == 5000


def test_parquet_that_unpacks_to_very_much(tmp_path, monkeypatch):
    monkeypatch.setattr("limner.data.entries.image_tables.SAMPLE_BYTES", 2**22)
    bomb = pa.table({"prompt": pa.array(["x" * 2**24])})
    pq.write_table(bomb, tmp_path / "a.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    (line,) = problems(tmp_path / "a.parquet")
    assert "unpacks" in line and "write it again without compression, or with fewer rows per group" in line


def test_memory_does_not_grow_with_a_table(tmp_path):
    line = json.dumps({"prompt": "a cat " * 20}) + "\n"
    path = put(tmp_path / "a.jsonl", line * 20_000)
    tracemalloc.start()
    assert sum(1 for _ in rows(path)) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 2**20 < path.stat().st_size
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("gone.csv", "'gone.csv' does not exist; give a file, a folder, or OWNER/NAME of a dataset"),
        ("owner/gone.csv", "'owner/gone.csv' does not exist"),
        ("https://example.org/a.csv", "'https://example.org/a.csv' does not exist"),
        ("film.mp4", "'film.mp4' is no table and no image; give a CSV, TSV, JSONL or parquet file"),
        ("empty", "'empty' has neither tables nor images; choose another folder"),
        ("a.json", "'a.json' is no table and no image"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path, monkeypatch, source, expected):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "film.mp4", "x")
    put(tmp_path / "a.json", "{}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LimnerError) as raised:
        next(rows(source))
    assert str(raised.value).startswith(expected)


def stamps(path: Path, **columns: str) -> set[str]:
    return {file.stamp for file in source_files(str(path), columns)}


def test_a_stamp_changes_with_a_file(tmp_path):
    path = put(tmp_path / "a.csv", "prompt\na cat\n")
    first, status = stamps(path), path.stat()
    assert stamps(path) == first and stamps(path, prompt="prompt") != first
    put(path, "prompt\na dog\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamps(path) != first, "by its first bytes"
    put(path, "prompt\na cat\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert stamps(path) != first, "by its time"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a cat", "", '"', "a,b", '"a dog"', "\0", "é", "x" * 30])), st.integers(0, 12))
def test_reading_goes_on_after_any_row(tmp_path_factory, lines, after):
    folder = tmp_path_factory.mktemp("source")
    for path in (
        put(folder / "a.csv", "prompt\nfirst\n" + "\n".join(lines)),
        put(folder / "a.jsonl", '{"p": 1}\n' + "\n".join(json.dumps({"prompt": line}) for line in lines)),
        table(folder / "a.parquet", prompt=["first", *lines]),
    ):
        (file,) = source_files(str(path), {})
        every = [*rows_of(file, str(path), {})]
        assert [*rows_of(file, str(path), {}, after)] == every[after:]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Have the hub's library find a table of this machine under any id; returns what it was asked for."""
    datasets = pytest.importorskip("datasets")
    real, asked = datasets.load_dataset, []

    def load(*given: Any, **more: Any) -> Any:
        asked.append((*given, more["split"]))
        if given[0] == "owner/gone":
            raise FileNotFoundError("no such\ndataset")
        return real("parquet", data_files={more["split"]: "rows.parquet"}, split=more["split"], streaming=True)

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return asked


def test_datasets_of_the_hub(tmp_path, hub):
    table(
        tmp_path / "rows.parquet",
        prompt=["a cat", "", "a dog"],
        image_url=["https://example.org/1.png", "", "/etc/x.png"],
    )
    found = [*rows("owner/name")]
    assert [row.record and row.record.image for row in found] == ["https://example.org/1.png", None, "x.png"]
    assert found[1].where == "row 2 of owner/name" and "there is no prompt" in found[1].problem
    (file,) = source_files("owner/name:small@test", {})
    assert [row.where for row in rows_of(file, "owner/name:small@test", {}, 2)] == ["row 3 of owner/name:small@test"]
    assert hub == [("owner/name", None, "train"), ("owner/name", "small", "test")]
    with pytest.raises(
        LimnerError, match=r"^'owner/gone' cannot be read \(no such dataset\); check its name and the net"
    ):
        next(rows("owner/gone"))
    with pytest.raises(LimnerError, match="'owner/name' has no column 'x'; it has: prompt, image_url"):
        next(rows("owner/name", {"prompt": "x"}))


def test_a_file_of_a_source_is_named_within_it(tmp_path):
    put(tmp_path / "b/x.csv", "prompt\na cat\nc,d\n")
    found = [*source_files(str(tmp_path), {})]
    assert [file.name for file in found] == ["b/x.csv"] and isinstance(found[0], SourceFile)
    assert [row.where for row in rows(tmp_path)] == ["line 2 of b/x.csv", "b/x.csv"]
