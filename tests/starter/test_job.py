"""The demo's job, up to the training that `make demo` itself proves."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner import LimnerError, TrainRequest
from limner.starter import demo as job
from limner.starter.demo import GUIDANCES, PICTURES, paint_character, run_demo


def test_the_character_is_painted_in_eight_unlike_pictures(tmp_path):
    paths = paint_character(tmp_path)
    pixels = [np.asarray(Image.open(path)).astype(int) for path in paths]
    assert len(pixels) == PICTURES
    assert min(np.abs(a - b).mean() for i, a in enumerate(pixels) for b in pixels[:i]) > 5
    again = paint_character(tmp_path / "again")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_a_folder_with_something_else_is_left_alone(tmp_path, home):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(LimnerError, match="holds something else"):
        run_demo(tmp_path / "mine", lambda event: None, lambda: False)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_the_guidance_study_is_the_users_own():
    assert GUIDANCES == (1.5, 5.0, 7.5, 12.5)


def test_a_short_demo_leaves_a_whole_folder(tmp_path, home, monkeypatch):
    """Into a folder named relative to where the user stands, twice: the second replaces the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "TRAINING_STEPS", 2)
    monkeypatch.setattr(job, "TrainRequest", partial(TrainRequest, prior=False, options={"rank": 2}))
    monkeypatch.setattr(job, "STEPS", 2)
    monkeypatch.setattr(job, "PROMPTS", ("a photo of sks cat on the beach",))
    for _ in range(2):
        page = run_demo(Path("shown"), lambda event: None, lambda: False)
    assert page == Path("shown/index.html")
    left = {path.name for path in Path("shown").iterdir()}
    assert left == {".limner-demo", "adapter", "photographs", "pictures", "results.png", "index.html"}
    assert len(list(Path("shown/pictures").iterdir())) == 2 + len(GUIDANCES)
    sources = {"photographs/01.png": "algorithmicMedia", "results.png": "compositeSynthetic"}
    for name, source in {**sources, "pictures/0001.png": "trainedAlgorithmicMedia"}.items():
        with Image.open(Path("shown") / name) as image:
            assert f"digitalsourcetype/{source}<" in image.info["XML:com.adobe.xmp"]
    assert "pictures/0001.png" in page.read_text(encoding="utf-8")
