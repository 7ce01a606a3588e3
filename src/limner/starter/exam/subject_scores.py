"""How much of a character the judge finds in pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from limner.starter.exam.scoring import Proportion
from limner.starter.exam.subject_scores import DRIFT_IMAGES, SUBJECT_PROMPTS
from limner.starter.judge import Judge


@dataclass(frozen=True)
class SubjectScores:
    """What the judge found for one character, in the painter's own pictures of it, and for the base model.

    All at the same prompts.
    """

    marks: Proportion
    painter_marks: Proportion
    coat: Proportion
    prompt: Proportion
    base_prompt: Proportion
    drift: Proportion
    base_drift: Proportion

    @property
    def obeyed(self) -> float:
        """What the prompts ask for, in shares of the base model's."""
        return self.prompt.value / self.base_prompt.value if self.base_prompt.right else float("nan")


def score_subject(judge: Judge, name: str, species: str, pixels: np.ndarray, plain: np.ndarray) -> SubjectScores:
    """Read what was painted for `prompts_for` the character, (n, 128, 128, 3) uint8, and for the class word alone."""
    from limner.starter.judge import MARKINGS, truth
    from limner.starter.painter import Scene, paint

    scenes = [Scene.model_validate({"subject": species, "character": name, **ask.values}) for ask in SUBJECT_PROMPTS]
    painted = judge.read(np.stack([np.asarray(paint(scene)) for scene in scenes]))
    taught, base = judge.read(pixels), judge.read(plain)
    marks, painter_marks, coat, prompt, base_prompt = [], [], [], [], []
    for index, (ask, scene) in enumerate(zip(SUBJECT_PROMPTS, scenes, strict=True)):
        scores_as_json = truth(scene)
        borne = {place: value for place in MARKINGS if (value := scores_as_json[place]) and value != MARKINGS[place][0]}
        marks += [taught.shows(index, place, value) for place, value in borne.items()]
        painter_marks += [painted.shows(index, place, value) for place, value in borne.items()]
        if scores_as_json["coat"]:
            coat.append(taught.shows(index, "coat", scores_as_json["coat"]))
        prompt += [taught.shows(index, key, value) for key, value in ask.values.items()]
        base_prompt += [base.shows(index, key, value) for key, value in ask.values.items()]
    own = truth(Scene(subject=species, character=name))["coat"]
    assert own is not None
    turned = range(len(SUBJECT_PROMPTS), len(SUBJECT_PROMPTS) + DRIFT_IMAGES)
    return SubjectScores(
        Proportion.of(marks),
        Proportion.of(painter_marks),
        Proportion.of(coat),
        Proportion.of(prompt),
        Proportion.of(base_prompt),
        Proportion.of(taught.shows(i, "coat", own) for i in turned),
        Proportion.of(base.shows(i, "coat", own) for i in turned),
    )


def total_scores(scores: Iterable[SubjectScores]) -> SubjectScores:
    """All characters together."""
    columns = zip(*(vars(score).values() for score in scores), strict=True)
    return SubjectScores(
        *(Proportion(sum(s.right for s in column), sum(s.count for s in column)) for column in columns)
    )


COLUMNS = (
    "marks",
    "painter's marks",
    "coat",
    "prompt",
    "base model's prompt",
    "of the base model's",
    "class drift",
    "base model's",
)


def rows(scores: Mapping[str, SubjectScores]) -> list[tuple[str, list[str]]]:
    """A row a character and one for all, in percent."""
    found = []
    for name, score in [*scores.items(), ("all", total_scores(scores.values()))]:
        shares = [f"{100 * share.value:.0f}" for share in vars(score).values()]
        found.append((name, [*shares[:5], f"{100 * score.obeyed:.0f}", *shares[5:]]))
    return found


def scores_as_json(score: SubjectScores) -> dict[str, object]:
    """Plain values for JSON: shares with the counts behind them."""
    values: dict[str, object] = {
        name: {"right": share.right, "count": share.count, "share": round(share.value, 4)}
        for name, share in vars(score).items()
    }
    return values | {"obeyed": round(score.obeyed, 4)}
