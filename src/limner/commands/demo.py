"""The main job in a few minutes."""

from __future__ import annotations

from pathlib import Path

from .shared import Place, stopping


def demo(*, out: Place = Path("limner-demo")) -> None:
    from ..demo.job import run_demo
    from ..terminal import Screen

    with Screen() as screen, stopping(screen.note) as stop:
        page = run_demo(out, screen.show, stop)
        screen.end()
    print(page)
