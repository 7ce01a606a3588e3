"""What report.json, report.html and the dataset card say, from counts made by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.datasets import Fault, Rights
from limner.core.requests import PrepareRequest
from limner.data.diversity.advice import Advice
from limner.data.diversity.balance import ValueCounts
from limner.engine.prepare import contact_sheets, dataset_card, report
from limner.engine.prepare.contact_sheets import ContactSheets
from limner.engine.prepare.diversity import DatasetDiversity
from limner.engine.prepare.entry_outcome import EntryOutcome, Outcome
from limner.engine.prepare.plan import actions_of
from limner.engine.prepare.pool import WorkerDied
from limner.engine.prepare.staging import Record
from limner.engine.prepare.summary import Summary

BLURRED, SMALL, DARK = Fault("blurred", "too blurred", 9), Fault("small", "too small", 2), Fault("dark", "too dark", 1)


def request_of(**fields: Any) -> PrepareRequest:
    return PrepareRequest.model_validate({"sources": ["photos"]} | fields)


def entry(number: int, outcome: Outcome = "kept", faults: tuple[Fault, ...] = (), **fields: Any) -> EntryOutcome:
    plain = {
        "name": f"train/{number}.jpg",
        "caption": f"caption {number}",
        "size": (200, 100),
        "box": (50, 0, 150, 100),
    }
    return EntryOutcome(f"a/folder/{number}.png", outcome, faults, **plain | fields)


def summary_of(*entries: EntryOutcome, parts: tuple[int, int, int] = (0, 0, 0), **fields: Any) -> Summary:
    summary = Summary(actions_of(request_of()), parts=list(parts), **fields)
    for each in entries:
        summary.add(Record(key=each.key, notes=("turned upright",), located="1" in each.key), each)
        summary.sheet += [each] if each.outcome == "kept" else []
    return summary


class Measured:
    """Columns of images of n x n pixels with sharpness n / 2, from n = 0 on."""

    def __init__(self, count: int) -> None:
        self.pixels, self.sharpness = np.arange(count) ** 2, np.arange(count) / 2

    def __len__(self) -> int:
        return len(self.pixels)


def contents_of(request: PrepareRequest | None = None, **fields: Any) -> Any:
    captions = SimpleNamespace(by=(), masked=False, origins=Counter(), names=())
    staged = SimpleNamespace(staging=SimpleNamespace(pictures=Path("none")), columns=Measured(2))
    plain = {"name": "dogs", "captions": captions, "staged": staged, "diversity": DatasetDiversity([])}
    return SimpleNamespace(request=request or request_of(), **plain | fields)


# The summary


@pytest.mark.parametrize(
    ("outcomes", "parts", "verdict"),
    [
        (["kept"], (1, 0, 0), "the image is in the dataset"),
        (["kept"] * 3, (2, 1, 0), "all 3 images are in the dataset"),
        (["kept", "dropped"], (1, 0, 0), "1 of 2 images are in the dataset; 1 left out"),
        (["kept", "evened out"], (1, 0, 0), "1 of 2 images are in the dataset; 1 set aside for balance"),
        (["kept", "stray", "flagged"], (2, 0, 0), "all 2 images are in the dataset; 1 to look at"),
        (["dropped"], (0, 0, 0), "0 of 1 image are in the dataset; 1 left out"),
    ],
)
def test_the_verdict_counts_images_and_not_other_files(
    outcomes: list[Outcome], parts: tuple[int, int, int], verdict: str
) -> None:
    assert summary_of(*(entry(n, each) for n, each in enumerate(outcomes)), parts=parts).verdict == verdict


def test_an_image_that_is_left_out_counts_for_what_dropped_it() -> None:
    dropped = entry(0, "dropped", (BLURRED, SMALL))
    flagged = [entry(n, "flagged", (BLURRED, DARK) if n < 14 else (DARK,)) for n in range(1, 16)]
    summary = summary_of(dropped, *flagged)
    assert summary.by_fault == {"small": 1, "blurred": 13, "dark": 15}
    assert [(each["fault"], each["count"], each["action"]) for each in summary.faults()] == [
        ("small", 1, "drop"),
        ("dark", 15, "flag"),
        ("blurred", 13, "flag"),
    ], "what leaves images out comes first"
    assert [len(summary.examples[kind]) for kind in ("small", "blurred", "dark")] == [1, 12, 12]
    assert (summary.entries, summary.located, summary.notes) == (16, 7, {"turned upright": 16})


# The report


def test_json_has_the_counts_of_the_summary() -> None:
    summary = summary_of(entry(0), entry(1, "dropped", (SMALL,)), entry(2, "evened out"), parts=(2, 1, 0))
    summary.origins.update(written=2, template=1)
    for value in ("dog", "dog", "cat"):
        summary.counts.add({"class": value})
        summary.rights.add(Rights(author="Ada"))
    captions = SimpleNamespace(by=("class",), origins=Counter(written=9), masked=False, names=("class",))
    diversity = DatasetDiversity([Advice("warning", "too few")], 0.25, (2, 1))
    found = report.facts_of(contents_of(request_of(balance="weights"), captions=captions, diversity=diversity), summary)
    assert (found["entries"], found["pictures"], found["splits"]) == (3, 3, {"train": 2, "validation": 1, "test": 0})
    assert found["outcomes"] == {"dropped": 1, "evened out": 1, "kept": 1}
    assert found["captions"] == {"template": 1, "written": 2}, "of images in the dataset"
    assert (found["locations_stripped"], found["mended"]) == (1, {"turned upright": 3})
    assert found["balance"]["by"] == ["class"] and found["balance"]["mode"] == "weights"
    assert found["balance"]["tables"]["class"] == {
        "values": {"dog": 2, "cat": 1},
        "effective_groups": round(np.exp(-(2 / 3 * np.log(2 / 3) + np.log(1 / 3) / 3)), 4),
        "evenness": round(-(2 / 3 * np.log(2 / 3) + np.log(1 / 3) / 3) / np.log(2), 4),
        "largest_over_smallest": 2.0,
    }
    assert found["variety"] == {"mean_distance": 0.25, "clusters": [2, 1]}
    assert found["advice"] == [{"level": "warning", "text": "too few"}]
    assert found["rights"] == {"pictures": 3, "authors": {"Ada": 3}}


def test_the_page_shows_faults_with_their_own_examples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "seen.jpg")
    monkeypatch.setattr(report, "data_url", lambda image, side: f"{image.size} at {side}")
    both = entry(0, "flagged", (DARK, BLURRED), thumbnail="seen.jpg")
    summary = summary_of(both, entry(1, "dropped", (SMALL,), name=None), entry(2), parts=(1, 1, 0))
    staged = contents_of().staged
    staged.staging.pictures = tmp_path
    page = report._page(contents_of(staged=staged), summary, ["contact-001.jpg"])
    assert page["numbers"] == [
        ("1", "train"), ("1", "validation"), ("1", "to look at"), ("1", "left out"),
    ]  # fmt: skip
    small, blurred, dark = page["faults"]
    assert (small["done"], blurred["done"]) == ("left out", "kept, to look at")
    assert [each["why"] for each in (*blurred["examples"], *dark["examples"])] == ["too blurred", "too dark"]
    assert blurred["unseen"] == [] and [each["name"] for each in small["unseen"]] == ["folder/1.png"]
    assert blurred["examples"][0]["src"] == "(20, 10) at 200"
    assert blurred["examples"][0]["box"] == (25.0, 0.0, 50.0, 100.0), "left, top, width and height in percent"
    assert small["examples"][0]["box"] is None, "what is not in the dataset has no crop"
    assert page["repairs"] == [("turned upright", 3), ("location removed", 1)]
    assert page["kept"] == 2 and page["sheets"] == ["contact-001.jpg"], "one of the two is not shown"
    assert page["captions"] == [("train/2.jpg", "caption 2")] and page["captions_file"] == "dogs/captions.csv"
    shown = report._page(contents_of(staged=staged), summary_of(entry(2), parts=(1, 0, 0)), ["contact-001.jpg"])
    assert shown["sheets"] == []


def test_bars_are_as_wide_as_their_count_and_at_most_sixteen() -> None:
    rows = (("a", 8), ("b", 4), *((f"c{n}", 2) for n in range(16)))
    bars = report._bars(ValueCounts("class", rows))
    assert [(bar["value"], bar["count"], bar["share"], bar["wide"], bar["over"]) for bar in bars["rows"][:3]] == [
        ("a", "8", "18.2%", 100.0, True),
        ("b", "4", "9.1%", 50.0, False),
        ("c0", "2", "4.5%", 25.0, False),
    ]
    assert (len(bars["rows"]), bars["more"]) == (16, 2)
    assert bars["summary"].endswith("the largest is 4.0 times the smallest") and bars["summary"].startswith("18 groups")
    even = report._bars(ValueCounts("class", (("a", 2), ("b", 2))))
    assert even["more"] == 0 and even["summary"].endswith("2.0 groups of equal size; all have the same size")


@pytest.mark.parametrize(("count", "titles"), [(8, []), (9, ["Map", "Size of the originals", "Sharpness"])])
def test_there_are_charts_of_more_than_eight_images(
    monkeypatch: pytest.MonkeyPatch, count: int, titles: list[str]
) -> None:
    monkeypatch.setattr(report, "clusters_svg", lambda points, labels, label: len(points))
    monkeypatch.setattr(report, "histogram_svg", lambda values, *rest: (values.tolist(), *rest))
    staged: Any = SimpleNamespace(columns=Measured(count))
    diversity = DatasetDiversity([], 0.1, (count,), np.zeros((count, 2)), np.zeros(count))
    charts = report._charts(diversity, staged)
    assert [chart["title"].partition(":")[0] for chart in charts] == titles
    if charts:
        assert charts[1]["svg"] == (list(range(count)), "root of the pixels")
        assert charts[2]["svg"] == ([n / 2 for n in range(count)], "sharpness", 33.0)


def test_settings_are_the_size_and_what_was_chosen() -> None:
    request = request_of(split="80/20", limit=["blurred=60"], drop=["dark"], crop="subject", despite="mine")
    assert dict(report._settings(request)) == {
        "size": "512",
        "sources": "photos",
        "limit": "blurred=60",
        "drop": "dark",
        "split": "80/20/0",
        "despite": "mine",
    }


def test_the_command_for_training_names_the_subject() -> None:
    assert report._train_command(request_of(class_word="toy dog", identifier="sks"), "dogs") == (
        "limner train dogs --class 'toy dog' --identifier sks"
    )
    assert report._train_command(request_of(class_word="dog"), "dogs") == "limner train dogs --class dog"
    assert report._train_command(request_of(), "dogs") == "limner train dogs --class CLASS"


def test_texts_of_captions_balance_and_diversity() -> None:
    summary = summary_of()
    summary.origins.update(written=1200, edited=3)
    assert report._caption_origins(summary) == "1,200 from the sources, 3 edited by hand."
    captions: Any = SimpleNamespace(by=("class", "pose"))
    assert report._balancing(request_of(balance="sample"), captions).startswith("Of larger groups by class and pose ")
    assert report._balancing(request_of(), SimpleNamespace(by=())) == ""  # type: ignore[arg-type]
    assert report._diversity_text(DatasetDiversity([], 0.5, (9,))).endswith("All are similar.")
    assert report._diversity_text(DatasetDiversity([], 0.5, (5, 4))).endswith("2 clusters of similar images.")


# The card


def card_of(folder: Path, contents: Any, summary: Summary) -> tuple[dict[str, Any], str]:
    """The card's front matter and its text."""
    dataset_card.write_card(folder, contents, summary)
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in front.splitlines()}, text


