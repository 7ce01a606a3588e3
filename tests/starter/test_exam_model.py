"""The model under test: its settings, the seeds and guidance of its images, and which stored images it reads again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Progress, Stage
from limner.engine.generate import sampling
from limner.models import conditioning
from limner.starter.card import weight_hashes
from limner.starter.exam.model import ModelUnderTest
from limner.starter.exam.options import ExamOptions

FACTS = {"reference": "starter", "steps": 3, "sha256": {"unet/a.safetensors": "1", "judge/model.safetensors": "2"}}


@pytest.fixture
def sampled(monkeypatch):
    """Calls of `sample_images`, which returns an image of its seed's value for each."""
    calls = []

    def sample_images(pipeline, encoded, seeds, settings, size, *, batch, on_step):
        calls.append((pipeline, encoded, list(seeds), settings, size, batch))
        for done in (1, 2):
            on_step(done)
        return (np.full((2, 2, 3), seed, np.uint8) for seed in seeds)

    monkeypatch.setattr(sampling, "sample_images", sample_images)
    monkeypatch.setattr(conditioning, "conditioning", lambda family, components, prompts: (family, components, prompts))
    return calls


def under_test(events=None, stop=lambda: False):
    settings = {"steps": 3, "guidance": 4.5, "guidance_rescale": 0.7}
    listener = (lambda event: None) if events is None else events.append
    return ModelUnderTest("family", "components", "pipeline", FACTS, settings, listener, stop)  # type: ignore[arg-type]


def test_each_prompt_has_its_own_seed_from_42_on(sampled):
    events = []
    images = under_test(events).generate("guidance 0", ["a cat", "a dog"], 0.0)
    assert images[:, 0, 0, 0].tolist() == [42, 43]
    ((pipeline, encoded, seeds, settings, size, batch),) = sampled
    assert (pipeline, encoded, seeds) == ("pipeline", ("family", "components", ["a cat", "a dog"]), [42, 43])
    assert (settings, size, batch) == ({"steps": 3, "guidance": 0.0, "guidance_rescale": 0.7}, (128, 128), 16)
    assert events == [Stage(name="guidance 0", total=6, unit="steps"), Progress(done=1), Progress(done=2)]


def test_without_a_guidance_it_is_the_models_own(sampled):
    under_test().generate("x", ["a cat"])
    assert sampled[0][3]["guidance"] == 4.5


def test_it_stops_between_steps(sampled):
    events = []
    with pytest.raises(Interrupted):
        under_test(events, lambda: True).generate("x", ["a cat"])
    assert events[1:] == [Progress(done=1)]


def test_images_are_read_again_only_for_the_same_request_to_the_same_weights(sampled, tmp_path):
    model, asked = under_test(), ("guidance 3", ["a cat", "a dog"], 3.0, "adapter")
    first = model.generate_cached(tmp_path, *asked)
    assert np.array_equal(model.generate_cached(tmp_path, *asked), first) and len(sampled) == 1
    (stored,) = tmp_path.iterdir()
    assert stored.name.startswith("guidance-3-") and sampled[0][3]["guidance"] == 3.0
    other_judge = replace(model, facts=FACTS | {"sha256": FACTS["sha256"] | {"judge/model.safetensors": "3"}})
    other_judge.generate_cached(tmp_path, *asked)
    assert len(sampled) == 1, "the judge has no part in the images"
    others = [
        (replace(model, facts=FACTS | {"steps": 4}), asked),
        (replace(model, facts=FACTS | {"sha256": FACTS["sha256"] | {"unet/a.safetensors": "3"}}), asked),
        (model, ("guidance 3", ["a cat", "a cow"], 3.0, "adapter")),
        (model, ("guidance 3", ["a cat", "a dog"], 3.5, "adapter")),
        (model, ("guidance 3", ["a cat", "a dog"], 3.0, "other")),
        (model, ("guidance 3", ["a cat", "a dog"], 3.0)),
    ]
    for number, (changed, request) in enumerate(others, 2):
        changed.generate_cached(tmp_path, *request)
        assert len(sampled) == number, request


def test_a_report_names_the_model_and_its_settings(starter, home):
    options = ExamOptions(model=str(starter), steps=4, scheduler="euler", precision="bf16")
    events = []
    model = ModelUnderTest.load(options, events.append, lambda: False)
    assert model.facts == {
        "reference": str(starter),
        "sha256": weight_hashes(starter),
        "steps": 4,
        "guidance rescale": model.sampling["guidance_rescale"],
        "scheduler": "EulerDiscreteScheduler",
        "precision": "bfloat16",
    }
    assert model.sampling["steps"] == 4 and type(model.pipeline.scheduler).__name__ == "EulerDiscreteScheduler"
    assert events == [Stage(name="loading")]


def test_without_options_the_settings_are_the_models(starter, home):
    model = ModelUnderTest.load(ExamOptions(), lambda event: None, lambda: False)
    assert (model.facts["reference"], model.facts["steps"], model.facts["guidance rescale"]) == ("starter", 8, 0.7)
    assert (model.facts["scheduler"], model.sampling["guidance"]) == ("UniPCMultistepScheduler", 3.0)


def test_steps_that_the_named_scheduler_does_not_support_are_refused_before_loading(home, starter, monkeypatch):
    from limner.engine.generate import schedulers

    asked = []

    def check_steps(config, name, steps):
        asked.append((config["_class_name"], name, steps))
        raise LimnerError("no", "no")

    monkeypatch.setattr(schedulers, "check_steps", check_steps)
    events = []
    with pytest.raises(LimnerError):
        ModelUnderTest.load(ExamOptions(steps=7, scheduler="euler"), events.append, lambda: False)
    assert asked == [("UniPCMultistepScheduler", "euler", 7)] and not events
