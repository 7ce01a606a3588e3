"""How well the search over prompts finds what a person means: 200 queries with known answers among 600 prompts.

    python benchmarks/search_quality.py --json search-quality.json

Prompts (`search_prompts.jsonl`) and queries with judgements (`search_queries.jsonl`) were written for this benchmark:
200 concepts, each in three wordings. Grade 2 stands for a prompt that shows what is asked for, grade 1 for one that
partly does. Recall@10 counts prompts of grade 2; nDCG@10 has gains of 3 and 1. Kinds of queries: "paraphrase" shares no
words with the prompts, or one; "mixed" some; "words" occurs literally; "hard" needs knowledge, or names a mood.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from figures import machine, print_table, write_json
from limner.core.discover import Filters
from limner.models.text_vectors import DIMENSIONS, ENCODER, text_vectors
from limner.store.search.index import SearchIndex
from limner.store.search.table import IndexedPrompt

FOLDER = Path(__file__).parent
TOP = 10
KINDS = ("all", "paraphrase", "mixed", "words", "hard")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def scores(found: Sequence[str], relevant: Mapping[str, int]) -> tuple[float, float]:
    """Recall@10 of grade 2, and nDCG@10."""
    wanted = [name for name, grade in relevant.items() if grade == 2]
    recall = sum(name in wanted for name in found[:TOP]) / len(wanted)
    best = gain(sorted(relevant.values(), reverse=True)[:TOP])
    return recall, gain([relevant.get(name, 0) for name in found[:TOP]]) / best


def gain(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    prompts, queries = read("search_prompts.jsonl"), read("search_queries.jsonl")
    order = np.random.default_rng(0).permutation(len(prompts))  # the wordings of a concept do not follow each other
    shuffled = [prompts[at] for at in order]
    with tempfile.TemporaryDirectory() as folder:
        index = SearchIndex(Path(folder), ENCODER, DIMENSIONS)
        rows = [IndexedPrompt("written", number, each["text"]) for number, each in enumerate(shuffled)]
        index.add(rows, text_vectors([each["text"] for each in shuffled]))

        def search(text: str, vector: Any) -> list[str]:
            return [shuffled[hit.prompt]["id"] for hit in index.search(text, vector, Filters(), "", TOP)]

        modes: dict[str, Callable[[str], list[str]]] = {
            "words": lambda query: search(query, None),
            "meaning": lambda query: search("", text_vectors([query])[0]),
            "both": lambda query: search(query, text_vectors([query])[0]),
        }
        result = {}
        for mode, find in modes.items():
            found = {each["query"]: scores(find(each["query"]), each["relevant"]) for each in queries}
            by_kind = {
                kind: [found[each["query"]] for each in queries if kind in ("all", each["kind"])] for kind in KINDS
            }
            result[mode] = {kind: np.mean(each, axis=0).tolist() for kind, each in by_kind.items()}
    rows = [[mode, *(f"{recall:.2f}, {ndcg:.2f}" for recall, ndcg in each.values())] for mode, each in result.items()]
    print_table(["recall@10, nDCG@10", *KINDS], rows)
    write_json(options.json, {**machine(), "queries": len(queries), "quality": result})


if __name__ == "__main__":
    main()
