"""Faces become soft ellipses; missing and invalid weights are reported."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import detector_models
from limner.core.errors import LimnerError
from limner.plugins.detectors.face import SCALE, FaceFinder, ellipses, plugin


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


class RecordingNetwork:
    """Finds the given faces in every image, and records the images and the sizes that it was set to."""

    def __init__(self, *faces):
        self.faces = np.array(faces, np.float32).reshape(-1, 15) if faces else None
        self.images, self.sizes = [], []

    def setInputSize(self, size):
        self.sizes.append(size)

    def detect(self, pixels):
        self.images.append(pixels)
        return 1, self.faces


def face(left, top, width, height, score):
    return [left, top, width, height, *range(10), score]


def found_by(network, image):
    finder = FaceFinder(Path("unused"))
    finder._network = network
    return finder(image, "")


def test_a_large_image_is_searched_at_640_pixels_in_blue_green_red():
    network = RecordingNetwork(face(40, 80, 80, 40, 0.75), face(0, 0, 99, np.nan, 0.9))
    found = found_by(network, Image.new("RGBA", (1300, 653), (200, 100, 50)))
    assert network.sizes == [(640, 321)] and network.images[0].shape == (321, 640, 3)
    assert network.images[0][0, 0].tolist() == [50, 100, 200] and network.images[0].flags.c_contiguous
    assert found is not None and found.shape == (81, 160), "rounded up"
    assert np.array_equal(found, ellipses(np.array([[10.0, 20, 20, 10]]), np.array([0.75]), (81, 160)))


def test_a_small_image_is_not_enlarged_and_a_sliver_keeps_a_pixel():
    network = RecordingNetwork(face(0, 0, 8, 8, 0.9))
    found = found_by(network, Image.new("RGB", (30, 17)))
    assert network.sizes == [(30, 17)] and found is not None and found.shape == (5, 8)
    found_by(network, Image.new("RGB", (2000, 1)))
    assert network.sizes[-1] == (640, 1)


def test_without_a_face_nothing_is_found():
    assert found_by(RecordingNetwork(), Image.new("RGB", (30, 17))) is None
    assert found_by(RecordingNetwork(face(0, 0, np.inf, 8, 0.9)), Image.new("RGB", (30, 17))) is None


def test_an_ellipse_is_wider_and_higher_than_its_face():
    rows, columns = np.mgrid[:40, :50]
    across, down = (columns + 0.5 - 25) / (10 * 1.3), (rows + 0.5 - 18) / (8 * 1.5)
    expected = 0.8 * np.clip(1.5 * (1 - across**2 - down**2), 0, 1)
    assert np.allclose(ellipses(np.array([[15.0, 10, 20, 16]]), np.array([0.8]), (40, 50)), expected, atol=1e-6)
    point = ellipses(np.array([[10.4, 10.4, 0.1, 0.1]]), np.array([0.8]), (20, 20))
    assert point[10, 10] == pytest.approx(0.8, abs=0.05) and (point > 0).sum() == 1


def test_weights_below_the_home_folder_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    name = detector_models.faces(tmp_path).name
    finder = plugin.finder(f"~/{name}")
    assert pickle.loads(pickle.dumps(finder))._path == tmp_path / name
    with pytest.raises(LimnerError, match="needs YuNet's weights"):
        plugin.finder("")


def test_a_face_counts_from_a_score_of_0_6_on(tmp_path):
    """YuNet's score is the geometric mean of two, of which the other one is almost 1 here."""
    image = Image.new("RGB", (160, 128), "black")
    image.paste((255, 0, 0), (64, 32, 96, 64))
    for score, known in ((0.45, True), (0.3, False)):
        (tmp_path / str(score)).mkdir()
        found = plugin.finder(str(detector_models.faces(tmp_path / str(score), score)))(image, "")
        assert (found is not None) is known
