"""A queued prepare request starts at most one process for each core."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from limner import Studio
from limner.core.errors import LimnerError
from limner.core.events import Notice
from limner.core.execution import Execution, parse_body
from limner.core.requests import PrepareRequest
from limner.core.runs import Run
from limner.engine.prepare import prepare
from working import enqueue_and_execute

CORES = os.cpu_count() or 1


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The executor and number of processes that were requested; none is started, and the run ends there."""
    asked: list[tuple[str, int]] = []

    def open_pool(executor: str, workers: int) -> None:
        asked.append((executor, workers))
        raise LimnerError("no processes in this test", "none")

    monkeypatch.setattr(prepare, "open_pool", open_pool)
    return asked


@pytest.fixture
def few(tmp_path: Path) -> Path:
    (tmp_path / "few").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "few/a.png")
    return tmp_path / "few"


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio()


def prepared(studio: Studio, few: Path, **fields: object) -> Run:
    source = studio.files.save(few)
    return enqueue_and_execute(studio, *parse_body({"kind": "prepare", "sources": [source], "encoder": None, **fields}))


@pytest.mark.parametrize(("wanted", "given"), [(1024, CORES), (CORES + 1, CORES), (1, 1), (None, CORES)])
def test_no_more_processes_than_cores(
    studio: Studio, few: Path, started: list[tuple[str, int]], wanted: int | None, given: int
) -> None:
    run = prepared(studio, few, workers=wanted)
    assert started == [("processes", given)]
    notices = [event.text for *_, event in studio.runs.events(run.id) if isinstance(event, Notice)]
    assert any(f"{given} processes read images, not {wanted}" in text for text in notices) == ((wanted or 0) > CORES)


def test_a_queued_run_uses_local_processes_only(studio: Studio, few: Path, started: list[tuple[str, int]]) -> None:
    run = prepared(studio, few, executor="ray")
    assert started == [] and "a queued run cannot use the executor 'ray'" in str(run.error)


def test_the_command_line_may_start_any_number(
    studio: Studio, few: Path, tmp_path: Path, started: list[tuple[str, int]]
) -> None:
    request = PrepareRequest(sources=(str(few),), encoder=None)
    with pytest.raises(LimnerError, match="no processes in this test"):
        studio.run(request, tmp_path / "out", execution=Execution(workers=1000, executor="ray"))
    assert started == [("ray", 1000)]
