"""Discovery of prompts: rows per second and peak memory of an import that is killed midway and resumed.

    python benchmarks/discover.py import --json discover.json
    python benchmarks/discover.py import --rows 1000000

It makes tables of prompts with `data/prompts/grammar.py`, as JSON lines and as parquet. A process imports a table and
is killed when half of the rows are read; another one goes on. Together they must have read each row once, and the
library must have each prompt. `reading` is all until the library is complete, with moderation in it; `indexing` is what
the search index adds; `processor` is the processor time of both. One row in five has a prompt that came before. Memory
is resident; each process that judges prompts takes 40 MB more.
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
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from figures import machine, print_table, write_json
from limner.core.accounts import Caller
from limner.core.events import Event, Progress, Stage
from limner.core.prompt_records import LibraryFacts
from limner.data.prompts.grammar import made_prompts
from limner.store.search.index import text_hash
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


def make_tables(folder: Path, count: int) -> int:
    """Write the same rows in each format; returns how many different prompts they have."""
    rows, writer, different = made_rows(count), None, set[int]()
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for _ in range(0, count, GROUP):
            some = [row for _, row in zip(range(GROUP), rows, strict=False)]
            file.writelines(json.dumps(row) + "\n" for row in some)
            different.update(text_hash(row["prompt"]) for row in some)
            table = pa.Table.from_pylist(some)
            writer = writer or pq.ParquetWriter(folder / "prompts.parquet", table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    return len(different)


def import_table(source: Path, home: Path, answer: Any) -> None:
    """Import a table into a home; sends rows that are stored, with the seconds that took, and at the end figures."""
    studio, begun, stage = Studio(home), dict[str, float](), "reading"
    start = time.perf_counter()

    def emit(event: Event) -> None:
        nonlocal stage
        if isinstance(event, Stage):
            stage = event.name.split()[0]
            begun[stage] = time.perf_counter() - start
        elif isinstance(event, Progress) and stage == "reading":
            answer.send({"stored": event.done, "seconds": time.perf_counter() - start})

    done = studio.discover.add(Caller(), LibraryFacts("benchmark", str(source)), emit)
    end = time.perf_counter() - start
    studio.store.close()
    answer.send(
        {
            "rows": done.rows,
            "prompts": done.facts.prompts,
            "reading_seconds": begun["indexing"],
            "indexing_seconds": end - begun["indexing"],
        }
    )


def measure_import(source: Path, home: Path, count: int, prompts: int) -> dict[str, float]:
    """Figures of an import that is killed once. Raises RuntimeError if a row or a prompt is lost or read twice."""
    used = processor_seconds()
    first, answers = started(source, home)
    stored = answers.recv()
    while stored["stored"] < count // 2:
        stored = answers.recv()
    peak = peak_mb(first.pid)
    first.kill()
    first.join()
    while answers.poll():
        with suppress(EOFError):
            stored = answers.recv()
            continue
        break
    second, answers = started(source, home)
    while "rows" not in (figures := answers.recv()):
        peak = max(peak, peak_mb(second.pid))
    second.join()
    if figures["rows"] + stored["stored"] != count or figures["prompts"] != prompts:
        raise RuntimeError(f"{count} rows have {prompts} prompts; {stored} was read, then {figures}")
    figures["reading_seconds"] += stored["seconds"]
    seconds = figures["reading_seconds"] + figures["indexing_seconds"]
    sizes = {
        f"{name}_mb": sum(path.stat().st_size for path in (home / folder).rglob("*") if path.is_file()) / 1e6
        for name, folder in (("library", "libraries"), ("index", "index"))
    }
    return {
        "rows": count,
        "prompts": prompts,
        "killed_at": stored["stored"],
        "rows_resumed": figures["rows"],
        "reading_seconds": figures["reading_seconds"],
        "indexing_seconds": figures["indexing_seconds"],
        "rows_per_second": count / seconds,
        "processor_seconds": processor_seconds() - used,
        "peak_mb": peak,
        **sizes,
    }


def started(source: Path, home: Path) -> tuple[Any, Any]:
    """A process that imports a table, and what it sends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=import_table, args=(source, home, theirs))
    process.start()
    theirs.close()
    return process, ours


def processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_mb(process: int | None) -> float:
    """The most resident memory of a process so far, in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def imports(count: int, formats: list[str]) -> dict[str, Any]:
    """Figures of an import by the format of its table."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = make_tables(Path(folder), count)
        return {
            suffix: measure_import(Path(folder, f"prompts.{suffix}"), Path(folder, f"home-{suffix}"), count, prompts)
            for suffix in formats
        }


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
