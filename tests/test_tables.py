"""Tables of the command line: ids, hashes and paths are whole at any width, and a row is one line."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from limner import GenerateRequest, Studio
from limner.cli import terminal
from limner.cli.terminal import LEAST_TEXT, Terminal, print_table

HASH = "sha256:" + "0123456789abcdef" * 4
PROMPT = "a photo of a cat on the beach, in the style of a woodcut, with a red scarf, at noon, in the rain"


@pytest.fixture
def on_terminal(monkeypatch):
    """Print on a terminal of a width; returns a function that gives the lines of what was printed."""

    def printed(width, act):
        out = io.StringIO()
        monkeypatch.setattr(
            terminal,
            "Terminal",
            lambda **given: Terminal(file=out, width=width, force_terminal=True, color_system=None, **given),
        )
        act()
        return out.getvalue().splitlines()

    return printed


@pytest.fixture
def run(home):
    return Studio().submit(GenerateRequest(prompt=PROMPT))


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_ids_are_whole_at_any_width(on_terminal, run, width):
    lines = on_terminal(width, lambda: terminal.print_runs([run]))
    assert len(lines) == 2
    at = lines[0].index("summary")
    text = lines[1][at:]
    assert lines[1].startswith(f"{run.id}  generate  ")
    assert (text == PROMPT) == (width == 200)
    assert len(text) >= LEAST_TEXT
    assert len(lines[1]) <= max(width, at + LEAST_TEXT)


def test_a_pipe_gets_a_whole_row_on_each_line(limner, run):
    lines = limner("runs").out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(run.id) and lines[1].endswith(PROMPT)


def test_hashes_and_paths_of_images_are_whole(capsys, on_terminal):
    picture = SimpleNamespace(
        id=75,
        mean=None,
        ratings=0,
        favourite=True,
        created=_moment(),
        location=HASH,
        path=None,
        request=SimpleNamespace(model="/models/" + "long" * 20, prompt=PROMPT),
    )
    terminal.print_images([picture])
    _, row = capsys.readouterr().out.splitlines()
    assert HASH in row and picture.request.model in row and row.endswith(PROMPT)
    _, row = on_terminal(60, lambda: terminal.print_images([picture]))
    assert HASH in row and picture.request.model in row and row.endswith("…")


def _moment():
    from datetime import UTC, datetime

    return datetime(2026, 1, 2, tzinfo=UTC)


def test_show_prints_whole_hashes(limner, run):
    studio = Studio()
    studio.store.add_artifact(run.id, "image", "/pictures/0001.png", HASH[7:], {"seed": 42})
    assert f"sha256 {HASH[7:]}  seed 42" in limner("show", run.id).out


def test_wide_letters_and_markup_keep_the_columns(capsys):
    print_table(("name", "id"), ("text",), [("猫", "1", "[red]x[/]\x1b[2J"), ("cat", "22", "")])
    assert capsys.readouterr().out.splitlines() == ["name  id  text", "猫    1   [red]x[/] [2J", "cat   22"]
