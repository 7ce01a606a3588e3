"""Agreement of metrics with the truth: the defaults agree, and missing agreement is found."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from limner.core.agreement import FILE, AgreementRecord, SmallestDifference
from limner.core.events import Stage
from limner.core.metrics import DEFAULTS, ImageSet, ScoredImage
from limner.plugins import registry
from limner.starter.exam import agreement, planted
from limner.starter.exam import agreement_cases as cases
from limner.starter.exam.agreement import Agreement, measure_case, subtract_group_means
from limner.starter.exam.agreement_cases import CASES, AgreementCase, ImageWriter
from limner.starter.exam.options import ExamOptions
from limner.starter.exam.prompts import exam_prompts
from limner.starter.painter import CHARACTERS, Scene, caption, paint, random_scene
from limner.starter.painter.animals import BREED_LOOKS
from limner.stats.intervals import correlation

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
NAMED = {"preference", "aesthetic"}
"""Metrics that need a download."""


@pytest.fixture(scope="session")
def found(tmp_path_factory, starter):
    writer = ImageWriter(tmp_path_factory.mktemp("writer"))
    return [line for case in CASES for line in measure_case(case(writer, 4))]


@pytest.mark.slow
def test_every_metric_agrees_with_a_truth_on_few_images(tmp_path, starter):
    writer = ImageWriter(tmp_path)
    sizes = {case: 4 if case is cases.mixed_sets else 2 for case in CASES}  # FID needs 16 images
    few = [line for case, size in sizes.items() for line in measure_case(case(writer, size))]
    assert {line.metric for line in few} == set(registry.metrics.names()) - NAMED
    assert all(line.correlation > 0.5 and 0.2 < line.low < line.correlation < line.high for line in few), few


@pytest.mark.slow
def test_metrics_agree_with_the_truth(found):
    assert {line.metric for line in found} == set(registry.metrics.names()) - NAMED
    for line in found:
        assert line.correlation > 0.5 and line.low > 0.2 and line.n >= 20, line


@pytest.mark.slow
def test_defaults_agree_with_the_truth(found):
    assert set(DEFAULTS) <= {line.metric for line in found if line.correlation >= 0.3}
    assert not any(registry.metrics.get(name).named for name in DEFAULTS)


def test_missing_agreement_is_found(tmp_path):
    writer = ImageWriter(tmp_path)
    case = cases.blurred(writer, 4)
    shuffled = np.random.default_rng(0).permutation(case.values).tolist()
    for line in measure_case(AgreementCase(case.metrics, "chance", case.image_sets, tuple(shuffled))):
        assert abs(line.correlation) < 0.35 and line.low < 0 < line.high


def test_falling_values_are_negated(tmp_path):
    case = cases.blurred(ImageWriter(tmp_path), 2)
    plain = measure_case(case)
    turned = measure_case(AgreementCase(case.metrics, case.truth, case.image_sets, case.values, falling=("sharpness",)))
    assert turned[0].correlation == pytest.approx(-plain[0].correlation) and turned[1] == plain[1]


def test_in_groups_only_differences_from_the_mean_count():
    values, groups = np.array([1.0, 10.0, 2.0, 12.0]), (0, 1, 0, 1)
    assert subtract_group_means(values, groups).tolist() == [-0.5, -1.0, 0.5, 1.0]
    level = np.array([100.0, 0.0, 101.0, 1.0])
    assert correlation(values, level)[0] < 0
    assert correlation(subtract_group_means(values, groups), subtract_group_means(level, groups))[0] > 0


def test_the_images_of_a_case_are_always_the_same(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    first, second = (cases.characters(ImageWriter(tmp_path / name), 1) for name in ("one", "other"))
    assert first.values == second.values
    for one, other in zip(first.image_sets[0].paths, second.image_sets[0].paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_altered_scenes_differ_in_the_given_number_of_attributes():
    rng = random.Random(5)
    for wrong in range(4):
        scene = random_scene(rng)
        other = cases._altered(scene, wrong, rng)
        names = ("place", "style", "light", "breed", "pose", "extra", "colour")
        assert sum(getattr(scene, name) != getattr(other, name) for name in names) == wrong


@pytest.mark.slow
def test_the_command(starter, limner, tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "SIZE", 1)
    monkeypatch.setattr(cases, "SETTINGS", ((1.5, 1), (3.0, 2)))
    monkeypatch.setattr(cases, "CASES", (cases.blurred,))
    monkeypatch.setattr(planted, "SETS", ())
    printed = limner("starter", "agreement", "--out", tmp_path / "out").out
    assert "sharpness" in printed and "rank correlation" in printed
    listed = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert [line["metric"] for line in listed["agreement"]] == [
        *["prompt_fidelity"] * 2,
        *("sharpness", "edge_density", "frequency"),
    ]
    assert (tmp_path / "out" / "agreement.md").read_text().startswith("| metric |")


def test_a_missing_model_is_an_error_of_one_line(limner, tmp_path):
    said = limner("starter", "agreement", "--model", "./no-such", "--out", tmp_path / "out")
    assert said.code == 2 and "no-such" in said.error


def test_the_page_lists_every_metric_and_the_defaults():
    page = DOCS.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == registry.metrics.names()
    marked = re.findall(r"^\| `(\w+)` \|.*\| yes \|$", page, re.MULTILINE)
    assert sorted(marked) == sorted(DEFAULTS)
    measured = re.findall(r"^\| ([a-z ]+) \| *(yes|for adapters|) *\| .* \| \d+ \| (-?\d\.\d\d) \|", page, re.MULTILINE)
    assert {name.replace(" ", "_") for name, _, _ in measured} == set(registry.metrics.names()) - NAMED | {"worth"}
    poor = {name.replace(" ", "_") for name, _, value in measured if abs(float(value)) < 0.3}
    assert not poor & set(DEFAULTS)
    assert {name.replace(" ", "_") for name, default, _ in measured if default == "yes"} == set(DEFAULTS)


def test_the_page_has_the_figures_that_verdicts_read(starter):
    """One list in two forms: the record beside the weights, and the table."""
    record = AgreementRecord.model_validate_json((starter / FILE).read_text(encoding="utf-8"))
    page = DOCS.read_text(encoding="utf-8")
    table = re.findall(
        r"^\| ([a-z ]+) \| *(?:yes|for adapters|) *\| (.*) \| (\d+) \| (\S+) \| (\S+) to (\S+) \|", page, re.M
    )
    assert table == [
        (
            each.metric.replace("_", " "),
            each.truth,
            str(each.n),
            *(f"{v:.2f}" for v in (each.correlation, each.low, each.high)),
        )
        for each in record.agreement
    ]


def test_the_page_has_the_smallest_differences_that_verdicts_read(starter):
    record = AgreementRecord.model_validate_json((starter / FILE).read_text(encoding="utf-8"))
    page = DOCS.read_text(encoding="utf-8").partition("### The smallest difference that matters")[2]
    table = re.findall(r"^\| ([a-z ]+) \| ([0-9.]+) \| (.*) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert table == [(name.replace("_", " "), *values) for name, values in agreement.spreads(record.differences)]


def test_metrics_need_the_images_of_a_case(tmp_path):
    case = AgreementCase(("sharpness",), "nothing", (ImageSet((ScoredImage(tmp_path / "absent.png"),)),), (1.0,))
    with pytest.raises(ValueError, match=r"absent\.png"):
        measure_case(case)


# The truth of each case, recomputed


@pytest.fixture
def drawn(monkeypatch):
    """Each image that a case paints is a plain one of its own grey: grey -> its scene and look."""
    scenes = {}

    def painted(scene, look=None):
        scenes[len(scenes)] = (scene, look)
        return Image.new("RGB", (4, 4), (len(scenes) - 1,) * 3)

    monkeypatch.setattr(cases, "paint", painted)
    return scenes


def grey(path):
    with Image.open(path) as image:
        return image.getpixel((0, 0))[0]


def test_changed_captions_are_of_the_unchanged_scene(drawn, tmp_path):
    case = cases.changed_captions(ImageWriter(tmp_path), 1)
    (images,) = case.image_sets
    assert case.values == (0, -1, -2, -3) * 4 and case.metrics == ("prompt_fidelity",)
    names = ("place", "style", "light", "breed", "pose", "extra", "colour")
    for at, (item, value) in enumerate(zip(images.items, case.values, strict=True)):
        (scene, _), (first, _) = drawn[grey(item.path)], drawn[at - at % 4]
        assert item.prompt == caption(first)
        assert sum(getattr(scene, name) != getattr(first, name) for name in names) == -value


def test_an_altered_scene_takes_the_colours_of_what_it_takes():
    rng = random.Random(1)
    scene = random_scene(rng, subject="cat", place="park", extra="scarf", extra_colour="red")
    found = [cases._altered(scene, 3, rng) for _ in range(200)]
    assert any(other.place == "studio" for other in found) and any(other.extra is None for other in found)
    for other in found:
        assert other.extra == "scarf" or (other.extra is None) <= (other.extra_colour is None)
        if other.extra == "scarf":
            continue
        assert other.extra_colour is None or other.extra in ("top hat", "bow tie", "party hat"), other


def test_a_characters_truth_is_the_share_of_its_marks(drawn, tmp_path):
    case = cases.characters(ImageWriter(tmp_path), 2)
    at = 0
    for images in case.image_sets:
        name = drawn[grey(images.references[0])][0].character
        look = CHARACTERS[name]
        references = [drawn[grey(path)] for path in images.references]
        assert [scene.place for scene, _ in references] == ["park", "beach", "snow", "city"]
        assert all(own is None and scene.character == name for scene, own in references)
        for item in images.items:
            scene, shown = drawn[grey(item.path)]
            value = case.values[at]
            at += 1
            assert scene.place in ("forest", "desert") and shown is not None and shown.species == look.species
            if value:
                assert shown.coat == look.coat and set(shown.marks) <= set(look.marks)
                assert value == (len(shown.marks) + 1) / (len(look.marks) + 1)
                assert shown.ear_colour == (look.ear_colour if "coloured ears" in shown.marks else None)
            else:
                assert shown is not look
        looks = [drawn[grey(item.path)][1] for item in images.items][-8:]
        assert all(shown in CHARACTERS.values() and shown != look for shown in looks[:4])
        assert all(shown in BREED_LOOKS.values() for shown in looks[4:])
    assert at == len(case.values)


def test_groups_differ_in_as_many_attributes_as_the_truth_says(drawn, tmp_path):
    case = cases.varied_groups(ImageWriter(tmp_path), 2)
    (images,) = case.image_sets
    assert case.values == tuple(map(float, range(6))) * 3
    assert list(Counter(item.group for item in images.items).values()) == [4] * len(case.values)
    groups = {}
    for item in images.items:
        groups.setdefault(item.group, []).append(drawn[grey(item.path)][0])
    for (name, scenes), value in zip(groups.items(), case.values, strict=True):
        assert name.endswith(f", {value:g}")
        fields = ("breed", "place", "style", "light", "pose")
        assert sum(len({getattr(scene, field) for scene in scenes}) > 1 for field in fields) <= value
        assert {(scene.extra, scene.weather) for scene in scenes} == {(None, "clear")}
        places = {(scene.place, scene.backdrop) for scene in scenes}
        assert len(places) == 1 or value > 0


def test_edited_images_follow_their_edits(tmp_path):
    writer = ImageWriter(tmp_path)
    for case, truth in (
        (cases.blurred(writer, 1), (0.0, -0.4, -0.8, -1.2, -1.8, -2.5)),
        (cases.coloured(writer, 1), (0.0, 0.4, 0.8, 1.2, 1.6, 2.2)),
        (cases.contrasted(writer, 1), (0.0, 0.4, 0.8, 1.2, 1.6, 2.2)),
    ):
        assert case.values == truth * 2
    first, second = (cases.edited(writer, 1, ("sharpness",), truth, [(1.0, lambda image: image)]) for truth in "ab")
    again = cases.edited(writer, 1, ("sharpness",), "a", [(1.0, lambda image: image)])
    pixels = [each.image_sets[0].paths[0].read_bytes() for each in (first, second, again)]
    assert pixels[0] == pixels[2] != pixels[1], "the truth is the seed"


def test_copies_are_blends_of_training_images(tmp_path):
    case = cases.copied(ImageWriter(tmp_path), 2)
    (images,) = case.image_sets
    assert (case.metrics, case.falling) == (("memorisation", "uniqueness"), ("uniqueness",))
    assert case.values == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0) * 4 and len(images.training) == 8

    def pixels(path):
        with Image.open(path) as image:
            return np.asarray(image).astype(int)

    mirrored = []
    for number in range(4):
        other, *_, nearly, last = (pixels(item.path) for item in images.items[6 * number : 6 * number + 6])
        source = pixels(images.training[number])
        mirrored.append(np.array_equal(last, source[:, ::-1]))
        assert mirrored[-1] or np.array_equal(last, source)
        assert not np.array_equal(other, source) and np.abs(nearly - (0.2 * other + 0.8 * last)).max() <= 1.5
    assert 0 < sum(mirrored) < 4


def test_drift_is_the_share_of_the_characters_look(drawn, tmp_path):
    case = cases.drifted(ImageWriter(tmp_path), 3)
    (images,) = case.image_sets
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert case.values == shares * 6 and len(images.base) == len(images.items)
    for at, (item, base, share) in enumerate(zip(images.items, images.base, case.values, strict=True)):
        first, last = 2 * (at // 6), 2 * (at // 6) + 1
        (scene, breed), (same, look) = drawn[first], drawn[last]
        assert scene == same and look == CHARACTERS[scene.character] and breed in BREED_LOOKS.values()
        assert breed.species == look.species and grey(base.path) == first
        assert abs(grey(item.path) - (first + share)) <= 1
        assert item.prompt == base.prompt == f"a photo of a {look.species}"
        if share in (0.0, 1.0):
            assert grey(item.path) == first + share


def test_mixed_sets_have_as_many_strangers_as_the_truth_says(drawn, tmp_path):
    case = cases.mixed_sets(ImageWriter(tmp_path), 2)
    assert case.values == pytest.approx([share / 10 for share in range(11) for _ in range(2)])
    assert case.metrics == ("fid", "kid")
    references = {frozenset(images.references) for images in case.image_sets}
    assert len(references) == 1
    for images, share in zip(case.image_sets, case.values, strict=True):
        subjects = [drawn[grey(path)][0].subject for path in images.paths]
        assert len(subjects) == len(set(images.paths)) == 8 and subjects.count("car") == round(8 * share)
        assert {drawn[grey(path)][0].subject for path in images.references} == {"dog"}
        assert not set(images.paths) & set(images.references)


def test_generated_images_are_scored_at_their_own_guidance_and_steps(tmp_path, monkeypatch, starter):
    calls = []

    class Model:
        def generate(self, stage, texts, guidance):
            calls.append((stage, list(texts), guidance, self.sampling))
            scenes = {prompt.text: prompt.scene for prompt in exam_prompts()}
            pixels = np.stack([np.asarray(paint(scenes[text])) for text in texts])
            return pixels if guidance > 2 else np.zeros_like(pixels)

    monkeypatch.setattr(
        cases,
        "replace",
        lambda it, **changes: altered(it, changes) if isinstance(it, Model) else replace(it, **changes),
    )

    def altered(model, changes):
        other = Model()
        vars(other).update(vars(model) | changes)
        return other

    model = Model()
    model.sampling = {"steps": 99, "guidance": 1.0}
    whole, among = cases.generated_prompts(ImageWriter(tmp_path), model, 2)
    prompts = [exam_prompts()[i * 512 // 6] for i in range(6)]
    assert [(stage, guidance, sampling["steps"]) for stage, _, guidance, sampling in calls] == [
        ("guidance 1.5", 1.5, 4),
        ("guidance 3", 3.0, 10),
        ("guidance 7.5", 7.5, 10),
        ("guidance 12.5", 12.5, 6),
    ]
    assert all(texts == [prompt.text for prompt in prompts] for _, texts, _, _ in calls)
    assert [item.prompt for item in whole.image_sets[0].items] == [prompt.text for prompt in prompts] * 4
    values = np.reshape(whole.values, (4, 6))
    assert values[0].max() <= 0.5 and values[1:].mean() > 0.8 and values.max() <= 1
    assert whole.groups == () and among.groups == tuple(range(6)) * 4
    assert among.values == whole.values and among.truth.endswith(", among those of one prompt")


def test_the_report_has_every_agreement(tmp_path, monkeypatch):
    listener, stop, loaded = [], (lambda: True), []
    case = SimpleNamespace(metrics=("fid", "kid"))
    fid = {"metric": "fid", "network": "starter", "truth": "truth", "n": 22}
    fid |= {"correlation": 0.876, "low": 0.7, "high": 0.95}
    other = {"metric": DEFAULTS[0], "truth": "other", "n": 9, "correlation": 0.5, "low": -0.1, "high": 0.8}
    found = [Agreement.model_validate(each) for each in (fid, other)]
    worths = [(np.array([0.1, 0.3, 0.2]), np.array([0.0, 1.0, 1.0])), (np.array([0.5]), np.array([0.0]))]
    model = SimpleNamespace(facts={"reference": "mine"})
    asked = []
    monkeypatch.setattr(agreement.ModelUnderTest, "load", lambda *given: loaded.append(given) or model)
    monkeypatch.setattr(
        agreement, "agreement_cases", lambda writer, tested, size: asked.append((tested, size)) or [case]
    )
    monkeypatch.setattr(agreement, "measure_case", lambda given: found)
    monkeypatch.setattr(planted, "planted_worths", lambda *given: worths)
    spread = SmallestDifference(metric="fid", network="starter", sets="alike", images=12, pairs=3, value=0.0456)
    monkeypatch.setattr(agreement, "equal_sets", lambda writer, size: [SimpleNamespace(metrics=("fid",), size=size)])
    monkeypatch.setattr(agreement, "smallest_differences", lambda given: [spread] if given.size == 8 else [])
    options = ExamOptions(model="mine")
    record = agreement.measure_agreement(tmp_path / "out", options, listener.append, stop)
    *images, worth = record.agreement
    assert images == found and (worth.metric, worth.network, worth.n) == ("worth", None, 4)
    assert worth.correlation == pytest.approx(correlation(np.array([0.1, 0.3, 0.2, 0.5]), np.array([0, 1, 1, 0]))[0])
    assert loaded == [(options, listener.append, stop)] and asked == [(model, 8)]
    assert listener == [Stage(name="fid, kid"), Stage(name="equally good sets: fid")]
    report = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert (report["model"], report["size"]) == ({"reference": "mine"}, 8)
    assert report["agreement"][0] == fid and report["differences"] == [spread.model_dump()]
    assert record.differences == (spread,)
    page = (tmp_path / "out" / "agreement.md").read_text()
    assert "| fid |  | truth | 22 | 0.88 | 0.70 to 0.95 |" in page and "| fid | 0.0456 | alike | 12 | 3 |" in page
    assert f"| {DEFAULTS[0].replace('_', ' ')} | yes | other | 9 | 0.50 | -0.10 to 0.80 |" in page


def test_a_case_has_one_value_for_each_item_of_all_its_sets(tmp_path):
    case = cases.blurred(ImageWriter(tmp_path), 2)
    (images,) = case.image_sets
    half = len(images.items) // 2
    halves = (ImageSet(images.items[:half]), ImageSet(images.items[half:]))
    (line,) = measure_case(AgreementCase(("sharpness",), "blur", halves, case.values))
    assert line.n == len(case.values) and line.correlation == pytest.approx(measure_case(case)[0].correlation)


def test_groups_are_subtracted_from_values_and_truth(tmp_path):
    """Between two groups the metric and the truth run against each other, within each together."""
    sharp = [Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))]
    levels = (0.2, 0.3, 0.7, 0.8)
    writer = ImageWriter(tmp_path)
    items = tuple(
        ScoredImage(writer.write(Image.blend(Image.new("RGB", (64, 64)), sharp[0], level))) for level in levels
    )
    case = AgreementCase(("sharpness",), "x", (ImageSet(items),), (10.0, 11.0, 0.0, 1.0), groups=(5, 5, 9, 9))
    assert measure_case(replace(case, groups=()))[0].correlation < 0 < 0.5 < measure_case(case)[0].correlation


def test_images_are_numbered_in_the_order_in_which_they_are_written(tmp_path):
    writer = ImageWriter(tmp_path)
    paths = [writer.write(Image.new("RGB", (2, 2))), *writer.write_scenes([Scene(subject="cat"), Scene(subject="dog")])]
    assert [path.name for path in paths] == ["00000.png", "00001.png", "00002.png"]
