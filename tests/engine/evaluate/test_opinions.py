"""People's scores are summarised correctly, and files that are not scores are refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.opinions import CRITERIA, Opinions, evaluation_of
from limner.engine.evaluate import opinions_report
from limner.engine.evaluate.opinions import Figures, MetricAgreement, _best_metric, read_report, summarise
from limner.engine.evaluate.opinions_report import _data_url
from limner.reports import writer
from limner.store.files import sha256_of

COUNT = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation of forty images, with a metric that people agree with, one they disagree with, and others."""
    place = tmp_path / "evaluation"
    (place / "pictures").mkdir(parents=True)
    for number in range(COUNT):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / "pictures" / f"{number:02d}.png")
    pictures = [
        {"path": f"pictures/{path.name}", "sha256": sha256_of(path), "prompt": "<b>a cat"}
        for path in sorted((place / "pictures").iterdir())
    ]
    rng = np.random.default_rng(0)
    truth = list(map(float, range(COUNT)))
    scores = {
        "prompt_fidelity": {"of": "picture", "better": "higher", "values": truth},
        "clipping": {"of": "picture", "better": "lower", "values": truth},
        "aesthetic=some/head": {"of": "picture", "better": "higher", "values": rng.normal(size=COUNT).tolist()},
        "class_drift": {"of": "picture", "better": "lower", "values": truth},
        "diversity": {"of": "group", "better": "higher", "values": [1.0]},
        "saturation": {"of": "picture", "better": None, "values": [1.0] * COUNT},
    }
    report = {"verdict": "", "pictures": pictures, "scores": scores, "photographs": [], "of_the_future": 1}
    (place / "report.json").write_text(json.dumps(report))
    return place


def hashes(folder: Path) -> list[str]:
    return [picture.sha256 for picture in read_report(folder).pictures]


