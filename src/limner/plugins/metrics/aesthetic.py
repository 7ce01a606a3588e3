"""Aesthetic score of each image, by a model that was trained on people's ratings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from limner.core.errors import LimnerError
from limner.core.files import expand_home, reading_problem
from limner.core.metrics import Encoder, ImageSet, Need, Score, Unit
from limner.imaging.decode import open_image
from limner.models.hub import file_of, hub_errors, is_repository

if TYPE_CHECKING:
    import torch

ENCODER = "openai/clip-vit-large-patch14"
MLP_WIDTHS = (1024, 128, 64, 16, 1)
"""Output widths of the LAION predictor, version 2. It has no nonlinearity between its layers, so it is linear too."""


class Aesthetic:
    """A head on CLIP's features of length 1: LAION's predictor, linear or version 2 (Schuhmann et al. 2022, arXiv
    2210.08402, section 3); or an image classifier with one output.
    """

    title = "aesthetic"
    about = (
        "rating of each image by a model that you name: HEAD or HEAD@ENCODER for LAION's head on CLIP (Schuhmann et "
        "al. 2022), from 1 to 10, or an image classifier with one output"
    )
    better: Literal["higher", "lower"] | None = "higher"
    unit: Unit = "picture"
    needs: frozenset[Need] = frozenset()
    model: str | None = None
    named = True

    def scorer(self, model: str | None, encoder: Callable[[str], Encoder]) -> Score:
        assert model is not None
        if _is_classifier(model):
            return _by_classifier(model)
        weight, bias = read_head(model)
        return _by_head(model, weight, bias, encoder(ENCODER))


plugin = Aesthetic()


def _is_classifier(head: str) -> bool:
    return (Path(head) / "config.json").is_file() or (not Path(head).exists() and is_repository(head))


def _by_classifier(reference: str) -> Score:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from limner.models.classifiers import load_model, load_processor

    model = load_model(AutoModelForImageClassification, reference)
    processor = load_processor(AutoImageProcessor, reference, backend="pil")
    if model.config.num_labels != 1:
        raise LimnerError(
            f"{reference!r} has {model.config.num_labels} outputs, not one rating", "use a classifier with one output"
        )

    def score(gallery: ImageSet) -> np.ndarray:
        inputs = (processor(images=[open_image(path)], return_tensors="pt") for path in gallery.paths)
        return np.array([float(model(**pixels).logits.flatten()[0]) for pixels in inputs])

    return score


def _by_head(reference: str, weight: torch.Tensor, bias: float, encoder: Encoder) -> Score:
    def score(gallery: ImageSet) -> np.ndarray:
        features = encoder.images(gallery.paths)
        if features.shape[1] != len(weight):
            raise LimnerError(
                f"{reference!r} expects features of width {len(weight)}, and those of {encoder.name!r} have width "
                f"{features.shape[1]}",
                "name the encoder that the head was trained on: aesthetic=HEAD@ENCODER",
            )
        return (features.double() @ weight + bias).cpu().numpy()

    return score


def read_head(reference: str) -> tuple[torch.Tensor, float]:
    """A head as one linear map: weight (d,) in fp64 and bias. Raises LimnerError for a file that is not a head.

    reference: a local .safetensors file or one of the hub, or a folder with one.
    """
    from safetensors import SafetensorError, safe_open

    file = _file(reference)
    try:
        with safe_open(file, framework="pt") as tensors:
            names = sorted(tensors.keys())
            shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
            layers = _layers(reference, shapes)
            found = [(tensors.get_tensor(w).double(), tensors.get_tensor(b).double()) for w, b in layers]
    except (SafetensorError, OSError) as error:
        reason = reading_problem(error, "safetensors")
        raise LimnerError(f"the head {reference!r} cannot be read: {reason}", "download it again") from error
    if not all(tensor.isfinite().all() for layer in found for tensor in layer):
        raise LimnerError(f"the head {reference!r} contains values that are not finite", "download it again")
    weight, bias = found[0]
    for further, offset in found[1:]:
        weight, bias = further @ weight, further @ bias + offset
    return weight[0], float(bias[0])


def _file(reference: str) -> Path:
    place = expand_home(reference)
    if place.is_dir():
        files = sorted(place.glob("*.safetensors"))
        if len(files) != 1:
            raise LimnerError(
                f"the folder {reference!r} contains {len(files)} .safetensors files", "give the file of the head"
            )
        return files[0]
    if not place.exists() and (single := file_of(reference)) is not None:
        from huggingface_hub import hf_hub_download

        with hub_errors(reference, "head"):
            return Path(hf_hub_download(*single))
    if not place.is_file():
        raise LimnerError(f"there is no head {reference!r}", "give a .safetensors file or a folder with one")
    if place.suffix != ".safetensors":
        raise LimnerError(
            f"the head {reference!r} is not a .safetensors file; pickles are refused because they can run code",
            "save its tensors as safetensors",
        )
    return place


def _layers(reference: str, shapes: dict[str, tuple[int, ...]]) -> list[tuple[str, str]]:
    """The names of weight and bias of each layer, in order. Raises LimnerError for other tensors or shapes."""
    mlp = [(f"layers.{at}.weight", f"layers.{at}.bias") for at in (0, 2, 4, 6, 7)]
    layers = [("weight", "bias")] if "weight" in shapes else mlp
    known = {name for pair in layers for name in pair}
    if wrong := sorted(known ^ shapes.keys()):
        there = "an unknown tensor" if wrong[0] in shapes else "no tensor"
        raise LimnerError(
            f"{reference!r} is not an aesthetic head: it has {there} {wrong[0][:80]!r}",
            "give a linear head (weight, bias) or LAION's version 2 (layers.0 to layers.7)",
        )
    width = shapes[layers[0][0]][-1] if shapes[layers[0][0]] else 0
    for (weight, bias), out in zip(layers, MLP_WIDTHS if layers is mlp else (1,), strict=True):
        for name, shape in ((weight, (out, width)), (bias, (out,))):
            if shapes[name] != shape or not width:
                raise LimnerError(
                    f"{reference!r} is not an aesthetic head: {name} has the shape {shapes[name]}, not {shape}",
                    "give a linear head or LAION's version 2",
                )
        width = out
    return layers
