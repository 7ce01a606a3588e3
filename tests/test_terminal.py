"""Progress without a terminal: lines with the time left, also while nothing happens."""

from __future__ import annotations

import re
import time

import pytest

from limner.cli import terminal
from limner.core.events import Progress, Stage


@pytest.fixture
def screen(monkeypatch, capsys):
    """A screen without a terminal, which prints a line every hundredth of a second."""
    monkeypatch.setattr(terminal, "EVERY", 0.01)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with terminal.Screen() as made:
        yield made


def lines_of(capsys, at_least):
    """The lines that were printed, once there are so many."""
    printed = ""
    for _ in range(2000):
        printed += capsys.readouterr().err
        if len(lines := printed.splitlines()) >= at_least:
            return lines
        time.sleep(0.005)
    pytest.fail(f"only {printed!r} was printed")


def test_a_stage_without_a_number_prints_lines_while_it_lasts(screen, capsys):
    screen.show(Stage(name="loading"))
    assert set(lines_of(capsys, 3)) == {"loading, 0:00 so far"}
    screen.end()
    assert capsys.readouterr().err.splitlines()[-1] == "loading, took 0:00"


def test_lines_count_and_tell_the_time_left(screen, capsys):
    screen.show(Stage(name="training", total=400))
    screen.show(Progress(done=100, total=400, figures={"loss": 0.25}))
    time.sleep(0.02)
    screen.show(Progress(done=200, total=400))
    lines = lines_of(capsys, 3)
    assert re.fullmatch(r"training 200/400, loss 0\.2500, 0:0\d left", lines[-1])
    screen.end()
    assert re.fullmatch(r"training 200/400, loss 0\.2500, took 0:0\d", capsys.readouterr().err.splitlines()[-1])


def test_a_stage_shows_no_figures_of_the_one_before(screen, capsys):
    screen.show(Stage(name="training", total=1))
    screen.show(Progress(done=1, total=1, figures={"loss": 0.25}))
    screen.show(Stage(name="results", total=2))
    screen.show(Progress(done=1, total=2))
    screen.end()
    assert capsys.readouterr().err.splitlines()[-1] == "results 1/2, took 0:00"


def test_no_line_follows_the_end(screen, capsys):
    screen.show(Stage(name="painting", total=2))
    screen.end()
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == "" and screen.lines is None


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")])
def test_a_clock_shows_hours_only_where_there_are_some(seconds, shown):
    assert terminal._clock(seconds) == shown
