"""Tests of files of feedback: our exports, Pick-a-Pic's columns, and what a stranger may send."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from hostile import within
from limner.core.accounts import Caller
from limner.core.errors import LimnerError
from limner.core.feedback import Comparison, Rating, Reason
from limner.core.preferences import Feedback
from limner.core.requests import GenerateRequest
from limner.data.preferences import feedback_files, judged_images, tables
from limner.data.preferences.feedback_files import read_feedback
from limner.provenance.labels import Label, write_png
from limner.store.feedback import FeedbackStore
from limner.store.images import ImageIndex, Viewer
from limner.store.preferences import PreferenceData
from limner.store.runs import Store
from limner.studio.feedback_export import Embed, FeedbackExport


def png(seed: int = 0, side: int = 8) -> bytes:
    """A small image of noise, another one for each seed."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def pair(**more: Any) -> dict[str, Any]:
    """A row with the columns of Pick-a-Pic."""
    row = {"caption": "a dog", "label_0": 1.0, "label_1": 0.0, "has_label": True, "are_different": True}
    images = {"jpg_0": png(0), "jpg_1": png(1), "image_0_uid": "u0", "image_1_uid": "u1", "best_image_uid": "u0"}
    return {**row, **images, "user_id": 7, "created_at": datetime(2023, 1, 2, tzinfo=UTC), **more}


def as_parquet(path: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Path:
    parquet.write_table(pa.Table.from_pylist([*rows]), path, **options)
    return path


def as_lines(path: Path, *rows: object) -> Path:
    path.write_bytes(b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in rows))
    return path


def rated(**more: Any) -> dict[str, Any]:
    """A row of a rating of the file a.png beside the feedback."""
    return {"prompt": "a dog", "stars": 4, "image_url": "a.png", **more}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Reads rows as JSON lines, beside which a.png and b.png lie."""
    for number, name in enumerate(("a.png", "b.png")):
        (tmp_path / name).write_bytes(png(number))

    def call(*rows: object, local: bool = True) -> Feedback:
        return read_feedback(as_lines(tmp_path / "f.jsonl", *rows), tmp_path / "images", local)

    return call


def test_a_file_of_pick_a_pic(tmp_path: Path) -> None:
    rows = [pair(), pair(label_0=0.0, label_1=1.0, best_image_uid="u1", user_id=8), pair(label_0=0.5, label_1=0.5)]
    rows[2]["best_image_uid"] = "tie"
    found = read_feedback(as_parquet(tmp_path / "p.parquet", rows, row_group_size=2), tmp_path / "images")
    hashes = [hashlib.sha256(png(number)).hexdigest() for number in (0, 1)]
    assert [(each.better.sha256, each.worse.sha256) for each in found.pairs] == [
        (hashes[0], hashes[1]),
        (hashes[1], hashes[0]),
        (hashes[0], hashes[1]),
    ]
    first = found.pairs[0]
    assert (first.rater, first.source, first.better.prompt, first.better.width) == ("7", "file", "a dog", 8)
    assert first.created == datetime(2023, 1, 2, tzinfo=UTC)
    assert [each.tie for each in found.pairs] == [False, False, True]
    assert (first.better.model, first.better.adapters, first.better.seed) == (None, None, None)
    assert {path.name for path in (tmp_path / "images").iterdir()} == {f"{each}.png" for each in hashes}
    assert Path(first.better.location).read_bytes() == png(0) and found.left_out == () and found.ratings == ()


def test_images_may_be_structs_of_bytes_and_path(tmp_path: Path) -> None:
    rows = [pair(**{f"jpg_{side}": {"bytes": png(side), "path": f"{side}.png"} for side in (0, 1)})]
    assert len(read_feedback(as_parquet(tmp_path / "p.parquet", rows), tmp_path / "images").pairs) == 1


class Exported:
    """Two images that were generated, rated and compared, and exports of this."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "home")
        use = {"path": f"sha256:{'a' * 64}"}
        for number in (0, 1):
            request = GenerateRequest.model_validate({"prompt": "a dog", "negative_prompt": "blur", "adapter": [use]})
            run = self.store.create(request, caller=Caller(account="ann"))
            path = folder / f"my {number}.png"
            path.write_bytes(png(number))
            sha256 = hashlib.sha256(png(number)).hexdigest()
            self.store.add_artifact(run.id, "picture", str(path), sha256, {"seed": 7 + number})
        self.images = sorted(image.id for image in ImageIndex(self.store).after(0, 10))
        self.feedback = FeedbackStore(self.store)

    def export(self, kind: Any) -> FeedbackExport:
        data = PreferenceData(self.store, Viewer())
        return FeedbackExport(
            data, kind, True, lambda image: Path(image.path).as_uri(), lambda image: Path(image.path).read_bytes()
        )

    def read(self, kind: Any, embed: Embed | None) -> Feedback:
        path = self.folder / f"f.{'jsonl' if embed is None else 'parquet'}"
        with path.open("wb") as file:
            if embed is None:
                file.writelines(self.export(kind).json_lines())
            else:
                self.export(kind).write_parquet(file, embed)
        return read_feedback(path, self.folder / "images", local=True)


