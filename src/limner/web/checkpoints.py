"""The checkpoints of a training as the page Teach shows them: in words, and as dots in a chart of their two scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from limner.core.checkpoint_scores import CheckpointScores
from limner.core.text import counted
from limner.web.label_places import Box, is_far, label_places
from limner.web.views import ImageView

WEAK = 0.25
"""Subject fidelity, scaled, below which a subject counts as hardly learned."""
SAME, HALF, LOST = 0.95, 0.5, 0.05
"""Scaled scores from which a checkpoint is as good as what it is compared with, follows prompts well, and at all."""
NARROW = 0.1
"""The least length of an axis in scaled scores, so that noise does not look like a difference."""
LEFT, WIDTH, BOTTOM, HEIGHT = 40, 280, 200, 180
"""Of the plot in the chart."""
ALIKE_WIDTH = 190
"""Of the words at the line of the photos among themselves, which end at the right of the plot."""


@dataclass(frozen=True)
class CheckpointRow:
    """A checkpoint as the page shows it. subject, prompt: scaled scores in words; held_out: loss.

    x, y: its place in the plot of the two scores, "" without. label_x, label_y: the middle of its label there. lead:
    whether a line leads to the label. best: of the highest balance. lowest: of the lowest loss on images that are not
    trained on.
    """

    step: int
    preview: ImageView | None
    subject: str
    prompt: str
    held_out: str
    x: str
    y: str
    label_x: str
    label_y: str
    lead: bool
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
    """A scaled score in percent. It is not cut at 100%, so that checkpoints beyond it can be compared."""
    return f"{round(value, 2) + 0.0:.0%}"


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
                label_x="",
                label_y="",
                lead=False,
                best=len(scored) > 1 and scores is not None and step == scores.best.step,
                lowest=len(held_out) > 1 and step == lowest,
                kept=step in kept,
                chosen=step == chosen,
            )
        )
    return _labelled(rows, like_photos(scores))


def _labelled(rows: Sequence[CheckpointRow], alike: str) -> list[CheckpointRow]:
    """Rows with places for their labels in the chart."""
    dots = [row for row in rows if row.x]
    right, y = LEFT + WIDTH, float(alike or 0)
    taken = [Box(right - ALIKE_WIDTH, y - 16, right, y + 1)] if alike else []
    inside = Box(LEFT + 2, BOTTOM - HEIGHT - 2, right + 18, BOTTOM - 1)
    places = label_places(
        [(float(row.x), float(row.y)) for row in dots], [str(row.step) for row in dots], inside, taken
    )
    found = {row.step: place for row, place in zip(dots, places, strict=True)}
    return [_with_label(row, *found[row.step]) if row.step in found else row for row in rows]


def _with_label(row: CheckpointRow, x: float, y: float) -> CheckpointRow:
    return replace(
        row, label_x=f"{x:.1f}", label_y=f"{y:.1f}", lead=is_far((float(row.x), float(row.y)), (x, y), str(row.step))
    )


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
    """One sentence that says how the best checkpoint differs from the next best; "" without scores."""
    if scores is None or not scores.after:
        return ""
    best, other = scores.best, scores.next_best
    if other is None:
        return f"Step {best.step} is the only checkpoint so far: {_alone(scores, class_word or 'subject')}."
    subject, subject_of_other = scores.scaled_subject(best), scores.scaled_subject(other)
    prompt, prompt_of_other = scores.scaled_prompt(best), scores.scaled_prompt(other)
    looks = f"{percent(subject)} against {percent(subject_of_other)}"
    follows = f"{percent(prompt)} against {percent(prompt_of_other)}"
    if not scores.differ(best, other):
        return (
            f"Step {best.step} and step {other.step}, the next best, are equal within the noise of "
            f"{counted(len(scores.prompts), 'prompt')} (like your photos: {looks}; follows the prompt: {follows}), so "
            "choose by their previews."
        )
    alike = scores.weight * (subject - subject_of_other)
    obedient = (1 - scores.weight) * (prompt - prompt_of_other)
    if obedient >= alike:
        main, other_gain, numbers = (
            f"follows the prompt better than step {other.step}, the next best ({follows})",
            alike,
            looks,
        )
        rest = "looks more like your photos" if alike > 0 else "looks less like your photos"
    else:
        main, other_gain, numbers = (
            f"looks more like your photos than step {other.step}, the next best ({looks})",
            obedient,
            follows,
        )
        rest = "follows the prompt better" if obedient > 0 else "follows the prompt less well"
    same = len(set(numbers.split(" against "))) == 1
    end = "" if same else f", {'and' if other_gain > 0 else 'but'} {rest} ({numbers})"
    return f"Step {best.step} has the best balance: it {main}{end}."


def _alone(scores: CheckpointScores, word: str) -> str:
    """What was measured of the only checkpoint."""
    best = scores.best
    subject, prompt = scores.scaled_subject(best), scores.scaled_prompt(best)
    if subject >= SAME:
        likeness = f"by image features, it is as close to your {word} as your photos are to each other"
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
    return f"{likeness}, {joint} {follows}"


def hardly_learned(scores: CheckpointScores | None) -> str:
    """That a training hardly learned its subject, and what to do; "" if it did, or if that is not known."""
    if scores is None or not scores.after or scores.scaled_subject(scores.best) >= WEAK:
        return ""
    later = scores.after[-1].step > scores.best.step
    return (
        f"It hardly learned your subject: its images are {max(0.0, scores.scaled_subject(scores.best)):.0%} of the way "
        "from an ordinary one to your photos. Check that the captions name the subject by the same word, "
        f"{'choose a later checkpoint, ' if later else ''}or train longer."
    )
