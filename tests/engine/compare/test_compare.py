"""Comparisons: the same seeds for all contestants, continuing without generating again, and correct reports."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner import CompareRequest, Interrupted, LimnerError, Studio, TrainRequest
from limner.core.events import ArtifactCreated, Notice
from limner.core.requests import AdapterUse
from limner.core.votes import VotesKey
from limner.engine.compare import compare as comparing
from limner.engine.compare.blind_page import VoterTexts, choose_pairs, write_blind_page
from limner.engine.compare.compare import find_references
from limner.engine.compare.contestants import ModelWithAdapters, find_contestants
from limner.provenance.labels import read_label

PROMPTS = ("a cat on the beach", "a dog in the snow")


@pytest.fixture(scope="session")
def adapter(tiny_sd, painted, ran_once):
    """An adapter for the tiny SD model."""
    request = TrainRequest(
        data=str(painted), class_word="dog", model=str(tiny_sd), steps=1, batch=1, prior=False, options={"rank": 2}
    )
    return ran_once("compare/rex", request)


@pytest.fixture(scope="session")
def request_of(tiny_sd, adapter):
    def made(*contestants, **fields):
        named = contestants or (str(tiny_sd), str(adapter))
        return CompareRequest(contestants=named, **{"prompt": PROMPTS, "count": 2, "steps": 1, "batch": 3} | fields)

    return made


@pytest.fixture(scope="session")
def compared(request_of, ran_once):
    """A finished comparison."""
    return ran_once("compare/out", request_of())


def pixels_of(folder):
    """Pixels by folder of the contestant, prompt and seed."""
    found = {}
    for path in sorted(folder.glob("pictures/*/*.png")):
        label = read_label(path)
        found[path.parent.name, label.request.prompt, label.seed] = np.asarray(Image.open(path))
    return found


def test_all_contestants_have_the_same_prompts_and_seeds(compared, tiny_sd):
    cells = {(prompt, seed) for prompt in PROMPTS for seed in (42, 43)}
    found = pixels_of(compared)
    assert {name for name, _, _ in found} == {f"1-{tiny_sd.name}", "2-rex"}
    for name in (f"1-{tiny_sd.name}", "2-rex"):
        assert {(prompt, seed) for each, prompt, seed in found if each == name} == cells


def test_an_adapter_without_weight_changes_nothing(request_of, tiny_sd, adapter, tmp_path):
    """All contestants share the noise, so an adapter without weight changes neither images nor scores."""
    Studio(tmp_path / "home").run(request_of(str(tiny_sd), f"{adapter}:0"), tmp_path / "out")
    found = pixels_of(tmp_path / "out")
    first, second = f"1-{tiny_sd.name}", "2-rex-0"
    for prompt in PROMPTS:
        for seed in (42, 43):
            assert np.array_equal(found[first, prompt, seed], found[second, prompt, seed])
    report = json.loads((tmp_path / "out/compare.json").read_text())
    assert {each["mean"] for each in report["differences"]} == {0} and len(report["differences"]) == 3
    assert report["verdict"].startswith("Cannot tell whether rex:0 is better or worse than")


def test_prompts_without_the_subject_give_no_verdict(compared, tiny_sd):
    """Though the images that the adapter was trained on are at hand, and the subject is scored by them."""
    report = json.loads((compared / "compare.json").read_text())
    assert list(report["contestants"][1]["scores"]) == ["subject_fidelity", "prompt_fidelity", "saturation"]
    start = (
        f"Cannot tell whether rex is better or worse than {tiny_sd.name}: 2 of 2 prompts do not ask for the subject of "
    )
    assert report["verdict"].startswith(start) and report["differences"][0]["winner"] is None


def test_every_contestant_is_asked_for_its_subject_and_voters_see_it(request_of, adapter, tiny_sd, painted, tmp_path):
    events = []
    request = request_of(prompt=("a photo of {}",))
    Studio(tmp_path / "home").run(request, tmp_path / "out", listener=events.append)
    assert [prompt for name, prompt, seed in pixels_of(tmp_path / "out") if seed == 42] == [
        "a photo of a dog",
        "a photo of sks dog",
    ]
    said = [event.text for event in events if isinstance(event, Notice)]
    assert [text for text in said if text.startswith("the subject is scored by the 6 images in")]
    page = (tmp_path / "out/blind.html").read_text()
    assert "a photo of this dog" in page and page.count('alt="photo of the subject"') == 4
    report = json.loads((tmp_path / "out/compare.json").read_text())
    assert "it was not measured whether subject fidelity" in report["verdict"], "on this model"
    rows = list(csv.DictReader((tmp_path / "out/compare.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["prompt"] for row in rows} == {"a photo of {}"}


def test_a_queued_run_opens_no_folder_that_an_adapter_names(request_of, painted):
    request = request_of()
    contestants = find_contestants(request)
    heard = []
    assert find_references(request, contestants, False, heard.append) == () and not heard
    assert len(find_references(request, contestants, True, heard.append)) == 6 and len(heard) == 1
    given = request.model_copy(update={"references": str(painted)})
    assert len(find_references(given, contestants, False, heard.append)) == 6


def test_adapters_of_different_images_have_no_images_in_common(request_of, monkeypatch):
    request = request_of()
    base = ModelWithAdapters("base", "base", "base", None, ())
    pairs = [ModelWithAdapters(path, path, "base", None, (AdapterUse(path=path),)) for path in ("a", "b")]
    folders = {"a": "1", "b": "1"}
    monkeypatch.setattr(comparing, "open_adapter", lambda path: path)
    monkeypatch.setattr(comparing, "training_of", lambda adapter: (None, None))
    shown = SimpleNamespace(path=Path("photos/1.png"))
    monkeypatch.setattr(
        comparing, "training_images", lambda path, *given: SimpleNamespace(digest=folders[path], images=[shown])
    )
    assert find_references(request, [base, *pairs], True, lambda event: None) == (shown.path,)
    folders["b"] = "2"
    assert find_references(request, [base, *pairs], True, lambda event: None) == ()


def test_json_and_csv_agree(compared, tiny_sd):
    report = json.loads((compared / "compare.json").read_text())
    rows = list(csv.DictReader((compared / "compare.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 8
    for entrant in report["contestants"]:
        mine = [row for row in rows if row["contestant"] == entrant["name"]]
        for metric, scores in entrant["scores"].items():
            assert [float(row[metric]) for row in mine] == scores["values"]
            assert scores["mean"] == pytest.approx(np.mean(scores["values"]))
        for row, picture in zip(mine, entrant["pictures"], strict=True):
            assert (row["prompt"], int(row["seed"]), row["picture"]) == tuple(
                picture[name] for name in ("prompt", "seed", "path")
            )
            assert read_label(compared / picture["path"]).seed == picture["seed"]
    first, second = report["contestants"]
    for each in report["differences"]:
        pairs = zip(first["scores"][each["metric"]]["values"], second["scores"][each["metric"]]["values"], strict=True)
        assert each["mean"] == pytest.approx(np.mean([b - a for a, b in pairs]))
        assert each["low"] <= each["mean"] <= each["high"] and each["count"] == 4
    assert report["request"]["contestants"][0]["model"] == str(tiny_sd)


def test_existing_images_are_not_generated_again(request_of, compared, tmp_path):
    shutil.copytree(compared, tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/pictures").rglob("*.png")}
    events = []
    Studio(tmp_path / "home").run(request_of(), tmp_path / "out", listener=events.append)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/pictures").rglob("*.png")} == times
    assert not [event for event in events if isinstance(event, ArtifactCreated) and event.what == "picture"]
    kept, again = (json.loads((folder / "compare.json").read_text()) for folder in (compared, tmp_path / "out"))
    assert again["differences"] == kept["differences"]


def test_missing_images_are_generated_bit_identically(request_of, compared, tmp_path):
    shutil.copytree(compared, tmp_path / "out")
    gone = sorted((tmp_path / "out/pictures/2-rex").glob("*.png"))[1:3]
    for path in gone:
        path.unlink()
    (gone[0].parent / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    events = []
    Studio(tmp_path / "home").run(request_of(), tmp_path / "out", listener=events.append)
    assert len([event for event in events if isinstance(event, ArtifactCreated) and event.what == "picture"]) == 2
    (tmp_path / "out/pictures/2-rex/damaged.png").unlink()
    before, after = pixels_of(compared), pixels_of(tmp_path / "out")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[cell], after[cell]) for cell in before)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 2},
        {"seed": 44},
        pytest.param({"guidance": 2.5}, marks=pytest.mark.slow),
        pytest.param({"width": 72}, marks=pytest.mark.slow),
    ],
)
def test_images_of_another_request_are_not_reused(request_of, compared, tmp_path, change):
    shutil.copytree(compared, tmp_path / "out")
    events = []
    Studio(tmp_path / "home").run(request_of(**change), tmp_path / "out", listener=events.append)
    assert len([event for event in events if isinstance(event, ArtifactCreated) and event.what == "picture"]) == 8


def test_images_of_a_changed_adapter_are_generated_again(request_of, compared, adapter, painted, tiny_sd, tmp_path):
    shutil.copytree(compared, tmp_path / "out")
    shutil.copytree(adapter, tmp_path / "rex")
    Studio(tmp_path / "home").run(
        TrainRequest(
            data=str(painted), class_word="dog", model=str(tiny_sd), steps=2, batch=1, prior=False, options={"rank": 1}
        ),
        tmp_path / "new",
    )
    request, events = request_of(str(tiny_sd), str(tmp_path / "rex")), []
    Studio(tmp_path / "home").run(request, tmp_path / "out")
    shutil.rmtree(tmp_path / "rex")
    (tmp_path / "new").rename(tmp_path / "rex")
    Studio(tmp_path / "home").run(request, tmp_path / "out", listener=events.append)
    made = [event for event in events if isinstance(event, ArtifactCreated) and event.what == "picture"]
    assert {event.details["contestant"] for event in made} == {"rex"} and len(made) == 4


def test_a_stopped_comparison_keeps_its_images(request_of, compared, tmp_path):
    seen = []

    def listen(event):
        seen.append(event)

    def stop():
        return sum(isinstance(event, ArtifactCreated) for event in seen) >= 3

    with pytest.raises(Interrupted):
        Studio(tmp_path / "home").run(request_of(), tmp_path / "out", listener=listen, stop=stop)
    kept = len(pixels_of(tmp_path / "out"))
    assert 3 <= kept < 8 and not (tmp_path / "out/compare.json").exists()
    again = []
    Studio(tmp_path / "home").run(request_of(), tmp_path / "out", listener=again.append)
    assert sum(isinstance(event, ArtifactCreated) and event.what == "picture" for event in again) == 8 - kept
    before, after = pixels_of(compared), pixels_of(tmp_path / "out")
    assert all(np.array_equal(before[cell], after[cell]) for cell in before)


def test_the_blind_page_names_no_contestant(compared, adapter):
    page = (compared / "blind.html").read_text()
    key = VotesKey.model_validate_json((compared / "votes-key.json").read_text())
    words = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "data:", page)
    for name in (*key.contestants, str(adapter), "pictures/", ".png"):
        assert name not in words
    assert key.comparison in words and all(name in words for name in key.pairs)
    assert not re.search(r"(src|href)=\"(?!data:)", words) and "http" not in words
    report = (compared / "compare.html").read_text()
    assert "http" not in re.sub(r"http://www\.w3\.org/[\w/]+", "", report)


def test_the_blind_page_shows_what_the_key_says(tmp_path):
    """Every pair's pictures are those of the contestants on that side, found by their colours."""
    painted = [{("a sks cat", seed): tmp_path / f"{number}-{seed}.png" for seed in range(8)} for number in range(3)]
    for number, pictures in enumerate(painted):
        for (_, seed), path in pictures.items():
            Image.new("RGB", (16, 16), (80 * number + 20, 30 * seed + 10, 0)).save(path)
    page, kept = write_blind_page(tmp_path, ("a", "b", "c"), painted, 20, 42, VoterTexts({"a sks cat": "a cat"}))
    key = VotesKey.model_validate_json(kept.read_text())
    pairs = json.loads(re.search(r"pairs = (\[.*?\]), pictures", page.read_text())[1])
    urls = json.loads(re.search(r"pictures = (\[.*?\]);", page.read_text())[1])
    assert len(pairs) == len(key.pairs) == 20 and {shown["prompt"] for shown in pairs} == {"a cat"}
    for row in pairs:
        pair = key.pairs[row["id"]]
        for side in ("left", "right"):
            shown = Image.open(io.BytesIO(base64.b64decode(urls[row[side]].partition(",")[2])))
            assert not shown.info.keys() & {"exif", "xmp", "icc_profile"}
            red, green, _ = shown.convert("RGB").getpixel((8, 8))
            assert (round((red - 20) / 80), round((green - 10) / 30)) == (getattr(pair, side), pair.seed)


