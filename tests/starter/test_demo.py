"""The demo: training images, a short run, and a page that is complete and escapes prompts."""

from __future__ import annotations

import json
import re
import shlex
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner import AdapterUse, LimnerError, TrainRequest
from limner.core.errors import Interrupted
from limner.core.events import ArtifactCreated, ArtifactKind, Notice, Progress, Stage
from limner.reports.figure import ColumnGroup, ImageGrid
from limner.starter import demo
from limner.starter.demo import (
    GUIDANCES,
    PLACES,
    PROMPTS,
    PromptPair,
    generate_grid,
    loss_curve,
    run_demo,
    write_character_images,
    write_demo_page,
)
from limner.store.locks import Locked, output_lock

FIGURE = ImageGrid(("a cat",), (ColumnGroup("one", ("x",)),), [[None]], "Made by AI.").page()
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
    captions = {"one.png": "a sks cat", "two.png": "a <b> cat"}
    write_demo_page(tmp_path, captions, pairs, FIGURE, metrics, "limner train x", 1.25)
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
    assert (demo.GUIDANCE, GUIDANCES) == (3.0, (1.5, 5.0, 7.5, 12.5)) and (demo.STEPS, demo.SEED) == (30, 42)


@pytest.mark.slow
def test_a_short_demo_writes_a_complete_folder(tmp_path, home, monkeypatch):
    """Into a relative folder, in place of an earlier demo."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "TRAINING_STEPS", 2)
    monkeypatch.setattr(demo, "TrainRequest", partial(TrainRequest, prior=False, options={"rank": 2}))
    monkeypatch.setattr(demo, "STEPS", 2)
    monkeypatch.setattr(demo, "PROMPTS", ("a photo of sks cat on the beach",))
    Path("shown/pictures").mkdir(parents=True)
    for name in (demo.MARK, "index.html", "pictures/0099.png"):
        Path("shown", name).write_text("of an earlier demo")
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


class RecordingStudio:
    """Takes requests as a studio does, and writes plain images in place of a model's."""

    def __init__(self):
        self.trained, self.batches, self.number = [], [], 0

    def run(self, request, out, *, listener, stop):
        self.trained.append((request, out))
        listener(Notice(text="training"))
        if stop():
            raise Interrupted("stopped")
        out.mkdir()
        (out / "metrics.jsonl").write_text("\n".join(map(json.dumps, LINES)))

    def run_batch(self, requests, out, *, listener, stop):
        self.batches.append(requests)
        out.mkdir(exist_ok=True)
        for number, request in reversed(list(enumerate(requests))):
            listener(number, Stage(name="generating", total=request.steps))
            listener(number, Notice(text=f"guidance {request.guidance:g}"))
            if stop():
                raise Interrupted("stopped")
            listener(number, Progress(done=1))
            listener(number, Progress(done=request.steps))
            self.number += 1
            path = out / f"{self.number:04d}.png"
            Image.new("RGB", (16, 16)).save(path)
            listener(number, ArtifactCreated(what=ArtifactKind.IMAGE, path=f"/elsewhere/{path.name}", sha256=""))


@pytest.fixture
def recording(monkeypatch):
    studio = RecordingStudio()
    monkeypatch.setattr(demo, "Studio", lambda: studio)
    return studio


def never():
    return False


def test_the_demo_trains_what_its_command_says(tmp_path, home, recording, monkeypatch):
    """In a folder whose name must be quoted."""
    monkeypatch.setattr(demo, "time", SimpleNamespace(monotonic=iter((100.0, 250.0)).__next__))
    out = tmp_path / "my demo"
    page = run_demo(out, lambda event: None, never).read_text(encoding="utf-8")
    ((request, folder),) = recording.trained
    assert (request.data, request.class_word, request.identifier) == (str(out / "photographs"), "cat", "sks")
    assert (request.steps, request.flip, folder) == (400, False, out / "adapter")
    written = re.search("made with <code>(.*)</code>", page)
    assert written is not None
    command = shlex.split(written[1].replace("&#39;", "'"))
    assert command == [
        *("limner", "train", request.data, "--class", "cat", "--identifier", "sks"),
        *("--steps", "400", "--out", str(folder)),
    ]
    assert "--adapter &#39;my demo&#39;/adapter" in page
    captions = [path.read_text().strip() for path in sorted((out / "photographs").glob("*.txt"))]
    assert all("sks cat" in text and text in page for text in captions)
    assert 'src="photographs/01.png"' in page and "images of it in 2.5 minutes" in page


