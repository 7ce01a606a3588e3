"""Pretrained classifiers: loading them completely, and comparing their scores with thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from limner.core.errors import LimnerError
from limner.core.moderation import Finding, JudgeFunction
from limner.core.text import first_sentence
from limner.models.hub import hub_errors

Thresholds = dict[str, float]
"""Label -> lowest score that is refused."""


def load_model(kind: Any, reference: str, **where: Any) -> Any:
    """Load a transformers model from a folder or a Hugging Face id, from safetensors, without missing tensors."""
    with hub_errors(reference, "classifier"):
        model, info = kind.from_pretrained(
            reference,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below
            **where,
        )
    if missing := [*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])]:
        raise LimnerError(
            f"{reference!r} is not a complete classifier: it has no {min(missing)!r}", "choose one that is"
        )
    return model.eval()


def load_processor(kind: Any, reference: str, **where: Any) -> Any:
    """Load what a classifier needs besides its weights, such as a tokenizer, from the same place."""
    with hub_errors(reference, "classifier"):
        return kind.from_pretrained(reference, **where)


def checked(judge: JudgeFunction, sample: Any, reference: str) -> JudgeFunction:
    """Return a classifier after it has judged a sample; raise LimnerError if it cannot."""
    try:
        judge(sample)
    except Exception as error:
        raise LimnerError(f"{reference!r} cannot judge ({first_sentence(str(error))})", "choose another one") from error
    return judge


def check_labels(model: Any, reference: str, refuse: Mapping[str, float]) -> None:
    """Refuse thresholds for labels that a classifier does not have."""
    known = [str(label) for label in model.config.id2label.values()]
    for label in refuse:
        if label not in known:
            raise LimnerError(f"{reference!r} knows no label {label!r}", f"choose from: {', '.join(known[:50])}")


def finding(model: Any, logits: torch.Tensor, refuse: Mapping[str, float]) -> Finding:
    """Compare logits (n, labels) of the parts of one input with thresholds; the label furthest above its own wins.

    The score of a label is the highest of the parts. Raises ValueError if a score is not a finite number.
    """
    multi_label = model.config.problem_type == "multi_label_classification" or logits.shape[-1] == 1
    scores = (logits.float().sigmoid() if multi_label else logits.float().softmax(-1)).amax(0).tolist()
    by_label = {str(model.config.id2label[number]): score for number, score in enumerate(scores)}
    watched = {label: by_label[label] for label in refuse}
    if not all(map(math.isfinite, scores)):
        raise ValueError(f"the scores {by_label} are not finite numbers")
    label = max(watched, key=lambda name: watched[name] - refuse[name])
    return Finding(label if watched[label] >= refuse[label] else None, watched[label])
