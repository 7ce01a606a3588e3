"""The influence of training images in an evaluation: where it is measured, and where not."""

from __future__ import annotations

import json
import shutil

import pytest

from limner import Studio, TrainRequest
from limner.core.errors import LimnerError
from limner.core.events import Notice, Stage
from limner.core.influence import Influence, TrainingImage
from limner.core.requests import EvaluateRequest, parse_request
from limner.engine.compare.contestants import ModelWithAdapters
from limner.engine.evaluate import training_images
from limner.studio.references import check_references

GENERATE = {"kind": "generate", "prompt": "a cat"}


@pytest.fixture(scope="module")
def data(made_once, painted):
    """Images with a hostile caption."""

    def fill(folder):
        shutil.copytree(painted, folder, dirs_exist_ok=True)
        (folder / "0.txt").write_text("a <script>alert(1)</script> sks dog", encoding="utf-8")

    return made_once("evaluate/data", fill)


@pytest.fixture(scope="module")
def rex(ran_once, tiny_sd, data):
    """An adapter trained on these images."""
    training = TrainRequest(
        data=str(data), class_word="dog", model=str(tiny_sd), steps=4, prior=False, held_out=1, flip=False
    )
    return ran_once("evaluate/rex", training)


@pytest.fixture(scope="module")
def evaluate(rex, data, tmp_path_factory):
    """Evaluate the adapter, reusing its images; returns report, page and events."""
    folder = tmp_path_factory.mktemp("results")
    out = folder / "out"

    def run(**fields):
        asked = {"target": str(rex), "dataset": str(data), "prompt": ["a photo of {}"]}
        asked |= {"steps": 2, "count": 2, "metric": ["saturation"], "precision": "fp32"}
        events = []
        Studio(folder / "home").run(EvaluateRequest.model_validate(asked | fields), out, listener=events.append)
        page = (out / "report.html").read_text(encoding="utf-8")
        return json.loads((out / "report.json").read_text(encoding="utf-8")), page, events

    return run


def notices(events):
    return [event.text for event in events if isinstance(event, Notice) and "are not judged" in event.text]


@pytest.mark.slow
def test_training_images_are_judged(evaluate, rex, data):
    report, page, events = evaluate()
    found = report["influence"]
    assert {each["name"] for each in found["pictures"]} == {f"{number}.png" for number in range(5)}, "one is held out"
    assert found["judged_on"] == 6
    worths = [each["worth"] for each in found["pictures"]]
    assert worths == sorted(worths)
    verdicts = [each["verdict"] for each in found["pictures"]]
    assert (found["harmful"], found["useless"], set(verdicts)) == (0, 0, {None})
    assert "it was not measured whether worth agrees with the truth on" in found["cannot_tell"]
    assert "Which training images do harm?" in page and "<script>alert" not in page
    assert str(rex) not in json.dumps(found) and str(data) not in page
    stages = [event.name for event in events if isinstance(event, Stage)]
    assert stages[-2:] == ["gradients", "writing"]
    assert not notices(events)


def test_influence_can_be_switched_off(evaluate):
    report, page, events = evaluate(influence=False)
    assert report["influence"] is None and "training images do harm" not in page
    assert "gradients" not in [event.name for event in events if isinstance(event, Stage)] and not notices(events)


def test_without_a_dataset_influence_is_not_measured(evaluate):
    report, _, events = evaluate(dataset=None)
    assert report["influence"] is None and not notices(events)


def test_another_folder_is_a_notice_or_an_error(evaluate, painted):
    report, _, events = evaluate(dataset=str(painted))
    assert report["influence"] is None
    (line,) = notices(events)
    assert "'rex' was not trained on the images" in line
    with pytest.raises(LimnerError, match="'rex' was not trained on the images"):
        evaluate(dataset=str(painted), influence=True)


def test_a_later_error_is_a_notice_or_an_error(evaluate, monkeypatch):
    def refused(*_):
        raise LimnerError("no gradients here", "use another")

    monkeypatch.setattr(training_images, "trace", refused)
    report, _, events = evaluate()
    assert report["influence"] is None and notices(events) == ["the training images are not judged: no gradients here"]
    with pytest.raises(LimnerError, match="no gradients here; use another"):
        evaluate(influence=True)


def test_influence_needs_a_single_adapter(evaluate, rex, data, tiny_sd):
    for target in (f"{tiny_sd}+{rex}+{rex}:0.5", str(tiny_sd)):
        with pytest.raises(LimnerError, match="influence needs a single adapter as the target"):
            evaluate(target=target, class_word="dog", influence=True)
    with pytest.raises(LimnerError, match="needs a single adapter"):
        evaluate(target=str(data), prompt=(), influence=True)


def test_no_path_of_the_adapter_is_opened(rex, data, tiny_sd):
    """The influence request names model and data itself, whatever the header says, so nothing is looked up."""
    digest = "0" * 64
    queued = EvaluateRequest.model_validate(
        {"target": f"sha256:{digest}", "dataset": f"folder:{digest}", "prompt": ["a cat"], "influence": True}
    )
    with pytest.raises(LimnerError, match="model is not given"):
        check_references(queued)
    request = EvaluateRequest(target=str(rex), dataset=str(data), prompt=("a cat",))
    target = ModelWithAdapters(
        "rex", "rex", "starter", None, parse_request({**GENERATE, "adapter": [str(rex)]}).adapter
    )
    asked = training_images.influence_request(request, target, lambda event: None)
    assert asked is not None and asked.unresolved == ()
    assert (asked.model, asked.vae, asked.data) == ("starter", None, str(data))


def test_a_single_image_is_not_judged(data, tiny_sd, tmp_path, home):
    (tmp_path / "one").mkdir()
    shutil.copyfile(data / "0.png", tmp_path / "one" / "0.png")
    training = TrainRequest(data=str(tmp_path / "one"), class_word="dog", model=str(tiny_sd), steps=1, prior=False)
    Studio().run(training, tmp_path / "alone")
    request = EvaluateRequest(
        target=str(tmp_path / "alone"), dataset=str(tmp_path / "one"), prompt=("a dog",), count=1, steps=1,
        metric=("saturation",),
    )  # fmt: skip
    events = []
    Studio().run(request, tmp_path / "out", listener=events.append)
    assert notices(events) == [
        "the training images are not judged: a single training image has no others to be judged on"
    ]


def test_the_page_shows_the_worst_and_the_best(painted):
    pictures = sorted(painted.glob("*.png"))
    verdicts = ["harmful", "useless", "useful"]
    training = tuple(
        TrainingImage(
            picture=str(pictures[number % 6]),
            sha256="0" * 64,
            caption=f"picture {number}",
            worth=number / 10 - 1,
            verdict=verdicts[min(number // 15, 2)],
        )
        for number in reversed(range(60))
    )
    found = Influence(
        adapter="rex", sha256="0", model="m", data="d", output="loss", timesteps=1, ridge=0.1, seed=1, judged_on=60,
        training=training, pictures=(),
    )  # fmt: skip
    page = training_images.training_page(found)
    assert page["verdict"] == "Of 60 training images 15 are harmful, 15 useless." and page["more"] == 6
    assert [each["caption"] for each in page["bad"]] == [f"picture {number}" for number in range(24)]
    assert [each["caption"] for each in page["good"]] == [f"picture {number}" for number in range(59, 53, -1)]
    assert page["bad"][0]["worth"] == "-1.000"
