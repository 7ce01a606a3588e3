"""Parquet files whose cells contain images, in the layout of Hugging Face datasets: one, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator

from limner.core.datasets import Entry, Skipped
from limner.data.entries.byte_sources import escaped_name
from limner.data.entries.links import LinkPolicy
from limner.data.entries.references import local_path, reference_kind
from limner.data.entries.table_entries import table_entries


class ParquetSource:
    """Images in the rows of Parquet files."""

    title = "Parquet files of images"

    def claims(self, reference: str) -> bool:
        return reference_kind(reference) == "parquet"

    def entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=False)

    def linked_entries(self, reference: str) -> Iterator[Entry | Skipped]:
        return self._entries(reference, follow=True)

    def _entries(self, reference: str, follow: bool) -> Iterator[Entry | Skipped]:
        path = local_path(reference)
        if not path.is_dir():
            yield from table_entries(path, "")
            return
        for file in LinkPolicy(path, follow).files((".parquet",)):
            if isinstance(file, Skipped):
                yield file
            elif not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield from table_entries(file, escaped_name(file.relative_to(path).with_suffix("").as_posix()) + "/")


plugin = ParquetSource()
