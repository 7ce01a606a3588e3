"""What checkpoints.html and checkpoints.json show, from scores made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.engine.train import checkpoint_report


def scores_of(subjects: list[float]) -> CheckpointScores:
    """Of steps 10, 20 ... with these fidelities to the subject; that to the prompt falls by a hundredth each."""
    base = StepScores(step=0, subject=(0.1, 0.3), prompt=(0.4, 0.6))
    after = tuple(
        StepScores(step=10 * n, subject=(value, value), prompt=(0.5 - n / 100,) * 2)
        for n, value in enumerate(subjects, 1)
    )
    return CheckpointScores(
        prompts=("one", "two"),
        encoder="an encoder",
        weight=0.75,
        training_similarity=0.8,
        unrelated_similarity=0.1,
        base=base,
        after=after,
    )


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Write the report of some scores; returns what the page shows, and the numbers."""
    written: dict[str, Any] = {}
    monkeypatch.setattr(checkpoint_report, "open_image", lambda path: path)
    monkeypatch.setattr(checkpoint_report, "data_url", lambda image, side: image)
    monkeypatch.setattr(checkpoint_report, "tradeoff_svg", lambda points, *labels: (points, *labels))
    monkeypatch.setattr(checkpoint_report, "curves_svg", lambda curves: curves)
    monkeypatch.setattr(checkpoint_report, "write_page", lambda path, template, **given: written.update(given))

    def run(scores: CheckpointScores, finished: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        scorer: Any = SimpleNamespace(
            scores=scores, finished=finished, patience=3, image=lambda step, number: f"{step}/{number}"
        )
        checkpoint_report.write_checkpoint_report(scorer, tmp_path)
        return written, json.loads((tmp_path / "checkpoints.json").read_text())

    return run


def test_the_page_of_checkpoints_has_all_scores_with_the_best_marked(write: Any) -> None:
    page, numbers = write(scores_of([0.3, 0.7, 0.5]))
    assert (numbers["kept_step"], page["best"], page["early"], page["patience"]) == (20, 20, False, 3)
    assert [row["step"] for row in page["rows"]] == [0, 10, 20, 30] == [row["step"] for row in numbers["steps"]]
    best = page["rows"][2]
    likeness, obedience = (0.7 - 0.2) / (0.8 - 0.2), (0.48 - 0.1) / (0.5 - 0.1)
    assert best == {
        "step": 20,
        "subject_fidelity": pytest.approx(0.7),
        "prompt_fidelity": pytest.approx(0.48),
        "scaled_subject": pytest.approx(likeness),
        "scaled_prompt": pytest.approx(obedience),
        "balance": pytest.approx(0.75 * likeness + 0.25 * obedience),
    }
    points, across, up = page["tradeoff"]
    assert (across, up) == ("prompt fidelity", "subject fidelity")
    assert [(point.name, point.x, point.y, point.start, point.best) for point in points[:3]] == [
        ("base model", 0.5, pytest.approx(0.2), True, False),
        ("10", 0.49, 0.3, False, False),
        ("20", 0.48, 0.7, False, True),
    ]
    subject, prompt, balance = page["curves"]
    assert [curve.marked for curve in page["curves"]] == [20.0] * 3 and subject.x == [0.0, 10.0, 20.0, 30.0]
    assert [value[0] for value in subject.values] == pytest.approx([0.2, 0.3, 0.7, 0.5])
    assert [value[0] for value in prompt.values] == pytest.approx([0.5, 0.49, 0.48, 0.47])
    assert balance.values[2][0] == pytest.approx(best["balance"])
    assert (page["encoder"], page["weight"], page["blind"]) == ("an encoder", "75%", False)
    assert page["kept"].startswith("step 20 of 30, the best of 3 checkpoints: subject fidelity 83%")
    assert "prompt fidelity 95% (100%: base model)" in page["kept"]
    assert write(scores_of([0.3]), finished=True)[0]["early"] is True


def test_images_are_shown_of_the_base_the_best_and_six_others(write: Any) -> None:
    page, _ = write(scores_of([0.3] * 5 + [0.7] + [0.3] * 6))
    assert page["shown"] == [0, 10, 30, 50, 60, 70, 90, 110], "60 is the best"
    assert page["pictures"] == [
        (prompt, [f"{step}/{number}" for step in page["shown"]]) for number, prompt in enumerate(("one", "two"))
    ]
