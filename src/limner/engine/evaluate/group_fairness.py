"""Group fairness of an evaluation: the gap of each score between groups, and images taken for another group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.metrics import Encoder, ImageSet, MetricResult
from limner.core.requests import Requirement
from limner.core.requests.evaluate import MISTAKEN, FilledPrompt
from limner.engine.scoring.scorers import Scorers, figures
from limner.engine.scoring.trust import distrust_of
from limner.models.features import check_reads_text, cosines
from limner.reports.interval_plots import MeanInterval, Panel, panels_svg
from limner.stats.group_fairness import GroupConfusion, GroupGap, group_confusion, group_gap, values_by_group

PROMPT_FIDELITY = "prompt_fidelity"
"""The metric whose encoder decides which group an image shows."""
CONFUSION = "share of misclassified images"
SAME = 1 - 1e-6
"""Cosine from which on an encoder cannot distinguish two texts."""


@dataclass(frozen=True)
class GroupedImages:
    """Images by group; in every group, image i has the same prompt template and seed.

    rows: indices of each group's images. texts: their prompts, without identifiers.
    """

    rows: Mapping[str, Sequence[int]]
    texts: Mapping[str, Sequence[str]]

    def files(self, gallery: ImageSet) -> dict[str, list[Path]]:
        return {group: [gallery.items[row].path for row in rows] for group, rows in self.rows.items()}


@dataclass(frozen=True)
class GroupFairness:
    """titles, gaps: by metric. confusion: None where the encoder cannot distinguish the prompts of two groups. doubts:
    why a metric does not show which group is served worse, for those that do not.
    """

    images: GroupedImages
    titles: Mapping[str, str]
    gaps: Mapping[str, GroupGap]
    confusion: GroupConfusion | None
    doubts: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def group_of(self) -> dict[int, str]:
        """The group of each image that belongs to one, by its index."""
        return {row: group for group, rows in self.images.rows.items() for row in rows}

    @property
    def titled_gaps(self) -> list[tuple[str, GroupGap]]:
        """All gaps with their titles, that of the confusion last."""
        confusion = [(CONFUSION, self.confusion.by_group)] if self.confusion else []
        return [(self.titles[name], gap) for name, gap in self.gaps.items()] + confusion

    @property
    def significant_gaps(self) -> list[str]:
        """A sentence for each gap that is unlikely to be chance, of metrics that have a better direction."""
        return [gap_sentence(title, gap) for title, gap in self.titled_gaps if is_bad(gap)]

    @property
    def verdict(self) -> str:
        """Whether all groups are served equally well, in a sentence."""
        if self.significant_gaps:
            return f"Groups are not served equally well: {'; '.join(self.significant_gaps)}."
        groups = ", ".join(self.images.rows)
        if doubts := [reason for name, reason in self.doubts.items() if self.gaps[name].significant]:
            return f"Cannot tell whether groups are served equally well: {doubts[0]}; name another metric by --metric."
        if any(gap.too_few for gap in self.gaps.values()):
            return f"There are too few images of {groups} to compare the groups."
        return f"No gap between {groups} is clearly more than chance."

    def value(self, requirement: Requirement) -> float:
        """What a requirement on groups is about: the gap of a metric, or the confusion or its gap."""
        if requirement.of != MISTAKEN:
            return self.gaps[requirement.of].gap
        assert self.confusion is not None, "checked before images are generated"
        return self.confusion.by_group.gap if requirement.of_gap else self.confusion.share

    def as_json(self) -> dict[str, object]:
        """The values by the keys of report.json."""
        return {
            "groups": list(self.images.rows),
            "metrics": {name: gap.as_json() for name, gap in self.gaps.items()},
            "mistaken": self.confusion and self.confusion.as_json(),
        }

    def page(self) -> dict[str, Any]:
        """What reports/group_fairness.html shows."""
        gaps = self.titled_gaps
        panels = [Panel(title, _intervals(gap)) for title, gap in gaps]
        return {
            "names": list(self.images.rows),
            "count": len(next(iter(self.images.rows.values()))),
            "sentences": [(_capitalised(gap_sentence(title, gap)), is_bad(gap)) for title, gap in gaps],
            "plot": panels_svg(panels, "scores by group") if panels else None,
            "rows": [_row(self.titles[name], gap) for name, gap in self.gaps.items()],
            "confusion": self.confusion and _confusion_page(self.confusion),
        }


def group_images(prompts: Sequence[FilledPrompt], plain: Sequence[str], count: int) -> GroupedImages:
    """Groups the images of prompts of which each has `count` images, in order. plain: prompts without identifiers."""
    rows: dict[str, list[int]] = {}
    texts: dict[str, list[str]] = {}
    for number, (prompt, text) in enumerate(zip(prompts, plain, strict=True)):
        if prompt.group is not None:
            rows.setdefault(prompt.group, []).extend(range(number * count, (number + 1) * count))
            texts.setdefault(prompt.group, []).extend([text] * count)
    return GroupedImages(rows, texts)


def confusion_encoder(
    images: GroupedImages, scorers: Scorers, default: str | None, required: Sequence[Requirement], emit: Emit
) -> Encoder | None:
    """The encoder that decides which group an image shows: that of the prompt fidelity, or else the default.

    None, with a warning, if it cannot distinguish the prompts of two groups. Raises LimnerError if it must, or if the
    encoder has no text encoder.
    """
    models = (model for name, model in scorers.models.items() if name.split("=")[0] == PROMPT_FIDELITY)
    encoder = check_reads_text(scorers.encoder(next(models, None) or default or "starter"))
    same = indistinguishable(encoder, images.texts)
    if same is None:
        return encoder
    one, other = (repr(text[:80]) for text in same)
    problem = f"the encoder {encoder.name!r} cannot distinguish the prompts {one} and {other}"
    requirement = next((each for each in required if each.of == MISTAKEN), None)
    if requirement is not None:
        raise LimnerError(
            f"{requirement} is required, but {problem}", "shorten the prompt, or choose another encoder with --encoder"
        )
    emit(Notice(text=f"{problem}, so misclassified images are not counted", level="warning"))
    return None


def indistinguishable(encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Two prompts that differ only in the group and that the encoder cannot distinguish, None if there are none."""
    encoded, names = _encode(encoder, texts), list(texts)
    for case in range(encoded.shape[1]):
        rows = torch.from_numpy(encoded[:, case])
        same = np.triu(cosines(rows, rows) >= SAME, 1)
        if same.any():
            one, other = np.argwhere(same)[0]
            return texts[names[one]][case], texts[names[other]][case]
    return None


