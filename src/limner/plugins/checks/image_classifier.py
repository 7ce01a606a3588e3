"""Check `image_classifier`: an image classifier of the transformers library, such as Falconsai/nsfw_image_detection."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from limner.core.moderation import Finding, JudgeFunction, ModelReference
from limner.core.requests import Frozen


class ImageClassifierOptions(Frozen):
    """model: a folder or a Hugging Face id. refuse: label -> lowest score, from 0 to 1, that is refused."""

    model: ModelReference
    refuse: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)


class ImageClassifier:
    Options = ImageClassifierOptions
    texts, pictures = False, True

    def ready(self, options: Any) -> JudgeFunction:
        import torch
        from PIL import Image
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        from limner.models.classifiers import check_labels, checked, finding, load_model, load_processor

        model = load_model(AutoModelForImageClassification, options.model)
        check_labels(model, options.model, options.refuse)
        processor = load_processor(AutoImageProcessor, options.model, backend="pil")

        def judge(image: Any) -> Finding:
            with torch.inference_mode():
                pixels = processor(images=image, return_tensors="pt")["pixel_values"]
                return finding(model, model(pixels).logits, options.refuse)

        return checked(judge, Image.new("RGB", (64, 48)), options.model)


plugin = ImageClassifier()
