"""Finds the subject with a named model: object detection, zero-shot detection or segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.text import first_sentence

if TYPE_CHECKING:
    import torch

SIDE = 512
"""The longer side of the map."""
NARROWEST = 16
"""Images with a shorter side are skipped, because models reject them."""
SLIMMEST = 3
"""The largest aspect ratio that is not padded."""
SCORE, ZERO_SHOT_SCORE, SEGMENT_SCORE = 0.5, 0.1, 0.5
"""Least scores of objects, of zero-shot objects, and of segments."""
WORDS = "object"
"""The default query of zero-shot models."""

Look = Callable[[Image.Image, str], "np.ndarray | None"]


class ModelDetector:
    """Detector by a model of transformers, by name or folder, in safetensors only.

    Object detection (DETR, YOLOS, RT-DETR), zero-shot detection (OWL-ViT, Grounding DINO), segmentation (Mask2Former,
    SegFormer, DETR) and segmentation by text (CLIPSeg), each with its own processor.
    """

    title = "a network by name"
    named = True
    faces = False

    def finder(self, model: str | None) -> Look:
        """The finder with a model. Raises LimnerError if it cannot be loaded or used."""
        if not model:
            raise LimnerError("the detector 'model' needs a model", "name one, such as facebook/detr-resnet-50")
        return _finder(model)


plugin = ModelDetector()


@cache
def _finder(reference: str) -> Look:
    from transformers import AutoConfig

    from limner.models.hub import hub_errors

    with hub_errors(reference, "detector"):
        config = AutoConfig.from_pretrained(reference)
    look = _kind(reference, config)(reference)
    _run(look, reference, Image.new("RGB", (64, 64), (127, 127, 127)), "thing")

    def find(image: Image.Image, words: str) -> np.ndarray | None:
        if min(image.size) < NARROWEST:
            return None
        whole = _padded(image.convert("RGB"))
        found = _run(look, reference, whole, words.strip())
        return None if found is None else _map_or_none(_part_of(found, image.size, whole.size))

    return find


def _padded(image: Image.Image) -> Image.Image:
    """The image, padded with grey if it is so long that models would shrink it to nothing."""
    least = -(-max(image.size) // SLIMMEST)
    if min(image.size) >= least:
        return image
    padded = Image.new("RGB", (max(image.width, least), max(image.height, least)), (127, 127, 127))
    padded.paste(image)
    return padded


def _part_of(found: np.ndarray, size: tuple[int, int], whole: tuple[int, int]) -> np.ndarray:
    """The part of a map (h, w) of a padded image that shows the image; both sizes as (width, height)."""
    width, height = (max(1, round(a * side / b)) for a, b, side in zip(size, whole, found.shape[::-1], strict=True))
    return found[:height, :width]


def _run(look: Look, reference: str, image: Image.Image, words: str) -> np.ndarray | None:
    import torch

    try:
        with torch.inference_mode():
            return look(image, words)
    except Exception as error:  # foreign models fail in any way
        raise LimnerError(
            f"the detector {reference!r} cannot process an image of {image.width} x {image.height} "
            f"({first_sentence(str(error))})",
            "choose another one",
        ) from error


def _kind(reference: str, config: Any) -> Callable[[str], Look]:
    """The function that opens a model, by the class in its configuration."""
    from transformers.models.auto import modeling_auto as auto

    architecture = (config.architectures or [""])[0]
    kinds: Sequence[tuple[Callable[[str], Look], Sequence[Any]]] = (
        (_zero_shot_detection, (auto.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES,)),
        (_object_detection, (auto.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES,)),
        (_segmentation, (auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,)),
        (_segmentation, (auto.MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING_NAMES,)),
        (_segmentation, (auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,)),
    )
    for kind, tables in kinds:
        if any(architecture in _names(table.values()) for table in tables):
            return kind
    if architecture == "CLIPSegForImageSegmentation":
        return _text_segmentation
    raise LimnerError(
        f"{reference!r} is not a supported detector: it is a {architecture[:80] or config.model_type!r}",
        "name one for object detection, zero-shot object detection or segmentation",
    )


def _names(values: Any) -> set[str]:
    return {name for value in values for name in ((value,) if isinstance(value, str) else value)}


def _opened(kind: Any, reference: str) -> Any:
    from limner.models.classifiers import load_model

    return load_model(kind, reference)


def _part(kind: Any, reference: str, **options: Any) -> Any:
    from limner.models.hub import hub_errors

    with hub_errors(reference, "detector"):
        return kind.from_pretrained(reference, **options)


def _object_detection(reference: str) -> Look:
    """Finds objects with the labels that match the words; objects of any label if none matches."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    model = _opened(AutoModelForObjectDetection, reference)
    processor = _part(AutoImageProcessor, reference, backend="pil")

    def look(image: Image.Image, words: str) -> np.ndarray | None:
        result = processor.post_process_object_detection(
            model(**processor(images=[image], return_tensors="pt")), SCORE, [(image.height, image.width)]
        )[0]
        wanted = labels_for(words, model.config.id2label)
        kept = [number for number, label in enumerate(result["labels"].tolist()) if not wanted or label in wanted]
        return box_map(image.size, result["boxes"][kept], result["scores"][kept])

    return look


