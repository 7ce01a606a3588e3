"""Tests of rating images by name, and of exports to files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from limner.core.errors import LimnerError
from limner.core.feedback import Rating
from limner.core.requests import GenerateRequest
from limner.store.files import sha256_of
from limner.studio.images import Viewer
from limner.studio.studio import Studio


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home)
    yield found
    found.close()


def painted(studio: Studio, folder: Path, *bodies: bytes, stored: bool = False) -> str:
    """The id of a run whose images have these bytes."""
    run = studio.submit(GenerateRequest(prompt="a cat"))
    for body in bodies:
        place = folder / f"{body.decode()}.png"
        place.write_bytes(body)
        details = {"reference": studio.files.save(place)} if stored else {}
        studio.store.add_artifact(run.id, "picture", place, sha256_of(place), details)
    return run.id


def test_images_are_rated_by_file_id_hash_and_run(studio: Studio, tmp_path: Path) -> None:
    first, second = painted(studio, tmp_path, b"one", b"two"), painted(studio, tmp_path, b"three")

    def rate(names: list[str], rating: Rating) -> list[int]:
        ids = studio.feedback.named(names)
        for image in ids:
            studio.feedback.rate(Viewer(), image, rating)
        return ids

    assert rate([str(tmp_path / "one.png")], Rating(stars=1)) == [1]
    assert rate([sha256_of(tmp_path / "two.png")], Rating(stars=2)) == [2]
    assert rate(["3"], Rating(stars=3)) == [3]
    assert rate([first], Rating(stars=4)) == [1, 2]
    assert rate([second[:-1], "2", first], Rating(stars=5)) == [3, 2, 1], "each once, in the order of the names"
    assert rate([second[:6]] if not first.startswith(second[:6]) else [second], Rating(stars=1)) == [3]
    assert [studio.images.get(Viewer(), image).mean for image in (1, 2, 3)] == [5, 5, 1]


def test_digits_may_be_the_id_of_an_image_or_the_start_of_a_runs(studio: Studio, tmp_path: Path) -> None:
    run = painted(studio, tmp_path, b"one")
    assert studio.feedback.named([run.partition("-")[0]]) == [1], "of six digits"
    with pytest.raises(LimnerError, match="'999999999' is not a file, and not the id of an image or a run"):
        studio.feedback.named(["999999999"])
    empty = studio.submit(GenerateRequest(prompt="b"))
    with pytest.raises(LimnerError, match=f"run '{empty.id}' generated no images; limner history lists the images"):
        studio.feedback.named([empty.id])


def test_exports_hold_the_images_that_still_exist(studio: Studio, tmp_path: Path) -> None:
    painted(studio, tmp_path, b"here", b"gone")
    painted(studio, tmp_path, b"stored", stored=True)
    for image in (1, 2, 3):
        studio.feedback.rate(Viewer(), image, Rating(stars=image))
    for name in ("gone", "stored"):
        (tmp_path / f"{name}.png").unlink()
    studio.feedback.export_file(tmp_path / "all.PARQUET", "ratings", False, "bytes")
    rows = parquet.read_table(tmp_path / "all.PARQUET").to_pylist()
    assert [row["image"] for row in rows] == [b"here", None, b"stored"]
    assert [row["image_url"] for row in rows] == [
        (tmp_path / "here.png").as_uri(),
        (tmp_path / "gone.png").as_uri(),
        studio.images.get(Viewer(), 3).reference,
    ]


@pytest.mark.parametrize(
    ("name", "stars", "count"), [("a.jsonl", True, 1), ("a.jsonl", False, 0), ("a.parquet", True, 1)]
)
def test_exports_of_pairs_from_stars(
    studio: Studio, tmp_path: Path, name: str, stars: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted(studio, tmp_path, b"one", b"two")
    for image in (1, 2):
        studio.feedback.rate(Viewer(), image, Rating(stars=image))
    studio.feedback.export_file(tmp_path / name, "pairs", stars, "no")
    rows: list[Any] = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        if name.endswith("jsonl")
        else parquet.read_table(tmp_path / name).to_pylist()
    )
    assert len(rows) == count and all("jpg_0" not in row for row in rows)


def test_json_lines_need_no_pyarrow(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    studio.feedback.export_file(tmp_path / "a.jsonl", "ratings", False, "no")
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    for name in ("a.csv", "a"):
        with pytest.raises(LimnerError, match=r"is neither a .jsonl nor a .parquet file"):
            studio.feedback.export_file(tmp_path / name, "ratings", False, "no")
