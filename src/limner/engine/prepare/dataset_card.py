"""README.md of a dataset, in the form that the Hugging Face hub reads."""

from __future__ import annotations

import json
from pathlib import Path

from limner.core.requests import PrepareRequest
from limner.core.requests.prepare import SHARES
from limner.core.version import version
from limner.engine.prepare.image import SUFFIXES
from limner.engine.prepare.rows import Told
from limner.engine.prepare.summary import Story
from limner.provenance.rights import RightsCounts
from limner.store.files import atomic_file

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's words for how many pictures there are."""
MOST = "n>1M"
ROWS = 12


def write_card(
    folder: Path, name: str, request: PrepareRequest, story: Story, told: Told, rights: RightsCounts
) -> None:
    """Write README.md."""
    licences = [licence for licence in rights.summary().get("licences", {}) if licence not in ("unknown", "others")]
    front = {
        "pretty_name": name,
        "license": licences[0].lower() if len(licences) == 1 and _is_identifier(licences[0]) else "other",
        "task_categories": ["text-to-image"],
        "size_categories": [next((word for most, word in SIZES if story.kept < most), MOST)],
        "tags": ["limner", *(["dreambooth"] if request.identifier else [])],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": _files(split, request, told)}
                    for split, count in zip(SHARES, story.parts, strict=True)
                    if count
                ],
            }
        ],
    }
    lines = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())
    text = f"---\n{lines}\n---\n\n# {_plain(name)}\n\n{_body(request, story, told, rights)}"
    with atomic_file(folder / "README.md") as partial:
        partial.write_text(text, encoding="utf-8")


def _files(split: str, request: PrepareRequest, told: Told) -> list[str]:
    """The files of a split, but for captions beside pictures, for which it might be taken for one of texts."""
    masks = [f"{split}/masks/*.png"] if told.masked else []
    return [f"{split}/metadata.jsonl", f"{split}/*{SUFFIXES[request.format]}", *masks]


def _is_identifier(licence: str) -> bool:
    return licence.replace("-", "").replace(".", "").isalnum() and len(licence) < 40


def _body(request: PrepareRequest, story: Story, told: Told, rights: RightsCounts) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in zip(SHARES, story.parts, strict=True) if count)
    subject = " ".join(filter(None, (request.identifier, request.class_word)))
    taught = f" what `{_plain(subject)}` is" if subject else ""
    sections = [
        f"Pictures with captions for teaching a text-to-image model{taught}: "
        f"{parts}. Prepared by Limner {version()}; report.html shows all of it.",
        "## Pictures\n\n"
        + _table(
            {
                "Size": _size(request),
                "Format": request.format.upper(),
                "Captions": ", ".join(f"{count:,} {origin}" for origin, count in sorted(story.origins.items())),
                "Left out": f"{story.states['dropped']:,} of {story.entries - story.states['stray']:,}",
            }
        ),
        *(["## What was left out, and flagged\n\n" + _faults(story)] if story.by_fault else []),
        *_balance(story),
        "## Rights\n\n" + _rights(rights),
        "## Use\n\n```python\nfrom datasets import load_dataset\n\n"
        'dataset = load_dataset("imagefolder", data_dir="PATH/TO/THIS/FOLDER")\n```\n\n'
        "Each line of metadata.jsonl has the picture's name, its caption (`text`), the name of the original, and what\n"
        "is known of its fields and rights. Nobody but who holds the rights can allow what the originals do not.",
    ]
    return "\n\n".join(sections) + "\n"


def _size(request: PrepareRequest) -> str:
    if request.crop == "none":
        return f"as they were shaped, the shorter side at most {request.size} pixels"
    return (
        f"about {request.size} x {request.size} pixels in {request.multiple}-pixel buckets"
        if request.buckets
        else (f"{request.size} x {request.size} pixels")
    )


def _table(rows: dict[str, str]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {_plain(key)} | {_plain(value)} |" for key, value in rows.items())


def _faults(story: Story) -> str:
    rows = [f"| {each['title']} | {each['count']:,} | {each['action']} |" for each in story.faults()]
    return "| found | pictures | done |\n|---|---|---|\n" + "\n".join(rows)


def _balance(story: Story) -> list[str]:
    tables = [table for table in story.counts.tables().values() if len(table.rows) > 1]
    if not tables:
        return []
    rows = []
    for table in tables:
        values = ", ".join(f"{value} {count:,}" for value, count in table.rows[:ROWS])
        more = f" and {len(table.rows) - ROWS} more" if len(table.rows) > ROWS else ""
        rows.append(f"| {_plain(table.field)} | {_plain(values + more)} |")
    return ["## Balance\n\n| field | pictures of each |\n|---|---|\n" + "\n".join(rows)]


def _rights(rights: RightsCounts) -> str:
    facts = {name.replace("_", " "): value for name, value in rights.summary().items() if isinstance(value, dict)}
    if not facts:
        return "Nothing is known of whose these pictures are."
    return _table(
        {name: ", ".join(f"{each} ({count:,})" for each, count in value.items()) for name, value in facts.items()}
    )


def _plain(text: str) -> str:
    """Text of unknown origin, fit for a table of Markdown."""
    line = " ".join(text.split())
    for sign in "\\`|<>[]*_":
        line = line.replace(sign, f"\\{sign}")
    return line