@pytest.mark.parametrize("embed", [None, "no", "image", "bytes"])
def test_our_own_exports_are_read_as_they_were_recorded(tmp_path: Path, embed: Embed | None) -> None:
    exported = Exported(tmp_path)
    first, second = exported.images
    for image, stars in ((first, 5), (second, 2)):
        exported.feedback.rate(Viewer("ann"), image, Rating(stars=stars, reasons=(Reason.BLURRED, Reason.BAD_TEXT)))
    exported.feedback.compare(Viewer("bob"), Comparison(better=second, worse=first, reasons=(Reason.OFF_PROMPT,)))
    recorded = PreferenceData(exported.store, Viewer()).feedback(None)
    ratings, pairs = exported.read("ratings", embed).ratings, exported.read("pairs", embed).pairs
    assert [(each.stars, each.reasons, each.rater, each.created) for each in ratings] == [
        (each.stars, each.reasons, each.rater, each.created) for each in recorded.ratings
    ]
    unknown = {"location": "", "seed": None, "width": None, "height": None}
    for here, there in zip(ratings, recorded.ratings, strict=True):
        assert here.image.model_copy(update=unknown) == there.image.model_copy(update=unknown)
        assert Path(here.image.location).read_bytes() == Path(there.image.location).read_bytes()
    assert [(each.better.sha256, each.reasons, each.rater) for each in pairs[:1]] == [
        (each.better.sha256, each.reasons, each.rater) for each in recorded.pairs
    ]
    assert len(pairs) == 2 and pairs[1].better.sha256 == pairs[0].worse.sha256, "and one by stars"
    exported.store.close()


def test_the_label_of_an_image_says_how_it_was_generated(tmp_path: Path, read: Any) -> None:
    adapter = {"name": "x", "path": "/x", "sha256": "c" * 64, "weight": 1.0}
    mark = {"reference": "starter", "sha256": None, "licence": "MIT"}
    for name, more in (("l.png", {}), ("m.png", {"hires": 2})):
        request = GenerateRequest.model_validate({"prompt": "a cat", "negative_prompt": "blur", **more})
        label = Label.model_validate(
            {"request": request, "index": 1, "seed": 43, "version": "1", "model": mark, "adapters": [adapter]}
        )
        write_png(Image.new("RGB", (8, 8), (len(name), 1, 1)), tmp_path / name, label=label)
    plain = rated(image_url="l.png", prompt=None, model="sdxl", adapters=[])
    other = rated(image_url="m.png", negative_prompt="grain")
    first, second = read(plain, other).ratings
    assert (first.image.model, first.image.adapters, first.image.seed) == ("starter", ("c" * 64,), 43)
    assert (first.image.prompt, first.image.negative_prompt) == ("a cat", "blur")
    assert (second.image.prompt, second.image.negative_prompt, second.image.seed) == ("a dog", "grain", None)


def test_adapters_by_reference_are_known_and_by_path_not(read: Any) -> None:
    known = [f"sha256:{'a' * 64}", f"folder:{'b' * 64}"]
    rows = [rated(model="sdxl", adapters=value) for value in (known, [], ["/my/lora"], None, "a")]
    found = [each.image.adapters for each in read(*rows).ratings]
    assert found == [("a" * 64, "b" * 64), (), None, None, None]


