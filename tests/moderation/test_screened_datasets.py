"""Sources of a prepared dataset are judged when they are read, and the judged bytes are used."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gathering import png, put, tarred
from limner.core.datasets import Entry, Fault, Skipped, TrainingRefused
from limner.core.execution import parse_body
from limner.core.moderation import CheckStage, CheckUse, Finding, Policy
from limner.core.moderation import RequestRefused as Forbidden
from limner.core.requests import TrainRequest
from limner.core.runs import Run, Status
from limner.data.entries.byte_sources import BytesInMemory
from limner.engine.prepare.entries import screened
from limner.moderation.enforcement import Screening
from limner.moderation.moderator import Moderator
from limner.studio.studio import Studio
from working import enqueue_and_execute

REFUSED = "an image of the request is refused: too red; ask for something else"


def redness(picture: Any) -> Finding:
    return Finding("too red" if picture.getpixel((0, 0))[0] > 200 else None)


@pytest.fixture
def studio(home: Path, pool_here: None, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio whose policy refuses bright red images, without a network."""
    judge_of = Moderator._judge_of  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(
        Moderator,
        "_judge_of",
        lambda self, stage, use: redness if stage is CheckStage.INPUT else judge_of(self, stage, use),
    )
    return Studio(policy=Policy(input=(CheckUse(check="redness"),)))


def prepared(studio: Studio, folder: Path, **fields: object) -> Run:
    plain = {"size": 32, "encoder": None, "workers": 1, "limit": ["small=0"], "ignore": ["flat", "near_duplicate"]}
    body = {"sources": [studio.files.save(folder)], **plain, **fields}
    return enqueue_and_execute(studio, *parse_body({"kind": "prepare", **body}))


def shards(folder: Path, shade: int, ending: str) -> None:
    tarred(put(folder / f"a{ending}"), {"0.png": png(1), "1.png": png(shade)}, "w:gz" if "gz" in ending else "w")


def table(folder: Path, shade: int) -> None:
    rows = [{"image": {"bytes": png(shade), "path": "0.png"}, "text": "a dog"}]
    pq.write_table(pa.Table.from_pylist(rows), put(folder / "a.parquet"))


def nested(folder: Path, shade: int) -> None:
    put(folder / "top.png", png(1))
    put(folder / "dogs/old/0.png", png(shade))


def masked(folder: Path, shade: int) -> None:
    put(folder / "0.png", png(1))
    picture, held = Image.new("RGB", (8, 8)), io.BytesIO()
    picture.paste((shade, 255, 255), (0, 0, 4, 8))
    picture.save(held, "PNG")
    put(folder / "masks/0.png", held.getvalue())


@pytest.mark.parametrize(
    "fill",
    [
        nested,
        table,
        masked,
        lambda folder, shade: shards(folder, shade, ".tar"),
        lambda folder, shade: shards(folder, shade, ".tar.gz"),
    ],
    ids=["nested", "parquet", "masks", "tar", "tar.gz"],
)
def test_images_of_every_kind_of_source_are_judged(studio: Studio, tmp_path: Path, fill: Any) -> None:
    fill(tmp_path / "bad", 250)
    run = prepared(studio, tmp_path / "bad")
    assert (run.status, run.error) == (Status.FAILED, REFUSED)
    assert studio.store.artifacts(run.id) == []
    assert not [file for file in studio.store.folder(run.id).rglob("*") if file.suffix in (".jpg", ".png", ".jsonl")]
    fill(tmp_path / "good", 9)
    run = prepared(studio, tmp_path / "good")
    assert run.error is None
    assert [artifact.kind for artifact in studio.store.artifacts(run.id)].count("dataset") == 1


@pytest.mark.parametrize("way", ["beside", "edited", "template", "table"])
def test_captions_of_sources_are_judged(studio: Studio, tmp_path: Path, way: str) -> None:
    put(tmp_path / "few/0.png", png(1))
    fields: dict[str, Any] = {}
    if way == "beside":
        put(tmp_path / "few/0.txt", "a dog with a sw4stika")
    elif way == "edited":
        fields["captions"] = studio.files.save(
            put(tmp_path / "c.csv", "picture,caption\n0.png,a dog with a sw4stika\n")
        )
    elif way == "table":
        fields["fields"] = studio.files.save(put(tmp_path / "c.csv", "picture,mood\n0.png,sw4stika\n"))
        fields["caption"] = "a dog[ with a {mood}]"
    else:
        put(tmp_path / "few/metadata.jsonl", json.dumps({"file_name": "0.png", "mood": "sw4stika"}))
        fields["caption"] = "a dog[ with a {mood}]"
    run = prepared(studio, tmp_path / "few", **fields)
    assert run.error == "a caption is refused: hate; ask for something else"
    assert studio.store.artifacts(run.id) == []


@dataclass
class Fickle:
    """A source whose bytes differ at each read, like those of a URL."""

    answers: list[bytes]
    statement: str | None = None
    name: str = "a.png"
    stamp: str = "the same"
    reads: list[bytes] = field(default_factory=list[bytes])

    def read(self) -> bytes:
        self.reads.append(data := self.answers.pop(0))
        if self.statement is not None:
            raise TrainingRefused(self.name, data, self.statement)
        return data


def passed(studio: Studio, place: Fickle) -> Entry:
    screening = Screening(studio.gate.moderator, lambda judged: None, studio.home)
    ((number, item, stamp),) = screened([(3, Entry("a.png", place), "s")], screening)
    assert isinstance(item, Entry) and (number, stamp) == (3, "s")
    return item


def test_the_judged_bytes_are_used(studio: Studio) -> None:
    item = passed(studio, Fickle([png(1), png(250)]))
    assert item.data == BytesInMemory("a.png", png(1)) and item.rights.training is None
    with pytest.raises(Forbidden, match="too red"):
        passed(studio, Fickle([png(250), png(1)]))


def test_an_image_that_cannot_be_judged_is_not_read_again(studio: Studio) -> None:
    place = Fickle([b"no picture", png(250)])
    item = passed(studio, place)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.png"):
            item.data.read()
    assert place.reads == [b"no picture"]


def test_opt_outs_from_training_are_respected(studio: Studio) -> None:
    item = passed(studio, Fickle([png(1)], statement="X-Robots-Tag: noai"))
    assert (item.rights.training, item.rights.statement) == ("refused", "X-Robots-Tag: noai")
    assert item.data.read() == png(1)


def test_without_image_checks_nothing_is_read_twice(home: Path) -> None:
    screening = Screening(Moderator(Policy()), lambda judged: None, home)
    place, lost = Fickle([]), Skipped("b.png", Fault("stray", "no file"))
    jobs = [(0, Entry("a.png", place), "s"), (1, lost, "")]
    assert list(screened(jobs, screening)) == jobs == list(screened(jobs, None))


def test_validation_images_of_a_dataset_are_judged(studio: Studio, tmp_path: Path) -> None:
    for part, shade in (("train", 1), ("validation", 250)):
        put(tmp_path / "data" / part / "0.png", png(shade))
        put(tmp_path / "data" / part / "metadata.jsonl", '{"file_name": "0.png"}')
    screening = Screening(studio.gate.moderator, lambda judged: None, studio.home)
    with pytest.raises(Forbidden, match="too red"):
        screening.admit(TrainRequest(data=str(tmp_path / "data"), class_word="dog"))
