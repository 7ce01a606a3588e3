"""How well the structure of prompts is recognised, on 200 prompts with their parts by hand (`prompt_structure.jsonl`).

    python benchmarks/prompt_structure.py --json prompt-structure.json

The recogniser was developed on the odd lines; the even ones are the test half. Characters are the letters and digits of
the pieces; a piece counts as exact if it has the same characters and part. Both scores are F1 over all prompts.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from figures import print_table, write_json
from limner.data.prompts.structure import structure_of
from limner.data.prompts.words import PARTS

LABELLED = Path(__file__).with_suffix(".jsonl")
KINDS = {"keywords": 80, "sentences": 140, "short": 160, "weights": 175, "negatives": 190, "odd": 200}
"""Kinds of prompts, with the number of the last line of each."""
Span = tuple[int, int]


@dataclass
class Score:
    """Counts of what is right, found and labelled."""

    right: int = 0
    found: int = 0
    labelled: int = 0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, self.found + self.labelled)

    def add(self, found: Counter[object], labelled: Counter[object]) -> None:
        self.right += (found & labelled).total()
        self.found += found.total()
        self.labelled += labelled.total()


@dataclass
class Scores:
    """Scores of characters and of whole pieces, by part."""

    characters: dict[str, Score] = field(default_factory=lambda: {part: Score() for part in PARTS})
    pieces: dict[str, Score] = field(default_factory=lambda: {part: Score() for part in PARTS})

    @property
    def mean(self) -> float:
        """The mean F1 of characters over the parts that are labelled."""
        scores = [score.f1 for score in self.characters.values() if score.labelled]
        return sum(scores) / len(scores)

    @property
    def micro(self) -> float:
        total = Score()
        for score in self.characters.values():
            total.right += score.right
            total.found += score.found
            total.labelled += score.labelled
        return total.f1


def labelled_prompts() -> list[tuple[str, dict[str, list[str]]]]:
    """The prompts with the pieces of each part, in the order of the file."""
    rows = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]
    return [(row["prompt"], row["parts"]) for row in rows]


def measure(prompts: Iterable[tuple[str, Mapping[str, Sequence[str]]]]) -> Scores:
    """Scores of the recogniser on labelled prompts."""
    scores = Scores()
    for prompt, parts in prompts:
        found: dict[str, list[Span]] = {part: [] for part in PARTS}
        for piece in structure_of(prompt).pieces:
            found[piece.part].append((piece.start, piece.end))
        for part in PARTS:
            labelled = _spans(prompt, parts.get(part, ()))
            scores.characters[part].add(_characters(prompt, found[part]), _characters(prompt, labelled))
            scores.pieces[part].add(_pieces(prompt, found[part]), _pieces(prompt, labelled))
    return scores


def kind_of(line: int) -> str:
    """The kind of the prompt on a line; the first line is 1."""
    return next(kind for kind, last in KINDS.items() if line <= last)


def _spans(prompt: str, pieces: Sequence[str]) -> list[Span]:
    places = [(prompt.index(piece), piece) for piece in pieces]
    return [(place, place + len(piece)) for place, piece in places]


def _characters(prompt: str, spans: Iterable[Span]) -> Counter[object]:
    return Counter({place for start, end in spans for place in range(start, end) if prompt[place].isalnum()})


def _pieces(prompt: str, spans: Iterable[Span]) -> Counter[object]:
    return Counter(
        (places[0], places[-1])
        for start, end in spans
        if (places := [place for place in range(start, end) if prompt[place].isalnum()])
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--development", action="store_true", help="only the half that the recogniser was developed on")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    numbered = list(enumerate(labelled_prompts(), 1))
    halves = {
        "development": [row for row in numbered if row[0] % 2],
        "test": [row for row in numbered if not row[0] % 2],
    }
    if options.development:
        del halves["test"]
    scores = {half: measure(row for _, row in rows) for half, rows in halves.items()}
    header = ["part", *(f"{half} {name}" for half in halves for name in ("characters", "pieces", "labelled"))]
    print_table(header, [[part, *(cell for half in scores.values() for cell in _cells(half, part))] for part in PARTS])
    print()
    kinds = {
        kind: [measure(row for line, row in rows if kind_of(line) == kind) for rows in halves.values()]
        for kind in KINDS
    }
    rows = [[kind, *(f"{score.micro:.2f}" for score in found)] for kind, found in kinds.items()]
    rows += [["all", *(f"{score.micro:.2f}" for score in scores.values())]]
    rows += [["mean of the parts", *(f"{score.mean:.2f}" for score in scores.values())]]
    print_table(["characters of all parts", *halves], rows)
    figures = {
        half: {part: {"characters": score.characters[part].f1, "pieces": score.pieces[part].f1} for part in PARTS}
        for half, score in scores.items()
    }
    write_json(options.json, figures)


def _cells(scores: Scores, part: str) -> list[str]:
    characters, pieces = scores.characters[part], scores.pieces[part]
    return [f"{characters.f1:.2f}", f"{pieces.f1:.2f}", str(pieces.labelled)]


if __name__ == "__main__":
    main()
