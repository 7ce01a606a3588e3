"""The checkpoints of a training as the page Teach shows them: in words, and as dots in a chart of their two scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from limner.core.checkpoint_scores import CheckpointScores
from limner.web.views import ImageView

WEAK = 0.25
"""Subject fidelity, scaled, below which a subject counts as hardly learned."""
SAME, HALF, LOST = 0.95, 0.5, 0.05
"""Scaled scores from which a checkpoint is as good as what it is compared with, follows prompts well, and at all."""
NARROW = 0.2
"""The least length of an axis in scaled scores, so that noise does not look like a difference."""
LEFT, WIDTH, BOTTOM, HEIGHT = 44, 250, 200, 170
"""Of the plot in the chart."""


@dataclass(frozen=True)
class CheckpointRow:
    """A checkpoint as the page shows it. subject, prompt: scaled scores in words; held_out: loss.

    x, y: its place in the plot of the two scores, "" without. best: of the highest balance. lowest: of the lowest loss
    on images that are not trained on.
    """

    step: int
    preview: ImageView | None
    subject: str
    prompt: str
    held_out: str
    x: str
    y: str
    best: bool
    lowest: bool
    kept: bool
    chosen: bool


@dataclass(frozen=True)
class Axis:
    """An axis of the plot of two scores. left, length: of its line in the plot. low, high: scores at its ends."""

    left: float
    length: float
    low: float
    high: float

    def part(self, value: float) -> float:
        """The place of a score on the axis, 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def percent(value: float) -> str:
    """A scaled score in words. Beyond the ends of its scale, how far is no longer of use to anybody."""
    if value < -0.005:
        return "below 0%"
    return "over 100%" if value > 1.005 else f"{max(0.0, value):.0%}"


def checkpoint_rows(
    scores: CheckpointScores | None,
    metrics: Sequence[Mapping[str, float]],
    previews: Mapping[int, ImageView],
    kept: Collection[int],
    chosen: int | None,
) -> list[CheckpointRow]:
    """The checkpoints of a training with all that is known of each. Empty where there is nothing to choose by.

    chosen: the one in use; None while it trains. A single scored checkpoint has no place in a chart.
    """
    scored = {} if scores is None else {each.step: each for each in scores.after}
    held_out = {int(line["step"]): line["held_out_loss"] for line in metrics if "held_out_loss" in line}
    lowest = min(held_out, key=lambda step: held_out[step], default=0)
    across, up = plot_axes(scores)
    rows: list[CheckpointRow] = []
    for step in sorted({*scored, *kept}):
        each, x, y, subject, prompt = scored.get(step), "", "", "", ""
        if scores is not None and each is not None:
            fidelity, follows = scores.scaled_subject(each), scores.scaled_prompt(each)
            subject, prompt = percent(fidelity), percent(follows)
            if len(scored) > 1:
                x, y = _across(across, follows), _up(up, fidelity)
        rows.append(
            CheckpointRow(
                step=step,
                preview=previews.get(step),
                subject=subject,
                prompt=prompt,
                held_out=f"{held_out[step]:.4f}" if step in held_out else "",
                x=x,
                y=y,
                best=len(scored) > 1 and scores is not None and step == scores.best.step,
                lowest=len(held_out) > 1 and step == lowest,
                kept=step in kept,
                chosen=step == chosen,
            )
        )
    return rows


def plot_axes(scores: CheckpointScores | None) -> tuple[Axis, Axis]:
    """The axes of prompt and subject fidelity, which the checkpoints fill."""
    after = () if scores is None else scores.after
    axes: list[Axis] = []
    for scale, left, length in (
        (CheckpointScores.scaled_prompt, LEFT, WIDTH),
        (CheckpointScores.scaled_subject, BOTTOM, HEIGHT),
    ):
        values = [scale(scores, each) for each in after] if scores is not None and after else [0.0, 1.0]
        margin = max(NARROW - (max(values) - min(values)), 0.2 * (max(values) - min(values))) / 2
        axes.append(Axis(left, length, min(values) - margin, max(values) + margin))
    return axes[0], axes[1]


def like_photos(scores: CheckpointScores | None) -> str:
    """The height in the chart of images that are as alike as the training images; "" where that is outside of it."""
    _, up = plot_axes(scores)
    return _up(up, 1.0) if scores is not None and up.low < 1 < up.high else ""


def _across(axis: Axis, value: float) -> str:
    return f"{axis.left + axis.length * axis.part(value):.1f}"


def _up(axis: Axis, value: float) -> str:
    return f"{axis.left - axis.length * axis.part(value):.1f}"


def why_best(scores: CheckpointScores | None, class_word: str) -> str:
    """One sentence that says what was measured of the best checkpoint; "" without scores."""
    if scores is None or not scores.after:
        return ""
    best, word = scores.best, class_word or "subject"
    subject, prompt = scores.scaled_subject(best), scores.scaled_prompt(best)
    if subject >= SAME:
        likeness = f"its images look as much like your {word} as your photos look like each other"
    elif subject >= WEAK:
        likeness = f"its images are {subject:.0%} of the way from an ordinary {word} to yours"
    else:
        likeness = f"its images hardly look like your {word} yet"
    if prompt >= SAME:
        follows = "it follows the prompt as well as before the training"
    elif prompt >= HALF:
        follows = f"it still follows the prompt, {prompt:.0%} as well as before the training"
    elif prompt >= LOST:
        follows = f"it follows the prompt only {prompt:.0%} as well as before the training"
    else:
        follows = "it no longer follows the prompt"
    joint = "and" if (subject >= WEAK) == (prompt >= HALF) else "but"
    which = "has the best balance of all checkpoints" if len(scores.after) > 1 else "is the only checkpoint so far"
    return f"Step {best.step} {which}: {likeness}, {joint} {follows}."


def hardly_learned(scores: CheckpointScores | None) -> str:
    """That a training hardly learned its subject, and what to do; "" if it did, or if that is not known."""
    if scores is None or not scores.after or scores.scaled_subject(scores.best) >= WEAK:
        return ""
    return (
        f"It hardly learned your subject: its images are {max(0.0, scores.scaled_subject(scores.best)):.0%} of the way "
        "from an ordinary one to your photos. Check that the captions name the subject by the same word, choose a "
        "later checkpoint, or train longer."
    )
