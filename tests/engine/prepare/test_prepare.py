"""Preparing datasets: the problems that are found, the files that are written, and that they are always the same."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import planted
from limner import LimnerError, Studio
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated, Notice
from limner.core.execution import Execution, parse_body
from limner.core.requests import PrepareRequest
from limner.engine.prepare.staging import Staging
from limner.store.files import sha256_of

CLEAN = 10
PHOTOGRAPHS = Path(__file__).parents[3] / "../shared/data/dreambench"


@pytest.fixture
def prepare(home, pool_here):
    """Prepare in this process, without an encoder unless one is given; returns the folder."""

    def run(*sources, out, studio=None, stop=lambda: False, listener=lambda event: None, **fields):
        fields = {"workers": 1, "encoder": None, **fields}
        request, execution = parse_body({"kind": "prepare", "sources": tuple(map(str, sources)), **fields})
        (studio or Studio()).run(request, out, stop=stop, listener=listener, execution=execution)
        return out

    return run


def outcomes(folder):
    """The outcome of each entry by name, with the faults of all entries of that name."""
    found: dict[str, dict] = {}
    for line in map(json.loads, (folder / "pictures.jsonl").read_text(encoding="utf-8").splitlines()):
        other = found.get(line["original"], {"faults": []})
        found[line["original"]] = {**other, **line, "faults": [*other["faults"], *line["faults"]]}
    return found


def rows(folder, split="train"):
    return [json.loads(line) for line in (folder / split / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def pile(made_once):
    """A folder with every problem that an image can have, and what to expect of each file."""

    def fill(folder):
        expected = planted.plant(folder / "pile", CLEAN)
        (folder / "expected").write_bytes(pickle.dumps(expected))

    place = made_once("prepare/planted", fill)
    return place / "pile", pickle.loads((place / "expected").read_bytes())


@pytest.fixture(scope="session")
def sorted_out(pile, ran_once):
    """The dataset prepared from that folder, once."""
    request = PrepareRequest(sources=(str(pile[0]),), class_word="dog", size=512, encoder=None)
    return ran_once("prepare/sorted", request)


def test_at_least_thirty_problems_are_planted(pile):
    assert len(pile[1]) >= 30


def test_every_planted_problem_is_found_and_reported(pile, sorted_out):
    found, wrong = outcomes(sorted_out), []
    for name, expected in pile[1].items():
        line = found.get(name)
        kinds = [] if line is None else [fault["fault"] for fault in line["faults"]]
        notes = [] if line is None else line["mended"]
        if expected.kinds and not set(kinds) & set(expected.kinds):
            wrong.append((name, expected, kinds, notes))
        if expected.note and not any(expected.note in note for note in notes):
            wrong.append((name, expected, kinds, notes))
        if line is not None and (line["file"] is None) != expected.dropped:
            wrong.append((name, expected, line["outcome"], kinds))
    assert wrong == [], "\n".join(map(str, wrong))


def test_clean_images_have_no_faults(sorted_out):
    found = outcomes(sorted_out)
    wrong = {name: line["faults"] for name, line in found.items() if name.startswith("clean-") and line["faults"]}
    assert wrong == {}


def test_repairs_are_reported_and_locations_removed(sorted_out):
    report = json.loads((sorted_out / "report.json").read_text(encoding="utf-8"))
    assert report["locations_stripped"] == 1
    assert any("turned" in note for note in report["mended"])
    for picture in (sorted_out / "train").glob("*.jpg"):
        with Image.open(picture) as image:
            assert image.size == (512, 512) and image.mode == "RGB"
            assert not image.getexif() and not {"exif", "xmp", "icc_profile"} & image.info.keys()


def test_authors_in_files_are_in_the_dataset(sorted_out):
    assert {row["original"]: row["author"] for row in rows(sorted_out)}["located.jpg"] == "Ada Lens"


def test_a_rotated_image_is_upright(sorted_out, pile):
    row = next(row for row in rows(sorted_out) if row["original"] == "turned.jpg")
    with Image.open(pile[0] / "turned.jpg") as original, Image.open(sorted_out / "train" / row["file_name"]) as made:
        upright = original.transpose(Image.Transpose.ROTATE_270).resize(made.size)
        assert np.abs(np.asarray(upright, dtype=int) - np.asarray(made, dtype=int)).mean() < 6


def test_the_datasets_library_loads_it(sorted_out, tmp_path):
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("imagefolder", data_dir=str(sorted_out), cache_dir=str(tmp_path))
    assert len(loaded["train"]) == len(rows(sorted_out))
    first = loaded["train"][0]
    assert first["image"].size == (512, 512) and first["text"] == "a photo of a dog"


def test_the_best_copy_is_kept(prepare, tmp_path):
    def saved(name: str, image: Image.Image, **settings: object) -> None:
        (tmp_path / "pile").mkdir(exist_ok=True)
        image.save(tmp_path / "pile" / name, **settings)

    first, second, third, fourth = (planted.picture(60 + number, 300) for number in range(4))
    saved("1-a.jpg", first, quality=30)
    saved("1-b.png", first)
    saved("2-a.png", second.convert("L"))
    saved("2-b.jpg", second, quality=80)
    saved("3-a.png", third)
    saved("3-b.png", third)
    (tmp_path / "pile" / "3-b.txt").write_text("a dog that someone wrote of")
    saved("4-a.jpg", fourth, quality=90)
    with Image.open(tmp_path / "pile" / "4-a.jpg") as same:
        saved("4-b.png", same.convert("RGB"))
    out = prepare(tmp_path / "pile", out=tmp_path / "out", size=128)
    assert sorted(row["original"] for row in rows(out)) == ["1-b.png", "2-b.jpg", "3-b.png", "4-a.jpg"]


def test_an_unusable_caption_is_a_fault_of_its_image(sorted_out):
    line = outcomes(sorted_out)["captioned.jpg"]
    assert line["outcome"] == "flagged" and [fault["fault"] for fault in line["faults"]] == ["caption"]


def test_faults_are_counted_for_kept_images_and_where_they_drop_one(sorted_out):
    report = json.loads((sorted_out / "report.json").read_text(encoding="utf-8"))
    actions = {each["fault"]: each["action"] for each in report["faults"]}
    counts = {each["fault"]: each["count"] for each in report["faults"] if each["action"] in ("flag", "cut")}
    lines = [line for line in outcomes(sorted_out).values() if line["outcome"] in ("flagged", "kept")]
    assert counts and counts == Counter(fault["fault"] for line in lines for fault in line["faults"])
    assert actions["border"] == "cut" and counts["border"] == 1 and "bars cut away from 1" in report["verdict"]


@pytest.fixture(scope="session")
def six(made_once):
    """Six images with captions in two folders."""

    def fill(place):
        for number in range(6):
            folder = place / ("cats" if number % 3 else "dogs")
            folder.mkdir(exist_ok=True)
            planted.picture(40 + number, 300).save(folder / f"{number}.png")
            (folder / f"{number}.txt").write_text(f"number {number} is a dog")

    return made_once("prepare/six", fill)


@pytest.fixture
def few(six, tmp_path):
    """A copy of the six images that tests may change."""
    return Path(shutil.copytree(six, tmp_path / "few"))


def test_preparing_twice_writes_the_same_bytes(prepare, few, tmp_path):
    plain = {"size": 128, "split": "50/25/25", "kohya": True, "make_masks": True}
    one = prepare(few, out=tmp_path / "a" / "set", **plain)
    two = prepare(few, out=tmp_path / "b" / "set", workers=2, **plain)
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert names == {path.relative_to(two) for path in two.rglob("*") if path.is_file()} and len(names) > 20
    different = [str(name) for name in names if (one / name).read_bytes() != (two / name).read_bytes()]
    assert set(different) <= {"report.json", "report.html"}  # which report how many workers there were


@pytest.mark.slow
def test_a_local_ray_writes_the_same(prepare, few, tmp_path):
    pytest.importorskip("ray")
    one = prepare(few, out=tmp_path / "a" / "set", size=128)
    two = prepare(few, out=tmp_path / "b" / "set", size=128, executor="ray", workers=2)
    assert sha256_of(one / "train") == sha256_of(two / "train")
    assert (one / "pictures.jsonl").read_bytes() == (two / "pictures.jsonl").read_bytes()


def test_originals_are_unchanged_and_no_temporary_files_remain(prepare, few, tmp_path):
    before = sha256_of(few)
    prepare(few, out=tmp_path / "set", size=128)
    assert sha256_of(few) == before
    assert not list(tmp_path.glob(".limner*"))


def test_interrupted_work_continues_with_the_same_result(prepare, few, tmp_path):
    whole = prepare(few, out=tmp_path / "whole" / "set", size=128)
    calls = []

    def soon():
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(Interrupted):
        prepare(few, out=tmp_path / "cut" / "set", size=128, stop=soon)
    (staging,) = (tmp_path / "cut").glob(".limner-prepare-*")
    lines = (staging / "work" / "journal.jsonl").read_text().splitlines()
    assert 3 <= len(lines) < 6
    with (staging / "work" / "journal.jsonl").open("a") as journal:
        journal.write('{"key": "torn')
    again = prepare(few, out=tmp_path / "cut" / "set", size=128)
    assert sha256_of(again) == sha256_of(whole)


def test_images_are_not_read_twice(prepare, few, tmp_path):
    stops = iter([False, False, False, True])
    with pytest.raises(Interrupted):
        prepare(few, out=tmp_path / "set", size=128, stop=lambda: next(stops, True))
    (staging,) = tmp_path.glob(".limner-prepare-*")
    first = json.loads((staging / "work" / "journal.jsonl").read_text().splitlines()[0])
    before = (staging / "work" / "pictures" / first["picture"]).stat().st_ino
    out = prepare(few, out=tmp_path / "set", size=128)
    assert before in {path.stat().st_ino for path in (out / "train").iterdir()}


def test_captions_come_from_files_templates_and_edits(prepare, few, tmp_path):
    one = prepare(few, out=tmp_path / "one", size=128, ban=("dog",), trigger=("ohwx",))
    assert rows(one)[0]["text"].startswith("ohwx") and not any("dog" in row["text"] for row in rows(one))
    two = prepare(
        few, out=tmp_path / "two", size=128, class_word="cat", caption="a {folder} photo of {a class}", written=False
    )
    assert {row["text"] for row in rows(two)} == {"a cats photo of a cat", "a dogs photo of a cat"}
    around = prepare(few, out=tmp_path / "around", size=128, caption="{caption}, in {folder}")
    assert rows(around)[0]["text"] == "number 1 is a dog, in cats"
    with (two / "captions.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    table[0]["caption"] = "my own words"
    with (tmp_path / "edited.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    three = prepare(few, out=tmp_path / "three", size=128, captions=str(tmp_path / "edited.csv"))
    assert next(row["text"] for row in rows(three) if row["original"] == table[0]["picture"]) == "my own words"


MISSPELT = [
    (
        "a photo of {a bred}",
        r"unknown field of the caption template 'bred'; did you mean 'breed'\? choose one of: ",
    ),
    ("a photo[ of {a class}[, {bred}]]", "'bred'; did you mean 'breed'"),
    ("a {Light} photo", "'Light'; did you mean 'light'"),
    ("{identifer} {class}", "'identifer'; did you mean 'identifier'"),
    ("a {class_word}", "'class_word'; did you mean 'class'"),
    (
        "{identifer} {class}[ in {backgroud}][ at {qqq}]",
        "unknown fields of the caption template 'backgroud', 'identifer', 'qqq'; "
        r"did you mean 'background' for 'backgroud', 'identifier' for 'identifer'\? choose one of: ",
    ),
    (
        "a photo of {qqq}",
        "'qqq'; choose one of: background, breed, caption, class, extras, folder, identifier, light",
    ),
]
"""Templates with fields that there are not, and what is said of them."""


def test_a_misspelt_field_of_the_template_is_an_error(prepare, few, tmp_path):
    (tmp_path / "fields.csv").write_text("name,light\ncats,dim\n")
    for template, message in MISSPELT:
        with pytest.raises(LimnerError, match=message):
            prepare(few, out=tmp_path / "set", size=64, caption=template, fields=str(tmp_path / "fields.csv"))
        assert not (tmp_path / "set").exists() and list(tmp_path.glob(".limner-prepare-*")), "the images are kept"


def test_fields_that_no_image_has_are_named(prepare, few, tmp_path):
    events = []
    template = "a photo of {a folder}[ with {extras}][, {breed}]"
    out = prepare(few, out=tmp_path / "set", size=64, caption=template, written=False, listener=events.append)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "no image has the fields breed, extras of the caption template; there are: folder"
    ]
    assert {row["text"] for row in rows(out)} == {"a photo of a cats", "a photo of a dogs"}


def test_values_outside_the_catalogue_are_noticed_and_used(prepare, few, tmp_path):
    rows_of = ["name,breed,extras,mood", "cats,calicoo,a red scarf,odd", "dogs,Husky dog,a crwon,"]
    (tmp_path / "fields.csv").write_text("\n".join(rows_of) + "\n")
    template, events = "a photo of {a breed}[ with {extras}]", []
    flags = {"size": 64, "caption": template, "written": False, "fields": str(tmp_path / "fields.csv")}
    out = prepare(few, out=tmp_path / "set", listener=events.append, **flags)
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "the catalogue of fields does not list: breed 'calicoo' (did you mean 'calico'?), "
        "extras 'a crwon' (did you mean 'crown'?)"
    ]
    expected = {"a photo of a calicoo with a red scarf", "a photo of a Husky dog with a crwon"}
    assert {row["text"] for row in rows(out)} == expected


def test_a_shops_catalogue_replaces_the_fields_and_values(prepare, few, tmp_path):
    (tmp_path / "fields.csv").write_text("name,breed\ncats,calico\ndogs,akita\n")
    (tmp_path / "shop.yaml").write_text("fields: {breed: [akita], mood: [calm, wild]}")
    events = []
    flags = {"size": 64, "fields": str(tmp_path / "fields.csv"), "catalogue": str(tmp_path / "shop.yaml")}
    prepare(few, out=tmp_path / "set", caption="{a breed}[, {mood}]", listener=events.append, **flags)
    assert [event.text for event in events if isinstance(event, Notice)][-1:] == [
        "the catalogue of fields does not list: breed 'calico'"
    ]
    with pytest.raises(LimnerError, match="'moood'; did you mean 'mood'"):
        prepare(few, out=tmp_path / "other", caption="{a breed}[, {moood}]", **flags)
    with pytest.raises(LimnerError, match="unknown field of the caption template 'extras'"):
        prepare(few, out=tmp_path / "third", caption="{a breed}[, {extras}]", **flags)


def test_a_field_that_only_images_left_out_have_is_not_misspelt(prepare, few, tmp_path):
    (few.parent / "fields.csv").write_text("name,light\nbad,dim\n")
    (few / "bad.png").write_bytes(b"no image")
    fields = str(few.parent / "fields.csv")
    out = prepare(few, out=tmp_path / "set", size=64, caption="{a folder}[ in {light}]", written=False, fields=fields)
    assert {row["text"] for row in rows(out)} == {"a cats", "a dogs"}


def test_a_dataset_can_be_prepared_again(prepare, few, tmp_path):
    one = prepare(few, out=tmp_path / "one", size=128)
    two = prepare(one / "train", out=tmp_path / "two", size=64)
    assert [row["text"] for row in rows(two)] == [row["text"] for row in rows(one)]


def test_balance_by_weights_and_by_sampling(prepare, few, tmp_path):
    weighted = prepare(few, out=tmp_path / "one", size=128, by=("folder",), balance="weights")
    totals: dict[str, float] = {}
    for row in rows(weighted):
        totals[row["folder"]] = totals.get(row["folder"], 0) + row["weight"]
    assert len(totals) == 2 and totals["cats"] == pytest.approx(totals["dogs"])
    sampled = prepare(few, out=tmp_path / "two", size=128, by=("folder",), balance="sample")
    counts = [row["folder"] for row in rows(sampled)]
    assert counts.count("cats") == counts.count("dogs") == 2
    assert sum(line["outcome"] == "evened out" for line in outcomes(sampled).values()) == 2


def test_splits_have_exact_sizes(prepare, few, tmp_path):
    out = prepare(few, out=tmp_path / "set", size=128, split="4/1/1")
    assert [len(rows(out, split)) for split in ("train", "validation", "test")] == [4, 1, 1]
    originals = [row["original"] for split in ("train", "validation", "test") for row in rows(out, split)]
    assert len(set(originals)) == 6


def test_buckets_keep_aspect_ratios(prepare, tmp_path):
    (tmp_path / "wide").mkdir()
    planted.picture(3).crop((0, 100, 640, 500)).save(tmp_path / "wide" / "1.png")
    planted.picture(4).save(tmp_path / "wide" / "2.png")
    out = prepare(tmp_path / "wide", out=tmp_path / "set", size=256, buckets=True)
    sizes = [(row["width"], row["height"]) for row in rows(out)]
    assert sizes[0][0] > sizes[0][1] and sizes[1] == (256, 256)
    assert all(side % 64 == 0 for size in sizes for side in size)


def test_masks_are_made_and_training_reads_them(prepare, few, tmp_path):
    from limner.data.sets.folder import scan

    out = prepare(few, out=tmp_path / "set", size=128, make_masks=True)
    found = scan(out).images
    assert len(found) == len(rows(out)) and any(photograph.mask for photograph in found)
    assert [photograph.caption for photograph in found] == [row["text"] for row in rows(out)]


def test_no_usable_image_is_a_one_line_error(prepare, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.jpg").write_text("no picture")
    with pytest.raises(LimnerError, match=r"no image is left: '1\.jpg' holds text"):
        prepare(tmp_path / "bad", out=tmp_path / "set")
    assert not list(tmp_path.glob(".limner-*"))


def test_a_foreign_folder_is_not_overwritten(prepare, few, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(LimnerError, match="exists already"):
        prepare(few, out=tmp_path / "set", size=128)
    assert (tmp_path / "set" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "more", [{}, {"ban": ("dog",)}, {"captions": "set/captions.csv"}], ids=["same", "other", "own"]
)
def test_a_dataset_and_its_edits_are_never_overwritten(prepare, few, tmp_path, monkeypatch, more):
    monkeypatch.chdir(tmp_path)
    out = prepare(few, out=tmp_path / "set", size=64)
    table = (out / "captions.csv").read_text(encoding="utf-8-sig")
    (out / "captions.csv").write_text(table.replace("number 1 is a dog", "my own words"), encoding="utf-8")
    before = sha256_of(out)
    hint = "$" if "captions" in more else r"; to use its edited captions, add --captions .*/set/captions\.csv$"
    with pytest.raises(LimnerError, match=r"exists already; choose another --out, or move it away" + hint):
        prepare(few, out=out, size=64, **more)
    assert sha256_of(out) == before and not list(tmp_path.glob(".limner-*"))
    edited = prepare(few, out=tmp_path / "second", size=64, captions="set/captions.csv")
    assert rows(edited)[0]["text"] == "my own words"


def test_a_dataset_that_was_complete_when_the_program_stopped_is_left_as_it_is(prepare, few, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Staging, "remove", lambda self: (_ for _ in ()).throw(Interrupted("killed")))
        with pytest.raises(Interrupted):
            prepare(few, out=tmp_path / "set", size=64)
    (tmp_path / "set" / "captions.csv").write_text("mine")
    with pytest.raises(LimnerError, match="exists already"):
        prepare(few, out=tmp_path / "set", size=64, ban=("dog",))
    out = prepare(few, out=tmp_path / "set", size=64)
    assert (out / "captions.csv").read_text() == "mine" and not list(tmp_path.glob(".limner-*"))


def test_an_image_that_refuses_training_is_used_with_a_reason(prepare, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        xmp = planted.NO_TRAINING.encode() if number else b""
        (tmp_path / "in" / f"{number}.jpg").write_bytes(planted.bytes_of(planted.picture(number), xmp=xmp))
    strict = prepare(tmp_path / "in", out=tmp_path / "strict", size=128)
    assert [row["original"] for row in rows(strict)] == ["0.jpg"]
    taken = prepare(tmp_path / "in", out=tmp_path / "taken", size=128, despite="they are my own")
    assert [row["training_override"] for row in rows(taken)] == ["", "they are my own"]
    assert "| overrides | they are my own (1) |" in (taken / "README.md").read_text(), "of two, one refuses"


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs in ../shared/data/dreambench are not here")
def test_real_photographs_are_all_kept(prepare, tmp_path):
    out = prepare(PHOTOGRAPHS / "dog", out=tmp_path / "dog", class_word="dog", identifier="sks")
    assert [row["text"] for row in rows(out)] == ["a photo of sks dog"] * 5
    assert all(line["outcome"] == "kept" for line in outcomes(out).values())


def test_events_name_the_results(few, home, tmp_path):
    events = []
    request = PrepareRequest(sources=(str(few),), size=128, encoder=None)
    Studio().run(request, tmp_path / "set", listener=events.append, execution=Execution(workers=1))
    made = {event.what: event for event in events if isinstance(event, ArtifactCreated)}
    assert made["dataset"].sha256 == sha256_of(tmp_path / "set") and made["report"].path.endswith("report.html")


def test_the_datasets_library_loads_splits_with_unknown_values(prepare, few, tmp_path):
    import datasets

    (tmp_path / "fields.csv").write_text("name,breed,author,image\n1,corgi,Ada,mine\n")
    (few / "cats" / "masks").mkdir()
    Image.new("L", (300, 300), 255).save(few / "cats" / "masks" / "1.png")
    with Image.open(few / "cats" / "masks" / "1.png") as mask:
        mask.paste(0, (0, 0, 100, 300))
        mask.save(few / "cats" / "masks" / "1.png")
    out = prepare(few, out=tmp_path / "set", size=128, split="50/50", fields=str(tmp_path / "fields.csv"), kohya=True)
    datasets.disable_progress_bars()
    for how in ({"path": "imagefolder", "data_dir": str(out)}, {"path": str(out)}):
        loaded = datasets.load_dataset(**how, cache_dir=str(tmp_path / "cache"))
        assert [len(loaded[split]) for split in ("train", "validation")] == [3, 3]
        found = [row for split in loaded.values() for row in split]
        assert sorted(row["breed"] for row in found) == ["", "", "", "", "", "corgi"]
        assert {row["image"].size for row in found} == {row["mask"].size for row in found} == {(128, 128)}


def test_two_programs_cannot_prepare_the_same_folder(prepare, few, tmp_path):
    from limner.engine.prepare.staging import Staging
    from limner.store.locks import Locked, output_lock

    staging = Staging(tmp_path / "set")
    with output_lock(tmp_path / "set"), staging.opened():
        staging.begin("mine")
        (staging.pictures / "00000000.jpg").write_bytes(b"mine")
        with pytest.raises(Locked, match="being filled by another program"):
            prepare(few, out=tmp_path / "set", size=128)
        assert (staging.pictures / "00000000.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "change", ["gone", *(pytest.param(name, marks=pytest.mark.slow) for name in ("caption", "fields"))]
)
def test_sources_that_changed_are_read_again(prepare, few, tmp_path, monkeypatch, change):
    from limner.engine.prepare import prepare as preparing

    (tmp_path / "fields.csv").write_text("name,breed\n1,corgi\n")
    flags = {"size": 128, "encoder": "starter", "fields": str(tmp_path / "fields.csv")}

    def stopped(*arguments):
        raise Interrupted("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(preparing, "compare_images", stopped)  # after pictures were looked at
        with pytest.raises(Interrupted):
            prepare(few, out=tmp_path / "set", **flags)
    if change == "gone":
        (few / "cats" / "1.png").unlink()
        (few / "cats" / "1.txt").unlink()
    elif change == "caption":
        (few / "cats" / "1.txt").write_text("quite other words")
    else:
        (tmp_path / "fields.csv").write_text("name,breed\n1,poodle\n")
    went_on = prepare(few, out=tmp_path / "set", **flags)
    afresh = prepare(few, out=tmp_path / "again" / "set", **flags)
    assert (went_on / "report.json").read_bytes() == (afresh / "report.json").read_bytes()
    assert rows(went_on) == rows(afresh)


def test_a_whole_dataset_can_be_a_source(prepare, few, tmp_path):
    one = prepare(few, out=tmp_path / "one", size=128, by=("folder",), balance="weights")
    two = prepare(one, out=tmp_path / "two", size=128)
    assert [row["text"] for row in rows(two)] == [row["text"] for row in rows(one)]
    assert [row["weight"] for row in rows(two)] == pytest.approx([row["weight"] for row in rows(one)])


@pytest.mark.parametrize("out", ["few/inside", "few", "."])
def test_a_result_inside_its_source_is_refused(prepare, few, tmp_path, out):
    with pytest.raises(LimnerError, match="are inside each other"):
        prepare(few, out=tmp_path / out, size=128)


def test_the_report_counts_only_images_in_the_dataset(prepare, few, tmp_path):
    out = prepare(few, out=tmp_path / "set", size=128, by=("folder",), balance="sample")
    report = json.loads((out / "report.json").read_text())
    assert report["balance"]["tables"]["folder"]["values"] == {"cats": 2, "dogs": 2}
    assert sum(report["captions"].values()) == 4 and str(tmp_path) not in (out / "report.json").read_text()


def test_a_field_that_no_image_has(prepare, few, tmp_path):
    with pytest.raises(LimnerError, match="no image has the field 'nosuch'"):
        prepare(few, out=tmp_path / "set", size=128, by=("nosuch",))


def test_keys_of_sources_with_the_same_name_are_unique():
    from limner.engine.prepare.entries import prefixes

    assert prefixes(["x/a", "y/a", "z/a-2", "w/b"]) == ["a/", "a-2/", "a-2-2/", "b/"]