BAD_ROWS: list[tuple[object, str]] = [
    (rated(stars=float("nan")), "1 rating: stars are no whole number from 1 to 5 ('nan')"),
    (rated(stars=6), "1 rating: stars are no whole number from 1 to 5 ('6')"),
    (rated(stars=True), "1 rating: stars are no whole number from 1 to 5 ('True')"),
    (rated(stars="5"), "1 rating: stars are no whole number from 1 to 5 ('5')"),
    (rated(stars=3.5), "1 rating: stars are no whole number from 1 to 5 ('3.5')"),
    (rated(stars=10**30), "1 rating: stars are no whole number from 1 to 5 ('a large number')"),
    (rated(stars={"a": [1]}), "1 rating: stars are no whole number from 1 to 5 ('a dict')"),
    (rated(prompt=["a dog"]), "1 rating: prompt is no text ('a list')"),
    (rated(prompt="a\ud800"), "1 rating: prompt is no text ('a\\\\ud800')"),
    (rated(prompt="a\0b"), "1 rating: prompt is no text ('a\\\\x00b')"),
    (rated(prompt="x" * 20_001), "1 rating: prompt is longer than 20,000 characters"),
    (rated(prompt=None), "1 rating: there is no prompt"),
    (rated(user_id=["ann"]), "1 rating: user_id is no text ('a list')"),
    (rated(image_url=5), "1 rating: image_url is no text ('5')"),
    (rated(image_url=None), "1 rating: an image is missing"),
    (rated(image_url="a\0.png"), "1 rating: image_url is no text ('a\\\\x00.png')"),
    (rated(image_url="https://example.com/a.png"), f"1 rating: {judged_images.REMOTE}"),
    (rated(image_url="file://server/a.png"), f"1 rating: {judged_images.REMOTE}"),
    (rated(image_url=f"sha256:{'a' * 64}"), f"1 rating: {judged_images.STORED}"),
    (rated(image_url="gone.png"), f"1 rating: {judged_images.NO_FILE} (\"'gone.png' does not exist\")"),
    (rated(image_url="file://[x/a"), f"1 rating: {judged_images.NO_FILE} ('file://[x/a')"),
    ({"prompt": "a dog"}, "1 row: there are neither stars nor the columns of a pair"),
    (b"[1]\n", "1 row: the line is no JSON object"),
    (b"{\n", "1 row: the line is no JSON object"),
    (b"[" * 500_000 + b"\n", "1 row: the line is no JSON object"),
    (b'{"stars": ' + b"9" * 10_000 + b"}\n", "1 row: the line is no JSON object"),
    (b"\xff\xfe\0\n", "1 row: the line has NUL bytes"),
    (b'{"a": "' + b"x" * 2**21 + b'"}\n', "1 row: the line is longer than 1,048,576 bytes"),
]


@pytest.mark.parametrize(("row", "line"), BAD_ROWS, ids=[str(n) for n in range(len(BAD_ROWS))])
def test_a_bad_row_is_counted_and_the_rest_is_used(read: Any, row: object, line: str) -> None:
    found = within(read, rated(), row, rated(image_url="b.png"))
    assert found.left_out == (line,) and len(found.ratings) == 2


PAIR = {"caption": "a dog", "label_0": 1, "label_1": 0, "image_0_url": "a.png", "image_1_url": "b.png"}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"label_0": 2}, "1 pair: label_0 is no number from 0 to 1 ('2')"),
        ({"label_1": float("nan")}, "1 pair: label_1 is no number from 0 to 1 ('nan')"),
        ({"label_1": "0"}, "1 pair: label_1 is no number from 0 to 1 ('0')"),
        ({"has_label": False}, "1 pair: nobody judged them"),
        ({"label_1": None}, "1 pair: nobody judged them"),
        ({"label_0": None, "best_image_uid": "x"}, "1 pair: best_image_uid is neither image ('x')"),
        (
            {"best_image_uid": "u1", "image_1_uid": "u1"},
            "1 pair: the labels and best_image_uid contradict each other ('u1')",
        ),
        ({"image_1_url": "a.png"}, "1 pair: both images are the same"),
        ({"image_1_url": None}, "1 pair: an image is missing"),
    ],
)
def test_a_bad_pair_is_counted_and_the_rest_is_used(read: Any, more: dict[str, Any], line: str) -> None:
    found = read(PAIR, PAIR | more)
    assert found.left_out == (line,) and len(found.pairs) == 1


