"""Scores of checkpoints: the best one is kept, training stops early, and a killed run goes on with its scores."""

from __future__ import annotations

import json
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from limner import LimnerError, Studio, TrainRequest
from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.events import ArtifactCreated, Notice, Stage
from limner.engine.scoring.encoders import open_encoder
from limner.engine.train import checkpoint_report, checkpoint_scores
from limner.models.adapters import facts_of
from limner.models.options import LORA_FILE
from limner.provenance.labels import read_label
from limner.provenance.verify import verify

KEEP = {"keep": "best", "trial_prompt": ("{} on the beach", "{} in the snow"), "steps": 6, "resolution": 64}


@pytest.fixture
def scored(monkeypatch):
    """Let the test say how good each step is, without plots. Returns the scores by step, (subject, prompt)."""
    chosen = {0: (0.2, 0.5), 2: (0.3, 0.5), 4: (0.6, 0.5), 6: (0.4, 0.5)}

    def scores_of(self, step, pictures):
        subject, prompt = chosen[step]
        return StepScores(step=step, subject=(subject,) * len(pictures), prompt=(prompt,) * len(pictures))

    monkeypatch.setattr(checkpoint_scores.CheckpointScorer, "_score", scores_of)
    for plot in ("curves_svg", "tradeoff_svg"):
        monkeypatch.setattr(checkpoint_report, plot, lambda *given: "")
    return chosen


def trained(folder):
    return {name: value.numpy().tobytes() for name, value in load_file(folder / LORA_FILE).items()}


def test_leaves_the_numbers_and_a_page(learn):
    folder, events = learn(**KEEP)
    found = json.loads((folder / "checkpoints.json").read_text())
    assert [row["step"] for row in found["steps"]] == [0, 2, 4, 6]
    assert found["encoder"] == "starter" and found["prompts"] == ["sks dog on the beach", "sks dog in the snow"]
    best = max(found["steps"][1:], key=lambda row: row["balance"])
    assert found["kept_step"] == best["step"] == facts_of(folder / LORA_FILE)["kept_step"]
    page = (folder / "checkpoints.html").read_text()
    assert page.count("data:image/webp") == 2 * 4 and "encoder of starter" in page
    assert [event.path for event in events if isinstance(event, ArtifactCreated) and event.what == "report"] == [
        str(folder / "checkpoints.html")
    ]
    assert f"step {best['step']} of 6" in (folder / "README.md").read_text()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "balance" in line] == [2, 4, 6]


def test_the_best_is_what_was_trained_at_that_step(learn, scored):
    kept, _ = learn(**KEEP)
    assert facts_of(kept / LORA_FILE)["kept_step"] == 4
    last, _ = learn(out="last", steps=6, resolution=64)
    assert trained(kept) != trained(last)
    scored[6] = (0.9, 0.5)
    assert trained(learn(out="other", **KEEP)[0]) == trained(last)


@pytest.mark.slow
def test_an_average_is_kept_as_it_was_scored(learn, scored):
    kept, _ = learn(**KEEP, ema=0.5)
    scored |= {2: (0.3, 0.5), 4: (0.6, 0.5), 6: (0.7, 0.5)}
    other, _ = learn(out="other", **KEEP, ema=0.5)
    whole, _ = learn(out="whole", steps=6, resolution=64, ema=0.5)
    assert trained(kept) != trained(other) == trained(whole)


@pytest.mark.parametrize(("balance", "weight"), [(None, 0.5), (0.0, 0.0), (1.0, 1.0)])
def test_it_is_measured_how_alike_photographs_are_and_how_near_pictures_are_to_prompts_of_others(
    monkeypatch, balance, weight
):
    """Each photograph with the others alone; each picture with all prompts but its own, which may be a usual one."""
    features = {}

    def encode(things):
        for thing in things:
            seen = torch.randn(8, generator=torch.Generator().manual_seed(len(features)))
            features.setdefault(thing, seen / seen.norm())
        return torch.stack([features[thing] for thing in things])

    encoder = SimpleNamespace(name="mine", images=encode, texts=encode)
    monkeypatch.setattr(checkpoint_scores, "open_encoder", lambda name: encoder)
    pictures, base = ["first", "second"], StepScores(step=0, subject=(0.1, 0.1), prompt=(0.3, 0.3))
    each = checkpoint_scores.CheckpointScorer.__new__(checkpoint_scores.CheckpointScorer)
    monkeypatch.setattr(each, "_sample", lambda plain, step: pictures, raising=False)
    monkeypatch.setattr(each, "_score", lambda step, shown: base, raising=False)
    each.request = TrainRequest(data="x", class_word="dog", keep="best", balance=balance)
    each.images = ("a", "b", "c")
    each.plain = ["a dog on the moon", "a photo of dog on the beach"]
    each.subject = SimpleNamespace(prompts=("sks dog on the moon", "a photo of sks dog on the beach"))
    each.scorers = SimpleNamespace(ready={name: (None, "mine", None) for name in checkpoint_scores.METRICS})
    found = each._score_base(SimpleNamespace(prompts=each.plain))

    def cosine(one, other):
        return float(features[one] @ features[other])

    usual = [prompt.replace("{}", "dog") for prompt in checkpoint_scores.PROMPTS]
    strange = [
        cosine(picture, text)
        for picture, own in zip(pictures, each.plain, strict=True)
        for text in {*each.plain, *usual} - {own}
    ]
    assert len(strange) == 12 and found.unrelated_similarity == pytest.approx(fmean(strange), rel=1e-5)
    assert found.training_similarity == pytest.approx(
        (cosine("a", "b") + cosine("b", "c") + cosine("a", "c")) / 3, rel=1e-5
    )
    assert found.weight == weight and found.base == base and found.encoder == "mine"
    each.images = ("a",)
    assert each._score_base(SimpleNamespace(prompts=each.plain)).training_similarity == 1, (
        "of a single one nothing is known"
    )


