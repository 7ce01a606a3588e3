"""The report: a page for people, and the same facts as JSON."""

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
from limner.data.diversity.balance import ValueCounts
from limner.engine.prepare.columns import Gathered
from limner.engine.prepare.diversity import Variety
from limner.engine.prepare.rows import Told
from limner.engine.prepare.splits import Choice
from limner.engine.prepare.summary import Shown, State, Story
from limner.provenance.rights import RightsCounts
from limner.reports.histogram import histogram
from limner.reports.render import embedded, write_page
from limner.reports.scatter import scatter
from limner.store.files import atomic_file

PAGE, NUMBERS = "report.html", "report.json"
ROWS, CAPTIONS, CLUSTERS, FEW, SIDE = 16, 24, 12, 8, 200
DONE: dict[Action, str] = {"drop": "left out", "flag": "kept, to look at", "ignore": "left aside"}
ORIGINS = {
    "template": "by the template",
    "written": "came with the pictures",
    "captioner": "by the captioner",
    "edited": "as they were edited",
    "none": "empty",
}
HOW = {"subject": ", where the subject was found", "centre": ", from its centre", "none": ": all of it"}


def facts_of(
    request: PrepareRequest, story: Story, told: Told, choice: Choice, variety: Variety, rights: RightsCounts, name: str
) -> dict[str, Any]:
    """What the page tells, for programs."""
    return {
        "name": name,
        "verdict": story.verdict,
        "entries": story.entries,
        "pictures": story.kept,
        "splits": dict(zip(SHARES, story.parts, strict=True)),
        "outcomes": dict(sorted(story.states.items())),
        "faults": story.faults(),
        "mended": dict(sorted(story.notes.items())),
        "locations_stripped": story.located,
        "captions": dict(sorted(story.origins.items())),
        "balance": {
            "by": list(told.by),
            "mode": request.balance,
            "tables": {field: _table(table) for field, table in story.counts.tables().items()},
            "free_text": sorted(story.counts.free),
        },
        "variety": variety.facts(),
        "advice": [{"level": each.level, "text": each.text} for each in variety.advice],
        "rights": rights.summary(),
        "request": request.model_dump(mode="json"),
    }


def _table(table: ValueCounts) -> dict[str, Any]:
    return {
        "values": dict(table.rows),
        "effective_groups": round(table.effective, 4),
        "evenness": round(table.evenness, 4),
        "largest_over_smallest": round(table.ratio, 4),
    }


def write_report(
    folder: Path,
    name: str,
    request: PrepareRequest,
    gathered: Gathered,
    story: Story,
    told: Told,
    choice: Choice,
    variety: Variety,
    rights: RightsCounts,
    sheets: list[str],
) -> None:
    """Write report.html and report.json."""
    facts = facts_of(request, story, told, choice, variety, rights, name)
    with atomic_file(folder / NUMBERS) as partial:
        partial.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    staged = gathered.staging.pictures
    parts = [(f"{count:,}", what) for what, count in zip(SHARES, story.parts, strict=True) if count]
    left = [(f"{story.states[state]:,}", told) for state, told in LEFT if story.states[state]]
    write_page(
        folder / PAGE,
        "prepare.html",
        title=name,
        verdict=_upper(story.verdict),
        numbers=[*parts, *left],
        advice=[_advice(each, gathered) for each in variety.advice],
        how=HOW[request.crop],
        kept=story.kept,
        shown=[_tile(each, staged) for each in story.sheet],
        sheets=sheets if story.kept > len(story.sheet) else [],
        faults=[
            {**each, "done": DONE[each["action"]], **_examples(story, each["fault"], staged)} for each in story.faults()
        ],
        mended=_mended(story),
        tables=[_bars(table) for table in story.counts.tables().values() if len(table.rows) > 1],
        evened=_evened(request, told),
        variety=_variety(variety),
        middles=[embedded(gathered.opened(place), 112) for place in variety.middles[:CLUSTERS]],
        charts=_charts(variety, gathered),
        captioned=_captioned(story),
        captions_file=f"{name}/captions.csv",
        captions=[(each.name, each.caption) for each in evenly(story.sheet, CAPTIONS)],
        rights=_rights(rights.summary(), story),
        settings=_settings(request),
        train=_train(request, name),
        folder=json.dumps(name),
    )