def test_columns_are_the_base_model_and_the_adapter_at_each_guidance(tmp_path, home, recording, monkeypatch):
    monkeypatch.setattr(demo, "SEED", 7)
    drawn = []

    class Grid(ImageGrid):
        def draw(self):
            for image in (image for row in self.images for image in row):
                image.load()  # closes its file
            drawn.append((self.rows, self.groups, self.images, self.caption))
            return Image.new("RGB", (8, 8))

    monkeypatch.setattr(demo, "ImageGrid", Grid)
    page = run_demo(tmp_path / "demo", lambda event: None, never).read_text(encoding="utf-8")
    columns = []
    for requests in recording.batches:
        assert [request.prompt for request in requests] == list(PROMPTS)
        assert {(r.steps, r.seed, r.batch) for r in requests} == {(30, 7, len(PROMPTS))}
        columns.append((requests[0].guidance, [use.path for use in requests[0].adapter]))
    assert columns == [(3.0, []), *((guidance, [str(tmp_path / "demo/adapter")]) for guidance in (3.0, *GUIDANCES))]
    ((prompts, groups, images, caption),) = drawn
    assert prompts == PROMPTS and [len(row) for row in images] == [len(columns)] * len(PROMPTS)
    assert [name for group in groups for name in group.columns] == [
        "base model",
        "personalised",
        *map("{:g}".format, GUIDANCES),
    ]
    assert "30 steps, seed 7; guidance 3 unless" in caption
    # The studio numbers images from the last prompt to the first, column by column.
    count = len(PROMPTS)
    assert [Path(image.filename).name for image in images[0]] == [
        f"{count * (column + 1):04d}.png" for column in range(len(columns))
    ]
    for base, personalised in ((count, 2 * count), (1, count + 1)):
        pair = f'src="pictures/{base:04d}.png" alt="base model"><img src="pictures/{personalised:04d}.png"'
        assert pair in page
    cells = re.findall(r'<img src="(pictures/[0-9]+.png)" alt="([^"]*)"', page)[-len(PROMPTS) * len(columns) :]
    expected = [
        f"pictures/{count * (column + 1) - row:04d}.png" for row in range(count) for column in range(len(columns))
    ]
    assert [src for src, _ in cells] == expected and cells[0][1] == f"{PROMPTS[0]}; base model"


def test_progress_is_of_all_images_and_notices_come_once_a_column_with_an_adapter(tmp_path, recording, monkeypatch):
    monkeypatch.setattr(demo, "PROMPTS", PROMPTS[:2])
    events = []
    columns = [(None, 3.0), (AdapterUse(path="a"), 5.0)]
    generate_grid(recording, columns, tmp_path, events.append, never)
    assert events[0] == Stage(name="results", total=120, unit="steps")
    assert not any(isinstance(event, Stage) for event in events[1:])
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 30, 31, 60, 61, 90, 91, 120]
    assert [event.text for event in events if isinstance(event, Notice)] == ["guidance 5"]


@pytest.mark.parametrize("when", ["training", "generating"])
def test_the_demo_stops_when_asked(tmp_path, home, recording, when):
    with pytest.raises(Interrupted):
        run_demo(tmp_path / "demo", lambda event: None, lambda: when == "training" or bool(recording.batches))
    assert len(recording.batches) == (when == "generating")


def test_what_is_told_while_training_is_passed_on(tmp_path, home, recording):
    events = []
    run_demo(tmp_path / "demo", events.append, never)
    assert events[0] == Notice(text="training")


def test_an_empty_folder_is_used_and_a_file_or_a_folder_in_use_is_not(tmp_path, home, recording):
    (tmp_path / "file").write_text("dear")
    with pytest.raises(LimnerError, match="contains files that are not from a demo"):
        run_demo(tmp_path / "file", lambda event: None, never)
    (tmp_path / "empty").mkdir()
    with output_lock(tmp_path / "empty"), pytest.raises(Locked):
        run_demo(tmp_path / "empty", lambda event: None, never)
    assert run_demo(tmp_path / "empty", lambda event: None, never).exists()
    assert run_demo(tmp_path / "empty", lambda event: None, never).exists(), "a second demo replaces the first"
    count = len(PROMPTS) * (2 + len(GUIDANCES))
    assert len(list((tmp_path / "empty" / "pictures").iterdir())) == count


