"""The report of a dataset: report.html for people, and the same facts as report.json."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from limner.core.choice import evenly
from limner.core.image_faults import FAULTS, Action
from limner.core.requests import PrepareRequest
from limner.core.requests.prepare import SHARES
from limner.data.diversity.advice import Advice
from limner.data.diversity.balance import ValueCounts
from limner.engine.prepare.captions import CaptionTable
from limner.engine.prepare.columns import StagedImages
from limner.engine.prepare.contact_sheets import crop_on
from limner.engine.prepare.diversity import DatasetDiversity
from limner.engine.prepare.entry_outcome import EntryOutcome, Outcome
from limner.engine.prepare.summary import DatasetContents, Summary
from limner.reports.plots import clusters_svg, histogram_svg
from limner.reports.writer import data_url, write_json, write_page

PAGE, NUMBERS = "report.html", "report.json"
ROWS, CAPTIONS, MIN_CHART, SIDE, SMALL = 16, 24, 8, 200, 112
"""The most rows of a table and captions; images above which there are charts; longest sides in pixels."""
ACTIONS: dict[Action, str] = {"drop": "left out", "flag": "kept, to look at", "ignore": "ignored", "cut": "cut away"}
OUTCOMES: tuple[tuple[Outcome, str], ...] = (
    ("flagged", "to look at"),
    ("dropped", "left out"),
    ("evened out", "set aside"),
    ("stray", "not pictures"),
)
ORIGINS = {
    "template": "from the template",
    "written": "from the sources",
    "captioner": "by the captioner",
    "edited": "edited by hand",
    "none": "empty",
}
CROPS = {"subject": " around the subject", "centre": " at the centre", "none": " (here, only bars were cut off)"}


def write_report(folder: Path, contents: DatasetContents, summary: Summary, sheets: list[str]) -> None:
    """Write report.json and report.html. sheets: names of the contact sheets."""
    write_json(folder / NUMBERS, facts_of(contents, summary))
    write_page(folder / PAGE, "prepare.html", **_page(contents, summary, sheets))


def facts_of(contents: DatasetContents, summary: Summary) -> dict[str, Any]:
    """The contents of report.json."""
    request = contents.request
    return {
        "name": contents.name,
        "verdict": summary.verdict,
        "entries": summary.entries,
        "pictures": summary.images,
        "splits": dict(zip(SHARES, summary.parts, strict=True)),
        "outcomes": dict(sorted(summary.outcomes.items())),
        "faults": summary.faults(),
        "mended": dict(sorted(summary.notes.items())),
        "locations_stripped": summary.located,
        "captions": dict(sorted(summary.origins.items())),
        "balance": {
            "by": list(contents.captions.by),
            "mode": request.balance,
            "tables": {field: _table_facts(table) for field, table in summary.counts.tables().items()},
            "free_text": sorted(summary.counts.free),
        },
        "variety": contents.diversity.as_json(),
        "advice": [{"level": each.level, "text": each.text} for each in contents.diversity.advice],
        "rights": summary.rights.summary(),
        "request": request.model_dump(mode="json"),
    }


def _table_facts(table: ValueCounts) -> dict[str, Any]:
    return {
        "values": dict(table.rows),
        "effective_groups": round(table.effective, 4),
        "evenness": round(table.evenness, 4),
        "largest_over_smallest": round(table.ratio, 4),
    }


def _page(contents: DatasetContents, summary: Summary, sheets: list[str]) -> dict[str, Any]:
    """What report.html shows."""
    request, staged, diversity, name = contents.request, contents.staged, contents.diversity, contents.name
    thumbnails = staged.staging.pictures
    parts = [(f"{count:,}", split) for split, count in zip(SHARES, summary.parts, strict=True) if count]
    others = [(f"{summary.outcomes[outcome]:,}", text) for outcome, text in OUTCOMES if summary.outcomes[outcome]]
    return {
        "title": name,
        "verdict": _capitalised(summary.verdict),
        "numbers": [*parts, *others],
        "advice": [_advice(each, staged) for each in diversity.advice],
        "how": CROPS[request.crop],
        "kept": summary.images,
        "shown": [_tile(each, thumbnails) for each in summary.sheet],
        "sheets": sheets if summary.images > len(summary.sheet) else [],
        "faults": [
            {**each, "done": ACTIONS[each["action"]], **_examples(summary, each["fault"], thumbnails)}
            for each in summary.faults()
        ],
        "repairs": _repairs(summary),
        "tables": [_bars(table) for table in summary.counts.tables().values() if len(table.rows) > 1],
        "balancing": _balancing(request, contents.captions),
        "diversity": _diversity_text(diversity),
        "charts": _charts(diversity, staged),
        "caption_origins": _caption_origins(summary),
        "captions_file": f"{name}/captions.csv",
        "captions": [(each.name, each.caption) for each in evenly(summary.sheet, CAPTIONS)],
        "rights": _rights(summary),
        "settings": _settings(request),
        "train": _train_command(request, name),
        "folder": json.dumps(name),
    }


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tile(entry: EntryOutcome, thumbnails: Path) -> dict[str, Any]:
    """An image as the page shows it. box: its crop in percent: left, top, width and height."""
    src = box = None
    if entry.thumbnail is not None:
        with Image.open(thumbnails / entry.thumbnail) as image:
            src = data_url(image, SIDE)
    if (crop := crop_on((1, 1), entry)) is not None:
        left, top, right, bottom = crop
        box = tuple(round(100 * side, 2) for side in (left, top, right - left, bottom - top))
    return {
        "src": src,
        "box": box,
        "key": entry.key,
        "name": entry.short_key,
        "state": entry.outcome,
        "problems": entry.problems,
    }


def _examples(summary: Summary, kind: str, thumbnails: Path) -> dict[str, Any]:
    """Images with a fault, and the names of those that cannot be shown."""
    found = [
        {**_tile(entry, thumbnails), "why": next(fault.message for fault in entry.faults if fault.kind == kind)}
        for entry in summary.examples[kind]
    ]
    return {"examples": found, "unseen": [each for each in found if each["src"] is None]}


def _advice(advice: Advice, staged: StagedImages) -> dict[str, Any]:
    images = [data_url(staged.load(at), SMALL) for at in advice.pictures[:12]]
    return {"level": advice.level, "text": advice.text, "pictures": images}


def _repairs(summary: Summary) -> list[tuple[str, int]]:
    located = [("location removed", summary.located)] if summary.located else []
    return [*sorted(summary.notes.items(), key=lambda each: (-each[1], each[0])), *located]


def _bars(table: ValueCounts) -> dict[str, Any]:
    over = {value for value, _ in table.over}
    most = table.rows[0][1]
    rows = [
        {
            "value": value,
            "count": f"{count:,}",
            "share": f"{share:.1%}",
            "wide": round(100 * count / most, 1),
            "over": value in over,
        }
        for (value, count), share in zip(table.rows[:ROWS], table.shares, strict=False)
    ]
    ratio = "all have the same size" if table.ratio == 1 else f"the largest is {table.ratio:.1f} times the smallest"
    summary = f"{len(table.rows)} groups, as diverse as {table.effective:.1f} groups of equal size; {ratio}"
    return {"name": table.field, "summary": summary, "rows": rows, "more": max(0, len(table.rows) - ROWS)}


def _balancing(request: PrepareRequest, captions: CaptionTable) -> str:
    """What was done about groups of different sizes."""
    if not captions.by:
        return ""
    by = " and ".join(captions.by)
    return {
        "off": f"Splits are balanced by {by}. Group sizes were not changed (use --balance weights or sample).",
        "weights": f"Each image has a weight, so that all groups by {by} count the same in training.",
        "sample": f"Of larger groups by {by} only the sharpest images were kept, so that all groups have the same "
        f"size.",
    }[request.balance]


def _diversity_text(diversity: DatasetDiversity) -> str:
    """Distance and clusters in words."""
    if diversity.distance is None:
        return ""
    count = len(diversity.clusters)
    clusters = "All are similar." if count == 1 else f"They form {count} clusters of similar images."
    return (
        f"The mean cosine distance of two images is {diversity.distance:.2f} (0: the same, 1: nothing in common). "
        f"{clusters}"
    )


def _charts(diversity: DatasetDiversity, staged: StagedImages) -> list[dict[str, str]]:
    """A map of the images in the dataset, and the sizes and sharpness of all usable images."""
    found: list[tuple[str, str]] = []
    if diversity.points is not None and diversity.labels is not None and len(diversity.points) > MIN_CHART:
        title = "Map: similar images are close to each other"
        found.append((title, clusters_svg(diversity.points, diversity.labels, "map")))
    columns = staged.columns
    if len(columns) > MIN_CHART:
        found.append(("Size of the originals", histogram_svg(np.sqrt(columns.pixels), "root of the pixels")))
        found.append(("Sharpness", histogram_svg(columns.sharpness, "sharpness", FAULTS["blurred"].limit)))
    return [{"title": title, "svg": svg} for title, svg in found]


def _caption_origins(summary: Summary) -> str:
    origins = sorted(summary.origins.items(), key=lambda each: -each[1])
    return f"{_capitalised(', '.join(f'{count:,} {ORIGINS[origin]}' for origin, count in origins))}."


def _rights(summary: Summary) -> list[tuple[str, str]]:
    rows = [
        (_capitalised(name.replace("_", " ")), ", ".join(f"{each} ({count:,})" for each, count in value.items()))
        for name, value in summary.rights.summary().items()
        if isinstance(value, dict)
    ]
    return rows or [("Nothing is known", "use --author, --licence, --origin and --consent, or a table with --fields")]


def _settings(request: PrepareRequest) -> list[tuple[str, str]]:
    """The fields of the request that differ from their defaults, and the size."""
    fields = type(request).model_fields
    chosen = {
        name: value
        for name in fields
        if name != "kind" and (value := getattr(request, name)) != fields[name].get_default()
    }
    return [(name.replace("_", " "), _value_text(value)) for name, value in {"size": request.size, **chosen}.items()]


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_value_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _train_command(request: PrepareRequest, name: str) -> str:
    words = ["limner", "train", name, "--class", request.class_word or "CLASS"]
    words += ["--identifier", request.identifier] if request.identifier else []
    return shlex.join(words)
