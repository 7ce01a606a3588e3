"""The training loop on a model of one number: what it learns from, how much each part counts, and when it tells."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from limner import TrainRequest
from limner.core.errors import Interrupted
from limner.core.events import Progress
from limner.core.execution import Execution
from limner.core.protocols import Batch, Draw
from limner.core.workspace import Workspace
from limner.data.sets.folder import Scan
from limner.engine.train import callbacks
from limner.engine.train.ema import Average
from limner.engine.train.examples import Examples
from limner.engine.train.loop import Loop, generator_for, joined, order
from limner.engine.train.optimisers import build_optimiser
from limner.engine.train.plan import make_plan
from limner.engine.train.processes import ALONE, Processes
from limner.engine.train.sampling_weights import drawn, weights_of
from limner.plugins.families.sd import plugin as SD


class Model:
    """Its loss of a picture is weight x the picture's number + noise x its time, by caption and view."""

    def __init__(self):
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen, self.teachers, self.learning = [], [], None

    def draw(self, components, shape, rng, objective):
        return Draw(torch.randn(shape, generator=rng), torch.randint(1000, shape[:1], generator=rng))

    def loss(self, components, batch, draw, objective, teacher=None):
        self.teachers.append(teacher)
        numbers = batch.latents.flatten(1)[:, 0]
        words = batch.text["words"].flatten()
        self.seen += list(zip(numbers.tolist(), words.tolist(), draw.timesteps.tolist(), strict=True))
        return self.weight * numbers * (1 + draw.timesteps / 1000)

    def groups(self):
        return {"denoiser": [self.weight]}

    def state(self):
        return {"weight": self.weight}

    def train(self, on):
        self.learning = on

    def untaught(self):
        return nullcontext()


def examples(numbers, views=1, captions=("a", ""), told=None, weights=None):
    """Pictures that are numbers; in their second view they are negative."""
    latents = torch.tensor([[number, -number][:views] for number in numbers]).reshape(len(numbers), views, 1, 1, 1)
    words = torch.arange(float(len(captions)))[:, None]
    told = told or (0,) * len(numbers)
    return Examples(latents, captions, {"words": words}, told, torch.zeros(len(numbers), 6), weights=weights)


def loop(subject, prior=None, watched=None, processes=ALONE, **fields):
    request = TrainRequest(
        **{"data": "x", "class_word": "dog", "batch": 2, "steps": 4, "prior": prior is not None, "warmup": 0} | fields
    )
    plan = make_plan(request, Scan(()), SD.facts, 64, processes.count)
    model = Model()
    optimiser = build_optimiser("adamw", model.groups(), plan.rates, 0.0)
    components = SimpleNamespace(device=torch.device("cpu"))
    return Loop(request, plan, model, components, model, optimiser, subject, prior, watched, None, False, processes)


def times(step, count, seed=42):
    """The times that a step draws, as it would draw them for so many pictures of one number."""
    rng = generator_for(seed, "noise", step)
    torch.randn((count, 1, 1, 1), generator=rng)
    return torch.randint(1000, (count,), generator=rng)


# Which pictures


def test_every_pass_shows_every_picture_once_in_an_order_of_its_own():
    shown = [index for step in range(6) for index in order(4, 2, step, seed=1)]
    passes = [shown[start : start + 4] for start in (0, 4, 8)]
    assert [sorted(each) for each in passes] == [[0, 1, 2, 3]] * 3
    assert len(set(map(tuple, passes))) > 1
    whole = order(4, 12, 0, seed=1)
    assert whole == shown, "however it is cut into steps"
    assert order(4, 12, 0, seed=2) != whole


def test_a_batch_may_reach_over_the_end_of_a_pass():
    shown = [index for step in range(3) for index in order(3, 2, step, seed=5)]
    assert sorted(shown[:3]) == sorted(shown[3:]) == [0, 1, 2]


