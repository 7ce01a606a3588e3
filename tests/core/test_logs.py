"""What is logged, in which form and from which level."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from limner.core.logs import CALL, RUN, configure

NAMES = "limner", "limner.calls", "limner.worker", "uvicorn", "uvicorn.access"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leaves the loggers as they were."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_line_of_json_has_call_run_facts_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log = logging.getLogger("limner.worker")
    call, run = CALL.set("c1"), RUN.set("r1")
    try:
        log.warning("it is %s", "slow", extra={"facts": {"status": 200, "note": None, "empty": ""}})
    finally:
        CALL.reset(call)
        RUN.reset(run)
    try:
        raise KeyError("lost")
    except KeyError:
        log.exception("it failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    when = first.pop("time"), second.pop("time")
    assert all(each.endswith("+00:00") and len(each) == len("2026-05-01T12:00:00.123+00:00") for each in when)
    assert first == {
        "level": "warning",
        "logger": "limner.worker",
        "message": "it is slow",
        "call": "c1",
        "run": "r1",
        "status": 200,
    }
    assert second.keys() == {"level", "logger", "message", "traceback"}
    assert second["traceback"].splitlines()[-1] == "KeyError: 'lost'"


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("text", ["limner.worker info", "limner.calls warning", "uvicorn.access warning"]),
        ("json", ["limner.worker info", "limner.calls info", "limner.calls warning", "uvicorn.access warning"]),
    ],
)
def test_calls_are_logged_only_as_json_and_uvicorn_from_warnings(
    capsys: pytest.CaptureFixture[str], form: str, lines: list[str]
) -> None:
    configure("json" if form == "json" else "text")
    for name in ("limner.worker", "limner.calls", "uvicorn.access"):
        logging.getLogger(name).debug("debug")
        logging.getLogger(name).info("info")
        if name != "limner.worker":
            logging.getLogger(name).warning("warning")
    printed = capsys.readouterr().err.splitlines()
    if form == "json":
        records = map(json.loads, printed)
        assert [f"{record['logger']} {record['message']}" for record in records] == lines
    else:
        assert [" ".join(line.split(" ")[2:]) for line in printed] == lines
