"""The demo: training images, a short run, and a page that is complete and escapes prompts."""

from __future__ import annotations

import json
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner import LimnerError, TrainRequest
from limner.starter import demo
from limner.starter.demo import (
    GUIDANCES,
    PLACES,
    PromptPair,
    loss_curve,
    run_demo,
    write_character_images,
    write_demo_page,
)

LINES = [{"step": step, "loss": 1 / step, **({"held_out_loss": 0.5} if step == 30 else {})} for step in (1, 10, 20, 30)]


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_shows_all_images_and_escapes_prompts(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("\n".join(map(json.dumps, LINES)))
    pairs = [PromptPair("<script>alert(1)</script> & co", "a.png", "b.png")]
    write_demo_page(tmp_path, {"one.png": "a sks cat", "two.png": "a <b> cat"}, pairs, metrics, "limner train x", 1.25)
    page = (tmp_path / "index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    links = Links()
    links.feed(page)
    assert {"one.png", "two.png", "a.png", "b.png", "results.png"} <= set(links.found)
    assert not [link for link in links.found if "://" in link], "the page needs no network"
    assert "1.2 minutes" in page and "limner train x" in page


def test_the_loss_curve_has_losses_and_held_out_points():
    drawing = loss_curve(LINES)
    assert drawing.count("<circle") == 1 and "polyline" in drawing and "step 30" in drawing
    assert len(drawing.split('points="')[1].split('"')[0].split()) == len(LINES)
    assert loss_curve(LINES[:1]) == ""


def test_the_eight_training_images_differ_and_are_reproducible(tmp_path):
    paths = write_character_images(tmp_path)
    pixels = [np.asarray(Image.open(path)).astype(int) for path in paths]
    assert len(pixels) == len(PLACES) == 8
    assert min(np.abs(a - b).mean() for i, a in enumerate(pixels) for b in pixels[:i]) > 5
    again = write_character_images(tmp_path / "again")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]


def test_a_folder_with_other_files_is_refused_and_unchanged(tmp_path, home):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(LimnerError, match="contains files that are not from a demo"):
        run_demo(tmp_path / "mine", lambda event: None, lambda: False)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_guidance_scales_of_the_figure():
    assert GUIDANCES == (1.5, 5.0, 7.5, 12.5)


def test_a_short_demo_writes_a_complete_folder(tmp_path, home, monkeypatch):
    """Into a relative folder, twice: the second run replaces the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "TRAINING_STEPS", 2)
    monkeypatch.setattr(demo, "TrainRequest", partial(TrainRequest, prior=False, options={"rank": 2}))
    monkeypatch.setattr(demo, "STEPS", 2)
    monkeypatch.setattr(demo, "PROMPTS", ("a photo of sks cat on the beach",))
    for _ in range(2):
        page = run_demo(Path("shown"), lambda event: None, lambda: False)
    assert page == Path("shown/index.html")
    names = {path.name for path in Path("shown").iterdir()}
    assert names == {".limner-demo", "adapter", "photographs", "pictures", "results.png", "index.html"}
    assert len(list(Path("shown/pictures").iterdir())) == 2 + len(GUIDANCES)
    sources = {"photographs/01.png": "algorithmicMedia", "results.png": "compositeSynthetic"}
    for name, source in {**sources, "pictures/0001.png": "trainedAlgorithmicMedia"}.items():
        with Image.open(Path("shown") / name) as image:
            assert f"digitalsourcetype/{source}<" in image.info["XML:com.adobe.xmp"]
    assert "pictures/0001.png" in page.read_text(encoding="utf-8")
