"""Faces become soft ellipses; missing and invalid weights are reported."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

import detector_models
from limner.core.errors import LimnerError
from limner.plugins.detectors.face import SCALE, ellipses, plugin


def test_a_face_is_found_where_it_is(tmp_path):
    finder = plugin.finder(str(detector_models.faces(tmp_path)))
    image = Image.new("RGB", (160, 128), "black")
    image.paste((255, 0, 0), (64, 32, 96, 64))
    found = finder(image, "person")
    assert found is not None and found.shape == (128 // SCALE, 160 // SCALE)
    rows, columns = np.nonzero(found > 0.3)
    assert columns.mean() * SCALE == pytest.approx(78, abs=3) and rows.mean() * SCALE == pytest.approx(46, abs=3)
    assert finder(Image.new("RGB", (160, 128), "blue"), "person") is None, "red is a face here, and blue is none"


def test_it_can_be_sent_to_other_processes(tmp_path):
    finder = plugin.finder(str(detector_models.faces(tmp_path)))
    image = Image.new("RGB", (96, 96), "red")
    assert np.array_equal(pickle.loads(pickle.dumps(finder))(image, ""), finder(image, ""))


def test_ellipses_are_soft_and_of_several_the_surest_counts():
    boxes = np.array([[10.0, 10, 20, 20], [40, 12, 10, 10]])
    found = ellipses(boxes, np.array([0.9, 0.7]), (50, 60))
    assert found.shape == (50, 60) and found[20, 20] == pytest.approx(0.9) and found[17, 45] == pytest.approx(0.7)
    assert found[20, 33] == 0 and 0 < found[20, 31] < 0.5, "it fades towards its outline"
    assert found[34, 20] > 0, "it is higher than the face"
    again = ellipses(np.array([[10.0, 10, 20, 20]] * 2), np.array([0.2, 0.9]), (50, 60))
    assert again.max() == pytest.approx(0.9)


def test_invalid_weights_are_an_error(tmp_path):
    with pytest.raises(LimnerError, match=r"needs YuNet's weights.*face=PATH"):
        plugin.finder(None)
    with pytest.raises(LimnerError, match=r"there is no file 'nowhere\.onnx'"):
        plugin.finder("nowhere.onnx")
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(LimnerError, match="cannot find faces"):
        plugin.finder(str(tmp_path / "x.onnx"))
