"""Models of the transformers library that tell what is in a picture: BLIP, GIT, LLaVA, Qwen-VL and others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from limner.core.errors import LimnerError
from limner.core.text import clean_line
from limner.data.captions.trigger_words import holds, worded

if TYPE_CHECKING:
    from PIL.Image import Image

QUESTION = "Describe this picture in one sentence."
LONGEST = 60
"""Tokens of a caption at most."""
BATCH = 8
"""Pictures that go through the model together."""


class Speaker:
    """An image-to-text or a vision-language model at work: greedy decoding, so that a picture is always told alike.

    A model with a chat template is asked QUESTION; another one begins by itself.
    """

    def __init__(self, reference: str, device: str) -> None:
        import torch

        self._reference = reference
        self._device = torch.device(device)
        self._model, self._processor, self._tokenizer = _loaded(reference, self._device)
        self._tokenizer.padding_side = "left"  # what is generated follows the last token
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        settings = self._model.generation_config
        settings.pad_token_id = self._tokenizer.pad_token_id if settings.pad_token_id is None else settings.pad_token_id
        settings.temperature = settings.top_p = settings.top_k = None  # of drawing by chance

    def captions(self, pictures: Sequence[Image], words: str | None) -> list[str]:
        """A caption for each picture. words: what a model that can be asked is told to call the subject, and what
        stands for the subject in the caption, or in front of it.
        """
        words = clean_line(words or "")
        groups = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
        return [_called(text, words) for group in groups for text in self._told(group, words)]

    def fields(self, pictures: Sequence[Image]) -> list[dict[str, str]]:
        """Nothing: it tells no attributes."""
        return [{} for _ in pictures]

    def _told(self, pictures: Sequence[Image], words: str) -> list[str]:
        import torch

        try:
            with torch.inference_mode():
                return list(self._generated(self._inputs(pictures, words)))
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise LimnerError(
                f"{self._reference!r} cannot caption pictures ({str(error)[:160]})", "choose another captioner"
            ) from error

    def _inputs(self, pictures: Sequence[Image], words: str) -> Any:
        rgb = [picture.convert("RGB") for picture in pictures]
        if not getattr(self._processor, "chat_template", None):
            return self._processor(images=rgb, return_tensors="pt")
        wish = f'{QUESTION} Call its subject "{words}".' if words else QUESTION
        content = [{"type": "image"}, {"type": "text", "text": wish}]
        asked = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return self._processor(
            images=[[picture] for picture in rgb], text=[asked] * len(rgb), padding=True, return_tensors="pt"
        )

    def _generated(self, inputs: Any) -> Iterator[str]:
        where: dict[str, Any] = {
            name: tensor.to(self._device, self._model.dtype if tensor.is_floating_point() else None)
            for name, tensor in inputs.items()
        }
        tokens = self._model.generate(**where, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
        asked = where["input_ids"].shape[1] if "input_ids" in where and not self._model.config.is_encoder_decoder else 0
        for row in tokens[:, asked:]:
            yield clean_line(self._tokenizer.decode(row, skip_special_tokens=True))


class Captioner:
    title = "an image-to-text or vision-language model of the Hugging Face hub, or a folder with one"
    named = True

    def speaker(self, model: str | None, device: str) -> Speaker:
        """The model of a folder or a Hugging Face id, in safetensors, tried on a small picture.

        device: as torch names it. Code of the model's own is not run.
        """
        from PIL.Image import new

        if model is None:
            raise LimnerError("this captioner needs a model", "name a folder or a Hugging Face id in its place")
        speaker = Speaker(model, device)
        speaker.captions([new("RGB", (64, 64), (128, 128, 128))], None)
        return speaker


plugin = Captioner()


def _called(text: str, words: str) -> str:
    """A caption in which the subject is called by these words, such as "sks dog": put in place of the longest end of
    them that it has, "a dog on the beach" -> "sks dog on the beach", and else in front of it.
    """
    if not words or not text or holds(text, words):
        return text
    parts = words.split()
    ends = (at for at in range(1, len(parts)) if holds(text, " ".join(parts[at:])))
    if (at := next(ends, None)) is not None:
        text = worded(text, identifier=" ".join(parts[:at]), class_word=" ".join(parts[at:]))
    return text if holds(text, words) else f"{words}, {text}"


@contextmanager
def _packages_told(reference: str) -> Iterator[None]:
    """Some models need packages of their own; which, the library tells."""
    try:
        yield
    except ImportError as error:
        problem = f"captioner {reference!r} needs a package that is missing ({clean_line(str(error))[:160]})"
        raise LimnerError(problem, "install it") from error


def _loaded(reference: str, device: Any) -> tuple[Any, Any, Any]:
    """Model, processor and tokenizer of a folder or a Hugging Face id; LimnerError where they are not to be had."""
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

    from limner.models.hub import errors_told

    own: dict[str, Any] = {"trust_remote_code": False}
    kind: Any = AutoModelForImageTextToText
    with _packages_told(reference), errors_told(reference, "captioner"):
        model, told = kind.from_pretrained(
            reference,
            use_safetensors=True,
            output_loading_info=True,
            dtype="float32" if device.type == "cpu" else "auto",
            **own,
        )
        processor = AutoProcessor.from_pretrained(reference, **own)
        tokenizer = getattr(processor, "tokenizer", None)
        if tokenizer is None:  # a model whose folder has both by themselves
            tokenizer = AutoTokenizer.from_pretrained(reference, **own)
            processor = AutoImageProcessor.from_pretrained(reference, **own)
    if lacking := [*told["missing_keys"], *told.get("mismatched_keys", ())]:
        raise LimnerError(
            f"captioner {reference!r} is not whole: it has no {str(min(map(str, lacking)))!r}", "choose one that is"
        )
    return model.to(device).eval(), processor, tokenizer
