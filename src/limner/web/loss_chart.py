"""The chart of a training: points of its loss, smoothed, and of its held-out loss, to be drawn as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 240, 78, 32, 12, 12
SMOOTHING = {"none": 0.0, "some": 0.75, "strong": 0.93}
ALONE = ("none", "strong")
"""Smoothings whose curve stands alone. Most of a denoising loss is noise, beside which a smooth curve looks flat."""
LEAST = 0.01
"""The least space above and below the curves, so that noise does not look like progress."""
MOST = 600
"""The most points of a curve."""


@dataclass(frozen=True)
class LossChart:
    """raw, smooth: points of polylines; raw is "" where only the other is drawn. held_out: centres of points.
    ticks: height and text. summary: in words. now: the last smoothed loss. All that is drawn lies within the axes.
    """

    raw: str
    smooth: str
    held_out: tuple[tuple[str, str, str], ...]
    ticks: tuple[tuple[str, str], ...]
    last: int
    summary: str
    now: float
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def loss_chart(metrics: Sequence[dict[str, float]], steps: int, smoothing: str = "some") -> LossChart | None:
    """The chart of a training's metrics; None before the second loss. steps: of the whole training."""
    losses = [(line["step"], line["loss"]) for line in metrics if "loss" in line]
    held_out = [(line["step"], line["held_out_loss"]) for line in metrics if "held_out_loss" in line]
    if len(losses) < 2:
        return None
    every = max(1, -(-len(losses) // MOST))
    losses = losses[(len(losses) - 1) % every :: every]  # the newest one is always there
    keep, mean = SMOOTHING.get(smoothing, SMOOTHING["some"]), losses[0][1]
    smooth: list[tuple[float, float]] = []
    for step, value in losses:
        mean = keep * mean + (1 - keep) * value
        smooth.append((step, mean))
    raw = [] if smoothing in ALONE else losses
    values = [value for _, value in smooth + raw + held_out]
    margin = max(0.1 * (max(values) - min(values)), LEAST)
    low, high = min(values) - margin, max(values) + margin
    last = max(steps, int(losses[-1][0]))

    def place(point: tuple[float, float]) -> tuple[str, str]:
        step, value = point
        part = (value - low) / (high - low)
        x, y = LEFT + (WIDTH - LEFT - RIGHT) * step / last, TOP + (HEIGHT - BOTTOM - TOP) * (1 - part)
        return f"{x:.1f}", f"{y:.1f}"

    def line(points: Sequence[tuple[float, float]]) -> str:
        return " ".join(",".join(place(point)) for point in points)

    dots = tuple((*place(point), f"held-out loss {point[1]:.4f} at step {point[0]:.0f}") for point in held_out)
    ticks = tuple((place((0, value))[1], f"{value:.3f}") for value in (low + margin, (low + high) / 2, high - margin))
    kind = "Loss" if keep == 0 else "Smoothed loss"
    summary = f"{kind} {smooth[0][1]:.4f} at step {losses[0][0]:.0f}, {smooth[-1][1]:.4f} at step {losses[-1][0]:.0f}"
    if held_out:
        summary += f"; held-out loss {held_out[0][1]:.4f} first, {held_out[-1][1]:.4f} last"
        best = min(held_out, key=lambda point: point[1])
        if best != held_out[-1]:
            summary += f", lowest {best[1]:.4f} at step {best[0]:.0f}: later steps may overfit"
    return LossChart(line(raw), line(smooth), dots, ticks, last, summary + ".", smooth[-1][1])
