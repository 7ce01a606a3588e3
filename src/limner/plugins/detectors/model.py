"""Where the subject is, as a network says that is named: one that finds things, that reads words, or that segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from limner.core.errors import LimnerError

if TYPE_CHECKING:
    import torch

SIDE = 512
"""The longer side of the map."""
NARROWEST = 16
"""Pictures with a shorter side are not looked at: networks refuse them."""
SLIMMEST = 3
"""How many times as long as high a picture may be without being padded."""
SCORE, READ, SEGMENT = 0.5, 0.1, 0.5
"""Least scores of what is taken: of things, of things by words, and of segments."""
WORDS = "object"
"""What a network that reads words looks for where nothing is said of the subject."""

Look = Callable[[Image.Image, str], "np.ndarray | None"]


class Model:
    """Finders by networks of transformers, by name or folder, in safetensors only.

    Object detection (DETR, YOLOS, RT-DETR), the same by words (OWL-ViT, Grounding DINO), segmentation (Mask2Former,
    SegFormer, DETR) and by words (CLIPSeg). Each with the processor that comes with it.
    """

    title = "a network by name"
    named = True
    faces = False

    def finder(self, model: str | None) -> Look:
        if not model:
            raise LimnerError("the detector 'model' needs a network", "name one, such as facebook/detr-resnet-50")
        return _finder(model)


plugin = Model()


@cache
def _finder(reference: str) -> Look:
    from transformers import AutoConfig

    from limner.models.hub import hub_errors

    with hub_errors(reference, "detector"):
        config = AutoConfig.from_pretrained(reference)
    look = _kind(reference, config)(reference)
    _looked(look, reference, Image.new("RGB", (64, 64), (127, 127, 127)), "thing")

    def find(picture: Image.Image, words: str) -> np.ndarray | None:
        if min(picture.size) < NARROWEST:
            return None
        whole = _padded(picture.convert("RGB"))
        found = _looked(look, reference, whole, words.strip())
        return None if found is None else _something(_part_of(found, picture.size, whole.size))

    return find


def _padded(picture: Image.Image) -> Image.Image:
    """The picture, with grey below or beside it where it is so long that networks would shrink it to nothing."""
    least = -(-max(picture.size) // SLIMMEST)
    if min(picture.size) >= least:
        return picture
    padded = Image.new("RGB", (max(picture.width, least), max(picture.height, least)), (127, 127, 127))
    padded.paste(picture)
    return padded


def _part_of(found: np.ndarray, size: tuple[int, int], whole: tuple[int, int]) -> np.ndarray:
    """Of a map (h, w) of a padded picture, what is of the picture; both as (width, height)."""
    width, height = (max(1, round(a * side / b)) for a, b, side in zip(size, whole, found.shape[::-1], strict=True))
    return found[:height, :width]


def _looked(look: Look, reference: str, picture: Image.Image, words: str) -> np.ndarray | None:
    import torch

    try:
        with torch.inference_mode():
            return look(picture, words)
    except Exception as error:  # networks of others fail in any way
        raise LimnerError(
            f"the detector {reference!r} cannot look at a picture of {picture.width} x {picture.height} "
            f"({str(error)[:160]})",
            "choose another one",
        ) from error


def _kind(reference: str, config: Any) -> Callable[[str], Look]:
    """How to open a network, by the class that its configuration names."""
    from transformers.models.auto import modeling_auto as auto

    architecture = (config.architectures or [""])[0]
    kinds: Sequence[tuple[Callable[[str], Look], Sequence[Any]]] = (
        (_reading, (auto.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING_NAMES,)),
        (_boxing, (auto.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES,)),
        (_segmenting, (auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,)),
        (_segmenting, (auto.MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING_NAMES,)),
        (_segmenting, (auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,)),
    )
    for kind, tables in kinds:
        if any(architecture in _names(table.values()) for table in tables):
            return kind
    if architecture == "CLIPSegForImageSegmentation":
        return _segmenting_by_words
    raise LimnerError(
        f"{reference!r} is no detector that can be used: it is a {architecture[:80] or config.model_type!r}",
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


def _boxing(reference: str) -> Look:
    """Things of the labels that the network knows; where none of them is what the words say, things of any label."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    model = _opened(AutoModelForObjectDetection, reference)
    processor = _part(AutoImageProcessor, reference, backend="pil")

    def look(picture: Image.Image, words: str) -> np.ndarray | None:
        told = processor.post_process_object_detection(
            model(**processor(images=[picture], return_tensors="pt")), SCORE, [(picture.height, picture.width)]
        )[0]
        wanted = labels_for(words, model.config.id2label)
        kept = [number for number, label in enumerate(told["labels"].tolist()) if not wanted or label in wanted]
        return boxed(picture.size, told["boxes"][kept], told["scores"][kept])

    return look


