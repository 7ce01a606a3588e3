"""Generates the images of an evaluation: those of its prompts, and those of the class alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limner.core.errors import LimnerError
from limner.core.events import Emit
from limner.core.metrics import ImageSet, ScoredImage
from limner.core.requests import EvaluateRequest
from limner.core.requests.evaluate import PLAIN
from limner.core.requests.request import SUBJECT
from limner.core.workspace import Workspace
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.compare.subject import PromptSubject, trained_subject
from limner.engine.generate.parts import GenerationPart, generate_parts


def subject_of(request: EvaluateRequest, target: ModelWithAdapters) -> PromptSubject:
    """The subject that the request names, or else the one that the adapter was trained on."""
    trained = trained_subject(target.adapters)
    return PromptSubject(request.identifier or trained.identifier, request.class_word or trained.class_word)


@dataclass(frozen=True)
class SubjectPrompt:
    """A prompt with its subject. full: with the identifier. plain: without it, for encoders and people."""

    full: str
    plain: str


def expected_items(request: EvaluateRequest, prompts: Sequence[SubjectPrompt]) -> tuple[ScoredImage, ...]:
    """Items in place of the images that will be generated, to check what metrics need."""
    return tuple(
        ScoredImage(Path(str(seed)), each.plain, each.full) for each in prompts for seed in range(request.count)
    )


def generate_images(
    request: EvaluateRequest,
    target: ModelWithAdapters,
    prompts: Sequence[SubjectPrompt],
    out: Path,
    workspace: Workspace,
    emit: Emit,
) -> tuple[ScoredImage, ...]:
    """The images of all prompts. Raises LimnerError if moderation withheld any."""
    parts = [
        GenerationPart(target.request(request, each.full), out / "pictures" / f"{number:03d}", {})
        for number, each in enumerate(prompts, 1)
    ]
    found = generate_parts("generating", parts, workspace, emit)
    items = tuple(
        ScoredImage(images[seed], each.plain, each.full)
        for each, images in zip(prompts, found, strict=True)
        for seed in sorted(images)
    )
    if withheld := request.count * len(prompts) - len(items):
        raise LimnerError(f"{withheld} images were withheld by moderation", "leave out the prompts that are refused")
    return items


def generate_class_images(
    request: EvaluateRequest, target: ModelWithAdapters, class_word: str, out: Path, workspace: Workspace, emit: Emit
) -> ImageSet:
    """Images of the class alone, by the adapter and by the base model, to measure class drift."""
    prompts = [template.replace(SUBJECT, class_word) for template in PLAIN]

    def items(name: str, model: ModelWithAdapters) -> tuple[ScoredImage, ...]:
        parts = [
            GenerationPart(model.request(request, prompt), out / "class" / f"{name}-{number}", {})
            for number, prompt in enumerate(prompts, 1)
        ]
        found = generate_parts(f"class, {name}", parts, workspace, emit)
        if any(len(images) < request.count for images in found):
            raise LimnerError("images of the class alone were withheld by moderation", "leave out class_drift")
        return tuple(
            ScoredImage(images[seed], prompt, prompt)
            for prompt, images in zip(prompts, found, strict=True)
            for seed in sorted(images)
        )

    after = items("adapter", target)
    return ImageSet(after, base=items("base", replace(target, adapters=())))