def test_pairs_are_balanced_and_in_random_order():
    cells = [(f"prompt {number}", seed) for number in range(10) for seed in range(4)]
    pairs = choose_pairs(3, cells, 60, 42)
    assert len({(pair.prompt, pair.seed, *sorted((pair.left, pair.right))) for pair in pairs}) == 60
    met = [tuple(sorted((pair.left, pair.right))) for pair in pairs]
    assert {met.count(two) for two in set(met)} == {20}
    left = [sum(pair.left == number for pair in pairs) for number in range(3)]
    assert all(10 <= count <= 30 for count in left)
    assert choose_pairs(3, cells, 60, 42) == pairs != choose_pairs(3, cells, 60, 43)
    assert len(choose_pairs(2, cells, 1000, 42)) == 40


def test_names_are_short_and_unique(tiny_sd, adapter, tmp_path):
    def names(*contestants, **fields):
        return [
            each.name for each in find_contestants(CompareRequest(contestants=contestants, prompt=("x",), **fields))
        ]

    shutil.copytree(adapter, tmp_path / "one" / "rex")
    shutil.copytree(adapter, tmp_path / "two" / "rex")
    base = tiny_sd.name
    assert names("starter", str(tiny_sd)) == ["starter", base]
    assert names(str(tiny_sd), str(adapter), f"{adapter}:0.5") == [base, "rex", "rex:0.5"]
    assert names(str(tmp_path / "one/rex"), str(tmp_path / "two/rex")) == ["one/rex", "two/rex"]
    assert names("starter", f"{tiny_sd}+{adapter}") == ["starter", f"{base}+rex"]
    assert names("starter", str(adapter), model=str(tiny_sd)) == ["starter", f"{base}+rex"]


