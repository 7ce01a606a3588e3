"""Aesthetic heads by name: what they compute, and what is no head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import networks
from limner.core.errors import LimnerError
from limner.core.requests import MetricUse
from limner.engine.scoring.encoders import open_encoder
from limner.engine.scoring.scorers import Scorers
from scored import of, values


@pytest.fixture
def pictures(scenes):
    return [item.path for item in scenes[:3]]


def test_a_linear_head_is_a_linear_map(pictures, clip, tmp_path):
    head = networks.linear_head(tmp_path / "head.safetensors")
    tensors = load_file(head)
    with torch.inference_mode():
        expected = open_encoder(str(clip)).images(pictures) @ tensors["weight"][0] + tensors["bias"]
    assert values(f"aesthetic={head}@{clip}", of(pictures)) == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_deep_head_is_its_layers_one_after_another(pictures, clip, tmp_path):
    head = networks.deep_head(tmp_path / "head.safetensors")
    tensors = load_file(head)
    with torch.inference_mode():
        state = open_encoder(str(clip)).images(pictures)
    for at in (0, 2, 4, 6, 7):
        state = torch.nn.functional.linear(state, tensors[f"layers.{at}.weight"], tensors[f"layers.{at}.bias"])
    assert values(f"aesthetic={head}@{clip}", of(pictures)) == pytest.approx(state[:, 0].numpy(), abs=1e-4)


def test_a_folder_with_one_head_is_that_head(pictures, clip, tmp_path):
    head = networks.linear_head(tmp_path / "head.safetensors")
    one, other = (values(f"aesthetic={place}@{clip}", of(pictures)) for place in (head, tmp_path))
    assert np.array_equal(one, other)
    networks.linear_head(tmp_path / "second.safetensors")
    with pytest.raises(LimnerError, match=r"contains 2 \.safetensors files"):
        values(f"aesthetic={tmp_path}@{clip}", of(pictures))


def test_a_classifier_with_one_output_rates(pictures, tmp_path):
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    from limner.imaging.decode import open_image

    folder = networks.rater(tmp_path / "rater")
    model = ViTForImageClassification.from_pretrained(folder).eval()
    pixels = ViTImageProcessorPil.from_pretrained(folder)([open_image(p) for p in pictures], return_tensors="pt")
    with torch.inference_mode():
        expected = model(**pixels).logits[:, 0].numpy()
    assert values(f"aesthetic={folder}", of(pictures)) == pytest.approx(expected, abs=1e-5)


def test_a_name_with_an_at_is_written_with_two(pictures, clip, tmp_path):
    (tmp_path / "me@home").mkdir()
    head = networks.linear_head(tmp_path / "me@home" / "head.safetensors")
    plain = networks.linear_head(tmp_path / "head.safetensors")
    escaped = f"aesthetic={str(head).replace('@', '@@')}@{clip}"
    assert np.array_equal(values(escaped, of(pictures)), values(f"aesthetic={plain}@{clip}", of(pictures)))


def test_an_encoder_beside_what_needs_none_is_refused(clip):
    for use in (f"preference={clip}@{clip}x", f"subject_fidelity={clip}@starter"):
        with pytest.raises(LimnerError, match="needs no encoder"):
            Scorers([MetricUse.model_validate(use)])


def test_without_an_encoder_it_is_clip_large(tmp_path, home):
    head = networks.linear_head(tmp_path / "head.safetensors", 768)
    with pytest.raises(LimnerError, match="clip-vit-large-patch14"):
        Scorers([MetricUse.model_validate(f"aesthetic={head}")])


def _refused(use: str, message: str) -> None:
    with pytest.raises(LimnerError, match=message) as caught:
        Scorers([MetricUse.model_validate(f"aesthetic={use}")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers.4.bias": None}, "no tensor 'layers.4.bias'"),
        ({"layers.9.weight": torch.zeros(1)}, "unknown tensor 'layers.9.weight'"),
        (
            {"layers.2.weight": torch.zeros(128, 1000)},
            r"layers.2.weight has the shape \(128, 1000\), not \(128, 1024\)",
        ),
        ({"layers.7.bias": torch.zeros(2)}, r"layers.7.bias has the shape \(2,\), not \(1,\)"),
        ({"layers.0.weight": torch.zeros(0)}, "layers.0.weight has the shape"),
        ({"layers.0.weight": torch.tensor(1.0)}, "layers.0.weight has the shape"),
        ({"weight": torch.zeros(1, 8)}, "is not an aesthetic head"),
    ],
)
def test_a_head_with_other_tensors_is_one_line(changes, message, clip, tmp_path):
    _refused(f"{networks.deep_head(tmp_path / 'head.safetensors', **changes)}@{clip}", message)


def test_a_head_of_another_width_is_one_line(pictures, clip, tmp_path):
    head = networks.linear_head(tmp_path / "head.safetensors", 12)
    with pytest.raises(LimnerError, match=r"features of width 12, and those of .* have width 8; name the encoder"):
        values(f"aesthetic={head}@{clip}", of(pictures))


def test_files_that_are_not_heads_are_one_line_errors(clip, tmp_path):
    torch.save({"weight": torch.zeros(1, 8)}, tmp_path / "head.pth")
    _refused(f"{tmp_path / 'head.pth'}@{clip}", "pickles are refused")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    _refused(f"{tmp_path / 'broken.safetensors'}@{clip}", "cannot be read")
    save_file({"weight": torch.full((1, 8), float("nan")), "bias": torch.zeros(1)}, tmp_path / "nan.safetensors")
    _refused(f"{tmp_path / 'nan.safetensors'}@{clip}", "values that are not finite")
    _refused(f"{tmp_path / 'none.safetensors'}@{clip}", "there is no head")
    _refused(str(networks.rater(tmp_path / "two", 2)), "has 2 outputs, not one rating")
    _refused(f"{networks.rater(tmp_path / 'one')}@{clip}", "needs no encoder")
    _refused(str(networks.dino(tmp_path / "dino")), "not a complete classifier|cannot be loaded|is no classifier")
    _refused("nobody/no-such-rater", "nobody/no-such-rater")
