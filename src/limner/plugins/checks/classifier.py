"""A text classifier of the transformers library, by name."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any

from pydantic import Field

from limner.core.moderation import Finding, JudgeFunction, ModelReference
from limner.core.requests import Frozen

LONGEST = 512
"""Tokens that go through the model together, where it does not say how many it takes."""


class Options(Frozen):
    """model: a folder or a Hugging Face id. refuse: label -> score, from 0 to 1, from which on it refuses."""

    model: ModelReference
    refuse: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)


class Classifier:
    Options = Options
    texts, pictures = True, False

    def ready(self, options: Any) -> JudgeFunction:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from limner.models.classifiers import check_labels, finding, loaded, part_of, tried

        model = loaded(AutoModelForSequenceClassification, options.model)
        check_labels(model, options.model, options.refuse)
        tokenizer = part_of(AutoTokenizer, options.model)
        most = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST), LONGEST)
        alone = Lock()  # a tokenizer serves one thread at a time

        def judge(text: str) -> Finding:
            """All of the text, in overlapping pieces, so that nothing hides behind its length."""
            with alone, torch.inference_mode():
                pieces = tokenizer(
                    text,
                    truncation=True,
                    max_length=most,
                    stride=most // 8,
                    return_overflowing_tokens=True,
                    padding=True,
                    return_tensors="pt",
                )
                inputs = {name: pieces[name] for name in ("input_ids", "attention_mask")}
                rows = [
                    model(**{name: rows[first : first + 8] for name, rows in inputs.items()}).logits
                    for first in range(0, len(inputs["input_ids"]), 8)
                ]
            return finding(model, torch.cat(rows), options.refuse)

        return tried(judge, "a cat " * LONGEST, options.model)


plugin = Classifier()
