"""Every check of the registry keeps the promises that a policy makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel

import classifiers
from limner.core.errors import LimnerError
from limner.core.moderation import Check, Finding
from limner.plugins import registry
from moderating import answering

BAD = "a bad swastika"
GOOD = "a cat on the beach"


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Options by which a check refuses BAD and pictures; a new check gets its own here."""
    with answering(lambda told: {"results": [{"flagged": not isinstance(told, str) or "bad" in told}]}) as url:
        known: dict[str, Callable[[], dict[str, Any]]] = {
            "words": lambda: {},
            "classifier": lambda: {
                "model": str(classifiers.text_classifier(tmp_path / "text")),
                "refuse": {"toxic": 0.5},
            },
            "image_classifier": lambda: {
                "model": str(classifiers.picture_classifier(tmp_path / "picture", 50)),
                "refuse": {"unsafe": 0.5},
            },
            "safety_checker": lambda: {"model": str(classifiers.safety_checker(tmp_path / "checker", True))},
            "service": lambda: {"url": url},
        }
        yield lambda name: known[name]()


@pytest.fixture(params=registry.checks.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def check(name: str) -> Check:
    return registry.checks.get(name)


def test_it_is_a_check(check: Check) -> None:
    assert isinstance(check, Check) and issubclass(check.Options, BaseModel)
    assert check.texts or check.pictures
    assert check.Options.model_config["extra"] == "forbid"


def test_it_judges_what_it_says(check: Check, name: str, options: Callable[[str], dict[str, Any]]) -> None:
    told = check.Options.model_validate(options(name))
    assert check.Options.model_validate(told.model_dump(mode="json")) == told, "its options survive JSON"
    judge = check.ready(told)
    if check.texts:
        assert judge(GOOD).category is None and judge(GOOD * 3000).category is None
        assert judge(BAD).category and judge(f"{GOOD} {GOOD} {BAD}").category
    if check.pictures:
        for size in ((64, 64), (1, 1), (300, 40)):
            found = judge(Image.new("RGB", size, (200, 30, 90)))
            assert isinstance(found, Finding) and found.category
            assert found.score is None or 0 <= found.score <= 1


def test_what_it_lacks_is_told_when_it_is_made_ready(check: Check, name: str, home: Path) -> None:
    """A new check gets its own here."""
    lacking: dict[str, tuple[dict[str, Any], str]] = {
        "words": ({"add": ["* *"]}, r"\* \*"),
        "classifier": ({"model": "somebody/nosuch", "refuse": {"x": 0.5}}, "nosuch"),
        "image_classifier": ({"model": "somebody/nosuch", "refuse": {"x": 0.5}}, "nosuch"),
        "safety_checker": ({"model": "somebody/nosuch"}, "nosuch"),
        "service": ({"url": "gopher://somewhere/nosuch"}, "nosuch"),
    }
    options, said = lacking[name]
    with pytest.raises(LimnerError, match=said):
        check.ready(check.Options.model_validate(options))