def test_the_better_image_is_named_by_label_or_uid(read: Any) -> None:
    uids = {"image_0_uid": "u0", "image_1_uid": "u1"}
    no_labels = {"label_0": None, "label_1": None}
    rows = [
        PAIR | {"label_0": 0.2, "label_1": 0.8},
        PAIR | uids | no_labels | {"best_image_uid": "u1"},
        PAIR | uids | {"best_image_uid": "u0"},
        PAIR | uids | no_labels | {"best_image_uid": "tie"},
    ]
    found = [(Path(each.better.location).name, each.tie) for each in read(*rows).pairs]
    assert found == [("b.png", False), ("b.png", False), ("a.png", False), ("a.png", True)]


def test_unknown_reasons_are_counted_and_the_others_used(read: Any) -> None:
    found = read(rated(reasons=["ugly", "blurred", 5, "blurred"]), rated(reasons="blurred", image_url="b.png"))
    assert [each.reasons for each in found.ratings] == [(Reason.BLURRED,), ()]
    assert found.left_out == ("1 reason: not one of ours; the feedback is used without it ('ugly')",)


def test_times_and_raters_of_any_kind(read: Any) -> None:
    rows = [
        rated(created_at="2026-01-02T03:04:05+02:00", user_id=5),
        rated(created_at="0001-01-01T00:00:00+14:00", user_id=True, image_url="b.png"),
    ]
    first, second = read(rows[0], rated(created_at=5, user_id=-(10**30), image_url="b.png")).ratings
    assert (first.rater, first.created) == ("5", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC))
    assert (second.rater, second.created) == ("", None)
    assert read(rated(), rows[1]).left_out == ("1 rating: user_id is no text ('True')",)
    assert read(rows[1] | {"user_id": "x"}).ratings[0].created is None


def test_a_file_that_was_sent_in_names_no_files(tmp_path: Path, read: Any) -> None:
    names = ["a.png", "../a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").as_uri(), "FILE:///a.png"]
    with pytest.raises(LimnerError, match="5 ratings: images are named by path, which a file that was sent in may not"):
        read(*(rated(image_url=name) for name in names), local=False)
    found = read(*(rated(image_url=name) for name in (names[0], *names[2:4], f"../{tmp_path.name}/a.png")))
    assert len(found.ratings) == 4 and {each.image.sha256 for each in found.ratings} == {
        hashlib.sha256(png(0)).hexdigest()
    }


def test_paths_are_relative_to_the_file_and_percent_encoded(tmp_path: Path, read: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "a b.png").write_bytes(png(3))
    assert len(read(rated(), rated(image_url=(tmp_path / "a b.png").as_uri())).ratings) == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"root:x:0:0", png()[:60], png().replace(b"IDAT", b"IDAX"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "cut", "damaged", "svg"],
)
def test_what_is_no_image_is_left_out(tmp_path: Path, data: bytes) -> None:
    rows = [pair(), pair(jpg_1=data)]
    found = read_feedback(as_parquet(tmp_path / "p.parquet", rows), tmp_path / "images")
    assert len(found.pairs) == 1 and len([*(tmp_path / "images").iterdir()]) == 2
    (line,) = found.left_out
    assert line.startswith(f"1 pair: {judged_images.DAMAGED} (")


def test_image_bombs_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")  # 110 KB that unpack to 900 million pixels
    rows = [pair(), pair(jpg_1=file.getvalue())]
    found = within(read_feedback, as_parquet(tmp_path / "p.parquet", rows), tmp_path / "images")
    assert len(found.pairs) == 1 and "too many pixels" in found.left_out[0]
    monkeypatch.setattr(judged_images, "MAX_BYTES", len(png(0)) - 1)
    with pytest.raises(LimnerError, match=r"2 pairs: an image is damaged, too large, or no image"):
        read_feedback(tmp_path / "p.parquet", tmp_path / "images")


