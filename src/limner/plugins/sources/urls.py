"""A list of URLs, one per line, each optionally followed by a tab and a caption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import Entry, Fault, Rights, Skipped
from limner.core.errors import LimnerError
from limner.core.files import open_file, quoted
from limner.data.entries.annotations import caption_value
from limner.data.entries.byte_sources import UrlBytes, escaped_name
from limner.data.entries.references import is_url, local_path, public_url, reference_kind, url_key
from limner.data.entries.text_tables import read_lines
from limner.data.keys import unique_entries


class UrlListSource:
    """Images at the URLs in a text file."""

    title = "list of URLs"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "urls"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        yield from unique_entries(_entries(local_path(reference)))


def _entries(path: Path) -> Iterator[Entry | Skipped]:
    """An image for each line; empty lines and lines that begin with # are skipped."""
    with open_file(path) as file:
        for number, line in read_lines(file):
            url, _, caption = ("?" if line is None else line).strip().partition("\t")
            if line is not None and (not url or url.startswith("#")):
                continue
            if not is_url(url):
                problem = f"line {number} of {quoted(path)} is not a URL; begin it with https://"
                yield Skipped(f"{escaped_name(path.name)} line {number}", Fault("stray", problem))
            else:
                yield from _entry(url.strip(), caption)


def _entry(url: str, caption: str) -> Iterator[Entry | Skipped]:
    key, text = url_key(url), None
    try:
        text = caption_value(caption)
    except LimnerError as error:
        yield Skipped(key, Fault("caption", str(error)))
    yield Entry(key, UrlBytes(url), caption=text, rights=Rights(source=public_url(url)))


plugin = UrlListSource()
