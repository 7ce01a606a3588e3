"""A list of URLs, one to a line; behind each may stand a tab and a caption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import Entry, Fault, Rights, Skipped
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted
from limner.data.entries.kinds import kind_of, local
from limner.data.entries.notes import words
from limner.data.entries.once import once
from limner.data.entries.places import UrlPlace, legible
from limner.data.entries.tables import lines
from limner.data.entries.urls import is_url, key_of, told_of


class Urls:
    title = "list of URLs"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "urls"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        yield from once(_entries(local(reference)))


def _entries(path: Path) -> Iterator[Entry | Skipped]:
    """A picture of each line; empty lines and those that begin with # are passed over."""
    with open_file(path) as file:
        for number, line in lines(file):
            url, _, caption = ("?" if line is None else line).strip().partition("\t")
            if line is not None and (not url or url.startswith("#")):
                continue
            if not is_url(url):
                told = f"line {number} of {quoted(path)} is no URL; begin it with https://"
                yield Skipped(f"{legible(path.name)} line {number}", Fault("stray", told))
            else:
                yield from _entry(url.strip(), caption)


def _entry(url: str, caption: str) -> Iterator[Entry | Skipped]:
    key, text = key_of(url), None
    try:
        text = words(caption)
    except LimnerError as error:
        yield Skipped(key, Fault("caption", str(error)))
    yield Entry(key, UrlPlace(url), caption=text, rights=Rights(source=told_of(url)))


plugin = Urls()
