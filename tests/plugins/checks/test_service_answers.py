"""Findings of service responses: the flagged category with the highest score."""

from __future__ import annotations

from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.moderation import Finding
from limner.plugins.checks.service import ServiceResponse, check_url, finding_of


def result(flagged: bool, **scores: float) -> dict[str, Any]:
    """A result whose categories with a score of at least 0.5 are true."""
    return {
        "flagged": flagged,
        "categories": {name: score >= 0.5 for name, score in scores.items()},
        "category_scores": scores,
    }


@pytest.mark.parametrize(
    ("results", "finding"),
    [
        ([result(False, hate=0.1, gore=0.3)], Finding(None, 0.3)),
        ([result(False)], Finding(None, None)),
        ([result(True, hate=0.6, gore=0.9, spam=0.4)], Finding("gore", 0.9)),
        ([result(True, hate=0.9, gore=0.6)], Finding("hate", 0.9)),
        ([result(False, hate=0.1), result(True, gore=0.7)], Finding("gore", 0.7)),
        ([result(True, gore=0.7), result(False, hate=0.1)], Finding("gore", 0.7)),
        ([result(True)], Finding("flagged", None)),
        ([result(True, hate=0.2)], Finding("flagged", None)),
        ([{"flagged": True, "categories": {"a\nb": True, "c": None}}], Finding("a b", None)),
        ([{"flagged": True, "categories": {"x" * 200: True}}], Finding("x" * 80, None)),
    ],
)
def test_findings_of_responses(results: list[dict[str, Any]], finding: Finding) -> None:
    assert finding_of(ServiceResponse.model_validate({"results": results})) == finding


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "https://moderation.example/v1?x=1", "http://10.0.0.7/a"])
def test_valid_urls(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "http://",
        "x",
        "http://x:0/",
        "http://user@x/",
        "http://user:word@x/",
        "http://x y/",
        "http://exämple/",
    ]
    + ["http://x/\n", "http://x:99999/", "http://[::1/"],
)
def test_invalid_urls(url: str) -> None:
    with pytest.raises(LimnerError, match="is not the URL of a service"):
        check_url(url)
