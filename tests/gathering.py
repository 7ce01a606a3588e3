"""Small images in every kind of source that `limner prepare` reads."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from limner.core.datasets import Entry, Skipped
from limner.plugins import registry


def png(shade: int = 0) -> bytes:
    """An image of 8 x 8 pixels in one of 256 shades of red."""
    held = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 9, 9)).save(held, "PNG")
    return held.getvalue()


def put(path: Path, data: bytes | str = b"") -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: Mapping[str, bytes | str], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            data = data.encode() if isinstance(data, str) else data
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def gathered(reference: str | Path) -> list[Entry | Skipped]:
    """All items of the one source that claims a reference."""
    claiming = [source for source in registry.sources.all().values() if source.claims(str(reference))]
    assert len(claiming) == 1, (reference, claiming)
    return list(claiming[0].entries(str(reference)))


def entries(reference: str | Path) -> dict[str, Entry]:
    """The entries by key; nothing may be lost."""
    found = gathered(reference)
    assert not [each for each in found if isinstance(each, Skipped) or each.faults], found
    return {each.key: each for each in found if isinstance(each, Entry)}


def kept(reference: str | Path) -> dict[str, Entry]:
    """The entries by key, without lost items."""
    return {each.key: each for each in gathered(reference) if isinstance(each, Entry)}


def lost(reference: str | Path) -> dict[str, tuple[str, str]]:
    """Kind and message of all faults by key, of entries and of lost items; each message is one line."""
    found: dict[str, tuple[str, str]] = {}
    for each in gathered(reference):
        for fault in each.faults if isinstance(each, Entry) else (each.fault,):
            found[each.key] = (fault.kind, fault.message)
    assert all(message.isprintable() for _, message in found.values()), found
    return found


def _folder(at: Path) -> str:
    put(at / "pets/dog/0.png", png(0))
    put(at / "pets/dog/0.txt", "a dog")
    put(at / "pets/cat/1.png", png(1))
    return str(at / "pets")


def _zip(at: Path) -> str:
    return str(zipped(at / "pets.zip", {"dog/0.png": png(0), "dog/0.txt": "a dog", "cat/1.png": png(1)}))


def _webdataset(at: Path) -> str:
    files = {"0.png": png(0), "0.txt": "a dog", "1.png": png(1), "1.json": json.dumps({"licence": "CC0"})}
    return str(tarred(at / "pets.tar", files))


def _parquet(at: Path) -> str:
    table = pa.table(
        {"image": [{"bytes": png(0), "path": "0.png"}, {"bytes": png(1), "path": None}], "text": ["a", "b"]}
    )
    pq.write_table(table, at / "pets.parquet")
    return str(at / "pets.parquet")


def _table(at: Path) -> str:
    put(at / "shots/0.png", png(0))
    put(at / "shots/1.png", png(1))
    return str(put(at / "pets.csv", "file_name,text\nshots/0.png,a dog\nshots/1.png,a cat\n"))


def _urls(at: Path) -> str:
    return str(put(at / "pets.txt", "https://a.example/0.png\ta dog\nhttps://a.example/1.png\n"))


def _hub(at: Path) -> str:
    import datasets

    rows = {"image": [{"bytes": png(0), "path": "0.png"}, {"bytes": png(1), "path": "1.png"}], "text": ["a", "b"]}
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(at / "saved")
    return str(at / "saved")


EXAMPLES: dict[str, Callable[[Path], str]] = {
    "folder": _folder,
    "zip": _zip,
    "webdataset": _webdataset,
    "parquet": _parquet,
    "table": _table,
    "urls": _urls,
    "hub": _hub,
}
"""By the source's name, what makes two pictures of its kind and returns the reference; a new source gets its own."""