@pytest.mark.parametrize(
    ("count", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (10**6, "n>1M")]
)
def test_the_card_has_the_hubs_name_for_the_number_of_images(tmp_path: Path, count: int, size: str) -> None:
    front, text = card_of(tmp_path, contents_of(), summary_of(parts=(count, 0, 0)))
    assert front["size_categories"] == [size] and f"{count:,} train." in text
    assert front["tags"] == ["limner"] and front["configs"][0]["data_files"] == [
        {"split": "train", "path": ["train/metadata.jsonl", "train/*.jpg"]}
    ]


@pytest.mark.parametrize(
    ("licences", "named"),
    [
        (["CC-BY-4.0", None], "cc-by-4.0"),
        (["CC-BY-4.0", "MIT"], "other"),
        ([None], "other"),
        (["all rights reserved"], "other"),
    ],
)
def test_the_card_has_the_licence_that_all_images_have(tmp_path: Path, licences: list[str | None], named: str) -> None:
    summary = summary_of(parts=(1, 0, 0))
    for licence in licences:
        summary.rights.add(Rights(licence=licence))
    assert card_of(tmp_path, contents_of(), summary)[0]["license"] == named


def test_the_card_says_what_is_in_the_dataset(tmp_path: Path) -> None:
    request = request_of(class_word="dog", identifier="sks", buckets=True, size=256, format="png")
    captions = SimpleNamespace(by=(), masked=True, origins=Counter(), names=())
    entries = (entry(0), entry(1, "dropped", (SMALL,)), entry(2, "stray"))
    summary = summary_of(*entries, parts=(3, 2, 0))
    summary.origins.update(written=4, template=1)
    for number in range(13):
        summary.counts.add({"pose": f"p{number:02d}", "place": "a|b"})
    front, text = card_of(tmp_path, contents_of(request, captions=captions), summary)
    assert front["tags"] == ["limner", "dreambooth"]
    assert [each["path"] for each in front["configs"][0]["data_files"]] == [
        [f"{split}/metadata.jsonl", f"{split}/*.png", f"{split}/masks/*.png"] for split in ("train", "validation")
    ]
    assert "Images of `sks dog` with captions, for training a text-to-image model: 3 train, 2 validation." in text
    assert "| Left out | 1 of 2 |" in text and "| Captions | 1 template, 4 written |" in text
    assert "| Size | about 256 x 256 pixels in 64-pixel buckets |" in text and "| too small | 1 | drop |" in text
    poses = ", ".join(f"p{number:02d} 1" for number in range(12))
    assert f"| pose | {poses} and 1 more |" in text and "| place |" not in text
    twelve = summary_of(parts=(1, 0, 0))
    for number in range(12):
        twelve.counts.add({"pose": f"p{number:02d}"})
    assert " more |" not in card_of(tmp_path, contents_of(), twelve)[1]