def opinions(folder: Path, seed: int = 0, rater: str | None = None) -> Opinions:
    """A rater whose relevance is right within one step, and whose other scores are random."""
    rng, scores = np.random.default_rng(seed), {}
    for number, sha256 in enumerate(hashes(folder)):
        given = {name: int(rng.integers(1, 6)) for name in CRITERIA}
        scores[sha256] = given | {"relevance": int(np.clip(1 + number * 5 // COUNT + rng.integers(-1, 2), 1, 5))}
    return Opinions.model_validate(
        {"evaluation": evaluation_of(hashes(folder)), "ballot": f"b{seed}", "rater": rater, "scores": scores}
    )


@pytest.fixture
def file(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "scores.json"
    path.write_text(opinions(folder).model_dump_json())
    return path


def test_means_are_over_people_and_then_over_pictures(folder: Path) -> None:
    first, second, *_ = hashes(folder)
    scores = [
        {first: {"detail": 1}, second: {"detail": 5}},
        {first: {"detail": 4}, second: {}},
        {first: {"detail": 4}},
    ]
    evaluation = evaluation_of(hashes(folder))
    each = [Opinions(evaluation=evaluation, ballot=f"b{n}", scores=scores) for n, scores in enumerate(scores)]
    found = summarise(read_report(folder), each)
    assert found.means == {first: {"detail": 3}, second: {"detail": 5}} and set(found.criteria) == {"detail"}
    assert found.criteria["detail"].mean[0] == 4 and found.criteria["detail"].counts == (1, 0, 0, 2, 1)
    assert [rater.pictures for rater in found.raters] == [2, 1, 1]


def test_people_and_metrics_who_agree_are_found(folder: Path) -> None:
    found = summarise(read_report(folder), [opinions(folder, seed) for seed in range(3)])
    by = {(each.metric, each.criterion): each.correlation for each in found.metrics}
    assert {each.metric for each in found.metrics} == {
        "prompt_fidelity",
        "clipping",
        "aesthetic=some/head",
        "saturation",
    }
    value, low, high = by["prompt_fidelity", "relevance"]
    assert value > 0.85 and 0.7 < low < value < high <= 1
    assert by["clipping", "relevance"][0] == pytest.approx(-value), "lower is better: people disagree with it"
    assert by["saturation", "relevance"] is None, "all alike"
    assert found.criteria["relevance"].agreement[0] > 0.7 > 0.3 > abs(found.criteria["detail"].agreement[0])
    assert found.verdict.startswith("3 people on 40 images: relevance ")
    assert "agreement (Krippendorff's alpha) relevance 0." in found.verdict
    assert "prompt_fidelity agrees best with them, on relevance: rank correlation 0." in found.verdict
    low, high = found.criteria["relevance"].mean[1:]
    assert low < found.criteria["relevance"].mean[0] < high


def test_one_person_agrees_with_nobody(folder: Path) -> None:
    found = summarise(read_report(folder), [opinions(folder)])
    assert found.verdict.startswith("1 person on 40 images") and "needs two people or more" in found.verdict
    assert found.criteria and all(each.agreement is None for each in found.criteria.values())


def test_nothing_is_claimed_from_few_images(folder: Path) -> None:
    every = opinions(folder)
    few = every.model_copy(update={"scores": dict(list(every.scores.items())[::5])})
    one = every.model_copy(update={"scores": dict(list(every.scores.items())[:1])})
    assert "no metric clearly agrees with them" in summarise(read_report(folder), [few]).verdict
    assert summarise(read_report(folder), [one]).criteria["detail"].mean[1:] == (None, None)


@pytest.mark.parametrize(("count", "claimed"), [(9, False), (10, True)])
def test_agreement_is_claimed_from_ten_images_on(folder: Path, count: int, claimed: bool) -> None:
    """Both cover the whole scale, and people and the metric agree."""
    every = opinions(folder)
    some = {sha: {"relevance": its["relevance"]} for sha, its in [*every.scores.items()][:: COUNT // count][:count]}
    found = summarise(read_report(folder), [every.model_copy(update={"scores": some})])
    value = next(each.correlation for each in found.metrics if each.metric == "prompt_fidelity")
    assert value is not None and value[1] is not None and value[1] > 0
    assert ("agrees best with them" in found.verdict) == claimed


def test_the_command_prints_and_writes(limner, folder: Path, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(opinions(folder, 1, "</td><script>alert(1)</script>").model_dump_json())
    output = limner("opinions", file, other, "--evaluation", folder)
    assert output.code == 0, output.err
    values = json.loads((folder / "opinions.json").read_text())
    assert output.out.splitlines() == [values["verdict"], str(folder / "opinions.html")]
    page = (folder / "opinions.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>a cat" not in page
    assert page.count('<img src="data:image/webp') == 12 and 'src="/' not in page


def test_missing_images_and_those_elsewhere_are_left_out(limner, folder: Path, file: Path, tmp_path: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    (folder / "pictures/39.png").unlink()
    Image.new("RGB", (8, 8), "blue").save(folder / "pictures/38.png")
    (tmp_path / "beside.png").write_bytes((folder / "pictures/37.png").read_bytes())
    report["pictures"][37]["path"] = "../beside.png"
    report["pictures"][36]["path"] = "\x00"
    for number in range(36):
        (folder / f"pictures/{number:02d}.png").unlink()
    (folder / "report.json").write_text(json.dumps(report))
    assert limner("opinions", file, "--evaluation", folder).code == 0
    assert "<img" not in (folder / "opinions.html").read_text()


def test_only_unchanged_images_in_the_folder_are_shown(folder: Path, tmp_path: Path) -> None:
    path, beside, link = folder / "pictures/00.png", tmp_path / "beside.png", folder / "link.png"
    sha256 = sha256_of(path)
    beside.write_bytes(path.read_bytes())
    link.symlink_to(beside)
    assert _data_url(path, sha256, folder) is not None
    for elsewhere in (beside, folder / "../beside.png", link, folder / "nosuch.png", folder / "pictures"):
        assert _data_url(elsewhere, sha256, folder) is None
    Image.new("RGB", (8, 8), "blue").save(path)
    assert _data_url(path, sha256, folder) is None


def changed(file: Path, **fields: object) -> str:
    return json.dumps(json.loads(file.read_text()) | fields)


def scored(file: Path, value: object) -> str:
    values = json.loads(file.read_text())
    values["scores"][next(iter(values["scores"]))] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: changed(f, evaluation="cd" * 32), "contains scores of another evaluation"),
        (
            lambda f: changed(f, scores={"ab" * 32: {"detail": 1}}),
            "scores an image abababababab, which is not in the evaluation",
        ),
        (lambda f: scored(f, {"detail": 6}), "is not a file of scores"),
        (lambda f: scored(f, {"detail": 0}), "is not a file of scores"),
        (lambda f: scored(f, {"detail": True}), "is not a file of scores"),
        (lambda f: scored(f, {"detail": "5"}), "is not a file of scores"),
        (lambda f: scored(f, {"detail": 2.5}), "is not a file of scores"),
        (lambda f: scored(f, {"detail": float("nan")}), "is not a file of scores"),
        (lambda f: scored(f, {"beauty": 3}), "is not a file of scores"),
        (lambda f: scored(f, [3, 3, 3, 3]), "is not a file of scores"),
        (lambda f: changed(f, scores={"../x": {"detail": 3}}), "is not a file of scores"),
        (lambda f: changed(f, scores={f"{n:064x}": {} for n in range(101)}), "is not a file of scores"),
        (lambda f: changed(f, scores={}), "the files contain no scores"),
        (lambda f: changed(f, rater="x" * 61), "is not a file of scores: rater"),
        (lambda f: changed(f, rater=["x"]), "is not a file of scores: rater"),
        (lambda f: changed(f, ballot="\x1b[31m\n" * 99), "is not a file of scores"),
        (lambda f: changed(f, extra="x"), "is not a file of scores: unknown field 'extra'"),
        (lambda f: "[" * 100_000, "is not a file of scores"),
        (lambda f: "", "is not a file of scores"),
        (lambda f: "null", "is not a file of scores"),
        (lambda f: " " * (2**20 + 1), "is larger than a file of scores can be (1048576 bytes)"),
    ],
)
def test_a_file_without_scores_is_refused_in_one_line(limner, folder: Path, file: Path, spoil, line: str) -> None:
    file.write_text(spoil(file))
    output = limner("opinions", file, "--evaluation", folder)
    assert output.code == 2 and line in output.error and output.out == ""
    assert len(output.error) < 600 and not (folder / "opinions.json").exists()


def test_a_person_counts_once(limner, folder: Path, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(file.read_text())
    assert (
        "are from the same person; give only the newer one"
        in limner("opinions", file, copy, "--evaluation", folder).error
    )
    for number, name in enumerate(("Anna Li", " anna  LI")):
        (tmp_path / f"{number}.json").write_text(opinions(folder, number, name).model_dump_json())
    output = limner("opinions", tmp_path / "0.json", tmp_path / "1.json", "--evaluation", folder)
    assert "are both from 'anna LI'; give only the newer one, or change a name" in output.error


def test_people_without_names_are_different(limner, folder: Path, file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(opinions(folder, 1).model_dump_json())
    assert limner("opinions", file, tmp_path / "other.json", "--evaluation", folder).out.startswith("2 people on ")


def test_missing_files_are_reported(limner, folder: Path, file: Path, tmp_path: Path) -> None:
    assert "no file of scores is given" in limner("opinions", "--evaluation", folder).error
    assert "does not exist" in limner("opinions", tmp_path / "none.json", "--evaluation", folder).error
    assert "is not a file" in limner("opinions", folder, "--evaluation", folder).error
    assert "report.json' does not exist; give the folder" in limner("opinions", file, "--evaluation", tmp_path).error
    (tmp_path / "report.json").write_text('{"pictures": [], "scores": {}}')
    assert "is not the report of an evaluation" in limner("opinions", file, "--evaluation", tmp_path).error


def test_the_page_shows_the_best_and_the_worst_by_the_mean_over_questions(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(writer, "write_page", lambda path, template, **given: written.update(given))
    monkeypatch.setattr(writer, "file_data_url", lambda path, side: path.name)
    report, some = read_report(folder), hashes(folder)[:10]
    people = [
        Opinions(
            evaluation=evaluation_of(hashes(folder)),
            ballot=f"b{number}",
            rater="Ada" if number == 3 else None,
            scores={
                sha256: {"relevance": 1 + place // 2, "detail": 1 + place // 2 if number else 5}
                for place, sha256 in enumerate(some)
            }
            | ({some[9]: {}} if number == 3 else {}),
        )
        for number in range(60)
    ]
    summary = summarise(report, people)
    opinions_report._write_page(summary, report, folder)
    assert [each["picture"] for each in written["best"]] == [f"{n:02d}.png" for n in (8, 9, 6, 7, 4, 5)]
    assert [each["picture"] for each in written["worst"]] == [f"{n:02d}.png" for n in (1, 0, 3, 2)], "none is in both"
    assert written["best"][0]["value"] == "5.00" and written["worst"][0]["value"] == f"{(1 + 64 / 60) / 2:.2f}"
    assert written["best"][0]["prompt"] == "<b>a cat" and written["best"][2]["value"] == f"{(4 + 241 / 60) / 2:.2f}"
    assert (written["people"], len(written["raters"]), written["names"]) == (60, 50, ["relevance", "detail"])
    assert written["raters"][0] == ("person 1", 10, ["3.00", "5.00"])
    assert written["raters"][3] == ("Ada", 9, ["2.78", "2.78"])
    relevance, detail = written["criteria"]
    assert relevance[:2] == ("relevance", "Does it show what the prompt asks for?") and relevance[4] == 10
    assert relevance[3] == [(120, 100), (120, 100), (120, 100), (120, 100), (119, 99)]
    assert detail[3][4] == (127, 100) and detail[3][0] == (118, 93)
    assert written["points"] == [1, 2, 3, 4, 5]
    with_photographs = report.model_copy(update={"photographs": ("photo.png",)})
    opinions_report._write_page(summary, with_photographs, folder)
    assert written["criteria"][0][1] == "Does it show the subject of the photos, as the prompt asks for?"


@pytest.mark.parametrize(
    ("figures", "excludes"),
    [
        ((0.3, 0.1, 0.5), True),
        ((-0.3, -0.5, -0.1), True),
        ((0.3, 0.0, 0.5), False),
        ((0.1, -0.2, 0.3), False),
        ((0.3, None, None), False),
        (None, False),
    ],
)
def test_an_agreement_is_marked_where_its_interval_excludes_zero(figures: Figures | None, excludes: bool) -> None:
    agreement = MetricAgreement(metric="sharpness", criterion="detail", pictures=9, correlation=figures)
    ((name, ((_, marked), unknown)),) = opinions_report._rows([agreement], ["detail", "relevance"])
    assert (name, marked, unknown) == ("sharpness", excludes, ("unknown", False))


def test_the_metric_with_the_highest_correlation_agrees_best() -> None:
    found = [
        MetricAgreement(metric=name, criterion="detail", pictures=pictures, correlation=figures)
        for name, pictures, figures in (
            ("few", 9, (0.9, 0.8, 0.95)),
            ("unclear", 20, (0.8, -0.1, 0.9)),
            ("sure", 20, (0.4, 0.35, 0.45)),
            ("best", 20, (0.5, 0.1, 0.8)),
        )
    ]
    assert _best_metric(found) == "best agrees best with them, on detail: rank correlation 0.50 [0.10, 0.80]"
    assert _best_metric(found[:2]) == "no metric clearly agrees with them"


def test_only_metrics_with_a_value_for_each_image_are_compared(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    report["scores"]["short"] = {"of": "picture", "values": [1.0]}
    report["scores"]["class_drift=x"] = {"of": "picture", "values": [1.0] * COUNT}
    (folder / "report.json").write_text(json.dumps(report))
    assert list(read_report(folder).image_metrics) == [
        "prompt_fidelity",
        "clipping",
        "aesthetic=some/head",
        "saturation",
    ]


def test_an_image_that_nobody_scored_has_no_mean(folder: Path) -> None:
    first, second, *_ = hashes(folder)
    scores: Any = {first: {"detail": 3}, second: {}}
    found = summarise(
        read_report(folder), [Opinions(evaluation=evaluation_of(hashes(folder)), ballot="b", scores=scores)]
    )
    assert found.means == {first: {"detail": 3}} and found.raters[0].pictures == 1