def test_errors_are_raised_before_generation(tiny_sd, adapter, tmp_path, home):
    def refusal(*contestants, **fields):
        with pytest.raises(LimnerError) as caught:
            request = CompareRequest(contestants=contestants, prompt=("x",), steps=1, **fields)
            Studio(tmp_path / "home").run(request, tmp_path / "out")
        assert not list(tmp_path.glob("out/pictures/*"))
        return str(caught.value)

    assert "'satrter' is not an adapter, not a folder and not the name of a model" in refusal("starter", "satrter")
    assert "did you mean 'starter'?" in refusal("starter", "satrter")
    assert "are the same contestant" in refusal(str(adapter), f"{tiny_sd}+{adapter}")
    assert "unknown metric 'prompt_fidelty'; did you mean" in refusal(
        "starter", str(tiny_sd), metric=("prompt_fidelty",)
    )
    (tmp_path / "empty").mkdir()
    assert "holds no .safetensors file" in refusal("starter", str(tmp_path / "empty"))
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x04")
    assert "pickle" in refusal("starter", str(tmp_path / "model.ckpt"))


def test_an_adapter_file_cannot_trigger_downloads(adapter, tmp_path, home):
    from safetensors import safe_open
    from safetensors.torch import save_file

    from limner.models.options import LORA_FILE

    with safe_open(adapter / LORA_FILE, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        header = opened.metadata()
    facts = json.loads(header["limner"])
    facts["base"]["reference"] = "stranger/model"
    (tmp_path / "rex").mkdir()
    save_file(tensors, tmp_path / "rex" / LORA_FILE, {**header, "limner": json.dumps(facts)})
    with pytest.raises(LimnerError, match="'stranger/model', which is not on disk"):
        find_contestants(CompareRequest(contestants=("starter", str(tmp_path / "rex")), prompt=("x",)))
    facts["base"]["reference"] = "gone"
    save_file(tensors, tmp_path / "rex" / LORA_FILE, {**header, "limner": json.dumps(facts)})
    with pytest.raises(LimnerError, match="was trained on 'gone', which does not exist here; write MODEL"):
        find_contestants(CompareRequest(contestants=("starter", str(tmp_path / "rex")), prompt=("x",)))
    save_file(tensors, tmp_path / "rex" / LORA_FILE)
    with pytest.raises(LimnerError, match="does not name the base model that it was trained on; write MODEL"):
        find_contestants(CompareRequest(contestants=("starter", str(tmp_path / "rex")), prompt=("x",)))
