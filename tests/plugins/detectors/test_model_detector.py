"""Models by name find what the stock pipeline finds, and unsupported models are reported."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import detector_models
import networks
from limner.core.errors import LimnerError
from limner.plugins.detectors.model import _part_of, box_map, labels_for, plugin
from limner.starter.painter import Scene, paint


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return paint(Scene(subject="dog", breed="corgi", seed=3)).crop((0, 0, 128, 96))


def stock(kind: str, folder, picture, **options):
    from transformers import AutoImageProcessor, pipeline

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return pipeline(kind, model=str(folder), image_processor=processor)(picture, **options)


def drawn(found, size) -> np.ndarray:
    """Boxes of a stock pipeline, which are cut to whole pixels, with their scores as a map."""
    expected = np.zeros((size[1], size[0]), np.float32)
    for each in found:
        box = each["box"]
        part = expected[max(0, box["ymin"]) : max(0, box["ymax"]), max(0, box["xmin"]) : max(0, box["xmax"])]
        np.maximum(part, each["score"], out=part)
    return expected


def test_things_are_found_as_the_stock_pipeline_finds_them(tmp_path, picture):
    folder = detector_models.boxing(tmp_path)
    expected = drawn(stock("object-detection", folder, picture), picture.size)
    found = plugin.finder(str(folder))(picture, "corgi dog")
    assert found is not None and found.shape == (96, 128) and expected.max() > 0.5
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.08, "they differ by more than the boxes' rounding"
    assert plugin.finder(str(folder))(picture, "cat") is None, "it found dogs only"
    assert np.array_equal(plugin.finder(str(folder))(picture, "teapot"), found), "of unknown words, anything counts"


def test_things_are_found_by_words(tmp_path, picture):
    folder = detector_models.reading(tmp_path)
    expected = drawn(
        stock_by_words(folder, picture, "a dog"),
        picture.size,
    )
    found = plugin.finder(str(folder))(picture, "dog")
    assert found is not None and expected.max() > 0.1
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.08
    other = plugin.finder(str(folder))(picture, "cat of the object")
    assert other is None or not np.array_equal(found, other), "words count"


def stock_by_words(folder, picture, words):
    from transformers import AutoImageProcessor, AutoTokenizer, pipeline

    return pipeline(
        "zero-shot-object-detection",
        model=str(folder),
        image_processor=AutoImageProcessor.from_pretrained(folder, backend="pil"),
        tokenizer=AutoTokenizer.from_pretrained(folder),
    )(picture, candidate_labels=[words])


@pytest.mark.parametrize("make", [detector_models.semantic, detector_models.instances])
def test_segments_are_those_of_the_stock_pipeline(tmp_path, picture, make):
    folder = make(tmp_path)
    segments = stock("image-segmentation", folder, picture, threshold=0.5)
    labels = {each["label"] for each in segments}
    assert labels
    for label in detector_models.LABELS.values():
        masks = [np.asarray(each["mask"]) / 255 * (each["score"] or 1) for each in segments if each["label"] == label]
        found = plugin.finder(str(folder))(picture, label)
        if not masks or not np.max(masks, 0).any():
            assert found is None
        else:
            assert found is not None and np.allclose(found, np.max(masks, 0), atol=1e-5)
    assert plugin.finder(str(folder))(picture, "teapot") is None


def test_segments_by_words(tmp_path, picture):
    from transformers import AutoProcessor, CLIPSegForImageSegmentation

    folder = detector_models.segmenting_by_words(tmp_path)
    inputs = AutoProcessor.from_pretrained(folder, backend="pil")(text=["a dog"], images=[picture], return_tensors="pt")
    with torch.inference_mode():
        logits = CLIPSegForImageSegmentation.from_pretrained(folder).eval()(**inputs).logits
    found = plugin.finder(str(folder))(picture, "dog")
    assert found is not None and found.shape == (32, 32) and found.std() > 0
    assert np.allclose(found, logits.sigmoid().squeeze(), atol=1e-5)


def test_a_box_lies_where_it_is_in_a_large_picture():
    found = box_map((2048, 1024), torch.tensor([[512.0, 256.0, 1024.0, 768.0]]), torch.tensor([0.8]))
    assert found is not None and found.shape == (256, 512)
    assert found[64:192, 128:256].min() == pytest.approx(0.8) and found.sum() == pytest.approx(0.8 * 128 * 128)
    assert box_map((64, 64), torch.tensor([[-30.0, -9.0, -3.0, -1.0]]), torch.tensor([0.8])) is None
    with pytest.raises(ValueError, match="NaN"):
        box_map((64, 64), torch.tensor([[0.0, 0.0, float("nan"), 5.0]]), torch.tensor([0.8]))


def test_what_was_added_to_a_slim_picture_is_taken_off():
    """Of 90 x 10 pixels, looked at in 90 x 30, of which a map has two for three."""
    found = np.arange(20)[:, None] * np.ones(60)
    assert np.array_equal(_part_of(found, (90, 10), (90, 30)), found[:7])
    assert np.array_equal(_part_of(found, (90, 30), (90, 30)), found)


def test_of_boxes_on_each_other_the_surest_counts_and_their_edges_are_within():
    found = box_map(
        (64, 64), torch.tensor([[0.0, 0.0, 32.0, 32.0], [16.6, 16.6, 47.2, 47.2]]), torch.tensor([0.5, 0.4])
    )
    assert found is not None and found[20, 20] == pytest.approx(0.5) and found[40, 40] == pytest.approx(0.4)
    rows = np.flatnonzero(found[:, 40])
    assert (rows[0], rows[-1]) == (16, 47)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("dog", {1}),
        ("corgi dog", {1}),
        ("hot dog", {2}),
        ("hot-dog stand", {2}),
        ("kitten", {0}),
        ("hotdog", set()),
        ("", set()),
    ],
)
def test_labels_that_words_mean(words, numbers):
    assert labels_for(words, {0: "cat, kitten", 1: "dog", 2: "hot dog"}) == numbers


def test_a_sliver_is_not_looked_at(tmp_path):
    assert plugin.finder(str(detector_models.boxing(tmp_path)))(Image.new("RGB", (5000, 1)), "dog") is None


def test_a_model_that_is_no_detector_is_an_error(tmp_path, home):
    with pytest.raises(LimnerError, match="needs a model"):
        plugin.finder(None)
    with pytest.raises(LimnerError, match="nosuch"):
        plugin.finder("somebody/nosuch")
    with pytest.raises(LimnerError, match="not a supported detector: it is a 'Dinov2Model'"):
        plugin.finder(str(networks.dino(tmp_path / "dino")))


def test_pickles_are_refused(tmp_path):
    folder = detector_models.boxing(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(LimnerError, match="pickles are refused"):
        plugin.finder(str(folder))


def test_a_network_with_tensors_missing_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    file = detector_models.boxing(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("bbox_predictor.layers.0.weight")
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(LimnerError, match=r"has no 'bbox_predictor.layers.0.weight'"):
        plugin.finder(str(tmp_path))
