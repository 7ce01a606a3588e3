"""Scores of people who looked at an evaluation's pictures blind -> what they think, and which metrics think so too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from limner.core.errors import LimnerError
from limner.core.opinions import CRITERIA, HIGHEST, LOWEST, Criterion, Opinions, evaluation_of
from limner.core.requests import Frozen
from limner.core.requests.evaluate import DRIFT
from limner.core.small_json import read_small_json
from limner.core.votes import Digest

REPORT = "report.json"
LONGEST = 2**26
"""The longest report that is read, in bytes."""
FEWEST = 10
"""Pictures below which nothing is claimed of a metric."""
Figures = tuple[float, float | None, float | None]
"""Value, and the ends of its 95% interval where it has one."""


class _Told(BaseModel):
    """A part of a report, of which no more is read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Pictured(_Told):
    path: str = Field(max_length=4096)
    sha256: Digest
    prompt: str


class Measured(_Told):
    of: str
    better: Literal["higher", "lower"] | None = None
    values: tuple[float, ...]


class Report(_Told):
    """What is read of an evaluation's report.json."""

    pictures: tuple[Pictured, ...] = Field(min_length=1)
    scores: dict[str, Measured]
    photographs: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, Measured]:
        """Those that say something of each picture."""
        return {
            name: told
            for name, told in self.scores.items()
            if told.of == "picture" and len(told.values) == len(self.pictures) and name.split("=")[0] != DRIFT
        }


class Judged(Frozen):
    """What people say to one question. mean: over pictures, of the means over people. counts: how often each score was
    given. agreement: Krippendorff's alpha; None where no two scored the same, or all say the same.
    """

    mean: Figures
    pictures: int
    counts: tuple[int, ...]
    agreement: Figures | None


class Likeness(Frozen):
    """How far a metric orders the pictures as people do: Spearman's correlation, turned so that 1 is full agreement
    where a metric says which way is better; None where all values are alike.
    """

    metric: str
    criterion: Criterion
    pictures: int
    correlation: Figures | None


class Rater(Frozen):
    """One of the people: how many pictures were scored, and their own means."""

    name: str
    pictures: int
    means: dict[Criterion, float]


class Findings(Frozen):
    """What people think of an evaluation's pictures. means: by picture, over people."""

    evaluation: str
    verdict: str
    raters: tuple[Rater, ...]
    criteria: dict[Criterion, Judged]
    metrics: tuple[Likeness, ...]
    means: dict[str, dict[Criterion, float]]


def read_report(folder: Path) -> Report:
    """The report of the evaluation in a folder."""
    remedy = "name the folder that `limner evaluate` made by --evaluation"
    return read_small_json(folder / REPORT, Report, "the report of an evaluation", remedy, LONGEST)


def read_opinions(paths: Sequence[Path], report: Report) -> list[Opinions]:
    """The files that people sent back, one of each; LimnerError in a line for any that cannot be."""
    known = {picture.sha256 for picture in report.pictures}
    evaluation = evaluation_of(picture.sha256 for picture in report.pictures)
    found = [_opinions(path, evaluation, known) for path in paths]
    _check_once(paths, found)
    if not any(scores for each in found for scores in each.scores.values()):
        raise LimnerError("there are no scores in the files", "score pictures on score.html, and save")
    return found


def findings(report: Report, opinions: Sequence[Opinions]) -> Findings:
    """Means with bootstrap intervals over pictures, agreement of the raters, and likeness to the metrics."""
    scored = {sha256 for each in opinions for sha256 in each.scores}
    hashes = list(dict.fromkeys(picture.sha256 for picture in report.pictures if picture.sha256 in scored))
    every: dict[Criterion, np.ndarray] = {name: _table(name, hashes, opinions) for name in CRITERIA}
    tables: dict[Criterion, np.ndarray] = {name: table for name, table in every.items() if (table >= 0).any()}
    criteria: dict[Criterion, Judged] = {name: _judged(table) for name, table in tables.items()}
    metrics = tuple(
        _likeness(report, hashes, metric, name, tables[name]) for metric in report.metrics for name in tables
    )
    raters = tuple(_rater(number, each) for number, each in enumerate(opinions, 1))
    rows: dict[Criterion, np.ndarray] = {name: _means(table) for name, table in tables.items()}
    means: dict[str, dict[Criterion, float]] = {
        sha256: {name: float(row[place]) for name, row in rows.items() if np.isfinite(row[place])}
        for place, sha256 in enumerate(hashes)
    }
    return Findings(
        evaluation=opinions[0].evaluation,
        verdict=_verdict(criteria, metrics, len(raters)),
        raters=raters,
        criteria=criteria,
        metrics=metrics,
        means={sha256: told for sha256, told in means.items() if told},
    )


def _table(name: Criterion, hashes: Sequence[str], opinions: Sequence[Opinions]) -> np.ndarray:
    """What each said of each picture, from 0, and -1 where nothing was said: (raters, pictures)."""
    rows = [[each.scores.get(sha256, {}).get(name, LOWEST - 1) for sha256 in hashes] for each in opinions]
    return np.array(rows) - LOWEST


