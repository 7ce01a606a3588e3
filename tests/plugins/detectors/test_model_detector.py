"""Models by name find what the stock pipeline finds, and unsupported models are reported."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import detector_models
import networks
from limner.core.errors import LimnerError
from limner.plugins.detectors import model as detector
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


# What a model is given, and what is made of its answer


@pytest.fixture
def looks(monkeypatch):
    """A detector that finds 0.5 in the upper left corner of each image, and records the images."""
    seen = []

    def look(image, words):
        seen.append((image, words))
        found = np.zeros((image.height, image.width))
        found[:3, :3] = 0.5
        return found

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", lambda reference: None)
    monkeypatch.setattr(detector, "_kind", lambda reference, config: lambda reference: look)
    detector._finder.cache_clear()
    yield seen
    detector._finder.cache_clear()


def test_a_model_is_loaded_once_and_tried_on_a_grey_image(looks):
    assert plugin.finder("some/model") is plugin.finder("some/model")
    ((image, words),) = looks
    assert (image.size, image.getpixel((5, 5)), words) == ((64, 64), (127, 127, 127), "thing")


@pytest.mark.parametrize(
    ("size", "whole"),
    [
        ((15, 60), None),
        ((16, 48), (16, 48)),
        ((48, 16), (48, 16)),
        ((49, 16), (49, 17)),
        ((20, 100), (34, 100)),
        ((16, 4000), (1334, 4000)),
    ],
)
def test_slim_images_are_padded_with_grey_and_the_narrowest_are_skipped(looks, size, whole):
    find = plugin.finder("some/model")
    looks.clear()
    found = find(Image.new("RGBA", size, (10, 20, 30)), " a dog ")
    if whole is None:
        assert found is None and not looks
        return
    ((image, words),) = looks
    assert (image.size, image.mode, words) == (whole, "RGB", "a dog")
    assert image.getpixel((0, 0)) == (10, 20, 30)
    if whole != size:
        assert image.getpixel((whole[0] - 1, whole[1] - 1)) == (127, 127, 127)
    assert found is not None and found.shape == size[::-1] and found.dtype == np.float32
    assert found[:3, :3].min() == 0.5 and found.sum() == 4.5


def test_what_is_found_only_in_the_padding_is_nothing(looks, monkeypatch):
    def beside(image, words):
        found = np.zeros((image.height, image.width))
        found[-1] = 0.7
        return found

    monkeypatch.setattr(detector, "_kind", lambda reference, config: lambda reference: beside)
    assert plugin.finder("some/model")(Image.new("RGB", (100, 20)), "") is None


def test_maps_are_clipped_and_must_be_finite():
    assert detector._map_or_none(np.array([[-1.0, 0.5, 7.0]])).tolist() == [[0, 0.5, 1]]
    assert detector._map_or_none(np.zeros((2, 2))) is None
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinity"):
            detector._map_or_none(np.array([[0.5, wrong]]))
    with pytest.raises(ValueError, match="NaN"):
        box_map((64, 64), torch.tensor([[0.0, 0.0, 4.0, 5.0]]), torch.tensor([float("nan")]))


def test_a_small_images_boxes_are_not_enlarged():
    found = box_map((100, 50), torch.tensor([[10.0, 5.0, 20.0, 10.0]]), torch.tensor([0.8]))
    assert found is not None and found.shape == (50, 100) and np.count_nonzero(found) == 50


@pytest.fixture
def parts(monkeypatch):
    """Sets the processor and the model that the functions of this module open."""

    def use(model, processor):
        monkeypatch.setattr(detector, "_opened", lambda kind, reference: model)
        monkeypatch.setattr(detector, "_part", lambda kind, reference, **options: processor)

    return use


class RecordingProcessor:
    """Gives a model nothing, and returns three objects; it records texts, thresholds and sizes."""

    def __init__(self):
        self.texts, self.asked = [], []

    def __call__(self, images, text=None, **_):
        self.texts.append(text)
        return {}

    def post_process_object_detection(self, output, threshold, target_sizes):
        self.asked.append((threshold, target_sizes))
        boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
        return [{"labels": torch.tensor([1, 0, 1]), "boxes": boxes, "scores": torch.tensor([0.6, 0.7, 0.8])}]

    def post_process_grounded_object_detection(self, output, threshold, target_sizes):
        return self.post_process_object_detection(output, threshold, target_sizes)


def columns_of(found):
    return {
        float(score): np.flatnonzero(np.isclose(found[5], score))[[0, -1]].tolist() for score in np.unique(found[5])
    }


@pytest.mark.parametrize(
    ("words", "scores"), [("dog", [0.6, 0.8]), ("cat", [0.7]), ("teapot", [0.6, 0.7, 0.8]), ("", [0.6, 0.7, 0.8])]
)
def test_objects_of_the_named_kind_count_or_else_all(parts, words, scores):
    model = Mock(config=SimpleNamespace(id2label={0: "cat", 1: "dog"}))
    parts(model, processor := RecordingProcessor())
    found = detector._object_detection("x")(Image.new("RGB", (60, 40)), words)
    assert processor.asked == [(0.5, [(40, 60)])]
    places = {0.6: [0, 9], 0.7: [20, 29], 0.8: [40, 49]}
    assert found is not None and found.shape == (40, 60)
    seen = {round(score, 5): place for score, place in columns_of(found).items() if score}
    assert seen == {score: places[score] for score in scores}


def test_a_zero_shot_model_is_asked_for_the_words_or_for_an_object(parts):
    parts(Mock(), processor := RecordingProcessor())
    look = detector._zero_shot_detection("x")
    for words in ("Sks v1.5 Dog", ""):
        assert look(Image.new("RGB", (60, 40)), words) is not None
    assert processor.texts == [[["a sks v1 5 dog"]], [["a object"]]], "a dot would separate two queries"
    assert processor.asked == [(0.1, [(40, 60)])] * 2


def test_segmentation_by_text_asks_for_the_words_or_for_an_object(parts):
    logits = torch.tensor([[-20.0, 0.0, 20.0]])
    parts(lambda **_: SimpleNamespace(logits=logits), processor := RecordingProcessor())
    look = detector._text_segmentation("x")
    for words in ("sks Dog", ""):
        assert np.allclose(look(Image.new("RGB", (60, 40)), words), [[0, 0.5, 1]], atol=1e-6)
    assert processor.texts == [["a sks Dog"], ["a object"]]


def test_segments_of_the_named_kind_count_where_any_of_them_is(parts, monkeypatch):
    mask = np.zeros((40, 60), np.uint8)
    left, right, large = mask.copy(), mask.copy(), np.full((1000, 2000), 255, np.uint8)
    left[:, :30], right[:, 20:] = 255, 255
    segments = [
        {"label": "dog", "score": 0.6, "mask": Image.fromarray(left)},
        {"label": "dog", "score": None, "mask": Image.fromarray(right)},
        {"label": "cat", "score": 0.9, "mask": Image.fromarray(large)},
    ]
    thresholds = []

    def pipeline(task, *, model, image_processor):
        return lambda image, threshold: thresholds.append((task, threshold)) or segments

    class Kind:
        _model_mapping = (SimpleNamespace,)

    kinds = ("Universal", "Instance", "Semantic")
    names = ("AutoConfig", "AutoImageProcessor", *(f"AutoModelFor{kind}Segmentation" for kind in kinds))
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(pipeline=pipeline, **dict.fromkeys(names, Kind)))
    config = SimpleNamespace(id2label={0: "cat", 1: "dog", 2: "cow"})
    parts(SimpleNamespace(config=config), SimpleNamespace())
    look = detector._segmentation("x")
    dogs = look(Image.new("RGB", (60, 40)), "dog")
    assert dogs is not None and np.allclose(dogs[0, [0, 25, 59]], [0.6, 1.0, 1.0])
    cats = look(Image.new("RGB", (2000, 1000)), "cat")
    assert cats is not None and cats.shape == (256, 512) and np.allclose(cats, 0.9)
    assert look(Image.new("RGB", (60, 40)), "cow") is None and look(Image.new("RGB", (60, 40)), "teapot") is None
    assert set(thresholds) == {("image-segmentation", 0.5)}


@pytest.mark.parametrize(
    ("words", "known", "numbers"),
    [
        ("traffic_light", {0: "traffic light"}, {0}),
        ("traffic light", {0: "traffic-light", 1: "stop_sign"}, {0}),
        ("stop sign", {0: "traffic-light", 1: "stop_sign"}, {1}),
        ("a big red dog", {0: "dog", 1: "red dog", 2: "big red dog", 3: "big dog"}, {2}),
        ("dog", {0: "puppy, dog", 1: "dog"}, {0, 1}),
    ],
)
def test_the_longest_label_counts_however_it_is_written(words, known, numbers):
    assert labels_for(words, known) == numbers
