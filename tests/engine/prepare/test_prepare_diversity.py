"""Advice on a whole dataset: which tables it is about, and where a mark is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limner.core.requests import PrepareRequest
from limner.data.diversity.advice import Advice
from limner.data.diversity.balance import ValueCounts
from limner.engine.prepare import diversity
from limner.engine.prepare.diversity import measure_diversity


def request_of(**fields: Any) -> PrepareRequest:
    return PrepareRequest.model_validate({"sources": ["photos"]} | fields)


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((0.0, 0.0, 0.2, 0.2), "at the top left"),
        ((0.8, 0.9, 1.0, 1.0), "at the bottom right"),
        ((0.4, 0.4, 0.6, 0.6), "in the middle"),
        ((0.0, 0.4, 0.2, 0.6), "at the middle left"),
        ((0.4, 0.9, 0.6, 1.0), "at the bottom middle"),
    ],
)
def test_the_place_of_a_shared_mark_is_named(box: tuple[float, ...], where: str) -> None:
    mark: Any = SimpleNamespace(box=box)
    (advice,) = diversity._advice_on_mark(mark)
    assert advice.level == "warning" and f"the same mark {where}, perhaps a watermark" in advice.text
    assert diversity._advice_on_mark(None) == []


class Staged:
    """Images of which only the number matters, and a licence that names the place."""

    def __init__(self, count: int) -> None:
        self.count, self.thumbnail = count, None
        self.columns = SimpleNamespace(surroundings=np.zeros((count, 1)))

    def __len__(self) -> int:
        return self.count

    def record(self, place: int) -> Any:
        return SimpleNamespace(rights=SimpleNamespace(licence=f"of {place}"))


class Dataset:
    """Images with a class and a folder, at every second place."""

    def __init__(self, classes: list[str], folders: list[str] | None = None) -> None:
        rows = [
            SimpleNamespace(caption=f"a {name}", fields={"class": name, "folder": folder})
            for name, folder in zip(classes, folders or ["one"] * len(classes), strict=True)
        ]
        self.places = np.arange(0, 2 * len(classes), 2)
        self.staged: Any = Staged(2 * len(classes))
        self.captions: Any = SimpleNamespace(
            by=("class",), rows=lambda: iter(rows), captions=SimpleNamespace(total=lambda: 9), unlicensed=3
        )


@pytest.fixture
def advised(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure the diversity of a dataset; returns its advice, and what advice was asked for."""
    asked: list[Any] = []

    def on_subject(scenes: Any, copies: Any, *rest: Any) -> list[Advice]:
        asked.append(("subject", len(scenes), list(copies), *rest))
        return [Advice("warning", "one background", (len(scenes) - 1, 0)), Advice("info", "few")]

    def on_dataset(tables: Any, *rest: Any) -> list[Advice]:
        asked.append(("dataset", [table.field for table in tables], *rest[1:]))
        return []

    def on_balance(table: ValueCounts) -> list[Advice]:
        return [Advice("warning", f"{table.field} is uneven"), Advice("good", f"{table.field} is known")]

    monkeypatch.setattr(diversity, "advise_on_subject", on_subject)
    monkeypatch.setattr(diversity, "advise_on_dataset", on_dataset)
    monkeypatch.setattr(diversity, "on_balance", on_balance)
    monkeypatch.setattr(diversity, "shared_mark", lambda count, thumbnail: None)
    monkeypatch.setattr(diversity.SceneDescription, "from_row", lambda row: row)

    def run(dataset: Dataset, **fields: Any) -> Any:
        asked.clear()
        kept = np.ones(len(dataset.places), dtype=bool)
        family = np.arange(2 * len(kept)) * 10
        found = measure_diversity(
            dataset.staged, dataset.places, kept, None, family, dataset.captions, request_of(**fields)
        )
        return [(each.level, each.text, each.pictures) for each in found.advice], list(asked)

    return run


def test_a_single_subject_has_advice_with_the_places_of_its_images(advised: Any) -> None:
    advice, (asked,) = advised(Dataset(["dog"] * 3), crop="centre")
    assert advice == [("warning", "one background", (4, 0)), ("info", "few", ())]
    assert asked == ("subject", 3, [0, 20, 40], ["a dog"] * 3, ["of 0", "of 2", "of 4"], False)
    assert advised(Dataset(["dog"] * 61))[1][0][0] == "dataset", "more than 60 images are a set"


def test_of_a_set_only_warnings_of_each_subject_are_told(advised: Any) -> None:
    advice, asked = advised(Dataset(["dog", "dog", "cat"]))
    assert asked[0] == ("dataset", ["class"], 3, 9)
    assert asked[1:] == [("subject", 2, [0, 20]), ("subject", 1, [40])]
    assert [(level, text) for level, text, _ in advice if "background" in text] == [
        ("warning", "dog: one background"),
        ("warning", "cat: one background"),
    ]
    assert not any(text == "few" for _, text, _ in advice)
    assert advised(Dataset(["dog", "cat"]), balance="weights")[1][0][1] == [], "what is balanced is not uneven"


def test_fields_that_are_not_balanced_are_information(advised: Any) -> None:
    advice, _ = advised(Dataset(["dog", "cat"], ["one", "two"]))
    assert ("info", "folder is uneven", ()) in advice
    assert not any("class is uneven" in text or "known" in text for _, text, _ in advice)
