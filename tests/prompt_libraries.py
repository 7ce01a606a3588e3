"""Small libraries of prompts for tests."""

from __future__ import annotations

from pathlib import Path

from limner.core.prompt_records import LibraryFacts, PromptRecord
from limner.store.prompt_imports import fill
from limner.studio.studio import Studio

HOSTILE = "<script>alert(1)</script>\"' onerror=alert(1) {{ 7*7 }} <img src=x> {} %7B"
"""A prompt that would run as HTML, in an attribute or as a template."""
QUERIES = (
    "' OR 1=1; --", 'text:"a" AND NOT (b', "a AND OR NOT", "*", "\\", "field:value^2~3 [a TO b]", "+-(){}[]!\"~*?:\\/",
    "\0", "\x1b[31m", "\u202e\u200b\ufeff", "\U0001f984" * 50, "ß" * 100, "日本語の犬 في المدينة", "e\u0301" * 200,
    "%00%ff", "../../etc/passwd", HOSTILE, "a" * 10_000, "word " * 2000, "( " * 5000, " \t\n ", "\ufdfa" * 500,
)  # fmt: skip
"""Searches that break careless parsers."""


def add_library(
    studio: Studio,
    name: str,
    *records: PromptRecord | str,
    owner: str = "",
    source: Path | str = "made",
    licence: str = "",
) -> LibraryFacts:
    """A complete library of these records, with an index when it is next searched."""
    library = studio.discover.libraries.create(LibraryFacts(name, str(source), licence, owner))
    return fill(library, [PromptRecord(each) if isinstance(each, str) else each for each in records])
