"""Check `classifier`: a text classifier of the transformers library."""

from __future__ import annotations

from threading import Lock
from typing import Annotated, Any

from pydantic import Field

from limner.core.moderation import Finding, JudgeFunction, ModelReference
from limner.core.requests import Frozen

MAX_TOKENS = 512
"""Most tokens of one input, where the model declares no lower limit."""
BATCH = 8


class ClassifierOptions(Frozen):
    """model: a folder or a Hugging Face id. refuse: label -> lowest score, from 0 to 1, that is refused."""

    model: ModelReference
    refuse: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)


class Classifier:
    Options = ClassifierOptions
    texts, pictures = True, False

    def ready(self, options: Any) -> JudgeFunction:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from limner.models.classifiers import check_labels, checked, finding, load_model, load_processor

        model = load_model(AutoModelForSequenceClassification, options.model)
        check_labels(model, options.model, options.refuse)
        tokenizer = load_processor(AutoTokenizer, options.model)
        length = min(
            tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", MAX_TOKENS), MAX_TOKENS
        )
        lock = Lock()  # a tokenizer works for one thread at a time

        def judge(text: str) -> Finding:
            """Judge the whole text, in overlapping pieces."""
            with lock, torch.inference_mode():
                pieces = tokenizer(
                    text,
                    truncation=True,
                    max_length=length,
                    stride=length // 8,
                    return_overflowing_tokens=True,
                    padding=True,
                    return_tensors="pt",
                )
                inputs = {name: pieces[name] for name in ("input_ids", "attention_mask")}
                logits = [
                    model(**{name: rows[first : first + BATCH] for name, rows in inputs.items()}).logits
                    for first in range(0, len(inputs["input_ids"]), BATCH)
                ]
            return finding(model, torch.cat(logits), options.refuse)

        return checked(judge, "a cat " * MAX_TOKENS, options.model)


plugin = Classifier()
