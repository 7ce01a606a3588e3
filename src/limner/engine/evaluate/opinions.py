"""What people think of an evaluation's images: mean scores, agreement of raters, and agreement with metrics."""

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
MAX_BYTES = 2**26
"""The largest report that is read."""
MIN_IMAGES = 10
"""Images below which no agreement with a metric is claimed."""
Figures = tuple[float, float | None, float | None]
"""A value and the ends of its 95% interval, None where it has no interval."""


class ReportPart(BaseModel):
    """A part of report.json, of which only these fields are read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ReportImage(ReportPart):
    path: str = Field(max_length=4096)
    sha256: Digest
    prompt: str


class ReportMetric(ReportPart):
    of: str
    better: Literal["higher", "lower"] | None = None
    values: tuple[float, ...]


class EvaluationReport(ReportPart):
    """What is read of an evaluation's report.json."""

    pictures: tuple[ReportImage, ...] = Field(min_length=1)
    scores: dict[str, ReportMetric]
    photographs: tuple[str, ...] = ()

    @property
    def image_metrics(self) -> dict[str, ReportMetric]:
        """The metrics with a value for each image."""
        return {
            name: metric
            for name, metric in self.scores.items()
            if metric.of == "picture" and len(metric.values) == len(self.pictures) and name.split("=")[0] != DRIFT
        }


class CriterionSummary(Frozen):
    """People's scores for one question. mean: over images, of the means over people. counts: how often each score was
    given. agreement: Krippendorff's alpha; None where no image was scored twice, or all scores are equal.
    """

    mean: Figures
    pictures: int
    counts: tuple[int, ...]
    agreement: Figures | None


class MetricAgreement(Frozen):
    """How far a metric orders the images as people do: Spearman's rank correlation, with the sign reversed where lower
    is better, so that 1 is full agreement. None where all values are equal.
    """

    metric: str
    criterion: Criterion
    pictures: int
    correlation: Figures | None


class RaterSummary(Frozen):
    """One person: the number of images scored, and the mean scores."""

    name: str
    pictures: int
    means: dict[Criterion, float]


class OpinionSummary(Frozen):
    """What people think of an evaluation's images. means: by image, over people."""

    evaluation: str
    verdict: str
    raters: tuple[RaterSummary, ...]
    criteria: dict[Criterion, CriterionSummary]
    metrics: tuple[MetricAgreement, ...]
    means: dict[str, dict[Criterion, float]]


def read_report(folder: Path) -> EvaluationReport:
    """The report of the evaluation in a folder."""
    remedy = "give the folder that `limner evaluate` wrote with --evaluation"
    return read_small_json(folder / REPORT, EvaluationReport, "the report of an evaluation", remedy, MAX_BYTES)


def read_opinions(paths: Sequence[Path], report: EvaluationReport) -> list[Opinions]:
    """The files that people sent back, one per person. Raises LimnerError for a file that does not fit the report."""
    hashes = {image.sha256 for image in report.pictures}
    evaluation = evaluation_of(image.sha256 for image in report.pictures)
    found = [_read(path, evaluation, hashes) for path in paths]
    _check_one_each(paths, found)
    if not any(scores for each in found for scores in each.scores.values()):
        raise LimnerError("the files contain no scores", "score images on score.html and save")
    return found


def summarise(report: EvaluationReport, opinions: Sequence[Opinions]) -> OpinionSummary:
    """Means with bootstrap intervals over images, agreement of the raters, and agreement with the metrics."""
    scored = {sha256 for each in opinions for sha256 in each.scores}
    hashes = list(dict.fromkeys(image.sha256 for image in report.pictures if image.sha256 in scored))
    every: dict[Criterion, np.ndarray] = {name: _table(name, hashes, opinions) for name in CRITERIA}
    tables: dict[Criterion, np.ndarray] = {name: table for name, table in every.items() if (table >= 0).any()}
    criteria: dict[Criterion, CriterionSummary] = {name: _criterion(table) for name, table in tables.items()}
    metrics = tuple(
        _agreement(report, hashes, metric, name, tables[name]) for metric in report.image_metrics for name in tables
    )
    rows: dict[Criterion, np.ndarray] = {name: _image_means(table) for name, table in tables.items()}
    means: dict[str, dict[Criterion, float]] = {
        sha256: {name: float(row[place]) for name, row in rows.items() if np.isfinite(row[place])}
        for place, sha256 in enumerate(hashes)
    }
    return OpinionSummary(
        evaluation=opinions[0].evaluation,
        verdict=_verdict(criteria, metrics, len(opinions)),
        raters=tuple(_rater(number, each) for number, each in enumerate(opinions, 1)),
        criteria=criteria,
        metrics=metrics,
        means={sha256: its for sha256, its in means.items() if its},
    )


def as_text(figures: Figures) -> str:
    """A value with its interval, "0.31 [0.28, 0.34]"."""
    value, low, high = figures
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _table(name: Criterion, hashes: Sequence[str], opinions: Sequence[Opinions]) -> np.ndarray:
    """Scores (raters, images) from 0, -1 where there is none."""
    rows = [[each.scores.get(sha256, {}).get(name, LOWEST - 1) for sha256 in hashes] for each in opinions]
    return np.array(rows) - LOWEST


