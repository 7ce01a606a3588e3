"""How fast trainings were: the parts of their time."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from limner.core.events import Stage
from limner.core.requests import TrainRequest
from limner.studio.training import StudioTraining

BEGAN = datetime(2026, 11, 30, tzinfo=UTC)
REQUEST = TrainRequest(data=f"folder:{'0' * 64}", class_word="dog", checkpoint_every=20, batch=2, resolution=100)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


class Runs:
    """One finished training: its worker started for 40 s, then it loaded, painted class images, and trained."""

    stages = ((40, "loading"), (45, "class images"), (57, "encoding"), (59, "training"))

    def list(self, *_):
        return [SimpleNamespace(id="r", request=REQUEST, started=BEGAN, finished=at(59 + 40 * 0.5 + 2 * 3))]

    def events(self, _):
        return [(number, at(seconds), Stage(name=name)) for number, (seconds, name) in enumerate(self.stages)]


def test_a_training_is_divided_into_its_parts(monkeypatch):
    seconds = {10: 5.0, 20: 10.0, 30: 18.0, 40: 23.0}
    metrics = [{"step": step, "loss": 0.1, "images_per_second": step * 4 / time} for step, time in seconds.items()]
    training = StudioTraining(SimpleNamespace(), SimpleNamespace(), Runs())
    monkeypatch.setattr(training, "metrics", lambda _: metrics)
    speed = training.speed("starter", 128, 4)
    assert speed.step(2, 100) == pytest.approx(0.5)
    assert speed.each_checkpoint(REQUEST.keep, 100) == pytest.approx(3)
    assert speed.class_images == pytest.approx(12)
    assert speed.before == pytest.approx(19 - 12), "neither the start of the worker nor class images"
    assert speed.runs == 1
