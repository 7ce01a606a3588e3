"""Where the captions and fields of a dataset's images come from, and which of several holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Rights
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Progress
from limner.core.execution import Execution
from limner.core.requests import PrepareRequest
from limner.core.workspace import Workspace
from limner.data.keys import key_hash
from limner.engine.prepare import captions
from limner.engine.prepare.captions import CaptionerOutput, caption_image, caption_images, run_captioner
from limner.engine.prepare.staging import Record


def request_of(**fields: Any) -> PrepareRequest:
    return PrepareRequest.model_validate({"sources": ["photos"]} | fields)


def captioned(
    record: dict[str, Any], generated: dict[str, str] | None = None, edited: str | None = None, **fields: Any
) -> tuple[str, str]:
    """The caption of an image and its origin."""
    found = caption_image(Record.model_validate({"key": "x"} | record), generated or {}, edited, request_of(**fields))
    return found.caption, found.origin


SAID = {"": "a dog runs", "pose": "running"}


@pytest.mark.parametrize(
    ("record", "generated", "fields", "caption"),
    [
        ({"caption": "mine"}, SAID, {}, ("mine", "written")),
        ({"caption": "mine"}, SAID, {"written": False}, ("a dog runs", "captioner")),
        ({}, SAID, {}, ("a dog runs", "captioner")),
        ({}, {}, {"class_word": "dog", "identifier": "sks"}, ("a photo of sks dog", "template")),
        ({}, {}, {}, ("", "none")),
        ({"folder": "all/grey_dogs"}, {}, {}, ("a photo of a grey dogs", "template")),
        ({"caption": "mine"}, {}, {"caption": "see {caption}!"}, ("see mine!", "template")),
        ({"caption": "mine"}, {}, {"caption": "a {class}", "class_word": "dog"}, ("mine", "written")),
        ({"caption": "mine"}, SAID, {"caption": "see {caption}!", "written": False}, ("see a dog runs!", "template")),
        ({}, SAID, {"caption": "a {pose} dog"}, ("a running dog", "template")),
        ({"fields": {"pose": "sitting"}}, SAID, {"caption": "a {pose} dog"}, ("a sitting dog", "template")),
        ({}, SAID, {"caption": "a {place}"}, ("a dog runs", "captioner")),
        ({"fields": {"class": "cat"}}, {}, {"class_word": "dog"}, ("a photo of a cat", "template")),
        ({"fields": {"identifier": "zwx"}}, {}, {"class_word": "dog", "identifier": "sks"},
         ("a photo of zwx dog", "template")),
        ({"caption": "a big dog"}, {}, {"ban": ["big"]}, ("a dog", "written")),
    ],
)  # fmt: skip
def test_a_caption_is_the_written_one_the_template_the_captioners_or_the_default(
    record: dict[str, Any], generated: dict[str, str], fields: dict[str, Any], caption: tuple[str, str]
) -> None:
    assert captioned(record, generated, **fields) == caption


def test_an_edit_replaces_the_caption_even_by_nothing() -> None:
    assert captioned({"caption": "mine"}, edited="yours", ban=["yours"]) == ("yours", "edited")
    assert captioned({"caption": "mine"}, edited="") == ("", "edited")
    assert captioned({"caption": "mine"}, edited="mine") == ("mine", "written"), "nothing was edited"


def test_the_folder_is_a_field_unless_the_image_has_one_of_that_name() -> None:
    found = caption_image(Record(key="x", folder="dogs", fields={"pose": "sitting"}), SAID, None, request_of())
    assert found.fields == {"folder": "dogs", "pose": "sitting"}
    own = caption_image(Record(key="x", folder="dogs", fields={"folder": "mine"}), {}, None, request_of())
    assert own.fields == {"folder": "mine"}


class Staged:
    """Records at places, of which only some remain."""

    def __init__(self, folder: Path, *records: Record) -> None:
        self.records = records
        self.staging = SimpleNamespace(folder=folder, pictures=folder, digest=lambda: "journal")

    def record(self, place: int) -> Record:
        return self.records[place]


def table_of(folder: Path, *records: Record, edits: Any = None, generated: Any = None, **fields: Any) -> Any:
    staged: Any = Staged(folder, Record(key="left out", folder="cats"), *records)
    places = np.arange(1, len(records) + 1)
    return caption_images(staged, places, generated, edits or {}, request_of(**fields))


def test_a_table_counts_captions_fields_and_rights(tmp_path: Path) -> None:
    records = (
        Record(key="a.png", caption="one", rights=Rights(licence="MIT"), repeats=2, mask="a.mask.png"),
        Record(key="b.png", caption="two", fields={"pose": "sitting"}),
        Record(key="c.png", caption="one", rights=Rights(author="Ada")),
        Record(key="d.png"),
    )
    found = table_of(tmp_path, *records, edits={"c.png": "new"})
    assert [row.caption for row in found.rows()] == ["one", "two", "new", ""]
    assert found.captions == {"one": 1, captions.OTHER: 2, None: 1}
    assert (found.unlicensed, found.masked, found.names) == (3, True, ("pose",))
    assert found.origins == {"written": 2, "edited": 1, "none": 1}
    assert found.repeats.tolist() == [2, 1, 1, 1]
    assert found.keys.tolist() == [key_hash(record.key) for record in records]
    assert not table_of(tmp_path, *records[1:]).masked


@pytest.mark.parametrize(
    ("records", "fields", "by", "groups"),
    [
        ([{"folder": "a"}, {"folder": "b"}, {"folder": "a"}], {}, ("folder",), [0, 1, 0]),
        ([{"folder": "a"}, {"folder": "a"}], {}, (), [0, 0]),
        ([{"folder": "a", "fields": {"class": "dog"}}, {"folder": "b", "fields": {"class": "cat"}}], {}, ("class",),
         [1, 0]),
        ([{"folder": "a", "fields": {"class": "dog"}}, {"folder": "b", "fields": {"class": "dog"}}], {}, ("folder",),
         [0, 1]),
        ([{"folder": "a", "fields": {"pose": "x"}}, {"folder": "b", "fields": {"pose": "x"}}], {"by": ["pose"]},
         ("pose",), [0, 0]),
    ],
)  # fmt: skip
def test_images_are_balanced_by_class_or_folder_where_there_are_several(
    tmp_path: Path, records: list[dict[str, Any]], fields: dict[str, Any], by: tuple[str, ...], groups: list[int]
) -> None:
    found = table_of(
        tmp_path, *(Record.model_validate({"key": f"{n}"} | each) for n, each in enumerate(records)), **fields
    )
    assert (found.by, found.groups.tolist()) == (by, groups)


def test_a_field_that_no_image_has_cannot_be_balanced(tmp_path: Path) -> None:
    with pytest.raises(LimnerError, match="no image has the field 'pose'; balance by one of: folder"):
        table_of(tmp_path, Record(key="x", folder="dogs"), by=["pose"])


# Captioners


class Speaker:
    """Says the colour of each image and its subject; remembers how many images it was given together."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str | None]] = []

    def captions(self, images: Any, words: str | None) -> list[str]:
        self.asked.append((len(images), words))
        return [f"{words}, {image.getpixel((0, 0))[0]}" for image in images]

    def fields(self, images: Any) -> list[dict[str, str]]:
        return [{"red": str(image.getpixel((0, 0))[0])} for image in images]


