"""The demo's page: complete, self-contained, and safe whatever a prompt holds."""

import json
from html.parser import HTMLParser

from limner.starter.demo import Pair, curve, write_demo

LINES = [{"step": step, "loss": 1 / step, **({"held_out_loss": 0.5} if step == 30 else {})} for step in (1, 10, 20, 30)]


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_shows_all_and_escapes_prompts(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("\n".join(map(json.dumps, LINES)))
    pairs = [Pair("<script>alert(1)</script> & co", "a.png", "b.png")]
    write_demo(tmp_path, {"one.png": "a sks cat", "two.png": "a <b> cat"}, pairs, metrics, "limner train x", 1.25)
    page = (tmp_path / "index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page
    links = Links()
    links.feed(page)
    assert {"one.png", "two.png", "a.png", "b.png", "results.png"} <= set(links.found)
    assert not [link for link in links.found if "://" in link], "the page needs no network"
    assert "1.2 minutes" in page and "limner train x" in page


def test_the_curve_draws_losses_and_held_out_points():
    drawing = curve(LINES)
    assert drawing.count("<circle") == 1 and "polyline" in drawing and "step 30" in drawing
    assert len(drawing.split('points="')[1].split('"')[0].split()) == len(LINES)
    assert curve(LINES[:1]) == ""
