"""The dataset card: README.md in the format of the Hugging Face hub."""

from __future__ import annotations

import json
from pathlib import Path

from limner.core.requests import PrepareRequest
from limner.core.requests.prepare import SHARES
from limner.core.version import version
from limner.engine.prepare.image import SUFFIXES
from limner.engine.prepare.summary import DatasetContents, Summary
from limner.provenance.rights import RightsCounts
from limner.store.files import atomic_file

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's names for numbers of images."""
LARGEST = "n>1M"
ROWS = 12
"""Values of a field in the table of balance."""
USE = """## Use

```python
from datasets import load_dataset

dataset = load_dataset("imagefolder", data_dir="PATH/TO/THIS/FOLDER")
```

Each line of metadata.jsonl has the name of an image, its caption (`text`), the name of the original, and what is known
of its fields and rights. Only the owner of the rights can allow what the originals do not allow."""


def write_card(folder: Path, contents: DatasetContents, summary: Summary) -> None:
    """Write README.md."""
    request = contents.request
    licences = [name for name in summary.rights.summary().get("licences", {}) if name not in ("unknown", "others")]
    front = {
        "pretty_name": contents.name,
        "license": licences[0].lower() if len(licences) == 1 and _is_identifier(licences[0]) else "other",
        "task_categories": ["text-to-image"],
        "size_categories": [next((name for most, name in SIZES if summary.images < most), LARGEST)],
        "tags": ["limner", *(["dreambooth"] if request.identifier else [])],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": _files(split, contents)}
                    for split, count in zip(SHARES, summary.parts, strict=True)
                    if count
                ],
            }
        ],
    }
    lines = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())
    text = f"---\n{lines}\n---\n\n# {_escaped(contents.name)}\n\n{_body(request, summary)}"
    with atomic_file(folder / "README.md") as partial:
        partial.write_text(text, encoding="utf-8")


def _files(split: str, contents: DatasetContents) -> list[str]:
    """The files of a split without its captions as .txt files, because of which it could be taken for a text
    dataset.
    """
    masks = [f"{split}/masks/*.png"] if contents.captions.masked else []
    return [f"{split}/metadata.jsonl", f"{split}/*{SUFFIXES[contents.request.format]}", *masks]


def _is_identifier(licence: str) -> bool:
    return licence.replace("-", "").replace(".", "").isalnum() and len(licence) < 40


def _body(request: PrepareRequest, summary: Summary) -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in zip(SHARES, summary.parts, strict=True) if count)
    subject = " ".join(filter(None, (request.identifier, request.class_word)))
    of = f" of `{_escaped(subject)}`" if subject else ""
    sections = [
        f"Images{of} with captions, for training a text-to-image model: {parts}. Prepared with Limner {version()}; see "
        "report.html for details.",
        "## Images\n\n"
        + _table(
            {
                "Size": _size(request),
                "Format": request.format.upper(),
                "Captions": ", ".join(f"{count:,} {origin}" for origin, count in sorted(summary.origins.items())),
                "Left out": f"{summary.outcomes['dropped']:,} of {summary.entries - summary.outcomes['stray']:,}",
            }
        ),
        *(["## Faults found\n\n" + _faults(summary)] if summary.by_fault else []),
        *_balance(summary),
        "## Rights\n\n" + _rights(summary.rights),
        USE,
    ]
    return "\n\n".join(sections) + "\n"


def _size(request: PrepareRequest) -> str:
    if request.crop == "none":
        return f"original shapes, the shorter side at most {request.size} pixels"
    if request.buckets:
        return f"about {request.size} x {request.size} pixels in {request.multiple}-pixel buckets"
    return f"{request.size} x {request.size} pixels"


def _table(rows: dict[str, str]) -> str:
    lines = [f"| {_escaped(key)} | {_escaped(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _faults(summary: Summary) -> str:
    lines = [f"| {each['title']} | {each['count']:,} | {each['action']} |" for each in summary.faults()]
    return "\n".join(["| fault | images | action |", "|---|---|---|", *lines])


def _balance(summary: Summary) -> list[str]:
    tables = [table for table in summary.counts.tables().values() if len(table.rows) > 1]
    if not tables:
        return []
    lines = []
    for table in tables:
        values = ", ".join(f"{value} {count:,}" for value, count in table.rows[:ROWS])
        more = f" and {len(table.rows) - ROWS} more" if len(table.rows) > ROWS else ""
        lines.append(f"| {_escaped(table.field)} | {_escaped(values + more)} |")
    return ["\n".join(["## Balance\n", "| field | images of each value |", "|---|---|", *lines])]


def _rights(rights: RightsCounts) -> str:
    facts = {name.replace("_", " "): value for name, value in rights.summary().items() if isinstance(value, dict)}
    if not facts:
        return "Nothing is known about the rights to these images."
    return _table(
        {name: ", ".join(f"{each} ({count:,})" for each, count in value.items()) for name, value in facts.items()}
    )


def _escaped(text: str) -> str:
    """Text of unknown origin on one line, escaped for Markdown."""
    line = " ".join(text.split())
    for sign in "\\`|<>[]*_":
        line = line.replace(sign, f"\\{sign}")
    return line
