"""Short training runs on the tiny models."""

from __future__ import annotations

import pytest

from limner import Studio, TrainRequest


@pytest.fixture
def request_of(tiny_sd, painted, home):
    """A training request of a few steps; keywords overrule."""

    def make(**fields):
        plain = {"data": str(painted), "class_word": "dog", "model": str(tiny_sd), "steps": 4, "batch": 2}
        plain |= {
            "class_pictures": 3,
            "options": {"rank": 4},
            "learning_rate": 1e-2,
            "checkpoint_every": 2,
            "held_out": 1,
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
        (studio or Studio()).run(request_of(**fields), tmp_path / out, listener=events.append)
        return tmp_path / out, events

    return run
