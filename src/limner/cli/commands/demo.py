"""The main job in a few minutes."""

from __future__ import annotations

from pathlib import Path

from limner.cli.commands.shared import Place, stopping


def demo(*, out: Place = Path("limner-demo")) -> None:
    from limner.cli.terminal import Screen
    from limner.starter.demo import run_demo

    with Screen() as screen, stopping(screen.note) as stop:
        page = run_demo(out, screen.show, stop)
        screen.end()
    print(page)
