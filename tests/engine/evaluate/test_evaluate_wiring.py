"""What an evaluation generates and scores, with which metrics, encoders and devices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.core.metrics import ImageSet, MetricResult, ScoredImage
from limner.core.requests import AdapterUse, EvaluateRequest, GenerateRequest, InfluenceRequest
from limner.core.requests.evaluate import PLAIN
from limner.core.workspace import Workspace
from limner.engine.compare import subject as prompt_subject
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.compare.subject import PromptSubject
from limner.engine.evaluate import evaluate, image_folder, images, training_images
from limner.engine.evaluate.images import SubjectPrompt, generate_class_images, generate_images
from limner.provenance.labels import Label, write_png

REX = ModelWithAdapters("rex", "rex", "starter", "a vae", (AdapterUse(path="rex"),))
PLAIN_MODEL = ModelWithAdapters("plain", "plain", "starter", None, ())
EXECUTION: Any = SimpleNamespace(device="cuda:2")


def request_of(**fields: Any) -> EvaluateRequest:
    asked = {"target": "rex", "prompt": ["a {} here", "a tree"], "identifier": "sks", "class_word": "cat", "count": 2}
    return EvaluateRequest.model_validate(asked | fields)


def workspace_of(tmp_path: Path) -> Workspace:
    names = {"blob": "mine"}
    return Workspace("run", tmp_path, tmp_path / "out", tmp_path, names=names, execution=EXECUTION)


class Scorers:
    """Opened scorers: what they were given, and the galleries that they scored."""

    all: list[Any]

    def __init__(self, uses: Any, *given: Any) -> None:
        self.names, self.given, self.scored, self.checked = [use.name for use in uses], given, [], []
        units = {"diversity": "group", "kid": "set"}
        self.ready = {name: (SimpleNamespace(unit=units.get(name, "picture")), None, None) for name in self.names}
        self.models = dict.fromkeys(self.names)
        Scorers.all.append(self)

    def check(self, gallery: ImageSet) -> None:
        self.checked.append(gallery)

    def score(self, gallery: ImageSet) -> dict[str, MetricResult]:
        self.scored.append(gallery)
        count = len(gallery.items)
        return {
            name: MetricResult(name, name, "higher", "picture", None, 0, 0, 0, tuple(map(float, range(count))))
            for name in self.names
        }


def generated(name: str, parts: Any, workspace: Workspace, emit: Any) -> list[dict[int, Path]]:
    """An image for each seed, whose path says what it was generated from."""
    return [
        {seed: Path(f"{part.request.prompt}, {len(part.request.adapter)} adapters, {seed}") for seed in part.seeds}
        for part in parts
    ]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, painted: Path) -> Any:
    """Evaluate without a model; returns the result that is reported."""
    written: list[Any] = []
    Scorers.all = []
    monkeypatch.setattr(evaluate, "Scorers", Scorers)
    monkeypatch.setattr(images, "generate_parts", generated)
    monkeypatch.setattr(evaluate, "write_report", lambda result, *given: written.append(result))
    monkeypatch.setattr(evaluate, "body_of", lambda request, execution: request)
    monkeypatch.setattr(evaluate, "influence_request", lambda request, target, emit: None)
    monkeypatch.setattr(evaluate, "target_of", lambda target: None)

    def carried_out(target: ModelWithAdapters, found: list[Any] | None = None, **fields: Any) -> Any:
        def find(asked: Any, base: Any, called: Any) -> ModelWithAdapters:
            if found is not None:
                found.extend([base, called("blob")])
            return target

        monkeypatch.setattr(evaluate, "find_target", find)
        evaluate.evaluate(request_of(**fields), workspace_of(tmp_path), lambda event: None)
        return written[-1]

    return carried_out


def test_an_adapter_is_scored_with_photographs_and_its_class_by_the_named_encoder(run: Any, painted: Path) -> None:
    found: list[Any] = []
    result = run(REX, found, dataset=str(painted), encoder="my encoder", model="starter")
    photographs = tuple(sorted(painted.glob("*.png")))
    own, drift = Scorers.all
    assert found == ["starter", "mine"] and [each.given[::2] for each in (own, drift)] == [("my encoder", "cuda:2")] * 2
    assert own.given[1]("blob") == "mine"
    assert own.names == ["subject_fidelity", "diversity", "memorisation", "sharpness", "saturation", "clipping"]
    assert drift.names == ["class_drift"] and "class_drift" in result.scores
    ((gallery,), (classes,)) = own.scored, drift.scored
    assert (gallery.references, gallery.training) == (photographs, photographs)
    assert [(str(each.path), each.prompt, each.group) for each in gallery.items] == [
        ("a sks cat here, 1 adapters, 42", "a cat here", "a sks cat here"),
        ("a sks cat here, 1 adapters, 43", "a cat here", "a sks cat here"),
        ("a tree, 1 adapters, 42", "a tree", "a tree"),
        ("a tree, 1 adapters, 43", "a tree", "a tree"),
    ]
    prompts = [template.replace("{}", "cat") for template in PLAIN for _ in range(2)]
    assert [each.prompt for each in classes.items] == prompts == [each.group for each in classes.base]
    assert {str(each.path).split(", ")[1] for each in classes.items} == {"1 adapters"}
    assert {str(each.path).split(", ")[1] for each in classes.base} == {"0 adapters"}
    (expected,) = own.checked
    assert [each.group for each in expected.items] == [each.group for each in gallery.items]
    assert expected.training == photographs and result.subject == "sks cat" and result.class_gallery is classes


def test_photographs_are_not_the_training_images_of_a_plain_model(run: Any, painted: Path) -> None:
    run(PLAIN_MODEL, dataset=str(painted))
    own, drift = Scorers.all
    assert own.scored[0].training == () and "memorisation" not in own.names and drift.names == []


def test_class_drift_is_measured_unless_metrics_are_named(run: Any) -> None:
    run(REX, metric=["sharpness"])
    assert [each.names for each in Scorers.all] == [["sharpness"], []]
    run(REX, metric=["sharpness", "class_drift"])
    assert [each.names for each in Scorers.all[2:]] == [["sharpness"], ["class_drift"]]
    with pytest.raises(LimnerError, match="class drift needs an adapter and a class"):
        run(PLAIN_MODEL, metric=["class_drift"])


def test_diversity_needs_several_images_of_every_prompt(run: Any) -> None:
    run(PLAIN_MODEL, count=1)
    assert Scorers.all[0].names == ["sharpness", "saturation", "clipping"]
    one, two = (ScoredImage(Path("x"), "a", group) for group in "ab")
    names = [use.name for use in evaluate._chosen_metrics(request_of(), ImageSet((one, two, two)))]
    assert names == ["sharpness", "saturation", "clipping"]


def test_what_is_required_is_measured_too() -> None:
    gallery = ImageSet((ScoredImage(Path("x"), "a", "a"),) * 2)

    def names(**fields: Any) -> list[str]:
        return [use.name for use in evaluate._chosen_metrics(request_of(**fields), gallery)]

    usual = ["diversity", "sharpness", "saturation", "clipping"]
    assert names() == usual
    assert names(require=["preference>=0", "sharpness>=0", "class_drift<=1"]) == [*usual, "preference"]
    groups = {"prompt": ["a {group}"], "groups": ["cat", "dog"]}
    assert names(**groups, require=["mistaken<=1"]) == [*usual, "prompt_fidelity"]
    assert names(metric=["kid"]) == ["kid"]


@pytest.mark.parametrize(
    ("require", "problem"),
    [
        ("preference>=0", "the metric is not measured; add --metric preference"),
        ("kid.gap<=1", "kid has no values by group"),
        ("diversity.gap<=1", "diversity has no values by group"),
        ("class_drift.gap<=1", "class_drift has no values by group"),
        ("class_drift<=1", None),
        ("sharpness.gap<=1", None),
        ("mistaken<=1", None),
    ],
)
def test_a_requirement_is_on_what_is_measured(require: str, problem: str | None) -> None:
    Scorers.all = []
    uses = [SimpleNamespace(name=name) for name in ("sharpness", "diversity", "kid")]
    both: Any = Scorers(uses), Scorers([SimpleNamespace(name="class_drift")])
    request = request_of(require=[require], prompt=["a {group}"], groups=["cat", "dog"])
    if problem is None:
        evaluate._check_requirements(request, *both)
    else:
        with pytest.raises(LimnerError, match=problem):
            evaluate._check_requirements(request, *both)


def test_groups_are_read_from_prompts_without_the_identifier(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(evaluate, "confusion_encoder", lambda *asked: given.extend(asked) or "an encoder")
    monkeypatch.setattr(evaluate, "measure_fairness", lambda *asked: given.extend(asked))
    run(REX, prompt=["a {group} by {}"], groups=["dog", "cow"], encoder="my encoder", require=["mistaken<=1"])
    groups, scorers, encoder, require, _, again, gallery, scores, judge, models, called = given
    assert groups is again and dict(groups.texts) == {"dog": ["a dog by a cat"] * 2, "cow": ["a cow by a cat"] * 2}
    assert models == [REX.model]
    assert dict(groups.rows) == {"dog": [0, 1], "cow": [2, 3]}
    assert scorers is Scorers.all[0] and (encoder, judge, called("blob")) == ("my encoder", "an encoder", "mine")
    assert [str(each) for each in require] == ["mistaken<=1"]
    assert gallery is Scorers.all[0].scored[0] and "prompt_fidelity" in scores


def test_a_folder_is_scored_on_the_device_with_photographs(run: Any, painted: Path, monkeypatch: Any) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(evaluate, "target_of", lambda target: evaluate.ImagesTarget(painted))
    monkeypatch.setattr(evaluate, "influence_request", lambda request, target, emit: asked.append(target))
    result = run(REX, prompt=[], dataset=str(painted), encoder="my encoder")
    (own,) = Scorers.all
    assert own.given[::2] == ("my encoder", "cuda:2") and asked == [None] and result.name == painted.name
    assert own.scored[0].references == tuple(sorted(painted.glob("*.png"))) and "subject_fidelity" in own.names
    with pytest.raises(LimnerError, match="the metric is not measured"):
        run(REX, prompt=[], require=["class_drift<=1"])


# Images


def test_images_that_moderation_withheld_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def withheld(name: str, parts: Any, *rest: Any) -> list[dict[int, Path]]:
        first, *others = generated(name, parts, *rest)
        return [{seed: path for seed, path in first.items() if seed != 43}, *others]

    monkeypatch.setattr(images, "generate_parts", withheld)
    prompts = [SubjectPrompt("one", "one"), SubjectPrompt("two", "two")]
    workspace, emit = workspace_of(tmp_path), lambda event: None
    with pytest.raises(LimnerError, match="1 images were withheld by moderation; leave out the prompts"):
        generate_images(request_of(), REX, prompts, tmp_path, workspace, emit)
    with pytest.raises(LimnerError, match="images of the class alone were withheld"):
        generate_class_images(request_of(), REX, "cat", tmp_path, workspace, emit)


def test_a_subject_is_completed_by_the_adapter_where_a_part_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_subject, "open_adapter", lambda path: path)
    training = SimpleNamespace(identifier="zwx", class_word="dog")
    monkeypatch.setattr(prompt_subject, "training_of", lambda adapter: (training, 0))
    assert images.subject_of(request_of(class_word=None), REX) == PromptSubject("sks", "dog")

    def foreign(adapter: Any) -> Any:
        raise LimnerError("no header", "train it")

    monkeypatch.setattr(prompt_subject, "training_of", foreign)
    assert images.subject_of(request_of(identifier=None), REX) == PromptSubject(None, "cat")


def test_an_image_of_a_folder_has_the_prompt_beside_it_or_in_its_label(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    model: Any = {"reference": "m", "sha256": None, "licence": "mit"}
    asked = GenerateRequest(prompt="in the label")
    label = Label(request=asked, index=0, seed=1, version="1", model=model)
    for name, own in (("a", label), ("b", label), ("c", None)):
        write_png(Image.fromarray(pixels + ord(name)), tmp_path / f"{name}.png", own)
    (tmp_path / "a.txt").write_text("beside it\n")
    found = image_folder.items_of_folder(tmp_path)
    assert [(each.prompt, each.group) for each in found] == [
        ("beside it", "beside it"),
        ("in the label", "in the label"),
        (None, "all"),
    ]
    reference = "folder:" + "0123456789abcdef" * 4
    assert image_folder.folder_name(tmp_path, lambda path: reference) == "01234567"
    assert image_folder.folder_name(tmp_path, str) == tmp_path.name


# Influence


def test_influence_is_of_the_evaluated_model_in_the_same_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_images, "open_adapter", lambda path: path)
    monkeypatch.setattr(training_images, "training_of", lambda adapter: (None, None))
    monkeypatch.setattr(training_images, "training_images", lambda *given: None)
    request = request_of(dataset="photos", precision="bf16")
    asked = training_images.influence_request(request, REX, lambda event: None)
    assert asked == InfluenceRequest(adapter="rex", model="starter", vae="a vae", data="photos", precision="bf16")
    two = ModelWithAdapters("x", "x", "starter", None, (AdapterUse(path="rex"), AdapterUse(path="max")))
    assert training_images.influence_request(request, two, lambda event: None) is None
    assert training_images.influence_request(request_of(), REX, lambda event: None) is None
