"""Words of prompts: a tantivy index that ranks by BM25."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tantivy

TOKENIZER = "prompts"
MAX_TERMS = 64
"""Most different words of a query that are looked for."""
HEAP, THREADS = 128 * 2**20, 2
_WORD = re.compile(r"\w+")


class Words:
    """Which rows have which words. folder: of the index, created if there is none."""

    def __init__(self, folder: Path) -> None:
        schema = tantivy.SchemaBuilder()
        schema.add_unsigned_field("row", fast=True, indexed=True)
        schema.add_text_field("text", tokenizer_name=TOKENIZER, index_option="freq")
        folder.mkdir(parents=True, exist_ok=True)
        self._index = tantivy.Index(schema.build(), path=str(folder))
        self._analyzer = analyzer()
        self._index.register_tokenizer(TOKENIZER, self._analyzer)

    def add(self, first: int, texts: Sequence[str]) -> None:
        """Add texts as rows from a number on. Rows from there on that are in the index already are replaced."""
        with self._writing() as writer:
            writer.delete_documents_by_query(self._from(first))
            for row, text in enumerate(texts, first):
                document = tantivy.Document()
                document.add_unsigned("row", row)
                document.add_text("text", folded(text))
                writer.add_document(document)

    def remove(self, rows: Iterable[int]) -> None:
        """Take rows out of the index."""
        with self._writing() as writer:
            writer.delete_documents_by_query(tantivy.Query.term_set_query(self._index.schema, "row", [*rows]))

    @contextmanager
    def _writing(self) -> Generator[Any]:
        """A writer, whose changes are committed when the block ends."""
        writer = self._index.writer(heap_size=HEAP, num_threads=THREADS)
        try:
            writer.garbage_collect_files()  # a program that was killed left files that this writer would name alike
            yield writer
            writer.commit()
        finally:
            writer.wait_merging_threads()
        self._index.reload()

    def find(
        self, text: str, limit: int, rows: Iterable[int] | None = None, *, every: bool = False
    ) -> list[tuple[int, float]]:
        """The rows that match words of a text best, with their BM25 scores. rows: the only ones that count.

        every: only those that have all of the words, besides those of one or two letters.
        """
        terms = [term for term in self.terms(text) if not every or len(term) > 2 or term.isdigit()]
        if not terms:
            return []
        schema = self._index.schema
        occur = tantivy.Occur.Must if every else tantivy.Occur.Should
        parts: list[Any] = [(occur, tantivy.Query.term_query(schema, "text", term, "freq")) for term in terms]
        query = tantivy.Query.boolean_query(parts)
        if rows is not None:
            among = tantivy.Query.const_score_query(tantivy.Query.term_set_query(schema, "row", [*rows]), 0.0)
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, among)])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit, count=False).hits
        found: Any = searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(found, hits, strict=True)]

    def terms(self, text: str) -> list[str]:
        """The words of a text as the index knows them, each once."""
        return [*dict.fromkeys(self._analyzer.analyze(folded(text)))][:MAX_TERMS]

    def _from(self, first: int) -> Any:
        return tantivy.Query.range_query(self._index.schema, "row", tantivy.FieldType.Unsigned, first, 2**63)


def analyzer() -> Any:
    """What makes words of a text: letters and digits, lower case, without accents, English word stems."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (tantivy.Filter.remove_long(80), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold()):
        builder = builder.filter(step)
    return builder.filter(tantivy.Filter.stemmer("english")).build()


def folded(text: str) -> str:
    """A text in the composed form of Unicode, without surrogates, which tantivy does not take."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