def test_with_weights_pictures_come_as_often_as_their_share():
    weights = (1.0, 1.0, 2.0, 4.0)
    shown = Counter(index for step in range(200) for index in order(4, 4, step, 3, weights))
    assert {index: shown[index] / 200 for index in range(4)} == pytest.approx({0: 0.5, 1: 0.5, 2: 1, 3: 2}, abs=0.02)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.999])
def test_a_pass_draws_each_as_often_as_its_share_rounded(start):
    """Systematic sampling: of shares 0.4, 1, 1.2 and 1.4 none comes more often than its share rounded up."""
    weights = (0.4, 1.0, 1.2, 1.4)
    for turn in range(30):
        counts = Counter(drawn(weights, turn, start))
        assert sum(counts.values()) == 4
        assert all(math.floor(w) <= counts[i] <= math.ceil(w) for i, w in enumerate(weights))
    total = Counter(index for turn in range(500) for index in drawn(weights, turn, start))
    assert [total[i] / 500 for i in range(4)] == pytest.approx(list(weights), abs=0.02)


def test_equal_weights_are_none():
    assert weights_of([1.0, 1.0]) is None and weights_of([]) is None
    assert weights_of([1.0, 2.0]) == (1.0, 2.0)
    assert drawn((3.0, 3.0, 3.0), 5, 0.5) == [0, 1, 2]


def test_randomness_is_of_seed_purpose_and_step():
    def first(*key):
        return torch.rand((), generator=generator_for(*key)).item()

    assert first(1, "noise", 2) == first(1, "noise", 2)
    assert len({first(1, "noise", 2), first(2, "noise", 2), first(1, "views", 2), first(1, "noise", 3)}) == 4


# How much each part counts


def test_the_loss_is_the_subjects_mean_plus_the_weighted_mean_of_the_class():
    each = loop(examples([1.0, 2.0, 3.0]), examples([10.0, 20.0]), prior_weight=0.5)
    (loss,) = each.losses(1)
    seen = each.family.seen
    subject, prior = seen[:2], seen[2:]
    assert len(subject) == len(prior) == 2 and all(number < 10 for number, _, _ in subject)
    wanted = sum(n * (1 + t / 1000) for n, _, t in subject) / 2 + 0.5 * sum(n * (1 + t / 1000) for n, _, t in prior) / 2
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert [t for _, _, t in seen] == times(1, 4).tolist()
    assert [number for number, _, _ in subject] == [1.0 + index for index in order(3, 2, 1, 42)]


@pytest.mark.parametrize(("target", "teaches"), [("model", True), ("pictures", False)])
def test_the_base_model_teaches_the_class_where_that_is_asked(target, teaches):
    each = loop(examples([1.0, 2.0]), examples([10.0, 20.0]), prior_target=target)
    list(each.losses(0))
    (teacher,) = each.family.teachers
    assert (teacher is not None) == teaches
    if teaches:
        assert len(teacher.text["words"]) == 2


@pytest.mark.parametrize(("accumulation", "processes"), [(1, 1), (4, 1), (2, 2), (1, 4)])
def test_the_parts_of_a_batch_add_up_to_it(accumulation, processes):
    """Each part counts its share, draws the noise that it would draw in one batch, and is some process's."""
    whole = loop(examples([1.0, 2.0, 3.0]), examples([10.0, 20.0]), batch=4)
    wanted = sum(part.item() for part in whole.losses(0))
    found, seen = 0.0, []
    for index in range(processes):
        each = loop(
            examples([1.0, 2.0, 3.0]),
            examples([10.0, 20.0]),
            batch=4,
            accumulation=accumulation,
            processes=Processes(index, processes),
        )
        parts = list(each.losses(0))
        assert len(parts) == accumulation
        found += sum(part.item() for part in parts)
        seen += each.family.seen
    assert found == pytest.approx(wanted, rel=1e-5)
    assert sorted(seen) == sorted(whole.family.seen)


