"""A training run's figures as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limner.engine.train import trackers
from limner.engine.train.trackers import MetricsLog


def steps_of(metrics: MetricsLog) -> list[int]:
    return [json.loads(line)["step"] for line in metrics.path.read_text().splitlines()]


def test_a_resumed_run_drops_the_figures_after_its_checkpoint(tmp_path: Path) -> None:
    """Whatever the last line is, which a kill may cut off."""
    metrics = MetricsLog(tmp_path, 0, (), {})
    for step in (10, 20, 21, 30):
        metrics.add(step, {"loss": step / 100})
    with metrics.path.open("a") as file:
        file.write('{"step": 3')
    resumed = MetricsLog(tmp_path, 21, (), {})
    assert steps_of(resumed) == [10, 20, 21] and resumed.last("loss") == 0.21
    resumed.add(22, {"loss": 0.5})
    assert steps_of(resumed) == [10, 20, 21, 22]
    assert steps_of(MetricsLog(tmp_path, 0, (), {})) == [], "another run begins with none"


def test_trackers_get_each_step_and_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    tracker = SimpleNamespace(
        store_init_configuration=calls.append,
        log=lambda figures, step: calls.append((figures, step)),
        finish=lambda: calls.append("finished"),
    )
    monkeypatch.setattr(trackers, "_tracker", lambda name, folder: tracker)
    metrics = MetricsLog(tmp_path, 0, ("tensorboard",), {"steps": 3, "options": {"rank": 4}})
    metrics.add(2, {"loss": 0.5})
    metrics.add(3, {"loss": 0.25})
    metrics.add(3, {"balance": 0.75})
    metrics.close()
    assert calls == [{"steps": 3}, ({"loss": 0.5}, 2), ({"loss": 0.25}, 3), ({"balance": 0.75}, 3), "finished"]
    assert metrics.last("loss") == 0.25
