"""Discovery of prompts: rows per second and peak memory of an import, with the time of each step.

    python benchmarks/discover.py import --json discover.json
    python benchmarks/discover.py import --rows 1000000

It makes tables of prompts with `data/prompts/grammar.py`, as JSON lines and as parquet, and imports each in a process
of its own. `reading` is all until the library is complete, with moderation in it; `indexing` is what the search index
adds. One row in five has a prompt that came before. Memory is resident; each process that judges prompts takes
40 MB more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from figures import machine, print_table, write_json
from limner.core.accounts import Caller
from limner.core.events import Event, Stage
from limner.core.prompt_records import LibraryFacts
from limner.data.prompts.grammar import made_prompts
from limner.studio.studio import Studio

REPEATED = 0.2
"""How many rows have a prompt that came before."""
GROUP = 50_000
"""Rows that are made at once, and of a row group of parquet."""
FORMATS = ("jsonl", "parquet")


def made_rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows with the settings of DiffusionDB."""
    chance, prompts, kept = random.Random(0), made_prompts(count), list[str]()
    for number in range(count):
        if kept and chance.random() < REPEATED:
            text = chance.choice(kept)
        else:
            text = next(prompts).text
            if len(kept) < GROUP:
                kept.append(text)
        yield {
            "image_name": f"{number:08}.png",
            "prompt": text,
            "seed": chance.getrandbits(32),
            "step": chance.choice([20, 30, 50]),
            "cfg": chance.choice([5.0, 7.0, 12.0]),
            "sampler": chance.randint(1, 9),
            "width": 512,
            "height": chance.choice([512, 704, 768]),
            "timestamp": f"2022-08-{chance.randint(1, 20):02}T12:00:00+00:00",
            "image_nsfw": round(chance.random() ** 4, 3),
        }


def make_tables(folder: Path, count: int) -> None:
    """Write the same rows in each format."""
    rows, writer = made_rows(count), None
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for _ in range(0, count, GROUP):
            some = [row for _, row in zip(range(GROUP), rows, strict=False)]
            file.writelines(json.dumps(row) + "\n" for row in some)
            table = pa.Table.from_pylist(some)
            writer = writer or pq.ParquetWriter(folder / "prompts.parquet", table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()


def measure_import(source: Path, home: Path, answer: Any) -> None:
    """Import a table into an empty home, and send seconds by step, numbers and peak memory."""
    begun = dict[str, float]()

    def emit(event: Event) -> None:
        if isinstance(event, Stage):
            begun[event.name.split()[0]] = time.perf_counter()

    studio = Studio(home)
    emit(Stage(name="reading"))
    done = studio.discover.add(Caller(), LibraryFacts("benchmark", str(source)), emit)
    end = time.perf_counter()
    studio.store.close()
    answer.send(
        {
            "rows": done.rows,
            "prompts": done.facts.prompts,
            "reading_seconds": begun["indexing"] - begun["reading"],
            "indexing_seconds": end - begun["indexing"],
            "rows_per_second": done.rows / (end - begun["reading"]),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "library_mb": sum(path.stat().st_size for path in (home / "libraries").rglob("*") if path.is_file()) / 1e6,
            "index_mb": sum(path.stat().st_size for path in (home / "index").rglob("*") if path.is_file()) / 1e6,
        }
    )


def imports(count: int, formats: list[str]) -> dict[str, Any]:
    """Figures of an import by the format of its table."""
    found = dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder:
        make_tables(Path(folder), count)
        for suffix in formats:
            ours, theirs = multiprocessing.Pipe()
            given = Path(folder, f"prompts.{suffix}"), Path(folder, f"home-{suffix}"), theirs
            process = multiprocessing.get_context("spawn").Process(target=measure_import, args=given)
            process.start()
            theirs.close()
            found[suffix] = ours.recv()
            process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("import",))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=[*FORMATS])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = imports(options.rows, options.formats)
    names = [*next(iter(found.values()))]
    rows = [[suffix, *(f"{values[name]:,.0f}" for name in names)] for suffix, values in found.items()]
    print_table(["format", *(name.replace("_", " ") for name in names)], rows)
    write_json(options.json, {"machine": machine(), "imports": found})


if __name__ == "__main__":
    main()
