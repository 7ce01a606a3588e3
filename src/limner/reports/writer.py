"""Writes the files of a report: figure, JSON, CSV and a page that opens by itself, with no network."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from limner.core.events import ArtifactCreated, ArtifactKind, Emit
from limner.core.workspace import Workspace
from limner.imaging.decode import open_image
from limner.provenance.labels import write_png
from limner.store.files import atomic_file, make_folder, sha256_of

_FLAG = re.compile(
    r"<(style|script|pre|code|svg|title|textarea|option)\b.*?</\1\s*>|(<[^>]*>)|(?<![\w-])(--[a-z][a-z-]*)", re.DOTALL
)
"""A flag in the text of a page. The first two kinds of matches are no text, or text that is not wrapped."""


@dataclass
class ReportWriter:
    """Writes the files of one report into a folder, and emits an event for each.

    The events of all files but the figure come together at the end (`emit_made`), when the report is complete.
    """

    folder: Path
    workspace: Workspace
    emit: Emit
    _made: dict[ArtifactKind, Path] = field(default_factory=dict[ArtifactKind, Path])

    def figure(self, name: str, image: Image.Image) -> Path:
        """Write a PNG that is labelled as composed of AI-made images. A moderation policy may withhold the file."""
        path = make_folder(self.folder) / name
        with atomic_file(path) as partial:
            write_png(image, partial, source="compositeSynthetic", home=self.workspace.home)
        self.emit(ArtifactCreated(what=ArtifactKind.COMPARISON, path=str(path), sha256=sha256_of(path)))
        return path

    def json(self, name: str, values: Mapping[str, Any]) -> None:
        """Write the numbers of the report."""
        self.add(ArtifactKind.SCORES, write_json(self.folder / name, values))

    def csv(self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table with a row for each image."""
        self.add(ArtifactKind.TABLE, write_csv(self.folder / name, header, rows))

    def page(self, name: str, template: str, **values: Any) -> None:
        """Fill a template and write the page."""
        self.add(ArtifactKind.REPORT, write_page(self.folder / name, template, **values))

    def add(self, what: ArtifactKind, path: Path) -> None:
        """Emit an event for a file that was written elsewhere, with those of the report."""
        self._made[what] = path

    def emit_made(self, **details: Any) -> None:
        """Emit the event of each file, in the order in which they were written. details: of the page's event."""
        for what, path in self._made.items():
            shown = details if what is ArtifactKind.REPORT else {}
            self.emit(ArtifactCreated(what=what, path=str(path), sha256=sha256_of(path), details=shown))


def write_json(path: Path, values: Mapping[str, Any]) -> Path:
    """Write values as indented JSON; returns the path."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a table as CSV in UTF-8; returns the path."""
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)
    return path


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Fill a template of this package, such as "sweep.html", and write the page; returns its path.

    All text in it is escaped.
    """
    text = with_whole_flags(_templates().get_template(template).render(**values))
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def with_whole_flags(page: str) -> str:
    """A page in which flags, such as --out, are not broken at their hyphens at the end of a line."""
    return _FLAG.sub(lambda found: f'<span class="flag">{found[3]}</span>' if found[3] else found[0], page)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("limner", "reports"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_url(image: Image.Image, side: int | None = None) -> str:
    """An image as a `data:` URL of WebP, no side longer than `side` pixels, so that a page can contain it."""
    small = image.convert("RGB")
    if side is not None and max(small.size) > side:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=88, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def file_data_url(path: str | Path, side: int) -> str:
    """An image file as a `data:` URL."""
    return data_url(open_image(path), side)


def relative_to(path: Path, folder: Path) -> str:
    """How a report names a file: by its path below the report's folder, or where it is elsewhere, by its name."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