def _image_means(table: np.ndarray) -> np.ndarray:
    """The mean over people of each image, NaN where nobody scored it; (raters, images) -> (images,)."""
    count = (table >= 0).sum(0)
    return np.where(count > 0, LOWEST + np.maximum(table, 0).sum(0) / np.maximum(count, 1), np.nan)


def _criterion(table: np.ndarray) -> CriterionSummary:
    from limner.stats.intervals import interval
    from limner.stats.krippendorff import alpha_interval

    means = _image_means(table)
    means = means[np.isfinite(means)]
    levels = HIGHEST - LOWEST + 1
    agreement = alpha_interval(table, levels)
    return CriterionSummary(
        mean=_figures(*interval(means)),
        pictures=len(means),
        counts=tuple(int((table == level).sum()) for level in range(levels)),
        agreement=_figures(*agreement) if np.isfinite(agreement[0]) else None,
    )


def _agreement(
    report: EvaluationReport, hashes: Sequence[str], metric: str, name: Criterion, table: np.ndarray
) -> MetricAgreement:
    from limner.stats.intervals import correlation

    measured = report.image_metrics[metric]
    by_hash = dict(zip((image.sha256 for image in report.pictures), measured.values, strict=True))
    values, means = np.array([by_hash[sha256] for sha256 in hashes]), _image_means(table)
    scored = np.isfinite(means)
    found = correlation((-values if measured.better == "lower" else values)[scored], means[scored])
    figures = _figures(*found) if np.isfinite(found[0]) else None
    return MetricAgreement(metric=metric, criterion=name, pictures=int(scored.sum()), correlation=figures)


def _rater(number: int, opinions: Opinions) -> RaterSummary:
    scored = [scores for scores in opinions.scores.values() if scores]
    given: dict[Criterion, list[int]] = {
        name: [scores[name] for scores in scored if name in scores] for name in CRITERIA
    }
    means: dict[Criterion, float] = {name: float(np.mean(values)) for name, values in given.items() if values}
    return RaterSummary(name=opinions.rater or f"person {number}", pictures=len(scored), means=means)


def _figures(value: float, low: float, high: float) -> Figures:
    return (float(value), float(low), float(high)) if np.isfinite([low, high]).all() else (float(value), None, None)


def _verdict(criteria: dict[Criterion, CriterionSummary], metrics: Sequence[MetricAgreement], raters: int) -> str:
    """Mean scores, agreement of raters, and the metric that agrees best with people, in a sentence."""
    images = max(each.pictures for each in criteria.values())
    who = f"{raters} {'people' if raters > 1 else 'person'} on {images} image{'s' if images > 1 else ''}"
    means = ", ".join(f"{name} {as_text(each.mean)}" for name, each in criteria.items())
    known = {name: each.agreement[0] for name, each in criteria.items() if each.agreement is not None}
    if raters == 1:
        agreement = "agreement needs two people or more"
    elif known:
        alphas = ", ".join(f"{name} {value:.2f}" for name, value in known.items())
        agreement = f"agreement (Krippendorff's alpha) {alphas}"
    else:
        agreement = "agreement is unknown, because no image has different scores"
    return f"{who}: {means}, of {HIGHEST}; {agreement}; {_best_metric(metrics)}."


def _best_metric(metrics: Sequence[MetricAgreement]) -> str:
    """The metric that agrees best with people, among those that clearly do."""
    clear = [
        (each.correlation, each)
        for each in metrics
        if each.correlation
        and each.correlation[1] is not None
        and each.correlation[1] > 0
        and each.pictures >= MIN_IMAGES
    ]
    if not clear:
        return "no metric clearly agrees with them"
    figures, best = max(clear, key=lambda pair: pair[0][0])
    return f"{best.metric} agrees best with them, on {best.criterion}: rank correlation {as_text(figures)}"


def _read(path: Path, evaluation: str, hashes: set[str]) -> Opinions:
    opinions = read_small_json(path, Opinions, "a file of scores", "save it again from score.html")
    if opinions.evaluation != evaluation:
        raise LimnerError(
            f"{str(path)!r} contains scores of another evaluation, or of this one before its images changed",
            "give the folder of that evaluation with --evaluation",
        )
    if unknown := next((sha256 for sha256 in opinions.scores if sha256 not in hashes), None):
        raise LimnerError(
            f"{str(path)!r} scores an image {unknown[:12]}, which is not in the evaluation",
            "save it again from score.html",
        )
    return opinions


def _check_one_each(paths: Sequence[Path], opinions: Sequence[Opinions]) -> None:
    """Raise LimnerError for two files of one person, who would count twice: with the same ballot or the same name."""
    seen: dict[str, Path] = {}
    for path, each in zip(paths, opinions, strict=True):
        name = " ".join((each.rater or "").split())
        marks = {each.ballot: ("are from the same person", "give only the newer one")}
        if name:
            marks[f"name {name.casefold()}"] = f"are both from {name!r}", "give only the newer one, or change a name"
        for mark, (problem, remedy) in marks.items():
            if mark in seen:
                raise LimnerError(f"{str(seen[mark])!r} and {str(path)!r} {problem}", remedy)
            seen[mark] = path
