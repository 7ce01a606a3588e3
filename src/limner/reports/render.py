"""Templates -> pages that open by themselves, with no network."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from limner.store.files import atomic_file


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("limner", "reports"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_page(path: Path, template: str, **told: Any) -> None:
    """Fill a template of this folder, such as "sweep.html", and write the page; all text in it is escaped."""
    text = _templates().get_template(template).render(**told)
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def embedded(picture: Image.Image, side: int | None = None) -> str:
    """A picture as a `data:` URL of WebP, with no side longer than `side` pixels, so that a page can hold it."""
    small = picture.convert("RGB")
    if side is not None and max(small.size) > side:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    small.save(kept, "WEBP", quality=88, method=4)
    return "data:image/webp;base64," + base64.b64encode(kept.getvalue()).decode()
