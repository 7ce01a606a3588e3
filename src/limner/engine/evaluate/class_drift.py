"""The class alone, by an adapter and by its base model: whether it has moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import EvaluateRequest
from limner.core.requests.evaluate import PLAIN
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import Entrant
from limner.engine.evaluate.result import items_of
from limner.engine.generate.parts import GenerationPart, generate_parts


def plain_pictures(
    request: EvaluateRequest, target: Entrant, class_word: str, out: Path, workspace: Workspace, emit: Emit
) -> ImageSet:
    """Pictures of the class alone, by the adapter and by the base model."""
    base = Entrant(target.name, target.told, target.model, target.vae, ())
    prompts = [template.replace(SUBJECT, class_word) for template in PLAIN]
    found: dict[str, Mapping[int, list[Path]]] = {}
    for who, entrant in (("adapter", target), ("base", base)):
        parts = [
            GenerationPart(
                entrant.request(request, prompt, request.seed, request.count), out / "class" / f"{who}-{number}", {}
            )
            for number, prompt in enumerate(prompts, 1)
        ]
        painted = generate_parts(f"class, {who}", parts, workspace, emit)
        found[who] = {number: [pictures[seed] for seed in sorted(pictures)] for number, pictures in enumerate(painted)}
    if any(len(row) < request.count for rows in found.values() for row in rows.values()):
        raise LimnerError("pictures of the class alone were withheld", "leave out class_drift")

    def items(who: str) -> tuple[ScoredImage, ...]:
        return tuple(
            item for number, prompt in enumerate(prompts) for item in items_of(found[who][number], prompt, prompt)
        )

    return ImageSet(items("adapter"), base=items("base"))
