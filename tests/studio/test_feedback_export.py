"""Tests of the columns of exported feedback."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.feedback import Comparison, Rating, Reason
from limner.core.requests import GenerateRequest
from limner.store.feedback import FeedbackStore
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.store.runs import Store
from limner.studio import feedback_export
from limner.studio.feedback_export import Embed, ExportKind, FeedbackExport, check_export


class Pictures:
    """Images of several requests, and their feedback as rows."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.feedback = FeedbackStore(self.store)

    def add(self, owner: str = "ann", tags: dict[str, str] | None = None, **fields: Any) -> int:
        details = fields.pop("details", {})
        request = GenerateRequest.model_validate({"prompt": "a cat"} | fields)
        run = self.store.create(request, caller=Caller(account=owner), tags=tags)
        number = len(self.store.list(100))
        self.store.add_artifact(run.id, "picture", f"/{number}.png", f"{number:064x}", details)
        return ImageIndex(self.store).of_run(Viewer(), run.id)[0]

    def export(self, kind: ExportKind, stars: bool = False) -> FeedbackExport:
        data = PreferenceData(self.store, Viewer())
        return FeedbackExport(data, kind, stars, lambda image: f"/{image.id}", lambda image: f"{image.id}".encode())


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Pictures]:
    found = Pictures(tmp_path)
    yield found
    found.store.close()


USE = {"path": f"sha256:{'a' * 64}"}


def test_the_row_of_a_rating(pictures: Pictures) -> None:
    details = {"seed": 8, "steps": 9, "width": 64}
    tags = {"industry": "food", "style": "photo"}
    request = {"negative_prompt": "blurry", "model": "sdxl", "adapter": [USE], "seed": 7, "height": 96, "guidance": 2.5}
    image = pictures.add(**request, details=details, tags=tags)
    rating = Rating(stars=4, reasons=(Reason.BLURRED, Reason.BAD_TEXT), comment="dull")
    pictures.feedback.rate(Viewer("bob"), image, rating)
    (row,) = pictures.export("ratings").rows(embed=True)
    (rated,) = pictures.export("ratings").data.ratings()
    assert row == {
        "prompt": "a cat",
        "negative_prompt": "blurry",
        "model": "sdxl",
        "adapters": [USE["path"]],
        "seed": 8,
        "steps": 9,
        "guidance": 2.5,
        "width": 64,
        "height": 96,
        "industry": "food",
        "style": "photo",
        "image_uid": f"{1:064x}",
        "image_url": f"/{image}",
        "stars": 4,
        "reasons": [Reason.BAD_TEXT, Reason.BLURRED],
        "comment": "dull",
        "user_id": rated.rater,
        "created_at": rated.created,
        "image": str(image).encode(),
    }
    assert row["user_id"] not in ("ann", "bob") and "image" not in next(iter(pictures.export("ratings").rows()))


def test_the_row_of_a_pair(pictures: Pictures) -> None:
    better = pictures.add(model="sdxl", adapter=[USE], negative_prompt="blurry", seed=7)
    worse = pictures.add(model="starter", negative_prompt="blurry", details={"seed": 9})
    compared = Comparison(better=better, worse=worse, reasons=(Reason.BAD_TEXT,))
    pictures.feedback.compare(Viewer("bob"), compared)
    (row,) = pictures.export("pairs").rows(embed=True)
    (pair,) = pictures.export("pairs").data.comparisons()
    assert row == {
        "caption": "a cat",
        "negative_prompt": "blurry",
        "label_0": 1.0,
        "label_1": 0.0,
        "has_label": True,
        "are_different": True,
        "best_image_uid": f"{1:064x}",
        "source": "comparison",
        "reasons": [Reason.BAD_TEXT],
        "user_id": pair.rater,
        "created_at": pair.created,
        "image_0_uid": f"{1:064x}",
        "image_0_url": f"/{better}",
        "model_0": "sdxl",
        "adapters_0": [USE["path"]],
        "seed_0": 7,
        "image_1_uid": f"{2:064x}",
        "image_1_url": f"/{worse}",
        "model_1": "starter",
        "adapters_1": [],
        "seed_1": 9,
        "jpg_0": str(better).encode(),
        "jpg_1": str(worse).encode(),
    }
    assert {"jpg_0", "jpg_1"}.isdisjoint(next(iter(pictures.export("pairs").rows())))