LEFT: tuple[tuple[State, str], ...] = (
    ("flagged", "to look at"),
    ("dropped", "left out"),
    ("evened out", "set aside"),
    ("stray", "no pictures"),
)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tile(shown: Shown, staged: Path) -> dict[str, Any]:
    """A picture as the page shows it, its crop in percent."""
    src = box = None
    if shown.picture is not None:
        with Image.open(staged / shown.picture) as image:
            src = embedded(image, SIDE)
    if shown.box and shown.size and shown.name:
        left, top, right, bottom = shown.box
        sides = (
            left / shown.size[0],
            top / shown.size[1],
            (right - left) / shown.size[0],
            (bottom - top) / shown.size[1],
        )
        box = tuple(round(100 * side, 2) for side in sides)
    name = "/".join(shown.key.split("/")[-2:])
    return {"src": src, "box": box, "key": shown.key, "name": name, "state": shown.state, "told": shown.told}


def _examples(story: Story, kind: str, staged: Path) -> dict[str, Any]:
    """Pictures with a fault, and the names of those of which nothing can be shown."""
    found = [
        {**_tile(shown, staged), "why": next(why for fault, why in shown.faults if fault == kind)}
        for shown in story.examples[kind]
    ]
    return {"examples": found, "unseen": [each for each in found if each["src"] is None]}


def _advice(advice: Any, gathered: Gathered) -> dict[str, Any]:
    pictures = [embedded(gathered.opened(at), 112) for at in advice.pictures[:12]]
    return {"level": advice.level, "text": advice.text, "pictures": pictures}


def _mended(story: Story) -> list[tuple[str, int]]:
    located = [("place where it was taken, stripped", story.located)] if story.located else []
    return [*sorted(story.notes.items(), key=lambda each: (-each[1], each[0])), *located]


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
    told = f"{len(table.rows)} groups, as diverse as {table.effective:.1f} equal ones; "
    told += "all are equal" if table.ratio == 1 else f"the largest is {table.ratio:.1f} times the smallest"
    return {"name": table.field, "told": told, "rows": rows, "more": max(0, len(table.rows) - ROWS)}


def _evened(request: PrepareRequest, told: Told) -> str:
    """What was done about groups that are not even."""
    if not told.by:
        return ""
    by = " and ".join(told.by)
    return {
        "off": f"Splits are even by {by}. Groups of different size were left so (--balance weights, or sample).",
        "weights": f"Each picture has a weight, so that all groups by {by} count the same in training.",
        "sample": f"Pictures of larger groups by {by} were set aside, the sharpest kept: all train with as many.",
    }[request.balance]


def _variety(variety: Variety) -> list[str]:
    """Distances and clusters in words."""
    if variety.distance is None:
        return []
    count = len(variety.clusters)
    told = (
        f"Two pictures differ by {variety.distance:.2f} on average (cosine distance: 0 the same, 1 nothing in common). "
    )
    told += "They are all of a kind." if count == 1 else f"They fall into {count} clusters of pictures alike."
    return [told]


def _charts(variety: Variety, gathered: Gathered) -> list[dict[str, str]]:
    """The map of the pictures that stay, and how large and how sharp those were that could be used."""
    found: list[tuple[str, str]] = []
    if variety.points is not None and variety.groups is not None and len(variety.points) > FEW:
        found.append(
            (
                "A map: pictures that are alike lie together",
                scatter(variety.points, variety.groups, "map", numbered=False),
            )
        )
    columns = gathered.columns
    if len(columns) > FEW:
        found.append(("How large the originals are", histogram(np.sqrt(columns.pixels), "root of the pixels")))
        found.append(("How sharp they are", histogram(columns.sharpness, "sharpness", FAULTS["blurred"].limit)))
    return [{"title": title, "svg": svg} for title, svg in found]


def _captioned(story: Story) -> str:
    parts = [
        f"{count:,} {ORIGINS[origin]}" for origin, count in sorted(story.origins.items(), key=lambda each: -each[1])
    ]
    return f"{_upper(', '.join(parts))}."


def _rights(facts: dict[str, Any], story: Story) -> list[tuple[str, str]]:
    rows = [
        (_upper(name.replace("_", " ")), _counted(value)) for name, value in facts.items() if isinstance(value, dict)
    ]
    return rows or [("Nothing is known", "give --author, --licence, --origin and --consent, or a table by --fields")]


def _counted(value: Any) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in value.items()) if isinstance(value, dict) else str(value)


def _settings(request: PrepareRequest) -> list[tuple[str, str]]:
    """What was asked for, but for what is as it is by default."""
    plain = type(request).model_fields
    chosen = {
        name: value
        for name in plain
        if name != "kind" and (value := getattr(request, name)) != plain[name].get_default()
    }
    return [(name.replace("_", " "), _said(value)) for name, value in {"size": request.size, **chosen}.items()]


def _said(value: Any) -> str:
    return (
        ", ".join(map(_said, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _train(request: PrepareRequest, name: str) -> str:
    words = ["limner", "train", name]
    words += ["--class", request.class_word] if request.class_word else ["--class", "CLASS"]
    words += ["--identifier", request.identifier] if request.identifier else []
    return shlex.join(words)
