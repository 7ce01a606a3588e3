"""`limner starter agreement`: whether metrics agree with the truth, on images of which it is known, and from which
difference on they decide.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from limner.core.agreement import FILE, Agreement, AgreementRecord, SmallestDifference
from limner.core.events import Stage
from limner.core.metrics import DEFAULTS
from limner.core.requests import MetricUse
from limner.core.requests.evaluate import DRIFT
from limner.engine.scoring.scorers import Scorers
from limner.starter.exam import planted
from limner.starter.exam.agreement_cases import AgreementCase, ImageWriter, agreement_cases
from limner.starter.exam.equal_sets import equal_sets, smallest_differences
from limner.starter.exam.exam import write_report
from limner.starter.exam.model import Listener, ModelUnderTest, Stop
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.scoring import Rows, markdown, print_table
from limner.stats.intervals import correlation
from limner.store.files import atomic_file, make_folder
from limner.store.locks import with_output_lock

SIZE = 8
COLUMNS = ("default", "agrees with", "n", "rank correlation", "95% interval")
DIFFERENCES = ("smallest difference that matters", "equally good sets", "images in a set", "pairs of sets")


def measure_case(case: AgreementCase) -> list[Agreement]:
    """The agreement of each metric of a case."""
    scorers = Scorers([MetricUse(name=name) for name in case.metrics])
    scores = [scorers.score(images) for images in case.image_sets]
    agreements = []
    for name in case.metrics:
        values = np.concatenate([scored[name].values for scored in scores])
        values, truth = (-values if name in case.falling else values), np.array(case.values)
        if case.groups:
            values, truth = subtract_group_means(values, case.groups), subtract_group_means(truth, case.groups)
        agreements.append(agreement_with(truth, values, name, scores[0][name].model, case.truth))
    return agreements


def agreement_with(
    truth: np.ndarray, values: np.ndarray, metric: str, network: str | None, description: str
) -> Agreement:
    """The agreement of values (n,) with the truth (n,)."""
    found, low, high = correlation(values, truth)
    return Agreement(
        metric=metric, network=network, truth=description, n=len(values), correlation=found, low=low, high=high
    )


def subtract_group_means(values: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Values (n,) minus the mean of their group."""
    _, group = np.unique(groups, return_inverse=True)
    return values - (np.bincount(group, values) / np.bincount(group))[group]


@with_output_lock
def measure_agreement(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> AgreementRecord:
    """Measure the agreement of every metric and the differences that matter, and write agreement.json and agreement.md
    into `out`.
    """
    make_folder(out)
    model = ModelUnderTest.load(options, listener, stop)
    agreements: list[Agreement] = []
    differences: list[SmallestDifference] = []
    with TemporaryDirectory() as folder:
        for case in agreement_cases(ImageWriter(Path(folder)), model, SIZE):
            listener(Stage(name=", ".join(case.metrics), total=None))
            agreements += measure_case(case)
        for equal in equal_sets(ImageWriter(make_folder(Path(folder) / "equal")), SIZE):
            listener(Stage(name=f"equally good sets: {', '.join(equal.metrics)}", total=None))
            differences += smallest_differences(equal)
        if found := list(planted.planted_worths(Path(folder), options.model, listener, stop)):
            worths, truth = (np.concatenate(column) for column in zip(*found, strict=True))
            agreements.append(agreement_with(truth, worths, "worth", None, planted.TRUTH))
    record = AgreementRecord(model=model.facts, size=SIZE, agreement=tuple(agreements), differences=tuple(differences))
    page = markdown("metric", COLUMNS, rows(agreements)) + "\n" + markdown("metric", DIFFERENCES, spreads(differences))
    write_report(out, "agreement", record.model_dump(mode="json"), page)
    return record


def record_agreement(out: Path, options: ExamOptions) -> None:
    """Copy the record in `out` to the folder of the model, where verdicts read it."""
    from limner.models import loading

    with atomic_file(Path(loading.resolve(options.model).location) / FILE) as partial:
        shutil.copyfile(out / FILE, partial)


def rows(agreements: Sequence[Agreement]) -> Rows:
    """A table: a row per metric and truth."""
    return [
        (
            each.metric,
            [
                "yes" if each.metric in DEFAULTS else "for adapters" if each.metric == DRIFT else "",
                each.truth,
                str(each.n),
                f"{each.correlation:.2f}",
                f"{each.low:.2f} to {each.high:.2f}",
            ],
        )
        for each in agreements
    ]


def spreads(differences: Sequence[SmallestDifference]) -> Rows:
    """A table: a row per metric."""
    return [(each.metric, [f"{each.value:.3g}", each.sets, str(each.images), str(each.pairs)]) for each in differences]


def print_agreement(out: Path, options: ExamOptions, listener: Listener, stop: Stop) -> Callable[[], None]:
    """Measure the agreement and return a function that prints its tables."""
    record = measure_agreement(out, options, listener, stop)

    def print_rows() -> None:
        print_table("metric", COLUMNS, rows(record.agreement))
        print_table("metric", DIFFERENCES, spreads(record.differences))
        print(f"\n{out / FILE}")

    return print_rows
