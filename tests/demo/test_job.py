"""The demo's job, up to the training that `make demo` itself proves."""

import numpy as np
import pytest
from PIL import Image

from limner import LimnerError
from limner.demo.job import GUIDANCES, PICTURES, paint_character, run_demo


def test_the_character_is_painted_in_eight_unlike_pictures(tmp_path):
    paths = paint_character(tmp_path)
    pixels = [np.asarray(Image.open(path)).astype(int) for path in paths]
    assert len(pixels) == PICTURES
    assert min(np.abs(a - b).mean() for i, a in enumerate(pixels) for b in pixels[:i]) > 5
    again = paint_character(tmp_path / "again")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_a_folder_with_something_else_is_left_alone(tmp_path, home):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(LimnerError, match="holds something else"):
        run_demo(tmp_path, lambda event: None, lambda: False)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_the_guidance_study_is_the_users_own():
    assert GUIDANCES == (1.5, 5.0, 7.5, 12.5)