def test_the_loss_curve_is_smoothed_and_fills_the_axis():
    """720 x 220: the plot is 654 wide from 52 on, and 174 high from 12 on."""
    lines = [
        {"step": 10, "loss": 1.0, "held_out_loss": 3.0},
        {"step": 20, "loss": 0.2, "held_out_loss": 4.0},
        {"step": 40, "loss": 0.6, "held_out_loss": 2.0},
    ]
    drawing = loss_curve(lines)
    low, high = 0.75 - 0.05 * 3.25, 4.0 + 0.05 * 3.25  # of the smoothed losses 1, 0.8, 0.75 and the held-out ones
    mean, expected = 1.0, []
    for line in lines:
        mean += 0.25 * (line["loss"] - mean)
        expected.append((52 + 654 * line["step"] / 40, 12 + 174 * (1 - (mean - low) / (high - low))))
    points = [tuple(map(float, pair.split(","))) for pair in drawing.split('points="')[1].split('"')[0].split()]
    assert np.allclose(points, expected, atol=0.06)
    dots = [tuple(map(float, pair)) for pair in re.findall('cx="([0-9.]+)" cy="([0-9.]+)"', drawing)]
    assert np.allclose(
        dots,
        [(x, 12 + 174 * (1 - (loss - low) / (high - low))) for x, loss in ((215.5, 3), (379, 4), (706, 2))],
        atol=0.06,
    )
    labels = re.findall('y="([0-9.]+)" text-anchor="end">([0-9.]+)<', drawing)
    assert labels == [("182.1", "0.750"), ("103.0", "2.375"), ("23.9", "4.000")]
    assert "step 40" in drawing and loss_curve(lines[:2]) and not loss_curve(lines[:1])


def test_the_characters_training_images_are_these(tmp_path):
    texts = list(write_character_images(tmp_path).values())
    places = (
        "in the park",
        "on a",
        "in the living room",
        "in the mountains",
        "on the beach",
        "on a",
        "in the desert",
        "in the city",
    )
    poses = ("sitting", "standing", "sitting", "sitting", "lying down", "sitting", "standing", "sitting")
    assert len(texts) == len(places)
    for text, place, pose in zip(texts, places, poses, strict=True):
        assert text.startswith(f"a photo of sks cat {pose}") and place in text


def test_the_command_ends_with_the_address_of_the_page(limner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run_demo", lambda out, listener, stop: out / "index.html")
    said = limner("demo", "--out", "my demo").out.splitlines()
    assert said == ["my demo/index.html", f"Open it in a browser: file://{tmp_path}/my%20demo/index.html"]


def test_the_page_says_how_to_activate_the_environment(tmp_path, monkeypatch):
    script = tmp_path / "my env" / "bin" / "activate"
    monkeypatch.setattr(demo.sys, "prefix", str(tmp_path / "my env"))
    assert demo.activation(tmp_path) is None, "a script that is not there"
    script.parent.mkdir(parents=True)
    script.touch()
    assert demo.activation(tmp_path) == "source 'my env/bin/activate'"
    assert demo.activation(tmp_path / "elsewhere") == f"source '{script}'"
    monkeypatch.setattr(demo.sys, "base_prefix", str(tmp_path / "my env"))
    assert demo.activation(tmp_path) is None, "no environment"


def test_commands_on_the_page_follow_the_activation(tmp_path, monkeypatch):
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    for command, shown in (("source .venv/bin/activate", True), (None, False)):
        monkeypatch.setattr(demo, "activation", lambda folder, command=command: command)
        pairs = [PromptPair("a", "a.png", "b.png")]
        write_demo_page(tmp_path, {"one.png": "a"}, pairs, FIGURE, tmp_path / "metrics.jsonl", "limner train x", 1.0)
        page = (tmp_path / "index.html").read_text()
        assert ("<code>source .venv/bin/activate</code>" in page) is shown
        assert not shown or page.index("source .venv") < page.index("limner generate")
