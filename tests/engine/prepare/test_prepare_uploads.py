"""Uploaded sources of a dataset: a folder of any kind of source, or one file, recognised by its content."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from limner import Studio
from limner.core.execution import parse_body
from limner.core.requests import GenerateRequest, PrepareRequest
from limner.core.runs import Status
from limner.data.entries.references import reference_kind, suffix_by_content
from working import enqueue_and_execute


def image(number: int, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def shard() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(2):
            data = image(number)
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for number in range(2):
            packed.writestr(f"{number}.png", image(number))
    return buffer.getvalue()


def table() -> bytes:
    buffer = io.BytesIO()
    cells = [{"bytes": image(number), "path": f"{number}.png"} for number in range(2)]
    parquet.write_table(pyarrow.table({"image": cells}), buffer)
    return buffer.getvalue()


FILES = {
    ".tar": shard(),
    ".tar.gz": gzip.compress(shard()),
    ".zip": archive(),
    ".parquet": table(),
    ".png": image(0),
    ".jpg": image(0, "JPEG"),
    ".webp": image(0, "WEBP"),
}
TEXTS = {
    ".csv": b"\xef\xbb\xbffile_name,text\n1.png,a dog\n",
    ".jsonl": b'\n{"file_name": "1.png"}\n',
    ".txt": b"https://example.com/1.png\n",
}


@pytest.mark.parametrize("suffix", [*FILES, *TEXTS])
def test_the_kind_of_a_file_is_found_by_its_content(tmp_path: Path, suffix: str) -> None:
    data = {**FILES, **TEXTS}[suffix]
    assert suffix_by_content(data[:512]) == suffix
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert reference_kind(str(tmp_path / f"a{suffix}")) is not None


@pytest.mark.parametrize("data", [b"", b"\n ", b"\x7fELF\0\0"])
def test_other_files_are_no_sources(data: bytes) -> None:
    assert suffix_by_content(data) == ""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(
    ("suffix", "alone"),
    [*((suffix, True) for suffix in FILES), *((suffix, False) for suffix in (".tar", ".parquet", ".png"))],
)
def test_an_upload_is_prepared_alone_or_in_a_folder(
    studio: Studio, pool_here: None, tmp_path: Path, suffix: str, alone: bool
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"0{suffix}").write_bytes(FILES[suffix])
    source = studio.files.save(tmp_path / "in" / f"0{suffix}" if alone else tmp_path / "in")
    body = {"kind": "prepare", "sources": [source], "encoder": "none", "size": 64, "workers": 1}
    run = enqueue_and_execute(studio, *parse_body(body))
    assert (run.status, run.error) == (Status.DONE, None)
    (dataset,) = [each for each in studio.runs.artifacts(run.id) if each.kind == "dataset"]
    assert dataset.details["pictures"] == (1 if suffix in (".png", ".jpg", ".webp") else 2)


def test_none_is_no_network_in_every_request() -> None:
    assert PrepareRequest.model_validate({"sources": ["x"], "encoder": "none", "captions": "none"}).encoder is None
    request = GenerateRequest.model_validate({"prompt": "none", "vae": "none", "image": "none"})
    assert (request.prompt, request.vae, request.image) == ("none", None, None)
    assert json.loads(request.model_dump_json())["prompt"] == "none"
