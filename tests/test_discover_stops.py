"""Commands of discovery that are stopped: their exit code, and that the same command then goes on to the end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner.cli.terminal import Screen
from limner.core.events import Progress
from limner.studio import prompt_imports


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    folder.mkdir()
    for name, colour in (("cat", "tomato"), ("dog", "seagreen")):
        Image.new("RGB", (64, 64), colour).save(folder / f"{name}.png")
    rows = '{"prompt": "a cat", "image": "cat.png"}\n{"prompt": "a dog", "image": "dog.png"}\n'
    (folder / "pets.jsonl").write_text(rows)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["add", "rebuild", "--colour", "--like"])
def test_a_stopped_command_exits_with_130_and_goes_on_when_it_is_repeated(
    limner: Any, folder: Path, starter: Path, monkeypatch: pytest.MonkeyPatch, command: str, number: signal.Signals
) -> None:
    arguments = [command, *{"add": [folder], "--colour": ["tomato"], "--like": [folder / "cat.png"]}.get(command, ())]
    if command != "add":
        assert limner("discover", "add", folder).code == 0
    monkeypatch.setattr(prompt_imports, "BATCH", 1)
    show = Screen.show

    def stopping(screen: Screen, event: Any) -> None:
        show(screen, event)
        if isinstance(event, Progress):
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "show", stopping)
        said = limner("discover", *arguments)
    assert said.code == 130 and said.err.splitlines()[-1].startswith("limner: stopped"), said
    assert ("so far; repeat the command to go on" in said.out) == (command == "add")
    said = limner("discover", *arguments)
    assert said.code == 0 and "so far" not in said.out, said
    assert "a cat" in limner("discover", "--colour", "tomato").out
