"""Parquet files whose cells hold pictures, as Hugging Face datasets keep them: one, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from limner.core.datasets import Entry, Skipped
from limner.data.entries.kinds import kind_of, local
from limner.data.entries.places import legible
from limner.data.entries.rowentries import row_entries


class Parquet:
    title = "parquet files of pictures"

    def claims(self, reference: str) -> bool:
        return kind_of(reference) == "parquet"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        path = local(reference)
        if not path.is_dir():
            yield from row_entries(path, "")
            return
        for file in sorted(at for at in path.rglob("*") if _is_parquet(at.relative_to(path))):
            yield from row_entries(file, legible(file.relative_to(path).with_suffix("").as_posix()) + "/")


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet" and not any(part.startswith(".") for part in path.parts)


plugin = Parquet()