@pytest.mark.parametrize(("dropout", "share"), [(0.0, 0.0), (0.25, 0.25), (0.9, 0.9)])
def test_captions_are_dropped_as_often_as_asked(dropout, share):
    each = loop(examples([1.0, 2.0], told=(0, 0)), caption_dropout=dropout, batch=400)
    list(each.losses(0))
    assert sum(words == 1 for _, words, _ in each.family.seen) / 400 == pytest.approx(share, abs=0.06)


def test_class_pictures_are_told_nothing_as_often_as_asked():
    each = loop(examples([1.0]), examples([10.0]), prior_dropout=0.5, batch=400)
    list(each.losses(0))
    told = Counter((number >= 10, words) for number, words, _ in each.family.seen)
    assert told[False, 0.0] == 400 and told[True, 1.0] == pytest.approx(200, abs=40)


def test_both_views_of_a_picture_are_shown():
    each = loop(examples([1.0, 2.0], views=2), batch=400)
    list(each.losses(0))
    mirrored = sum(number < 0 for number, _, _ in each.family.seen)
    assert mirrored == pytest.approx(200, abs=40)


def test_the_view_of_a_picture_is_drawn_anew_in_every_step():
    each = loop(examples([1.0], views=2), batch=1, steps=100)
    for step in range(100):
        list(each.losses(step))
    assert sum(number < 0 for number, _, _ in each.family.seen) == pytest.approx(50, abs=20)


def test_pictures_are_told_by_their_own_captions():
    each = loop(examples([1.0, 2.0, 3.0], captions=("a", "b", "c"), told=(2, 0, 1)), batch=3)
    list(each.losses(0))
    assert {number: words for number, words, _ in each.family.seen} == {1.0: 2.0, 2.0: 0.0, 3.0: 1.0}


def test_each_picture_keeps_its_caption_while_text_encoders_learn():
    each = loop(examples([1.0, 2.0, 3.0], captions=("a", "b", "c"), told=(2, 0, 1)), batch=3)
    each.teaches_text = True
    each.family.encode_text = lambda components, texts: {
        "words": torch.tensor([[float("abc".index(t))] for t in texts])
    }
    list(each.losses(0))
    assert {number: words for number, words, _ in each.family.seen} == {1.0: 2.0, 2.0: 0.0, 3.0: 1.0}


# The held-out pictures


def test_watching_is_the_mean_over_four_rounds_of_noise_of_its_own():
    watched = examples([5.0, 7.0], views=1, captions=("a", "b"), told=(1, 0))
    each = loop(examples([1.0]), watched=watched)
    found = each.watch()
    assert found == each.watch(), "the same at every step"
    seen = each.family.seen[:8]
    assert [(number, words) for number, words, _ in seen] == [(5.0, 1.0), (7.0, 0.0)] * 4
    assert found == pytest.approx(sum(number * (1 + t / 1000) for number, _, t in seen) / 8, rel=1e-5)
    assert len({t for _, _, t in seen}) == 8


# Steps


def run(each, first=0, stop=lambda done: False):
    told = []

    def after(done, figures):
        told.append((done, figures()))
        return stop(done)

    each.run(first, after)
    return told


def test_every_step_is_told_with_the_rate_that_it_was_taken_at():
    each = loop(examples([1.0]), batch=1, steps=4, schedule="linear", learning_rate=0.1)
    told = run(each)
    assert [done for done, _ in told] == [1, 2, 3, 4]
    assert [figures["learning_rate"] for _, figures in told] == pytest.approx([0.1, 0.075, 0.05, 0.025])
    # AdamW moves by its rate while the gradient keeps its sign
    assert each.trainable.weight.item() == pytest.approx(1 - 0.25, abs=0.02)
    rest = loop(examples([1.0]), batch=1, steps=4, schedule="linear", learning_rate=0.1)
    assert [done for done, _ in run(rest, first=2)] == [3, 4]
    assert [done for done, _ in run(loop(examples([1.0]), batch=1), stop=lambda done: done == 2)] == [1, 2]