def staged_images(folder: Path, count: int, **fields: dict[str, str]) -> Any:
    """The first image was left out; the others are as red as their number."""
    records = []
    for number in range(count):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{number}.png")
        records.append(Record(key=f"{number}", picture=f"{number}.png", fields=fields.get(f"of_{number}", {})))
    return Staged(folder, *records)


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run a captioner over images; returns its lines, what it was asked, its file and the progress."""

    def run(staged: Any, remaining: list[int], stop: Any = lambda: False, **fields: Any) -> Any:
        speaker, events, opened = Speaker(), [], []
        monkeypatch.setattr(captions, "open_captioner", lambda *given: opened.append(given) or speaker)
        workspace = Workspace(
            "test", tmp_path, tmp_path, tmp_path, stop=stop, execution=Execution.model_validate({"device": "cpu"})
        )
        request = request_of(**{"captioner": "starter"} | fields)
        output = run_captioner(request, staged, np.array(remaining), workspace, events.append)
        assert output is not None and opened == [(request.captioner, "cpu")]
        done = [event.done for event in events if isinstance(event, Progress)]
        return list(output.lines()), speaker.asked, output.place, done

    return run


def test_a_captioner_sees_the_remaining_images_with_their_own_subjects(say: Any, tmp_path: Path) -> None:
    staged = staged_images(tmp_path, 5, of_3={"class": "cat"}, of_4={"identifier": "zwx"})
    lines, asked, _, done = say(staged, [1, 2, 3, 4], identifier="sks", class_word="dog")
    assert lines == [
        {"": "sks dog, 1", "red": "1"},
        {"": "sks dog, 2", "red": "2"},
        {"": "sks cat, 3", "red": "3"},
        {"": "zwx dog, 4", "red": "4"},
    ]
    assert asked == [(2, "sks dog"), (1, "sks cat"), (1, "zwx dog")] and done == [4]
    assert say(staged, [0])[0] == [{"": "None, 0", "red": "0"}]


def test_a_captioner_goes_on_after_its_last_complete_line(say: Any, tmp_path: Path) -> None:
    staged = staged_images(tmp_path, 20)
    every, _, place, done = say(staged, list(range(20)))
    assert [int(line["red"]) for line in every] == list(range(20)) and done == [16, 20]
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:3]) + lines[3][:-5])
    again, asked, _, done = say(staged, list(range(20)))
    assert again == every and asked == [(16, None), (1, None)] and done == [19, 20], "three lines were complete"
    place.unlink()
    with pytest.raises(Interrupted):
        say(staged, list(range(20)), stop=lambda: True)
    assert len(place.read_text().splitlines()) == 16


@pytest.mark.parametrize("change", [{"class_word": "cat"}, {"identifier": "zwx"}, {"captioner": "other"}])
def test_captions_are_reused_for_the_same_images_and_words_only(
    say: Any, tmp_path: Path, change: dict[str, str]
) -> None:
    staged, words = staged_images(tmp_path, 3), {"identifier": "sks", "class_word": "dog"}
    first = say(staged, [0, 1], **words)[2]
    assert say(staged, [0, 1], **words)[1:3] == ([], first)
    assert say(staged, [0, 1], **words | change)[2] != first and say(staged, [0, 2], **words)[2] != first
    staged.staging.digest = lambda: "another journal"
    assert say(staged, [0, 1], **words)[2] != first


def test_captions_of_a_captioner_go_to_their_images(say: Any, tmp_path: Path) -> None:
    _, _, place, _ = say(staged_images(tmp_path, 3), [0, 1])
    records = [Record(key="a", caption="mine"), Record(key="b")]
    found = table_of(tmp_path, *records, generated=CaptionerOutput(place))
    assert [row.caption for row in found.rows()] == ["mine", "None, 1"]
    assert [row.fields for row in found.rows()] == [{"red": "0"}, {"red": "1"}]


def test_a_captioner_is_a_plugin_or_the_model_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def plugin(name: str) -> Any:
        return SimpleNamespace(speaker=lambda *given: opened.append((name, *given)))

    monkeypatch.setattr(captions, "captioners", SimpleNamespace(names=lambda: ["starter", "model"], get=plugin))
    captions.open_captioner("starter", "cpu")
    captions.open_captioner("some/model", "cpu")
    assert opened == [("starter", None, "cpu"), ("model", "some/model", "cpu")]
