"""The report of an evaluation: results.png, report.json, report.csv, the score sheet and report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from limner.core.choice import evenly
from limner.core.events import ArtifactKind, Emit, Stage
from limner.core.workspace import Workspace
from limner.data.duplicates.copies import nearest_copies
from limner.engine.evaluate.result import EvaluationResult
from limner.engine.evaluate.scoresheet import write_score_sheet
from limner.engine.evaluate.training_images import influence_as_json, training_page
from limner.engine.scoring.scorers import figures, scores_as_json
from limner.imaging.decode import open_image
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.reports.writer import ReportWriter, file_data_url, relative_to
from limner.store.files import sha256_of

ROWS, COLUMNS, CASES, COPIES, PHOTOGRAPHS = 12, 4, 6, 8, 12
"""The most prompts and images per prompt in the figure; images of the highest and lowest score, near copies and
photographs on the page."""


def write_report(result: EvaluationResult, out: Path, workspace: Workspace, emit: Emit) -> None:
    """Write all files of the report."""
    emit(Stage(name="writing"))
    report = ReportWriter(out, workspace, emit)
    figure = _figure(result)
    shown = report.figure("results.png", figure.draw()).exists()
    report.json("report.json", _numbers(result, out))
    header, rows = _table(result, out)
    report.csv("report.csv", header, rows)
    report.add(ArtifactKind.SCORE_PAGE, write_score_sheet(result, out))
    report.page("report.html", "evaluate.html", **_page(result, figure if shown else None))
    report.emit_made(verdict=result.verdict, passed=result.passed)


def _figure(result: EvaluationResult) -> ImageGrid:
    """Prompts down, images across."""
    images = result.images_by_prompt()
    prompts = evenly(list(images), ROWS)
    columns = min(COLUMNS, max(len(images[prompt]) for prompt in prompts))
    cells: list[list[Image.Image | None]] = []
    for prompt in prompts:
        shown = images[prompt][:columns]
        cells.append([*map(open_image, shown), *[None] * (columns - len(shown))])
    group = ColumnGroup(result.name, tuple(str(number) for number in range(1, columns + 1)))
    count = len(result.gallery.items)
    caption = f"{len(prompts)} of {len(images)} prompts, {count} images in all. Made by AI."
    return ImageGrid(prompts, [group], cells, caption, None)


def _numbers(result: EvaluationResult, out: Path) -> dict[str, Any]:
    """The contents of report.json."""
    return {
        "verdict": result.verdict,
        "passed": result.passed,
        "requirements": [
            {"requirement": str(requirement), "mean": value, "met": met}
            for requirement, value, met in result.requirements
        ],
        "request": result.request.model_dump(mode="json"),
        "subject": result.subject,
        "scores": scores_as_json(result.scores),
        "fairness": result.groups and result.groups.as_json(),
        "influence": result.training and influence_as_json(result.training),
        "pictures": [
            {
                "path": relative_to(item.path, out),
                "sha256": sha256_of(item.path),
                "prompt": item.group,
                "told_to_encoders": item.prompt,
                "group": result.groups and result.groups.group_of.get(index),
            }
            for index, item in enumerate(result.gallery.items)
        ],
        "photographs": [path.name for path in result.gallery.references],
    }


def _table(result: EvaluationResult, out: Path) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of report.csv: a row for each image, with the metrics of single images."""
    scores = result.image_scores
    rows = [
        [item.group, relative_to(item.path, out), *(repr(score.values[index]) for score in scores.values())]
        for index, item in enumerate(result.gallery.items)
    ]
    return ["prompt", "picture", *scores], rows


def _page(result: EvaluationResult, figure: ImageGrid | None) -> dict[str, Any]:
    """What report.html shows. figure: None if moderation withheld it."""
    metric, order = result.ranked or ("", [])
    cases = min(CASES, len(result.gallery.items) // 2)  # no image is among both
    return {
        "title": f"How good is {result.name}?",
        "verdict": result.verdict,
        "count": len(result.gallery.items),
        "prompts": len(result.images_by_prompt()),
        "subject": result.subject,
        "requirements": [(str(requirement), f"{value:.3f}", met) for requirement, value, met in result.requirements],
        "checklist": [
            (
                title,
                [
                    (each.title, figures(each.mean, each.low, each.high), each.better or "depends", each.model or "")
                    for each in scores
                ],
            )
            for title, scores in result.checklist.items()
        ],
        "figure": figure and figure.page(),
        "photographs": [file_data_url(path, 240) for path in evenly(result.gallery.references, PHOTOGRAPHS)],
        "ranked_by": result.scores[metric].title if metric else None,
        "highest": [_case(result, metric, index) for index in order[:cases]],
        "lowest": [_case(result, metric, index) for index in order[::-1][:cases]],
        "groups": result.groups and result.groups.page(),
        "copies": _copies(result),
        "training": result.training and training_page(result.training),
        "pairs": _class_pairs(result),
    }


def _case(result: EvaluationResult, metric: str, index: int) -> dict[str, str]:
    item = result.gallery.items[index]
    value = f"{result.scores[metric].values[index]:.3g}"
    return {"picture": file_data_url(item.path, 320), "prompt": item.group, "value": value}


def _copies(result: EvaluationResult) -> list[dict[str, str]] | None:
    """The images that are nearest to being copies of training images; None where these are not known."""
    gallery = result.gallery
    if not gallery.training:
        return None
    matches = nearest_copies(gallery.paths, gallery.training)
    order = sorted(range(len(matches)), key=lambda index: -matches[index].similarity)
    copies = [index for index in order if matches[index].is_copy][:COPIES]
    return [
        {
            "picture": file_data_url(gallery.items[index].path, 240),
            "training_image": file_data_url(matches[index].image, 240),
            "likeness": f"similarity {matches[index].similarity:.2f}{', mirrored' * matches[index].mirrored}",
        }
        for index in copies
    ]


def _class_pairs(result: EvaluationResult) -> list[dict[str, str]]:
    """Images of the class alone before and after training, a pair for each prompt."""
    gallery = result.class_gallery
    if gallery is None:
        return []
    rows = [indices[0] for indices in gallery.groups.values()]
    return [
        {
            "prompt": str(gallery.items[row].prompt),
            "before": file_data_url(gallery.base[row].path, 240),
            "after": file_data_url(gallery.items[row].path, 240),
        }
        for row in rows
    ]