def test_dropout_draws_anew_at_every_step_and_alike_in_a_resumed_run():
    """Layers drop by the process's own generator, which every step begins anew."""

    def drawn(first):
        each, found = loop(examples([1.0]), batch=1), []
        loss = each.family.loss
        each.family.loss = lambda *given: found.append(torch.rand(()).item()) or loss(*given)
        run(each, first)
        return found

    whole = drawn(0)
    assert len(set(whole)) == 4 and drawn(2) == whole[2:]


@pytest.mark.parametrize(("number_format", "scaled"), [(None, False), (torch.bfloat16, False), (torch.float16, True)])
def test_a_loss_is_scaled_up_in_fp16_alone(number_format, scaled):
    """A step whose scaled gradient overflows is skipped and told without its length, and the scale is halved."""
    each = replace(loop(examples([1e34]), batch=1, steps=1), autocast=number_format)
    ((_, figures),) = run(each)
    assert each.scaler.is_enabled() == scaled and ("gradient_norm" in figures) != scaled
    assert (each.trainable.weight.item() == 1) == scaled and math.isfinite(figures["loss"])


def test_a_long_gradient_is_cut_to_length_one():
    """Plain descent, so that the step is the gradient: 3 x 1 to 3 x 2 are longer than one, a tenth of it is not."""
    for number, step in ((3.0, 1.0), (0.1, None)):
        each = loop(examples([number]), batch=1, steps=1, schedule="constant", learning_rate=1.0)
        each.optimiser = torch.optim.SGD([{"params": [each.trainable.weight], "lr": 1.0, "scale": 1.0}])
        ((_, figures),) = run(each)
        gradient = number * (1 + times(0, 1).item() / 1000)
        assert figures["gradient_norm"] == pytest.approx(gradient, rel=1e-4)
        assert 1 - each.trainable.weight.item() == pytest.approx(step or gradient, rel=1e-4)


def test_groups_keep_their_own_rates():
    first, second = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    groups, rates = {"denoiser": [first], "text": [second]}, {"denoiser": 1e-2, "text": 1e-3}
    optimiser = build_optimiser("adamw", groups, rates, 0.25)
    assert [(group["lr"], group["scale"], group["weight_decay"]) for group in optimiser.param_groups] == [
        (1e-2, 1.0, 0.25),
        (1e-3, pytest.approx(0.1), 0.25),
    ]
    alone = build_optimiser("adamw", {"denoiser": [], "text": [second]}, rates, 0.0)
    assert [group["scale"] for group in alone.param_groups] == [pytest.approx(0.1)]


def test_groups_are_taught_at_their_own_rates():
    """The text encoders' tensor at a tenth of the rate, in every step."""
    each = loop(examples([1.0]), batch=1, steps=3, schedule="linear", learning_rate=0.2)
    rates = []
    each.optimiser.param_groups[0]["scale"] = 0.1
    each.run(0, lambda done, figures: rates.append(each.optimiser.param_groups[0]["lr"]) or False)
    assert rates == pytest.approx([0.02, 0.02 * 2 / 3, 0.02 / 3])


@pytest.mark.parametrize(("every", "kept"), [(3, [3, 6, 7]), (7, [7]), (50, [7]), (1, [1, 2, 3, 4, 5, 6, 7])])
def test_a_checkpoint_is_kept_now_and_then_and_at_the_end(every, kept):
    each = loop(examples([1.0]), steps=7, checkpoint_every=every)
    assert [step for step in range(1, 8) if each.kept_at(step)] == kept


# The moving average


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.99])
def test_the_average_follows_as_tensorflows_does(decay):
    """min(decay, (1 + t) / (10 + t)), t from 0 (tf.train.ExponentialMovingAverage with num_updates)."""
    weight = torch.nn.Parameter(torch.zeros(2))
    average, wanted = Average([weight], decay), 0.0
    for step, kept in enumerate((1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14)):
        weight.data.fill_(step + 1.0)
        average.follow()
        wanted = min(decay, kept) * wanted + (1 - min(decay, kept)) * (step + 1)
    assert average.values[0].tolist() == pytest.approx([wanted] * 2)
    with average.shown():
        assert weight.tolist() == pytest.approx([wanted] * 2)
    assert weight.tolist() == [5, 5]


