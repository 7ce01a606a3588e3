"""The demo's web page: pictures, what was done, and what to try next. It needs no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.reports.writer import write_page


@dataclass(frozen=True)
class Pair:
    """One prompt painted without and with the adapter; paths are relative to the page."""

    prompt: str
    base: str
    personalised: str


def curve(lines: Sequence[dict[str, float]]) -> str:
    """The training loss over steps as an SVG, with the held-out loss as points."""
    width, height, left, bottom = 720, 220, 52, 34
    losses = [(line["step"], line["loss"]) for line in lines]
    held = [(line["step"], line["held_out_loss"]) for line in lines if "held_out_loss" in line]
    if len(losses) < 2:
        return ""
    top = max(value for _, value in losses + held) * 1.05
    last = max(step for step, _ in losses)

    def place(step: float, value: float) -> tuple[float, float]:
        return left + (width - left - 14) * step / last, 12 + (height - bottom - 12) * (1 - value / top)

    smooth, mean = [], losses[0][1]
    for step, value in losses:
        mean += 0.25 * (value - mean)
        smooth.append("{:.1f},{:.1f}".format(*place(step, mean)))
    dots = "".join('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="#e4572e"/>'.format(*place(s, v)) for s, v in held)
    marks = "".join(
        f'<text x="{left - 8}" y="{place(0, top * part)[1] + 4:.1f}" text-anchor="end">{top * part:.2f}</text>'
        for part in (0, 0.5, 0.95)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="training loss over steps">'
        f'<g font-size="12" fill="currentColor" opacity=".75">{marks}'
        f'<text x="{left}" y="{height - 10}">step 0</text>'
        f'<text x="{width - 14}" y="{height - 10}" text-anchor="end">step {last:.0f}</text></g>'
        f'<polyline fill="none" stroke="#0f8f88" stroke-width="2.5" points="{" ".join(smooth)}"/>{dots}</svg>'
    )


def write_demo(
    folder: Path, taught: Mapping[str, str], pairs: Sequence[Pair], metrics: Path, train_command: str, minutes: float
) -> None:
    """Write `index.html` into the demo's folder. taught: the caption of every training picture by its path."""
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    write_page(
        folder / "index.html",
        "demo.html",
        title="Limner: a first portrait",
        shown=shlex.quote(folder.name),
        taught=taught,
        pairs=pairs,
        curve=curve(lines),
        train_command=train_command,
        minutes=minutes,
    )