def test_training_stops_when_it_only_gets_worse(learn, scored):
    scored |= {2: (0.7, 0.5), 4: (0.6, 0.5), 6: (0.9, 0.5)}
    folder, events = learn(**KEEP, patience=1)
    found = json.loads((folder / "checkpoints.json").read_text())
    assert [row["step"] for row in found["steps"]] == [0, 2, 4] and found["kept_step"] == 2
    assert any("no better checkpoint in 1" in event.text for event in events if isinstance(event, Notice))


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["before scoring", "after scoring"])
def test_a_killed_run_goes_on_with_its_standings(request_of, ran_once, tmp_path, monkeypatch, killed):
    request = request_of(**KEEP)
    whole = ran_once("contest/whole", request)
    score = checkpoint_scores.CheckpointScorer.score

    def dying(self, step, loop):
        values = None if killed == "before scoring" and step == 4 else score(self, step, loop)
        if step == 4:
            raise RuntimeError("killed")
        return values

    monkeypatch.setattr(checkpoint_scores.CheckpointScorer, "score", dying)
    with pytest.raises(RuntimeError, match="killed"):
        Studio().run(request, tmp_path / "rex")
    monkeypatch.setattr(checkpoint_scores.CheckpointScorer, "score", score)
    Studio().run(request, tmp_path / "rex", resume=True)
    assert (tmp_path / "rex" / "checkpoints.json").read_text() == (whole / "checkpoints.json").read_text()
    assert trained(tmp_path / "rex") == trained(whole)


def test_pictures_of_a_checkpoint_say_what_they_are(learn, home):
    learn(**KEEP | {"steps": 2})
    pictures = sorted(home.glob("runs/*/standings/*/*.png"))
    assert len(pictures) == 4
    assert read_label(pictures[0]) is None and verify(pictures[0], home).source == "trainedAlgorithmicMedia"


def test_photographs_are_compared_with_each_other_and_not_with_themselves(learn, painted, home):
    learn(**KEEP | {"steps": 2})
    (kept,) = home.glob("runs/*/standings.json")
    features = open_encoder("starter").images(sorted(painted.glob("*.png")))
    alike = (features.double() @ features.double().T).numpy()
    others = alike[~np.eye(len(alike), dtype=bool)]
    assert CheckpointScores.model_validate_json(kept.read_text()).training_similarity == pytest.approx(
        others.mean(), abs=1e-5
    )


def test_an_encoder_that_sees_nothing_is_reported(learn):
    blind = CheckpointScores(
        prompts=("a", "b"),
        encoder="starter",
        weight=0.5,
        training_similarity=1,
        unrelated_similarity=0.3,
        base=StepScores(step=0, subject=(0.1, 0.1), prompt=(0.3, 0.3)),
    )
    found = []
    each = checkpoint_scores.CheckpointScorer.__new__(checkpoint_scores.CheckpointScorer)
    each.scores = blind
    each.describe(found.append)
    assert [event.level for event in found] == ["info", "warning"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"balance": 0.3}, "add keep=best"),
        ({"patience": 2}, "add keep=best"),
        ({"keep": "best", "trial_prompt": ["a dog"]}, "no place for the subject"),
        ({"keep": "best", "trial_prompt": ["{} here", "{} here"]}, "twice"),
        ({"keep": "best", "balance": 1.5}, "less than or equal to 1"),
    ],
)
def test_bad_wishes_are_refused(fields, problem):
    with pytest.raises(ValidationError, match=problem):
        TrainRequest.model_validate({"data": "x", "class_word": "dog", **fields})


def test_trial_prompts_are_read_by_moderation():
    request = TrainRequest(data="x", class_word="dog", keep="best", trial_prompt=("{} with a gun",))
    assert "sks dog with a gun" in request.texts


def test_an_encoder_that_is_not_there_is_reported_before_class_pictures(request_of, tmp_path):
    events = []
    with pytest.raises(LimnerError, match="nowhere/at-all"):
        Studio().run(request_of(**KEEP, encoder="nowhere/at-all"), tmp_path / "rex", listener=events.append)
    assert not [event for event in events if isinstance(event, Stage)]


@pytest.mark.parametrize(("first", "left"), [(2, []), (4, [2, 4]), (6, [2, 4])])
def test_scores_without_the_weights_of_the_best_are_dropped(first, left):
    """Resumed from an older checkpoint: the weights of a later best step have replaced those of the others."""
    after = tuple(StepScores(step=step, subject=(score,), prompt=(0.5,)) for step, score in ((2, 0.3), (4, 0.6)))
    scores = CheckpointScores(
        prompts=("a",),
        encoder="starter",
        weight=1,
        training_similarity=1,
        unrelated_similarity=0,
        base=StepScores(step=0, subject=(0.2,), prompt=(0.5,)),
        after=after,
    )
    each = checkpoint_scores.CheckpointScorer.__new__(checkpoint_scores.CheckpointScorer)
    each.scores = scores
    each.drop_after(first)
    assert [score.step for score in each.scores.after] == left


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b'{"prompts": 3}'])
def test_damaged_scores_are_not_used(tmp_path, damage):
    (tmp_path / "standings.json").write_bytes(damage)
    assert checkpoint_scores._read_scores(tmp_path / "standings.json") is None
