"""Classifiers that others trained: loading them whole, and reading their scores against thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from limner.core.errors import LimnerError
from limner.core.moderation import Finding, JudgeFunction
from limner.models.hub import errors_told

Thresholds = dict[str, float]
"""Label -> the score from which on it refuses."""


def loaded(kind: Any, reference: str, **where: Any) -> Any:
    """A transformers model of a folder or a Hugging Face id, in safetensors, every tensor of it there."""
    with errors_told(reference, "classifier"):
        model, told = kind.from_pretrained(reference, use_safetensors=True, output_loading_info=True, **where)
    if lacking := [*told["missing_keys"], *told.get("mismatched_keys", ())]:
        raise LimnerError(
            f"{reference!r} is no whole classifier: it has no {str(min(map(str, lacking)))!r}", "choose one that is"
        )
    return model.eval()


def part_of(kind: Any, reference: str, **where: Any) -> Any:
    """What a classifier needs besides its weights, such as a tokenizer, from the same place."""
    with errors_told(reference, "classifier"):
        return kind.from_pretrained(reference, **where)


def tried(judge: JudgeFunction, sample: Any, reference: str) -> JudgeFunction:
    """A classifier that has shown that it can judge; raises LimnerError for one that cannot."""
    try:
        judge(sample)
    except Exception as error:
        raise LimnerError(f"{reference!r} cannot judge ({str(error)[:160]})", "choose another one") from error
    return judge


def check_labels(model: Any, reference: str, refuse: Mapping[str, float]) -> None:
    """Refuse thresholds for labels that a classifier does not know."""
    known = [str(label) for label in model.config.id2label.values()]
    for label in refuse:
        if label not in known:
            raise LimnerError(f"{reference!r} knows no label {label!r}", f"choose from: {', '.join(known[:50])}")


def finding(model: Any, logits: torch.Tensor, refuse: Mapping[str, float]) -> Finding:
    """What logits (n, labels) of one thing's parts say by thresholds: the label that is furthest above its own.

    Of a label, the highest score of the parts counts. Raises ValueError for what is no score.
    """
    several = model.config.problem_type == "multi_label_classification" or logits.shape[-1] == 1
    scores = (logits.float().sigmoid() if several else logits.float().softmax(-1)).amax(0).tolist()
    told = {str(model.config.id2label[number]): score for number, score in enumerate(scores)}
    watched = {label: told[label] for label in refuse}
    if not all(map(math.isfinite, scores)):
        raise ValueError(f"the scores {told} are none")
    label = max(watched, key=lambda name: watched[name] - refuse[name])
    return Finding(label if watched[label] >= refuse[label] else None, watched[label])