def test_while_it_is_shown_dropout_is_off():
    each = loop(examples([1.0]))
    with each.shown():
        assert each.trainable.learning is False
    assert each.trainable.learning is True


# What is told and kept along the way


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Train under watch by a clock that goes on by a second whenever it is read; returns the figures by step."""
    clock = count()
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def go(each, previews=None, **fields):
        events = []
        workspace = Workspace("run", tmp_path, tmp_path / "out", tmp_path, **fields)
        callbacks.run_watched(each, workspace, previews, None, events.append)
        return {event.done: event.figures for event in events if isinstance(event, Progress) and event.figures}

    return go


@pytest.mark.parametrize(("prior", "pictures"), [(None, 2), (examples([10.0]), 4)])
def test_the_speed_counts_class_pictures_and_not_the_steps_before_a_run_went_on(watched, prior, pictures):
    fields = {"checkpoint_every": 2, "steps": 4}
    speeds = {
        done: figures["images_per_second"] for done, figures in watched(loop(examples([1.0]), prior, **fields)).items()
    }
    assert speeds == pytest.approx({1: pictures, 2: pictures, 4: pictures * 4 / 3})
    on = loop(examples([1.0]), prior, checkpoint_every=2, steps=6)
    on.request = loop(examples([1.0]), prior, **fields).request
    told = watched(on, resume=True)
    assert {done: figures["images_per_second"] for done, figures in told.items()} == pytest.approx(
        {5: pictures, 6: pictures}
    )


def test_held_out_pictures_and_previews_are_seen_without_dropout(watched):
    each, seen = loop(examples([1.0]), watched=examples([5.0]), checkpoint_every=2, steps=5), []
    each.watch = lambda: float(seen.append(("watch", each.trainable.learning)) is None)
    paint = lambda done, folder, emit: seen.append((done, each.trainable.learning))  # noqa: E731
    figures = watched(each, SimpleNamespace(paint=paint), execution=Execution(preview_every=2))
    assert [name for name, _ in seen] == ["watch", 2, "watch", 4, "watch", 5], "the last step has a preview too"
    assert not any(learning for _, learning in seen)
    assert {done for done, told in figures.items() if "held_out_loss" in told} == {2, 4, 5}


@pytest.mark.parametrize("at", [2, 3])
def test_a_run_that_is_stopped_at_its_last_step_is_done(watched, tmp_path, at):
    each = loop(examples([1.0]), checkpoint_every=50, steps=3)
    asked = count(1)
    if at == 3:
        assert 3 in watched(each, stop=lambda: next(asked) >= at)
    else:
        with pytest.raises(Interrupted, match="stopped at step 2 of 3"):
            watched(each, stop=lambda: next(asked) >= at)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == [f"checkpoint-0000000{at}"]


# Batches one after another


def test_where_only_one_has_masks_the_other_counts_everywhere():
    one = Batch(torch.zeros(2, 1, 2, 2), {"words": torch.zeros(2)}, torch.zeros(2, 6), torch.full((2, 1, 2, 2), 0.5))
    other = Batch(torch.ones(1, 1, 2, 2), {"words": torch.ones(1)}, torch.ones(1, 6))
    both, turned = joined(one, other), joined(other, one)
    assert both.mask.flatten(1).mean(1).tolist() == [0.5, 0.5, 1.0]
    assert turned.mask.flatten(1).mean(1).tolist() == [1.0, 0.5, 0.5]
    assert both.text["words"].tolist() == [0, 0, 1] and both.frames[:, 0].tolist() == [0, 0, 1]
    assert joined(other, other).mask is None
    assert joined(other, Batch(one.latents, one.text)).frames is None