def _zero_shot_detection(reference: str) -> Look:
    """Finds objects that the words describe."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    model = _opened(AutoModelForZeroShotObjectDetection, reference)
    processor = _part(AutoProcessor, reference, backend="pil")

    def look(image: Image.Image, words: str) -> np.ndarray | None:
        text = f"a {(words or WORDS).lower().replace('.', ' ')}"
        inputs = processor(text=[[text]], images=[image], return_tensors="pt", truncation=True)
        result = processor.post_process_grounded_object_detection(
            model(**inputs), threshold=ZERO_SHOT_SCORE, target_sizes=[(image.height, image.width)]
        )[0]
        return box_map(image.size, result["boxes"], result["scores"])

    return look


def _segmentation(reference: str) -> Look:
    """Finds segments with the labels that match the words; nothing if no label matches."""
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModelForInstanceSegmentation,
        AutoModelForSemanticSegmentation,
        AutoModelForUniversalSegmentation,
        pipeline,
    )

    kinds = (AutoModelForUniversalSegmentation, AutoModelForInstanceSegmentation, AutoModelForSemanticSegmentation)
    config = _part(AutoConfig, reference)
    kind = next(kind for kind in kinds if type(config) in kind._model_mapping)
    model = _opened(kind, reference)
    processor = _part(AutoImageProcessor, reference, backend="pil")
    segments = pipeline("image-segmentation", model=model, image_processor=processor)

    def look(image: Image.Image, words: str) -> np.ndarray | None:
        names = {str(model.config.id2label[number]) for number in labels_for(words, model.config.id2label)}
        result: Any = segments(image, threshold=SEGMENT_SCORE)
        found = [_reduced(each["mask"]) * (each["score"] or 1.0) for each in result if each["label"] in names]
        return _map_or_none(np.max(found, 0)) if found else None

    return look


def _text_segmentation(reference: str) -> Look:
    """Maps the likelihood of what the words describe."""
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    model = _opened(CLIPSegForImageSegmentation, reference)
    processor = _part(AutoProcessor, reference, backend="pil")

    def look(image: Image.Image, words: str) -> np.ndarray | None:
        inputs = processor(
            text=[f"a {words or WORDS}"], images=[image], padding=True, truncation=True, return_tensors="pt"
        )
        logits = model(**inputs).logits
        return _map_or_none(logits.sigmoid().reshape(logits.shape[-2:]).float().numpy())

    return look


def labels_for(words: str, known: dict[int, str]) -> set[int]:
    """The numbers of the longest labels whose words all occur, in order, in `words`.

    "corgi dog" matches the label "dog"; "hot dog" matches "hot dog" and not "dog". A label may have several names,
    separated by commas.
    """
    said = words.lower().replace("_", " ").replace("-", " ").split()
    fits = {number: max(_fit(name, said) for name in str(label).split(",")) for number, label in known.items()}
    best = max(fits.values(), default=0)
    return {number for number, fit in fits.items() if fit == best and best > 0}


def _fit(name: str, said: Sequence[str]) -> int:
    """The number of words of a name if they occur in sequence in `said`, else 0."""
    words = name.lower().replace("_", " ").replace("-", " ").split()
    starts = range(len(said) - len(words) + 1)
    return len(words) if words and any(said[at : at + len(words)] == words for at in starts) else 0


def box_map(size: tuple[int, int], boxes: torch.Tensor, scores: torch.Tensor) -> np.ndarray | None:
    """A map of boxes (n, 4) of left, top, right and bottom in pixels: the score in each, the highest if they overlap.

    size: (width, height) of the image.
    """
    if not (boxes.isfinite().all() and scores.isfinite().all()):
        raise ValueError("it returned NaN or infinity")
    scale = min(1.0, SIDE / max(size))
    across, down = (max(1, round(side * scale)) for side in size)
    found = np.zeros((down, across), np.float32)
    for box, score in zip((boxes * scale).tolist(), scores.tolist(), strict=True):
        left, top = (max(0, int(np.floor(edge))) for edge in box[:2])
        right, bottom = (max(0, int(np.ceil(edge))) for edge in box[2:])
        part = found[top:bottom, left:right]
        np.maximum(part, score, out=part)
    return _map_or_none(found)


def _map_or_none(found: np.ndarray) -> np.ndarray | None:
    """A map clipped to 0 to 1; None if nothing was found."""
    if not np.isfinite(found).all():
        raise ValueError("it returned NaN or infinity")
    return found.clip(0, 1).astype(np.float32) if found.max() > 0 else None


def _reduced(mask: Image.Image) -> np.ndarray:
    """A mask in mode L, reduced to a longer side of SIDE, in fp32 from 0 to 1."""
    small = mask.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255
