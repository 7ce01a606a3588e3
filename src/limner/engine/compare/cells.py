"""The pictures of a comparison: those that are there already, and those that are painted now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit
from limner.core.requests import CompareRequest
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import Entrant
from limner.engine.generate.parts import GenerationPart, generate_parts

Cell = tuple[str, int]
"""A prompt and a seed."""


def cells_of(comparison: CompareRequest) -> list[Cell]:
    """What each contestant paints, in order."""
    seeds = range(comparison.seed, comparison.seed + comparison.count)
    return [(prompt, seed) for prompt in comparison.prompt for seed in seeds]


def folder_of(out: Path, number: int, entrant: Entrant) -> Path:
    """Where the pictures of a contestant lie; number: from 1."""
    name = re.sub(r"[^\w.+-]+", "-", entrant.name).strip("-.")[:60]
    return out / "pictures" / f"{number}-{name}"


def painted_cells(
    comparison: CompareRequest, entrant: Entrant, folder: Path, workspace: Workspace, emit: Emit
) -> Mapping[Cell, Path]:
    """A contestant's pictures; those that lie in the folder already are not painted again."""
    parts = [
        GenerationPart(
            entrant.request(comparison, prompt, comparison.seed, comparison.count),
            folder,
            {"contestant": entrant.name},
        )
        for prompt in comparison.prompt
    ]
    painted = generate_parts(entrant.name, parts, workspace, emit)
    there = {
        (part.request.prompt, seed): path
        for part, pictures in zip(parts, painted, strict=True)
        for seed, path in pictures.items()
    }
    wanted = cells_of(comparison)
    if gone := [cell for cell in wanted if cell not in there]:
        raise LimnerError(
            f"{len(gone)} pictures of {entrant.name} were withheld, the first of {gone[0][0][:80]!r}",
            "leave that prompt out: what is compared must be there of all",
        )
    return {cell: there[cell] for cell in wanted}
