"""Rights in sidecar fields, and the counts of many images."""

from __future__ import annotations

import pytest

from limner.core.datasets import Rights
from limner.provenance.rights import RightsCounts, rights_from_fields


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"author": "Jane", "license": "CC0", "source": "a book"}, Rights("Jane", "CC0", "a book")),
        (
            {"Creator": ["Jane", "Max"], "Copyright": "© J", "URL": "https://x.example/1"},
            Rights("Jane; Max", "© J", "https://x.example/1"),
        ),
        ({"EXIF:Artist": "Jane", "XMP-dc:Rights": "© J"}, Rights("Jane", "© J")),
        ({"consent": True}, Rights(consent="yes")),
        ({"consent": "written, 2026-01-02"}, Rights(consent="written, 2026-01-02")),
        ({"author": None, "license": {"name": "x"}, "source": ""}, Rights()),
        ({"artist": "", "photographer": "Jane"}, Rights("Jane")),
        ({}, Rights()),
    ],
)
def test_keys_however_they_are_spelt(row, found):
    assert rights_from_fields(row) == found


@pytest.mark.parametrize(
    ("row", "training"),
    [
        ({"noai": True}, "refused"),
        ({"noai": 1}, "refused"),
        ({"no_image_ai": "yes"}, "refused"),
        ({"noai": False}, None),
        ({"ai_training": "no"}, "refused"),
        ({"ai_training": "notAllowed"}, "refused"),
        ({"AI-Training": "constrained"}, "refused"),
        ({"ai_training": True}, "allowed"),
        ({"training": "refused"}, "refused"),
        ({"XMP-plus:DataMining": "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"}, "refused"),
        ({"data_mining": "DMI-ALLOWED"}, "allowed"),
        ({"tags": ["dog", "noai"]}, "refused"),
        ({"X-Robots-Tag": "noindex, noimageai"}, "refused"),
        ({"ai_training": True, "keywords": "noai"}, "refused"),
        ({"ai_training": "yes", "data_mining": "DMI-PROHIBITED"}, "refused"),
        ({"ai_training": "no", "data_mining": "DMI-ALLOWED"}, "refused"),
        ({"ai_training": "perhaps"}, None),
        ({"text": "a dog named noai"}, None),
    ],
)
def test_marks_beside(row, training):
    found = rights_from_fields(row)
    assert found.training == training and (found.statement is not None) == (training is not None)


def summary(each):
    tally = RightsCounts()
    for rights in each:
        tally.add(rights)
    return tally.summary()


def test_counts_of_many():
    some = [Rights("Jane", "CC0", "https://a.example/1"), Rights("Jane", "CC0", "https://a.example/2"), Rights()]
    assert summary(some) == {
        "pictures": 3,
        "licences": {"CC0": 2, "unknown": 1},
        "authors": {"Jane": 2, "unknown": 1},
        "sources": {"a.example": 2, "unknown": 1},
    }
    assert summary([Rights(), Rights()]) == {"pictures": 2} and summary([]) == {"pictures": 0}


def test_counts_stay_small_and_add_up():
    tally = RightsCounts()
    for number in range(5000):
        tally.add(
            Rights(author=f"author {number % 2500}", training="refused", statement="noai"),
            "asked them" if number < 3 else None,
        )
    counts = tally.summary(20)
    assert max(len(counts) for counts in tally.counts.values()) <= 101
    assert len(counts["authors"]) == 21 and sum(counts["authors"].values()) == 5000
    assert counts["refused"] == {"noai": 5000} and counts["overrides"] == {"asked them": 3}


def test_the_most_frequent_come_first():
    counts = summary([Rights(licence=name) for name in ("a", "b", "b", "c", "c")])
    assert list(counts["licences"].items()) == [("b", 2), ("c", 2), ("a", 1)]
