"""A training run's figures as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

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
