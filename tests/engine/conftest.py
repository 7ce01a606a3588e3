"""Short training runs on the tiny models."""

from __future__ import annotations

import pytest

from limner import Studio, TrainRequest
from limner.core.execution import Execution, split_fields


@pytest.fixture
def class_pictures(home, tmp_path_factory):
    """The folder of kept class pictures, the same for all tests: what they are painted from is part of their names."""
    kept = tmp_path_factory.getbasetemp() / "class-pictures"
    kept.mkdir(exist_ok=True)
    (home / "cache").mkdir()
    (home / "cache" / "class").symlink_to(kept)
    return home / "cache" / "class"


@pytest.fixture
def request_of(tiny_sd, painted, class_pictures):
    """A training request of a few steps; keywords overrule."""

    def make(**fields):
        plain = {"data": str(painted), "class_word": "dog", "model": str(tiny_sd), "steps": 4, "batch": 2}
        plain |= {
            "class_pictures": 3,
            "options": {"rank": 4},
            "learning_rate": 1e-2,
            "checkpoint_every": 2,
            "held_out": 0,
        }
        if not fields.get("prior", True):
            del plain["class_pictures"]
        return TrainRequest(**{**plain, **fields})

    return make


@pytest.fixture
def learn(request_of, tmp_path):
    """Train, and return the adapter folder and the events."""

    def run(out="rex", studio=None, **fields):
        events = []
        fields, how = split_fields(fields)
        execution = Execution(**how)
        (studio or Studio()).run(request_of(**fields), tmp_path / out, listener=events.append, execution=execution)
        return tmp_path / out, events

    return run