def _reading(reference: str) -> Look:
    """Things that the words name."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    model = _opened(AutoModelForZeroShotObjectDetection, reference)
    processor = _part(AutoProcessor, reference, backend="pil")

    def look(picture: Image.Image, words: str) -> np.ndarray | None:
        text = f"a {(words or WORDS).lower().replace('.', ' ')}"
        inputs = processor(text=[[text]], images=[picture], return_tensors="pt", truncation=True)
        told = processor.post_process_grounded_object_detection(
            model(**inputs), threshold=READ, target_sizes=[(picture.height, picture.width)]
        )[0]
        return boxed(picture.size, told["boxes"], told["scores"])

    return look


def _segmenting(reference: str) -> Look:
    """Segments of the labels that are what the words say; nothing where the network knows no such label."""
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

    def look(picture: Image.Image, words: str) -> np.ndarray | None:
        names = {str(model.config.id2label[number]) for number in labels_for(words, model.config.id2label)}
        told: Any = segments(picture, threshold=SEGMENT)
        found = [_reduced(each["mask"]) * (each["score"] or 1.0) for each in told if each["label"] in names]
        return _something(np.max(found, 0)) if found else None

    return look


def _segmenting_by_words(reference: str) -> Look:
    """How likely each place is what the words say."""
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    model = _opened(CLIPSegForImageSegmentation, reference)
    processor = _part(AutoProcessor, reference, backend="pil")

    def look(picture: Image.Image, words: str) -> np.ndarray | None:
        inputs = processor(
            text=[f"a {words or WORDS}"], images=[picture], padding=True, truncation=True, return_tensors="pt"
        )
        logits = model(**inputs).logits
        return _something(logits.sigmoid().reshape(logits.shape[-2:]).float().numpy())

    return look


def labels_for(words: str, known: dict[int, str]) -> set[int]:
    """Which labels are what the words say: those of which every word is among them, the longest of these.

    "corgi dog" is a dog, and "hot dog" is a hot dog and no dog. A label may have several names, parted by commas.
    """
    said = words.lower().replace("_", " ").replace("-", " ").split()
    fits = {number: max(_fit(name, said) for name in str(label).split(",")) for number, label in known.items()}
    best = max(fits.values(), default=0)
    return {number for number, fit in fits.items() if fit == best and best > 0}


def _fit(name: str, said: Sequence[str]) -> int:
    """How many words a name has, 0 where not all of them stand together among what was said."""
    words = name.lower().replace("_", " ").replace("-", " ").split()
    starts = range(len(said) - len(words) + 1)
    return len(words) if words and any(said[at : at + len(words)] == words for at in starts) else 0


def boxed(size: tuple[int, int], boxes: torch.Tensor, scores: torch.Tensor) -> np.ndarray | None:
    """Boxes (n, 4) of left, top, right and bottom in pixels of a picture of this (width, height), as a map: in each its
    score, of several the highest.
    """
    if not (boxes.isfinite().all() and scores.isfinite().all()):
        raise ValueError("it gave numbers that are none")
    scale = min(1.0, SIDE / max(size))
    across, down = (max(1, round(side * scale)) for side in size)
    found = np.zeros((down, across), np.float32)
    for box, score in zip((boxes * scale).tolist(), scores.tolist(), strict=True):
        left, top = (max(0, int(np.floor(edge))) for edge in box[:2])
        right, bottom = (max(0, int(np.ceil(edge))) for edge in box[2:])
        part = found[top:bottom, left:right]
        np.maximum(part, score, out=part)
    return _something(found)


def _something(found: np.ndarray) -> np.ndarray | None:
    if not np.isfinite(found).all():
        raise ValueError("it gave numbers that are none")
    return found.clip(0, 1).astype(np.float32) if found.max() > 0 else None


def _reduced(mask: Image.Image) -> np.ndarray:
    """A mask in mode L, at most SIDE long, in fp32 from 0 to 1."""
    small = mask.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255
