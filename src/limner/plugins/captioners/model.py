"""Captions by image-to-text and vision-language models of transformers: BLIP, GIT, LLaVA, Qwen-VL and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from limner.core.errors import LimnerError
from limner.core.text import clean_line, first_sentence
from limner.data.captions.trigger_words import apply_trigger_words, contains_words

if TYPE_CHECKING:
    from PIL.Image import Image

QUESTION = "Describe this picture in one sentence."
LONGEST = 60
"""The most tokens of a caption."""
BATCH = 8
"""Images in a batch."""


class CaptionModel:
    """An image-to-text or vision-language model with greedy decoding, so that captions are deterministic.

    A model with a chat template gets QUESTION as its prompt; others get no prompt.
    """

    def __init__(self, reference: str, device: str) -> None:
        import torch

        self._reference = reference
        self._device = torch.device(device)
        self._model, self._processor, self._tokenizer = _load(reference, self._device)
        self._tokenizer.padding_side = "left"  # generation continues after the last token
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        settings = self._model.generation_config
        settings.pad_token_id = self._tokenizer.pad_token_id if settings.pad_token_id is None else settings.pad_token_id
        settings.temperature = settings.top_p = settings.top_k = None  # they are for sampling

    def captions(self, images: Sequence[Image], words: str | None) -> list[str]:
        """A caption for each image.

        words: name of the subject. A model with a chat template is asked to use it, and it replaces the subject in the
        caption, or is put in front.
        """
        words = clean_line(words or "")
        groups = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        return [_with_name(text, words) for group in groups for text in self._batch_captions(group, words)]

    def fields(self, images: Sequence[Image]) -> list[dict[str, str]]:
        """No fields: it knows no attributes."""
        return [{} for _ in images]

    def _batch_captions(self, images: Sequence[Image], words: str) -> list[str]:
        import torch

        try:
            with torch.inference_mode():
                return list(self._generate(self._inputs(images, words)))
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise LimnerError(
                f"{self._reference!r} cannot caption images ({first_sentence(str(error))})", "choose another captioner"
            ) from error

    def _inputs(self, images: Sequence[Image], words: str) -> Any:
        rgb = [image.convert("RGB") for image in images]
        if not getattr(self._processor, "chat_template", None):
            return self._processor(images=rgb, return_tensors="pt")
        question = f'{QUESTION} Call its subject "{words}".' if words else QUESTION
        content = [{"type": "image"}, {"type": "text", "text": question}]
        prompt = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return self._processor(
            images=[[image] for image in rgb], text=[prompt] * len(rgb), padding=True, return_tensors="pt"
        )

    def _generate(self, inputs: Any) -> Iterator[str]:
        on_device: dict[str, Any] = {
            name: tensor.to(self._device, self._model.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        tokens = self._model.generate(**on_device, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
        decoder_only = "input_ids" in on_device and not self._model.config.is_encoder_decoder
        prompt_length = on_device["input_ids"].shape[1] if decoder_only else 0
        for row in tokens[:, prompt_length:]:
            yield clean_line(self._tokenizer.decode(row, skip_special_tokens=True))


class ModelCaptioner:
    """Captioner by a named model."""

    title = "an image-to-text or vision-language model of the Hugging Face hub, or a folder with one"
    named = True

    def speaker(self, model: str | None, device: str) -> CaptionModel:
        """The model of a folder or Hugging Face id, in safetensors, tested on a small image.

        device: torch's name of it. Code in the model's repository is not run. Raises LimnerError if it cannot be
        loaded.
        """
        from PIL.Image import new

        if model is None:
            raise LimnerError("this captioner needs a model", "give a folder or a Hugging Face id")
        captioner = CaptionModel(model, device)
        captioner.captions([new("RGB", (64, 64), (128, 128, 128))], None)
        return captioner


plugin = ModelCaptioner()


def _with_name(text: str, words: str) -> str:
    """A caption with the name of the subject, such as "sks dog".

    The name replaces the longest end of it in the caption, "a dog on the beach" -> "sks dog on the beach", or is put in
    front.
    """
    if not words or not text or contains_words(text, words):
        return text
    parts = words.split()
    ends = (at for at in range(1, len(parts)) if contains_words(text, " ".join(parts[at:])))
    if (at := next(ends, None)) is not None:
        text = apply_trigger_words(text, identifier=" ".join(parts[:at]), class_word=" ".join(parts[at:]))
    return text if contains_words(text, words) else f"{words}, {text}"


@contextmanager
def _missing_packages(reference: str) -> Iterator[None]:
    """Raise LimnerError if a model needs a package that is not installed."""
    try:
        yield
    except ImportError as error:
        problem = f"captioner {reference!r} needs a package that is missing ({clean_line(str(error))[:160]})"
        raise LimnerError(problem, "install it") from error


def _load(reference: str, device: Any) -> tuple[Any, Any, Any]:
    """Model, processor and tokenizer of a folder or Hugging Face id. Raises LimnerError if they cannot be loaded."""
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    from limner.models.hub import hub_errors

    own: dict[str, Any] = {"trust_remote_code": False}
    kind: Any = AutoModelForImageTextToText
    with _missing_packages(reference), hub_errors(reference, "captioner"):
        model, info = kind.from_pretrained(
            reference,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below
            dtype="float32" if device.type == "cpu" else "auto",
            **own,
        )
        processor = AutoProcessor.from_pretrained(reference, **own)
        tokenizer = getattr(processor, "tokenizer", None)
        if tokenizer is None:  # a model with a separate tokenizer
            tokenizer = AutoTokenizer.from_pretrained(reference, **own)
            processor = AutoImageProcessor.from_pretrained(reference, **own)
    if missing := [*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])]:
        raise LimnerError(f"captioner {reference!r} is incomplete: it has no {min(missing)!r}", "choose a complete one")
    return model.to(device).eval(), processor, tokenizer
