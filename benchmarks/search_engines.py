"""Engines for the search over prompts, on the same prompts, vectors and queries.

    pip install lancedb usearch
    python benchmarks/search_engines.py 10000 100000 1000000 --json search-engines.json

Prompts are those of the grammar. Queries are 2 to 4 words of a prompt, in any order. Each engine runs in a process of
its own: it is built, then searched by words, by meaning, by both, and by both with a filter that keeps 1%; and by both
while another thread adds 1,000 rows. Recall is measured against an exact search with 32-bit numbers. `processor` is the
processor time of a query, which other programs on the machine do not lengthen. With 1,000,000 prompts, the figures of
Limner are compared with the aims; the exit code is 1 where one is missed.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import resource
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from figures import machine, print_table, write_json
from limner.core.discover import Filters
from limner.data.prompts.grammar import made_prompts
from limner.models.text_vectors import DIMENSIONS, text_vectors
from limner.store.search.index import SearchIndex
from limner.store.search.table import ImageSettings, IndexedPrompt

QUERIES, EXACT, TOP, POOL, ADDED = 200, 60, 10, 100, 1000
AIMS = {"both p95 ms": 50.0, "memory MiB": 1024.0, "recall": 0.95}
"""Of Limner with AIMED_AT prompts: most milliseconds and memory, least recall."""
AIMED_AT = 1_000_000
ONE_IN = 100
BLOCK = 20_000
Rows = Sequence[int]


class Engine(ABC):
    """An engine in a folder. Rows are numbered from 0; of every hundred, the one with number 7 passes the filter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def build(self, texts: Sequence[str], vectors: np.ndarray) -> None: ...

    @abstractmethod
    def add(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> None: ...

    @abstractmethod
    def words(self, text: str, filtered: bool) -> Rows: ...

    @abstractmethod
    def meaning(self, vector: np.ndarray, filtered: bool) -> Rows: ...

    def both(self, text: str, vector: np.ndarray, filtered: bool) -> Rows:
        """The fusion of both lists."""
        scores: dict[int, float] = {}
        for found in (self.words(text, filtered), self.meaning(vector, filtered)):
            for rank, row in enumerate(found, 1):
                scores[row] = scores.get(row, 0.0) + 1 / (60 + rank)
        return sorted(scores, key=scores.__getitem__, reverse=True)[:TOP]


class Limner(Engine):
    """The index of this project: tantivy, and signs of vectors that are scanned by numpy."""

    def build(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.index = SearchIndex(self.folder, "benchmark", DIMENSIONS)
        for start in range(0, len(texts), BLOCK):
            self.add(start, texts[start : start + BLOCK], vectors[start : start + BLOCK])

    def add(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> None:
        prompts = [
            IndexedPrompt("made", row, text, images=(ImageSettings(steps=row % ONE_IN),))
            for row, text in enumerate(texts, first)
        ]
        self.index.add(prompts, np.asarray(vectors))

    def words(self, text: str, filtered: bool) -> Rows:
        return self._search(text, None, filtered)

    def meaning(self, vector: np.ndarray, filtered: bool) -> Rows:
        return self._search("", vector, filtered)

    def both(self, text: str, vector: np.ndarray, filtered: bool) -> Rows:
        return self._search(text, vector, filtered)

    def _search(self, text: str, vector: np.ndarray | None, filtered: bool) -> Rows:
        filters = Filters(steps=(7, 7)) if filtered else Filters()
        return [hit.prompt for hit in self.index.search(text, vector, filters, "", TOP)]


class Sqlite(Engine):
    """SQLite's FTS5, and 8-bit vectors that usearch compares one by one."""

    def build(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.database = sqlite3.connect(self.folder / "words.sqlite", check_same_thread=False)
        self.database.execute("pragma journal_mode = wal")
        options = "content='', tokenize='porter unicode61', detail=none"
        self.database.execute(f"create virtual table words using fts5(text, {options})")
        self.values = np.empty((0, DIMENSIONS), np.int8)
        self.add(0, texts, vectors)
        self.database.execute("insert into words(words) values ('optimize')")
        self.database.commit()
        np.save(self.folder / "values.npy", self.values)  # which it would read at its start

    def add(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.database.executemany("insert into words(rowid, text) values (?, ?)", enumerate(texts, first))
        self.database.commit()
        self.values = np.concatenate([self.values, np.round(np.asarray(vectors) * 127).astype(np.int8)])
        self.kept = np.arange(7, len(self.values), ONE_IN)
        self.kept_values = self.values[self.kept]

    def words(self, text: str, filtered: bool) -> Rows:
        match = " OR ".join(f'"{word}"' for word in text.split())
        condition = f" and rowid % {ONE_IN} = 7" if filtered else ""
        query = f"select rowid from words where words match ?{condition} order by rank limit {POOL}"
        return [row for (row,) in self.database.execute(query, (match,))]

    def meaning(self, vector: np.ndarray, filtered: bool) -> Rows:
        from usearch.index import MetricKind, search  # pyright: ignore[reportMissingImports]

        values = self.kept_values if filtered else self.values
        asked = np.round(vector * 127).astype(np.int8)
        keys = np.asarray(search(values, asked, POOL, MetricKind.Cos, exact=True).keys).astype(np.int64)
        return (self.kept[keys] if filtered else keys).tolist()


class Graph(Sqlite):
    """SQLite's FTS5, and usearch's HNSW graph."""

    def build(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        from usearch.index import Index  # pyright: ignore[reportMissingImports]

        self.graph = Index(ndim=DIMENSIONS, metric="cos", dtype="i8", expansion_search=200)
        super().build(texts, vectors)
        self.graph.save(self.folder / "graph.usearch")

    def add(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> None:
        super().add(first, texts, vectors)
        self.graph.add(np.arange(first, first + len(texts)), np.asarray(vectors))

    def meaning(self, vector: np.ndarray, filtered: bool) -> Rows:
        return super().meaning(vector, True) if filtered else self.graph.search(vector, POOL).keys.tolist()


class Lance(Engine):
    """LanceDB: words, vectors (IVF with HNSW and 8-bit numbers) and filters in one table."""

    def build(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        import lancedb  # pyright: ignore[reportMissingImports]
        import pyarrow as pa

        self.pa = pa
        self.table = lancedb.connect(self.folder).create_table(
            "prompts", self._table(0, texts[:BLOCK], vectors[:BLOCK])
        )
        for start in range(BLOCK, len(texts), BLOCK):
            self.add(start, texts[start : start + BLOCK], vectors[start : start + BLOCK])
        self.table.create_fts_index("text", with_position=False)
        parts = max(1, len(texts) // 100_000)
        self.table.create_index(
            metric="dot", vector_column_name="vector", index_type="IVF_HNSW_SQ", num_partitions=parts
        )
        self.table.create_scalar_index("kept", index_type="BITMAP")

    def _table(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> Any:
        rows = range(first, first + len(texts))
        values = self.pa.array(np.asarray(vectors, np.float16).reshape(-1))
        return self.pa.table(
            {
                "row": self.pa.array(rows),
                "text": self.pa.array(texts),
                "kept": self.pa.array([int(row % ONE_IN == 7) for row in rows]),
                "vector": self.pa.FixedSizeListArray.from_arrays(values, DIMENSIONS),
            }
        )

    def add(self, first: int, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.table.add(self._table(first, texts, vectors))

    def words(self, text: str, filtered: bool) -> Rows:
        return self._rows(self.table.search(text, query_type="fts").select(["row", "_score"]), filtered)

    def meaning(self, vector: np.ndarray, filtered: bool) -> Rows:
        query: Any = self.table.search(vector)
        query = query.metric("dot").nprobes(10).ef(200).select(["row", "_distance"])
        return self._rows(query, filtered)

    def _rows(self, query: Any, filtered: bool) -> Rows:
        query = query.where("kept = 1", prefilter=True) if filtered else query
        return query.limit(POOL).to_arrow()["row"].to_pylist()


ENGINES = {"limner": Limner, "fts5+exact": Sqlite, "fts5+hnsw": Graph, "lancedb": Lance}


def measure(name: str, count: int, sender: Any) -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    texts = [prompt.text for prompt in made_prompts(count + ADDED)]
    vectors = np.concatenate([text_vectors(texts[at : at + BLOCK]) for at in range(0, len(texts), BLOCK)])
    queries = asked(texts[:count])
    asked_vectors = text_vectors(queries)
    before = memory()
    with tempfile.TemporaryDirectory() as folder:
        engine = ENGINES[name](Path(folder))
        start = time.monotonic()
        engine.build(texts[:count], vectors[:count])
        figures: dict[str, Any] = {"engine": name, "prompts": count, "build s": time.monotonic() - start}
        figures["disk MiB"] = sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file()) / 2**20
        modes: dict[str, Callable[[int], Rows]] = {
            "words": lambda at: engine.words(queries[at], False),
            "meaning": lambda at: engine.meaning(asked_vectors[at], False),
            "both": lambda at: engine.both(queries[at], asked_vectors[at], False),
            "both 1%": lambda at: engine.both(queries[at], asked_vectors[at], True),
        }
        for mode, search in modes.items():
            found = timed(figures, mode, search)
            if mode == "meaning":
                figures["recall"] = recall(found, vectors[:count], asked_vectors)
        figures["memory MiB"] = memory() - before
        adding = threading.Thread(target=lambda: engine.add(count, texts[count:], vectors[count:]))
        adding.start()
        timed(figures, "both, adding", modes["both"])
        adding.join()
    sender.send(figures)


def asked(texts: Sequence[str]) -> list[str]:
    chance, found = random.Random(5), list[str]()
    while len(found) < QUERIES:
        words = re.findall(r"\w{3,}", chance.choice(texts))
        if words:
            found.append(" ".join(chance.sample(words, min(len(words), chance.randint(2, 4)))))
    return found


def timed(figures: dict[str, Any], mode: str, search: Callable[[int], Rows]) -> list[Rows]:
    times, processor, found = list[float](), list[float](), list[Rows]()
    for at in range(QUERIES):
        start, used = time.perf_counter(), time.process_time()
        found.append(search(at))
        times.append(1000 * (time.perf_counter() - start))
        processor.append(1000 * (time.process_time() - used))
    figures[f"{mode} p50 ms"], figures[f"{mode} p95 ms"] = map(float, np.percentile(times, [50, 95]))
    if mode == "both":
        figures["both processor p95 ms"] = float(np.percentile(processor, 95))
    return found


def recall(found: Sequence[Rows], vectors: np.ndarray, asked_vectors: np.ndarray) -> float:
    """Mean share of the exact nearest ten that are among the ten found."""
    shares = []
    for at in range(EXACT):
        cosines = vectors @ asked_vectors[at]
        exact = set(np.argpartition(-cosines, TOP)[:TOP].tolist())
        shares.append(len(exact & set(found[at][:TOP])) / TOP)
    return float(np.mean(shares))


def judged(row: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The aims with a figure, and whether each is met; none for other engines and numbers of prompts."""
    if (row["engine"], row["prompts"]) != ("limner", AIMED_AT):
        return []
    found = []
    for name, aim in AIMS.items():
        least = name == "recall"
        met = row[name] >= aim if least else row[name] <= aim
        found.append((f"{name}: {row[name]:.3g}; the aim, {'at least' if least else 'at most'} {aim:g},", met))
    return found


def memory() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int, metavar="PROMPTS")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="engine to measure (default: all)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    rows = []
    for count in options.counts:
        for name in options.engine or ENGINES:
            receiver, sender = get_context("spawn").Pipe(duplex=False)
            process = get_context("spawn").Process(target=measure, args=(name, count, sender))
            process.start()
            sender.close()
            try:
                rows.append(receiver.recv())
            except EOFError:
                print(f"{name} with {count:,} prompts failed")
                continue
            process.join()
            print_table(
                list(rows[-1]), [[f"{it:.3g}" if isinstance(it, float) else str(it) for it in rows[-1].values()]]
            )
    verdicts = [verdict for row in rows for verdict in judged(row)]
    for text, met in verdicts:
        print(f"{text} is {'met' if met else 'missed'}")
    if options.json:
        write_json(options.json, {**machine(), "engines": rows})
    if not all(met for _, met in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main()
