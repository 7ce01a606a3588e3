"""Checks by classifiers: their options, the pieces of a text, and the pixels of an image."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageClassification

import classifiers
from limner.core.errors import LimnerError
from limner.models import classifiers as loading
from limner.plugins.checks import classifier, image_classifier, safety_checker

MAKERS = {
    "classifier": (classifier, classifiers.text_classifier, "toxic"),
    "image_classifier": (image_classifier, classifiers.picture_classifier, "unsafe"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_thresholds_are_above_zero_and_at_most_one(name: str) -> None:
    options = MAKERS[name][0].plugin.Options
    for threshold in (1e-9, 1.0):
        assert options(model="x/y", refuse={"bad": threshold}).refuse == {"bad": threshold}
    for wrong in ({"bad": 0.0}, {"bad": 1.0001}, {}):
        with pytest.raises(ValidationError):
            options(model="x/y", refuse=wrong)


@pytest.mark.parametrize("name", MAKERS)
def test_a_label_that_the_model_lacks_is_reported_at_the_start(name: str, tmp_path: Path) -> None:
    module, make, label = MAKERS[name]
    model = str(make(tmp_path / "model"))
    module.plugin.ready(module.plugin.Options(model=model, refuse={label: 0.5}))
    with pytest.raises(LimnerError, match=f"knows no label 'mean'; choose from: fine, {label}"):
        module.plugin.ready(module.plugin.Options(model=model, refuse={label: 0.5, "mean": 0.5}))


@pytest.mark.parametrize("name", MAKERS)
def test_tensors_of_other_shapes_are_missing(name: str, tmp_path: Path) -> None:
    module, make, label = MAKERS[name]
    weights = make(tmp_path / "model") / "model.safetensors"
    save_file(load_file(weights) | {"classifier.bias": torch.zeros(3)}, weights, {"format": "pt"})
    with pytest.raises(LimnerError, match=r"is not a complete classifier: it has no 'classifier\.bias'"):
        module.plugin.ready(module.plugin.Options(model=str(weights.parent), refuse={label: 0.5}))


def test_what_each_check_judges() -> None:
    judged = {each.__name__.rpartition(".")[2]: (each.plugin.texts, each.plugin.pictures) for each in CHECKS}
    assert judged == {"classifier": (True, False), "image_classifier": (False, True), "safety_checker": (False, True)}


CHECKS = (classifier, image_classifier, safety_checker)


class RecordingTokenizer:
    """Cuts a text into pieces of one word each, and records its settings."""

    def __init__(self, longest: int) -> None:
        self.model_max_length = longest
        self.settings: list[dict[str, Any]] = []

    def __call__(self, text: str, **settings: Any) -> dict[str, torch.Tensor]:
        self.settings.append(settings)
        rows = torch.tensor([[1, int(word == "bad")] for word in text.split()])
        return {"input_ids": rows, "attention_mask": torch.ones_like(rows), "overflow_to_sample_mapping": rows}


class RecordingClassifier:
    """Finds the token 1 in second place bad, and records the shapes of its inputs by name."""

    def __init__(self, **config: Any) -> None:
        labels = {0: "fine", 1: "bad"}
        self.config = SimpleNamespace(id2label=labels, problem_type="multi_label_classification", **config)
        self.inputs: list[dict[str, tuple[int, ...]]] = []

    def __call__(self, **inputs: torch.Tensor) -> Any:
        self.inputs.append({name: tuple(rows.shape) for name, rows in inputs.items()})
        bad = inputs["input_ids"][:, 1].float()
        return SimpleNamespace(logits=torch.stack([-bad, 20 * bad - 10], 1))


@pytest.fixture
def made_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(tokenizer: RecordingTokenizer, model: RecordingClassifier) -> Any:
        monkeypatch.setattr(loading, "load_model", lambda kind, reference: model)
        monkeypatch.setattr(loading, "load_processor", lambda kind, reference: tokenizer)
        return classifier.plugin.ready(classifier.plugin.Options(model="x/y", refuse={"bad": 0.5}))

    return make


@pytest.mark.parametrize(
    ("tokenizer", "model", "length"),
    [
        (10**30, {}, 512),
        (10**30, {"max_position_embeddings": 4096}, 512),
        (128, {}, 128),
        (10**30, MAX := {"max_position_embeddings": 64}, 64),
    ]
    + [(32, MAX, 32)],
)
def test_a_piece_has_as_many_tokens_as_tokenizer_and_model_take(
    made_of: Any, tokenizer: int, model: dict[str, int], length: int
) -> None:
    recording = RecordingTokenizer(tokenizer)
    made_of(recording, RecordingClassifier(**model))("a cat")
    assert [(each["max_length"], each["stride"]) for each in recording.settings] == [(length, length // 8)] * 2
    assert all(
        each["truncation"] and each["return_overflowing_tokens"] and each["padding"] for each in recording.settings
    )


@pytest.mark.parametrize("place", [0, 7, 8, 18])
def test_all_pieces_are_judged_eight_at_a_time(made_of: Any, place: int) -> None:
    model = RecordingClassifier()
    judge = made_of(RecordingTokenizer(512), model)
    model.inputs.clear()
    words = ["cat"] * 19
    assert judge(" ".join(words)).category is None
    words[place] = "bad"
    assert judge(" ".join(words)).category == "bad"
    shapes = [{"input_ids": (count, 2), "attention_mask": (count, 2)} for count in (8, 8, 3)]
    assert model.inputs == shapes * 2


def test_a_classifier_is_tried_on_a_text_of_several_pieces(made_of: Any) -> None:
    model = RecordingClassifier()
    made_of(RecordingTokenizer(512), model)
    assert sum(shapes["input_ids"][0] for shapes in model.inputs) == 1024


def test_an_images_score_is_that_of_the_stock_model(tmp_path: Path) -> None:
    folder = classifiers.picture_classifier(tmp_path / "model")
    options = image_classifier.plugin.Options(model=str(folder), refuse={"unsafe": 1.0})
    judge = image_classifier.plugin.ready(options)
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    scores = []
    for colour in ((250, 20, 20), (10, 30, 240)):
        image = Image.new("RGB", (40, 30), colour)
        with torch.inference_mode():
            logits = model(**processor(images=image, return_tensors="pt")).logits[0]
        scores.append(float(logits.softmax(0)[1]))
        assert judge(image).score == pytest.approx(scores[-1], abs=1e-6)
    assert abs(scores[0] - scores[1]) > 1e-3, "or the images need not be seen"


@pytest.mark.parametrize("flags", [True, False])
@pytest.mark.parametrize("in_pipeline", [True, False])
def test_the_safety_checker_is_found_alone_or_in_a_pipeline(tmp_path: Path, flags: bool, in_pipeline: bool) -> None:
    folder = classifiers.safety_checker(tmp_path / "model" / ("safety_checker" if in_pipeline else ""), flags)
    if in_pipeline:
        (tmp_path / "model" / "feature_extractor").mkdir()
        (folder / "preprocessor_config.json").rename(tmp_path / "model/feature_extractor/preprocessor_config.json")
    judge = safety_checker.plugin.ready(safety_checker.plugin.Options(model=str(tmp_path / "model")))
    assert judge(Image.new("RGB", (64, 64))).category == ("not safe for work" if flags else None)
    assert safety_checker.plugin.Options().model == "CompVis/stable-diffusion-safety-checker"


def test_a_safety_checker_that_computes_nonsense_is_refused(tmp_path: Path) -> None:
    weights = classifiers.safety_checker(tmp_path / "model", False) / "model.safetensors"
    tensors = load_file(weights)
    save_file(tensors | {"visual_projection.weight": tensors["visual_projection.weight"] * torch.nan}, weights)
    with pytest.raises(LimnerError, match="the image's embedding is not finite"):
        safety_checker.plugin.ready(safety_checker.plugin.Options(model=str(weights.parent)))
