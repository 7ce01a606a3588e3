"""The aims of the search, as its benchmark judges them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
GOOD = {"engine": "limner", "prompts": 1_000_000, "both p95 ms": 50.0, "memory MiB": 1024.0, "recall": 0.95}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"both p95 ms": 50.1}, ["both p95 ms: 50.1; the aim, at most 50,"]),
        ({"memory MiB": 1025.0, "recall": 0.949}, ["memory MiB", "recall: 0.949; the aim, at least 0.95,"]),
    ],
)
def test_each_aim_is_judged(monkeypatch, changes, missed):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from search_engines import AIMS, judged

    verdicts = judged(GOOD | changes)
    assert len(verdicts) == len(AIMS) == 3
    found = [text for text, met in verdicts if not met]
    assert len(found) == len(missed) and all(text.startswith(each) for text, each in zip(found, missed, strict=True))
    assert judged(GOOD | changes | {"engine": "lancedb"}) == judged(GOOD | changes | {"prompts": 10_000}) == []
    sys.modules.pop("search_engines")