def _means(table: np.ndarray) -> np.ndarray:
    """Each picture's mean over people, NaN where nobody scored it; (raters, pictures) -> (pictures,)."""
    count = (table >= 0).sum(0)
    return np.where(count > 0, LOWEST + np.maximum(table, 0).sum(0) / np.maximum(count, 1), np.nan)


def _judged(table: np.ndarray) -> Judged:
    from limner.stats.intervals import interval
    from limner.stats.krippendorff import alpha_interval

    means = _means(table)
    means = means[np.isfinite(means)]
    levels = HIGHEST - LOWEST + 1
    agreement = alpha_interval(table, levels)
    return Judged(
        mean=_figures(*interval(means)),
        pictures=len(means),
        counts=tuple(int((table == level).sum()) for level in range(levels)),
        agreement=_figures(*agreement) if np.isfinite(agreement[0]) else None,
    )


def _likeness(report: Report, hashes: Sequence[str], metric: str, name: Criterion, table: np.ndarray) -> Likeness:
    from limner.stats.intervals import correlation

    told = report.metrics[metric]
    by_hash = dict(zip((picture.sha256 for picture in report.pictures), told.values, strict=True))
    values, means = np.array([by_hash[sha256] for sha256 in hashes]), _means(table)
    scored = np.isfinite(means)
    found = correlation((-values if told.better == "lower" else values)[scored], means[scored])
    figures = _figures(*found) if np.isfinite(found[0]) else None
    return Likeness(metric=metric, criterion=name, pictures=int(scored.sum()), correlation=figures)


def _rater(number: int, opinions: Opinions) -> Rater:
    said = [scores for scores in opinions.scores.values() if scores]
    given: dict[Criterion, list[int]] = {name: [scores[name] for scores in said if name in scores] for name in CRITERIA}
    means: dict[Criterion, float] = {name: float(np.mean(values)) for name, values in given.items() if values}
    return Rater(name=opinions.rater or f"person {number}", pictures=len(said), means=means)


def _figures(value: float, low: float, high: float) -> Figures:
    return (float(value), float(low), float(high)) if np.isfinite([low, high]).all() else (float(value), None, None)


def _verdict(criteria: dict[Criterion, Judged], metrics: Sequence[Likeness], raters: int) -> str:
    """One sentence."""
    pictures = max(each.pictures for each in criteria.values())
    who = f"{raters} {'people' if raters > 1 else 'person'} on {pictures} picture{'s' if pictures > 1 else ''}"
    said = ", ".join(f"{name} {_shown(each.mean)}" for name, each in criteria.items())
    return f"{who}: {said}, of {HIGHEST}; {_agreed(criteria, raters)}; {_nearest(metrics)}."


def _agreed(criteria: dict[Criterion, Judged], raters: int) -> str:
    if raters == 1:
        return "agreement is known of two people and more"
    known = {name: each.agreement[0] for name, each in criteria.items() if each.agreement is not None}
    if not known:
        return "agreement is not known, for no two differ on the same pictures"
    return "agreement (Krippendorff's alpha) " + ", ".join(f"{name} {value:.2f}" for name, value in known.items())


def _nearest(metrics: Sequence[Likeness]) -> str:
    """The metric that goes best with people, where one is shown to."""
    shown = [
        (each.correlation, each)
        for each in metrics
        if each.correlation and each.correlation[1] is not None and each.correlation[1] > 0 and each.pictures >= FEWEST
    ]
    if not shown:
        return "no metric is shown to go with them"
    figures, best = max(shown, key=lambda pair: pair[0][0])
    return f"{best.metric} goes best with them, on {best.criterion}: rank correlation {_shown(figures)}"


def _shown(figures: Figures) -> str:
    value, low, high = figures
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _opinions(path: Path, evaluation: str, known: set[str]) -> Opinions:
    told = read_small_json(path, Opinions, "a file of scores", "save it anew from score.html")
    if told.evaluation != evaluation:
        raise LimnerError(
            f"{str(path)!r} holds scores of another evaluation, or of this one before it was painted anew",
            "name the folder of that by --evaluation",
        )
    if strange := next((sha256 for sha256 in told.scores if sha256 not in known), None):
        raise LimnerError(
            f"{str(path)!r} scores a picture {strange[:12]}, which the evaluation does not hold", "save it anew"
        )
    return told


def _check_once(paths: Sequence[Path], opinions: Sequence[Opinions]) -> None:
    """No two files of one person, who would count twice: of one ballot, or of one name."""
    seen: dict[str, Path] = {}
    for path, told in zip(paths, opinions, strict=True):
        name = " ".join((told.rater or "").split())
        marks = {told.ballot: "are of one person", f"name {name.casefold()}": f"are both of {name!r}"}
        for mark, what in marks.items() if name else [(told.ballot, marks[told.ballot])]:
            if mark in seen:
                remedy = "name the newer alone" + (", or write another name" if mark != told.ballot else "")
                raise LimnerError(f"{str(seen[mark])!r} and {str(path)!r} {what}", remedy)
            seen[mark] = path