def test_a_tie_is_between_different_images(pictures: Pictures) -> None:
    first, second = pictures.add(), pictures.add()
    pictures.feedback.compare(Viewer("bob"), Comparison(better=first, worse=second, tie=True))
    (row,) = pictures.export("pairs").rows()
    assert (row["are_different"], row["best_image_uid"], row["label_0"], row["label_1"]) == (True, "tie", 0.5, 0.5)


def test_pairs_from_stars_are_asked_for(pictures: Pictures) -> None:
    for stars in (1, 5):
        pictures.feedback.rate(Viewer("bob"), pictures.add(), Rating(stars=stars))
    assert [row["source"] for row in pictures.export("pairs", stars=True).rows()] == ["stars"]
    assert list(pictures.export("pairs").rows()) == []


@pytest.mark.parametrize(
    ("embed", "images"),
    [
        ("no", None),
        ("bytes", (b"1", b"2")),
        ("image", ({"bytes": b"1", "path": "jpg_0.png"}, {"bytes": b"2", "path": "jpg_1.png"})),
    ],
)
def test_a_parquet_file_of_several_groups(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch, embed: Embed, images: Any
) -> None:
    assert feedback_export.GROUP == 100
    monkeypatch.setattr(feedback_export, "GROUP", 2)
    first = pictures.add()
    others = [pictures.add() for _ in range(5)]
    for other in others:
        pictures.feedback.compare(Viewer("bob"), Comparison(better=first, worse=other))
    file = io.BytesIO()
    pictures.export("pairs").write_parquet(file, embed)
    found = parquet.ParquetFile(file)
    rows = found.read().to_pylist()
    assert found.num_row_groups == 3 and [row["image_1_url"] for row in rows] == [f"/{other}" for other in others]
    assert (None if embed == "no" else (rows[0]["jpg_0"], rows[0]["jpg_1"])) == images
    assert rows[0]["created_at"].utcoffset() == timedelta(0)


@pytest.mark.parametrize("embed", ["image", "bytes"])
def test_json_lines_hold_no_images(embed: Embed) -> None:
    check_export("jsonl", "no")
    check_export("parquet", embed)
    with pytest.raises(LimnerError, match="JSON lines cannot hold images"):
        check_export("jsonl", embed)


def test_pairs_have_the_same_prompts(tmp_path: Path) -> None:
    store, ids = Store(tmp_path), list[int]()
    for prompt, negative in (("a cat", ""), ("a cat", ""), ("a dog", ""), ("a cat", "blurry")):
        run = store.create(GenerateRequest(prompt=prompt, negative_prompt=negative))
        store.add_artifact(run.id, "picture", f"/{run.id}.png", f"{len(ids):064x}", {"seed": 40 + len(ids)})
        ids += ImageIndex(store).of_run(Viewer(), run.id)
    for worse in ids[1:]:
        FeedbackStore(store).compare(Viewer(), Comparison(better=ids[0], worse=worse, tie=worse == ids[1]))
    data = PreferenceData(store, Viewer())
    export = FeedbackExport(data, "pairs", False, lambda image: f"/{image.id}", lambda image: None)
    (row,) = export.rows()
    assert (row["image_0_url"], row["image_1_url"]) == (f"/{ids[0]}", f"/{ids[1]}")
    assert (row["seed_0"], row["seed_1"]) == (40, 41), "as they were painted"
    assert (row["label_0"], row["label_1"], row["best_image_uid"]) == (0.5, 0.5, "tie")
    store.close()