def measure_fairness(
    images: GroupedImages,
    gallery: ImageSet,
    scores: Mapping[str, MetricResult],
    encoder: Encoder | None,
    models: Sequence[str],
    original_name: Callable[[str], str] = str,
) -> GroupFairness:
    """The gap of each per-image score between groups, and the images taken for another group.

    encoder: decides which group an image shows; None if it cannot. models: references of the base models that
    generated the images. original_name: how the user named a file.
    """
    chosen = {name: score for name, score in scores.items() if score.unit == "picture"}
    doubts = {
        name: reason
        for name, score in chosen.items()
        if score.better is not None and (reason := distrust_of(score, models, original_name)) is not None
    }
    gaps = {
        name: group_gap(
            name, values_by_group(images.rows, score), None if name in doubts else score.better, paired=True
        )
        for name, score in chosen.items()
    }
    confusion = None
    if encoder is not None:
        confusion = measure_confusion(encoder, images.files(gallery), images.texts)
        confusion = replace(confusion, encoder=original_name(confusion.encoder))
    return GroupFairness(images, {name: score.title for name, score in chosen.items()}, gaps, confusion, doubts)


def measure_confusion(
    encoder: Encoder, images: Mapping[str, Sequence[Path]], texts: Mapping[str, Sequence[str]]
) -> GroupConfusion:
    """Count the images that an encoder finds closer to the prompt of another group than to their own.

    images: by group, n files each. texts: by group, the prompts of these n images with that group in place.
    """
    encoded = _encode(encoder, texts)
    similarities: dict[str, np.ndarray] = {}
    for group, files in images.items():
        with torch.inference_mode():
            features = encoder.images(files).double().cpu().numpy()
        similarities[group] = np.einsum("nd,gnd->ng", features, encoded)
    return group_confusion(encoder.name, similarities)


def _encode(encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> np.ndarray:
    """The features of n texts of each group, each text encoded once: (groups, n, d) in fp64."""
    every = list(dict.fromkeys(text for those in texts.values() for text in those))
    with torch.inference_mode():
        features = dict(zip(every, encoder.texts(every).double().cpu().numpy(), strict=True))
    return np.stack([np.stack([features[text] for text in those]) for those in texts.values()])


def is_bad(gap: GroupGap) -> bool:
    """Whether a group is served worse, and that is unlikely to be chance."""
    return gap.significant and gap.better is not None


def gap_sentence(title: str, gap: GroupGap) -> str:
    """A gap in a sentence, and whether it may be chance."""
    if gap.gap == 0:
        return f"{title} is the same for all groups"
    highest = max(gap.groups, key=lambda group: group.mean)
    lowest = min(gap.groups, key=lambda group: group.mean)
    size, low, high, top, bottom = _two_digits(gap.gap, gap.low, gap.high, highest.mean, lowest.mean)
    text = f"{title} is {top} for {highest.value} and {bottom} for {lowest.value}"
    if gap.too_few:
        return f"{text}; {lowest.count} images per group are too few to say whether this gap is chance"
    chance = "is unlikely to be chance" if gap.significant else "may be chance"
    return f"{text}; this gap of {size} [{low}, {high}] {chance}"


def _two_digits(*values: float) -> list[str]:
    """Values with the number of decimals that the first needs for two digits."""
    decimals = int(np.clip(1 - np.floor(np.log10(abs(values[0]))), 0, 6)) if values[0] else 3
    return [f"{value:.{decimals}f}" for value in values]


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _intervals(gap: GroupGap) -> list[MeanInterval]:
    """The groups in their order, the worst one highlighted if the gap is bad."""
    return [
        MeanInterval(group.value, group.mean, group.low, group.high, is_bad(gap) and group.value == gap.worst)
        for group in gap.groups
    ]


def _row(title: str, gap: GroupGap) -> dict[str, Any]:
    return {
        "title": title,
        "means": [figures(group.mean, group.low, group.high) for group in gap.groups],
        "gap": figures(gap.gap, gap.low, gap.high, digits=2),
        "worst": gap.worst if gap.better and gap.gap else "",
        "p_value": "< 0.001" if gap.p_value < 0.001 else f"{gap.p_value:.3f}",
        "bad": is_bad(gap),
    }


def _confusion_page(confusion: GroupConfusion) -> dict[str, Any]:
    return {
        "encoder": confusion.encoder,
        "share": f"{confusion.share:.0%}",
        "guessing": f"{confusion.by_guessing:.0%}",
        "rows": [
            {
                "group": group.value,
                "share": f"{group.mean:.0%}",
                "interval": f"[{group.low:.0%}, {group.high:.0%}]",
                "wrong": f"{sum(confusion.taken_for[group.value].values())} of {group.count}",
                "mostly": confusion.most_taken_for(group.value) or "",
            }
            for group in confusion.by_group.groups
        ],
    }
