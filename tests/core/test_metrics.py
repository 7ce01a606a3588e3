"""What metrics need, and which of it a set of images lacks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet, ScoredImage, check_needs

ONE, TWO = ScoredImage(Path("1.png"), "a cat", "cats"), ScoredImage(Path("2.png"), "a dog", "dogs")


def test_a_part_of_what_is_needed_is_lacking_too() -> None:
    assert not ImageSet((ONE, TWO)).lacks("prompt")
    for prompt in (None, "", " "):
        assert ImageSet((ONE, ScoredImage(Path("3.png"), prompt))).lacks("prompt")
    assert not ImageSet((ONE, TWO), base=(TWO, ONE)).lacks("base")
    for base in ((), (ONE,), (ONE, TWO, ONE)):
        assert ImageSet((ONE, TWO), base=base).lacks("base")
    assert not ImageSet((ONE,), references=(Path("r"),)).lacks("references")
    assert ImageSet((ONE,), references=(Path("r"),)).lacks("training")
    assert ImageSet((ONE,), training=(Path("r"),)).lacks("references")


def test_every_need_is_checked() -> None:
    metric: Any = SimpleNamespace(needs=frozenset(("training", "prompt", "base")))
    complete = ImageSet((ONE,), training=(Path("t"),), base=(TWO,))
    check_needs("mine", metric, complete)
    for lacking, words in (
        (ImageSet((ONE,), base=(TWO,)), "the training images"),
        (ImageSet((ONE,), training=(Path("t"),)), "images of the base model for the same prompts and seeds"),
        (ImageSet((ScoredImage(Path("1.png")),), training=(Path("t"),), base=(TWO,)), "the prompt of each image"),
    ):
        with pytest.raises(LimnerError, match=f"^the metric 'mine' needs {words}; give them, or leave"):
            check_needs("mine", metric, lacking)
    with pytest.raises(LimnerError, match="the metric 'mine' got no images"):
        check_needs("mine", metric, ImageSet(()))


def test_groups_come_in_the_order_of_their_first_image() -> None:
    found = ImageSet((TWO, ONE, TWO))
    assert found.groups == {"dogs": [0, 2], "cats": [1]} and list(found.groups) == ["dogs", "cats"]
    assert found.paths == [Path("2.png"), Path("1.png"), Path("2.png")]