def test_the_images_of_a_file_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged_images, "MAX_EMBEDDED", 3 * len(png(0)))
    rows = [pair(), pair(), pair(jpg_0=png(2), jpg_1=png(3))]
    found = read_feedback(as_parquet(tmp_path / "p.parquet", rows), tmp_path / "images")
    assert len(found.pairs) == 2 and found.left_out == ("1 pair: the images have more than 0 GiB together",)


def test_pipes_and_large_files_are_not_read(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(judged_images.MAX_BYTES + 1)
    found = within(read, rated(), *(rated(image_url=name) for name in ("pipe.png", "large.png", "/dev/zero", ".")))
    assert len(found.ratings) == 1
    assert found.left_out[0].startswith(f"4 ratings: {judged_images.NO_FILE} (")


def test_rows_are_bounded(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_files, "MAX_ROWS", 2)
    assert read(rated(), rated()).left_out == ()
    found = read(rated(), rated(), rated())
    assert len(found.ratings) == 2 and found.left_out == ("1 part: only the first 2 rows are read",)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("f.csv", b"stars\n5\n", "'f.csv' is no file of feedback; give a .jsonl or .parquet file"),
        ("f.jsonl", b"", "'f.jsonl' has no feedback that can be used: it is empty; use an export of feedback"),
        ("f.jsonl", b"\0" * 100, "'f.jsonl' has no feedback that can be used: 1 row: the line has NUL bytes"),
        ("f.jsonl", b"hello\n" * 3, "'f.jsonl' has no feedback that can be used: 3 rows: the line is no JSON object"),
        ("f.parquet", b"", "'f.parquet' is damaged or unfinished"),
        ("f.parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "'f.parquet' is damaged or unfinished"),
    ],
)
def test_what_is_no_feedback_is_an_error(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LimnerError) as caught:
        read_feedback(tmp_path / name, tmp_path / "images", local=True)
    assert str(caught.value).startswith(problem) and not (tmp_path / "images").exists()


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for name in ("gone.jsonl", "gone.parquet"):
        with pytest.raises(LimnerError, match=f"'{name}' does not exist"):
            read_feedback(tmp_path / name, tmp_path)
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(LimnerError, match="is a folder"):
        read_feedback(tmp_path / "d.jsonl", tmp_path)


def test_lists_of_parquet_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = as_parquet(tmp_path / "many.parquet", [pair(reasons=["blurred"] * 65)])
    with pytest.raises(LimnerError, match=r"the lists of the column 'reasons\.list\.element' are too long"):
        read_feedback(many, tmp_path / "images")
    few = as_parquet(tmp_path / "few.parquet", [pair(reasons=["blurred"] * 64)])
    assert read_feedback(few, tmp_path / "images").pairs[0].reasons == (Reason.BLURRED,)
    monkeypatch.setattr(tables, "LIST_PAGE", 4)
    with pytest.raises(LimnerError, match="the texts in its lists are too long"):
        read_feedback(few, tmp_path / "images")


def test_columns_of_other_types_are_no_crash(tmp_path: Path) -> None:
    rows = [pair(reasons=[[1]], adapters_0=[{"a": 1}], user_id=b"x", label_0=True, label_1=False)]
    with pytest.raises(LimnerError):
        read_feedback(as_parquet(tmp_path / "p.parquet", rows), tmp_path / "images")
    rows = [{"prompt": "a dog", "stars": 5.0, "image": [png()]}, {"prompt": "a dog", "stars": 5.0, "image": [png()]}]
    with pytest.raises(LimnerError):
        read_feedback(as_parquet(tmp_path / "q.parquet", rows), tmp_path / "images")
    whole = [{"prompt": "a dog", "stars": 5.0, "image": png(), "reasons": "blurred"}]
    assert read_feedback(as_parquet(tmp_path / "r.parquet", whole), tmp_path / "images").ratings[0].stars == 5