# Contact sheets


def test_sheets_hold_120_images_and_number_them_on(tmp_path: Path) -> None:
    jobs: list[Any] = []

    class Pool:
        def submit(self, function: Any, items: Any) -> Any:
            jobs.extend(items)
            return SimpleNamespace(result=lambda: [])

    sheets = ContactSheets(tmp_path, tmp_path, Pool())  # type: ignore[arg-type]
    for number in range(250):
        sheets.add(entry(number, thumbnail="seen.jpg"))
        sheets.add(entry(number, thumbnail=None))
    assert sheets.close() == ["contact-001.jpg", "contact-002.jpg", "contact-003.jpg"]
    assert [(path.name, first, len(entries)) for path, _, first, entries in jobs] == [
        ("contact-001.jpg", 1, 120),
        ("contact-002.jpg", 121, 120),
        ("contact-003.jpg", 241, 10),
    ]


def test_a_sheet_whose_process_died_is_drawn_all_the_same(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "seen.jpg")

    class BrokenPool:
        def submit(self, *_: Any) -> Any:
            def result() -> None:
                raise WorkerDied

            return SimpleNamespace(result=result)

    sheets = ContactSheets(tmp_path, tmp_path, BrokenPool())  # type: ignore[arg-type]
    for number in range(130):
        sheets.add(entry(number, thumbnail="seen.jpg"))
    names = sheets.close()
    assert len(names) == 2 and all((tmp_path / name).stat().st_size for name in names)


def test_a_tile_shows_the_crop_and_what_became_of_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "seen.jpg")
    kept = contact_sheets._tile(entry(0, "flagged", (DARK,), thumbnail="seen.jpg"), tmp_path)
    assert (kept.box, kept.label, kept.state) == ((5.0, 0.0, 15.0, 10.0), "folder/0.png: too dark", "flagged")
    gone = contact_sheets._tile(entry(0, "evened out", thumbnail="seen.jpg", name=None), tmp_path)
    assert (gone.box, gone.label, gone.state) == (None, "folder/0.png", "dropped")
