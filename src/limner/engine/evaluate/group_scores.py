"""Whether a model serves all groups alike: each score by group, and whose pictures are taken for another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from limner.core.errors import LimnerError
from limner.core.events import Emit, Notice
from limner.core.metrics import Encoder, ImageSet, MetricResult
from limner.core.requests import Requirement
from limner.core.requests.evaluate import MISTAKEN, FilledPrompt
from limner.engine.evaluate.group_errors import Mistaken, mistaken, read_alike
from limner.engine.scoring.encoders import open_encoder
from limner.engine.scoring.scorers import Scorers
from limner.models.features import check_reads_text
from limner.stats.group_fairness import Fairness, by_group, fairness

JUDGE = "prompt_fidelity"
"""The metric whose encoder tells what a picture is taken for."""


@dataclass(frozen=True)
class Grouped:
    """The pictures of prompts that were painted for each group: in every group, picture i is of one prompt and seed.

    rows: indices of each group's pictures. texts: their prompts, as encoders are told them.
    """

    rows: Mapping[str, Sequence[int]]
    texts: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Served:
    """What came of it. grouped: whose picture is whose. titles: of the metrics.

    mistaken: None where nobody could judge.
    """

    grouped: Grouped
    titles: Mapping[str, str]
    metrics: Mapping[str, Fairness]
    mistaken: Mistaken | None

    @cached_property
    def group_of(self) -> dict[int, str]:
        """The group of each picture that is of one."""
        return {row: group for group, rows in self.grouped.rows.items() for row in rows}

    @property
    def parted(self) -> list[str]:
        """Sentences on those gaps that chance hardly explains, of scores that have a better way."""
        found = [gap_told(self.titles[name], each) for name, each in self.metrics.items() if each.shown and each.better]
        if self.mistaken is not None and self.mistaken.groups.shown:
            found.append(gap_told("share taken for another group", self.mistaken.groups))
        return found

    @property
    def verdict(self) -> str:
        """Whether all are served alike, in a sentence."""
        if self.parted:
            return f"It does not serve all alike: {'; '.join(self.parted)}."
        groups = ", ".join(self.grouped.rows)
        if any(each.few for each in self.metrics.values()):
            return f"Of {groups} there are too few pictures to tell whether all are served alike."
        return f"No gap between {groups} was shown to be more than chance."

    def value(self, wanted: Requirement) -> float:
        """What is required of groups: a metric's gap, or the share of pictures that are mistaken or its gap."""
        if wanted.of != MISTAKEN:
            return self.metrics[wanted.of].gap
        assert self.mistaken is not None, "checked before painting"
        return self.mistaken.groups.gap if wanted.of_gap else self.mistaken.share

    def told(self) -> dict[str, object]:
        """Plain values for JSON."""
        judged = self.mistaken
        found = judged and {
            "encoder": judged.encoder,
            "all": {"share": judged.share, "low": judged.low, "high": judged.high},
            "by_guessing": judged.by_guessing,
            "taken_for": judged.taken,
            **_plain(judged.groups),
        }
        return {
            "groups": list(self.grouped.rows),
            "metrics": {name: _plain(each) for name, each in self.metrics.items()},
            "mistaken": found,
        }


def grouped(prompts: Sequence[FilledPrompt], plain: Sequence[str], count: int) -> Grouped:
    """Pictures by group, where each prompt was painted `count` times, in this order. plain: prompts for encoders."""
    rows: dict[str, list[int]] = {}
    texts: dict[str, list[str]] = {}
    for number, (each, text) in enumerate(zip(prompts, plain, strict=True)):
        if each.group is not None:
            rows.setdefault(each.group, []).extend(range(number * count, (number + 1) * count))
            texts.setdefault(each.group, []).extend([text] * count)
    return Grouped(rows, texts)


def judge_of(
    found: Grouped, scorers: Scorers, encoder: str | None, required: Sequence[Requirement], emit: Emit
) -> Encoder | None:
    """The encoder that tells what pictures are taken for: that of the prompt fidelity that is measured, or by default.

    None, with a line that says so, where it reads two groups' prompts as one; LimnerError where that was required, or
    the encoder reads no text.
    """
    measured = next((model for name, (_, model, _) in scorers.ready.items() if name.split("=")[0] == JUDGE), None)
    judge = check_reads_text(open_encoder(measured or encoder or "starter"))
    alike = read_alike(judge, found.texts)
    if alike is None:
        return judge
    one, other = (repr(text[:80]) for text in alike)
    problem = f"the encoder {judge.name!r} reads {one} and {other} as one text, and cannot tell whose a picture is"
    wanted = next((wanted for wanted in required if wanted.of == MISTAKEN), None)
    if wanted is not None:
        raise LimnerError(f"{wanted} is required, and {problem}", "shorten the prompt, or name another by --encoder")
    emit(Notice(text=f"{problem}; what is mistaken is left out", level="warning"))
    return None


def served(found: Grouped, gallery: ImageSet, scores: Mapping[str, MetricResult], judge: Encoder | None) -> Served:
    """Each score of pictures by group, and what the pictures are taken for."""
    told = {name: score for name, score in scores.items() if score.unit == "picture"}
    metrics = {
        name: fairness(name, by_group(found.rows, score), score.better, paired=True) for name, score in told.items()
    }
    pictures = {group: [gallery.items[row].picture for row in rows] for group, rows in found.rows.items()}
    judged = None if judge is None else mistaken(judge, pictures, found.texts)
    return Served(found, {name: score.title for name, score in told.items()}, metrics, judged)


def gap_told(title: str, each: Fairness) -> str:
    """A gap in a sentence, and whether chance explains it."""
    highest = max(each.groups, key=lambda group: group.mean)
    lowest = min(each.groups, key=lambda group: group.mean)
    if each.gap == 0:
        return f"{title} is the same for all"
    gap, low, high, top, bottom = _rounded(each.gap, each.low, each.high, highest.mean, lowest.mean)
    said = f"{title} is {top} for {highest.value} and {bottom} for {lowest.value}"
    if each.few:
        return f"{said}; {lowest.count} pictures of each are too few to tell this gap from chance"
    by = "hardly explains" if each.shown else "may explain"
    return f"{said}; chance {by} this gap of {gap} [{low}, {high}]"


def _rounded(*values: float) -> list[str]:
    """Numbers with as many decimals as the first, where it is not zero, needs for two digits."""
    decimals = int(np.clip(1 - np.floor(np.log10(abs(values[0]))), 0, 6)) if values[0] else 3
    return [f"{value:.{decimals}f}" for value in values]


def _plain(each: Fairness) -> dict[str, object]:
    return {**asdict(each), "hardly_chance": each.shown}
