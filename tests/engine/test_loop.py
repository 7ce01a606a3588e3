"""The training loop on a model of one number: what it trains on, how much each part counts, and what it logs."""

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
from limner.core.protocols import Batch, NoiseDraw
from limner.data.sets.folder import Scan
from limner.engine.train import callbacks
from limner.engine.train.batches import BucketSchedule, generator_for, order, uneven, weighted_pass
from limner.engine.train.callbacks import Checkpoints, Previews, ProgressLog
from limner.engine.train.denoising import joined
from limner.engine.train.ema import EMA
from limner.engine.train.examples import Examples
from limner.engine.train.loop import Callback, Loop
from limner.engine.train.optimisers import build_optimiser
from limner.engine.train.plan import make_plan
from limner.engine.train.processes import ALONE, ProcessGroup
from limner.engine.train.subject import SubjectLesson
from limner.engine.train.trackers import MetricsLog
from limner.plugins.families.sd import plugin as SD


class Model:
    """Its loss on an image is weight x the image's number x (1 + time)."""

    def __init__(self):
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.seen, self.teachers, self.training = [], [], None
        self.batches = []

    def objective(self, components):
        return self

    def draw(self, shape, rng, options):
        return NoiseDraw(torch.randn(shape, generator=rng), torch.randint(1000, shape[:1], generator=rng))

    def loss(self, batch, draw, options, teacher=None):
        self.teachers.append(teacher)
        self.batches.append(tuple(batch.latents.shape))
        numbers = batch.latents.flatten(1)[:, 0]
        words = batch.text["words"].flatten()
        self.seen += list(zip(numbers.tolist(), words.tolist(), draw.timesteps.tolist(), strict=True))
        return self.weight * numbers * (1 + draw.timesteps / 1000)

    def groups(self):
        return {"denoiser": [self.weight]}

    def state(self):
        return {"weight": self.weight}

    def train(self, on):
        self.training = on

    def base_model(self):
        return nullcontext()


def examples(numbers, views=1, captions=("a", ""), caption_of=None, weights=None, size=(1, 1)):
    """Images that are numbers; in their second view they are negative."""
    latents = torch.tensor([[number, -number][:views] for number in numbers]).reshape(len(numbers), views, 1, 1, 1)
    latents = latents.expand(-1, -1, -1, *size)
    words = torch.arange(float(len(captions)))[:, None]
    caption_of = caption_of or (0,) * len(numbers)
    return Examples(latents, captions, {"words": words}, caption_of, torch.zeros(len(numbers), 6), weights=weights)


def loop(subject, prior=None, held_out=None, processes=ALONE, **fields):
    """A loop over a set of examples, or over several of different sizes."""
    request = TrainRequest(
        **{"data": "x", "class_word": "dog", "batch": 2, "steps": 4, "prior": prior is not None, "warmup": 0} | fields
    )
    plan = make_plan(request, Scan(()), SD.facts, 64, processes.count)
    model = Model()
    optimiser = build_optimiser("adamw", model.groups(), plan.rates, 0.0)
    device = torch.device("cpu")
    lesson = SubjectLesson(
        request=request,
        plan=plan,
        family=model,
        components=SimpleNamespace(device=device),
        trainable=model,
        subject=subject if isinstance(subject, tuple) else (subject,),
        prior=prior,
        held_out=() if held_out is None else (held_out,),
        processes=processes,
    )
    return Loop(request, plan, lesson, model, optimiser, device, None, processes)


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
        counts = Counter(weighted_pass(weights, turn, start))
        assert sum(counts.values()) == 4
        assert all(math.floor(w) <= counts[i] <= math.ceil(w) for i, w in enumerate(weights))
    total = Counter(index for turn in range(500) for index in weighted_pass(weights, turn, start))
    assert [total[i] / 500 for i in range(4)] == pytest.approx(list(weights), abs=0.02)


def test_equal_weights_are_none():
    assert uneven([1.0, 1.0]) is None and uneven([]) is None
    assert uneven([1.0, 2.0]) == (1.0, 2.0)
    assert weighted_pass((3.0, 3.0, 3.0), 5, 0.5) == [0, 1, 2]


def test_randomness_is_of_seed_purpose_and_step():
    def first(*key):
        return torch.rand((), generator=generator_for(*key)).item()

    assert first(1, "noise", 2) == first(1, "noise", 2)
    assert len({first(1, "noise", 2), first(2, "noise", 2), first(1, "views", 2), first(1, "noise", 3)}) == 4


# How much each part counts


def test_the_loss_is_the_subjects_mean_plus_the_weighted_mean_of_the_class():
    each = loop(examples([1.0, 2.0, 3.0]), examples([10.0, 20.0]), prior_weight=0.5)
    (loss,) = each.lesson.losses(1)
    seen = each.trainable.seen
    subject, prior = seen[:2], seen[2:]
    assert len(subject) == len(prior) == 2 and all(number < 10 for number, _, _ in subject)
    wanted = sum(n * (1 + t / 1000) for n, _, t in subject) / 2 + 0.5 * sum(n * (1 + t / 1000) for n, _, t in prior) / 2
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert [t for _, _, t in seen] == times(1, 4).tolist()
    assert [number for number, _, _ in subject] == [1.0 + index for index in order(3, 2, 1, 42)]


@pytest.mark.parametrize(("target", "compared"), [("model", True), ("pictures", False)])
def test_class_images_are_compared_with_the_base_model_where_that_is_asked(target, compared):
    each = loop(examples([1.0, 2.0]), examples([10.0, 20.0]), prior_target=target)
    list(each.lesson.losses(0))
    (teacher,) = each.trainable.teachers
    assert (teacher is not None) == compared
    if compared:
        assert len(teacher.text["words"]) == 2


@pytest.mark.parametrize(("accumulation", "processes"), [(1, 1), (4, 1), (2, 2), (1, 4)])
def test_the_parts_of_a_batch_add_up_to_it(accumulation, processes):
    """Each part counts its share, draws the noise that it would draw in one batch, and is some process's."""
    whole = loop(examples([1.0, 2.0, 3.0]), examples([10.0, 20.0]), batch=4)
    wanted = sum(part.item() for part in whole.lesson.losses(0))
    found, seen = 0.0, []
    for index in range(processes):
        each = loop(
            examples([1.0, 2.0, 3.0]),
            examples([10.0, 20.0]),
            batch=4,
            accumulation=accumulation,
            processes=ProcessGroup(index, processes),
        )
        parts = list(each.lesson.losses(0))
        assert len(parts) == accumulation
        found += sum(part.item() for part in parts)
        seen += each.trainable.seen
    assert found == pytest.approx(wanted, rel=1e-5)
    assert sorted(seen) == sorted(whole.trainable.seen)


@pytest.mark.parametrize(("dropout", "share"), [(0.0, 0.0), (0.25, 0.25), (0.9, 0.9)])
def test_captions_are_dropped_as_often_as_asked(dropout, share):
    each = loop(examples([1.0, 2.0], caption_of=(0, 0)), caption_dropout=dropout, batch=400)
    list(each.lesson.losses(0))
    assert sum(words == 1 for _, words, _ in each.trainable.seen) / 400 == pytest.approx(share, abs=0.06)


def test_captions_of_class_images_are_dropped_as_often_as_asked():
    each = loop(examples([1.0]), examples([10.0]), prior_dropout=0.5, batch=400)
    list(each.lesson.losses(0))
    log = Counter((number >= 10, words) for number, words, _ in each.trainable.seen)
    assert log[False, 0.0] == 400 and log[True, 1.0] == pytest.approx(200, abs=40)


def test_both_views_of_a_picture_are_shown():
    each = loop(examples([1.0, 2.0], views=2), batch=400)
    list(each.lesson.losses(0))
    mirrored = sum(number < 0 for number, _, _ in each.trainable.seen)
    assert mirrored == pytest.approx(200, abs=40)


def test_the_view_of_a_picture_is_drawn_anew_in_every_step():
    each = loop(examples([1.0], views=2), batch=1, steps=100)
    for step in range(100):
        list(each.lesson.losses(step))
    assert sum(number < 0 for number, _, _ in each.trainable.seen) == pytest.approx(50, abs=20)


def test_images_have_their_own_captions():
    each = loop(examples([1.0, 2.0, 3.0], captions=("a", "b", "c"), caption_of=(2, 0, 1)), batch=3)
    list(each.lesson.losses(0))
    assert {number: words for number, words, _ in each.trainable.seen} == {1.0: 2.0, 2.0: 0.0, 3.0: 1.0}


def test_each_picture_keeps_its_caption_while_text_encoders_learn():
    each = loop(examples([1.0, 2.0, 3.0], captions=("a", "b", "c"), caption_of=(2, 0, 1)), batch=3)
    each.lesson.trains_text = True
    each.trainable.encode_text = lambda components, texts: {
        "words": torch.tensor([[float("abc".index(t))] for t in texts])
    }
    list(each.lesson.losses(0))
    assert {number: words for number, words, _ in each.trainable.seen} == {1.0: 2.0, 2.0: 0.0, 3.0: 1.0}


# The held-out pictures


def test_watching_is_the_mean_over_four_rounds_of_noise_of_its_own():
    held_out = examples([5.0, 7.0], views=1, captions=("a", "b"), caption_of=(1, 0))
    each = loop(examples([1.0]), held_out=held_out)
    found = each.lesson.held_out_loss()
    assert found == each.lesson.held_out_loss(), "the same at every step"
    assert loop(examples([1.0])).lesson.held_out_loss() is None
    seen = each.trainable.seen[:8]
    assert [(number, words) for number, words, _ in seen] == [(5.0, 1.0), (7.0, 0.0)] * 4
    assert found == pytest.approx(sum(number * (1 + t / 1000) for number, _, t in seen) / 8, rel=1e-5)
    assert len({t for _, _, t in seen}) == 8


# Steps


def run(each, first=0):
    """Train, and return the figures of every step."""
    log = []

    class Log(Callback):
        def after_step(self, step):
            log.append((step.done, step.figures()))

    each.run(first, [Log()])
    return log


def test_every_step_is_logged_with_the_rate_that_it_was_taken_at():
    each = loop(examples([1.0]), batch=1, steps=4, schedule="linear", learning_rate=0.1)
    log = run(each)
    assert [done for done, _ in log] == [1, 2, 3, 4]
    assert [figures["learning_rate"] for _, figures in log] == pytest.approx([0.1, 0.075, 0.05, 0.025])
    # AdamW moves by its rate while the gradient keeps its sign
    assert each.trainable.weight.item() == pytest.approx(1 - 0.25, abs=0.02)
    rest = loop(examples([1.0]), batch=1, steps=4, schedule="linear", learning_rate=0.1)
    assert [done for done, _ in run(rest, first=2)] == [3, 4]


def test_dropout_draws_anew_at_every_step_and_alike_in_a_resumed_run():
    """Layers drop by the process's own generator, which every step begins anew."""

    def drawn(first):
        each, found = loop(examples([1.0]), batch=1), []
        loss = each.trainable.loss
        each.trainable.loss = lambda *given: found.append(torch.rand(()).item()) or loss(*given)
        run(each, first)
        return found

    whole = drawn(0)
    assert len(set(whole)) == 4 and drawn(2) == whole[2:]


@pytest.mark.parametrize(("number_format", "scaled"), [(None, False), (torch.bfloat16, False), (torch.float16, True)])
def test_a_loss_is_scaled_up_in_fp16_alone(number_format, scaled):
    """A step whose scaled gradient overflows is skipped and logged without its norm, and the scale is halved."""
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


def test_groups_are_trained_at_their_own_rates():
    """The text encoders' tensor at a tenth of the rate, in every step."""
    each = loop(examples([1.0]), batch=1, steps=3, schedule="linear", learning_rate=0.2)
    rates = []
    each.optimiser.param_groups[0]["scale"] = 0.1

    class Rates(Callback):
        def after_step(self, step):
            rates.append(step.loop.optimiser.param_groups[0]["lr"])

    each.run(0, [Rates()])
    assert rates == pytest.approx([0.02, 0.02 * 2 / 3, 0.02 / 3])


@pytest.mark.parametrize(("every", "kept"), [(3, [3, 6, 7]), (7, [7]), (50, [7]), (1, [1, 2, 3, 4, 5, 6, 7])])
def test_a_checkpoint_is_kept_now_and_then_and_at_the_end(every, kept):
    each = loop(examples([1.0]), steps=7, checkpoint_every=every)
    assert [step for step in range(1, 8) if each.checkpoint_due(step)] == kept


# The moving average


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.99])
def test_the_average_follows_as_tensorflows_does(decay):
    """min(decay, (1 + t) / (10 + t)), t from 0 (tf.train.ExponentialMovingAverage with num_updates)."""
    weight = torch.nn.Parameter(torch.zeros(2))
    average, wanted = EMA([weight], decay), 0.0
    for step, kept in enumerate((1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14)):
        weight.data.fill_(step + 1.0)
        average.update()
        wanted = min(decay, kept) * wanted + (1 - min(decay, kept)) * (step + 1)
    assert average.values[0].tolist() == pytest.approx([wanted] * 2)
    with average.applied():
        assert weight.tolist() == pytest.approx([wanted] * 2)
    assert weight.tolist() == [5, 5]


def test_while_it_is_evaluated_dropout_is_off():
    each = loop(examples([1.0]))
    with each.evaluating():
        assert each.trainable.training is False
    assert each.trainable.training is True


# Callbacks


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """Train with a clock that goes on by a second whenever it is read; returns the figures by step."""
    clock = count()
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def go(each, *more, first=0, stop=lambda: False):
        events = []
        log = ProgressLog(MetricsLog(tmp_path, first, (), {}), events.append)
        each.run(first, [log, Checkpoints(tmp_path), *more], stop)
        return {event.done: event.figures for event in events if isinstance(event, Progress) and event.figures}

    return go


@pytest.mark.parametrize(("prior", "pictures"), [(None, 2), (examples([10.0]), 4)])
def test_the_speed_counts_class_pictures_and_not_the_steps_before_a_run_went_on(logged, prior, pictures):
    fields = {"checkpoint_every": 2, "steps": 4}
    speeds = {
        done: figures["images_per_second"] for done, figures in logged(loop(examples([1.0]), prior, **fields)).items()
    }
    assert speeds == pytest.approx({1: pictures, 2: pictures, 4: pictures * 4 / 3})
    on = loop(examples([1.0]), prior, checkpoint_every=2, steps=6)
    log = logged(on, first=4)
    assert {done: figures["images_per_second"] for done, figures in log.items()} == pytest.approx(
        {5: pictures, 6: pictures}
    )


def test_held_out_pictures_and_previews_are_seen_without_dropout(logged, tmp_path):
    each, seen = loop(examples([1.0]), held_out=examples([5.0]), checkpoint_every=2, steps=5), []
    each.lesson.held_out_loss = lambda: float(seen.append(("held out", each.trainable.training)) is None)

    class Looking(Previews):
        def write(self, done):
            seen.append((done, each.trainable.training))

    figures = logged(each, Looking(None, tmp_path, 2, None))
    assert [name for name, _ in seen] == ["held out", 2, "held out", 4, "held out", 5], "the last step has a preview"
    assert not any(training for _, training in seen)
    assert {done for done, log in figures.items() if "held_out_loss" in log} == {2, 4, 5}


@pytest.mark.parametrize("at", [2, 3])
def test_a_run_that_is_stopped_at_its_last_step_is_done(logged, tmp_path, at):
    each = loop(examples([1.0]), checkpoint_every=50, steps=3)
    asked = count(1)
    if at == 3:
        assert 3 in logged(each, stop=lambda: next(asked) >= at)
    else:
        with pytest.raises(Interrupted, match="stopped at step 2 of 3"):
            logged(each, stop=lambda: next(asked) >= at)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == [f"checkpoint-0000000{at}"]


def test_a_callback_ends_a_run_that_keeps_the_best_checkpoint_and_is_ended_after_an_error():
    ended = []

    class Last(Callback):
        def finished(self):
            return True

        def end(self):
            ended.append("end")

    class Broken(Callback):
        def after_step(self, step):
            raise ValueError(step.done)

    run_of = {"keep": "best", "checkpoint_every": 2, "steps": 6}
    best, last = loop(examples([1.0]), **run_of), loop(examples([1.0]), **run_of | {"keep": "last"})
    best.run(1, [Last()])
    last.run(1, [Last()])
    assert len(best.trainable.teachers) == 1, "it is asked at checkpoints"
    assert len(last.trainable.teachers) == 5 and ended == ["end", "end"]
    with pytest.raises(ValueError, match="1"):
        loop(examples([1.0])).run(0, [Last(), Broken()])
    assert len(ended) == 3


# Images of several sizes


def test_one_bucket_is_all_that_there_is():
    assert [BucketSchedule([7], 3).at(step) for step in (0, 1, 99)] == [(0, 0), (0, 1), (0, 99)]


@pytest.mark.parametrize("shares", [(1, 1), (10, 1), (3, 5, 2), (1, 100)])
def test_each_bucket_comes_by_its_share_wherever_a_run_begins(shares):
    buckets = BucketSchedule(shares, 42)
    shown = [buckets.at(step) for step in range(500)]
    for bucket, share in enumerate(shares):
        turns = [turn for each, turn in shown if each == bucket]
        assert turns == list(range(len(turns))), "each of its batches once, in order"
        assert abs(len(turns) - 500 * share / sum(shares)) < 3
    assert [BucketSchedule(shares, 42).at(step) for step in (499, 250, 0)] == [shown[step] for step in (499, 250, 0)]
    assert [BucketSchedule(shares, 43).at(step) for step in range(500)] != shown


def test_a_batch_has_images_of_one_size_and_every_image_comes_as_often():
    each = loop((examples([1.0, 2.0, 3.0], size=(1, 2)), examples([5.0], size=(2, 1))), batch=2, steps=100)
    for step in range(100):
        list(each.lesson.losses(step))
    assert set(each.trainable.batches) == {(2, 1, 1, 2), (2, 1, 2, 1)}
    shown = Counter(number for number, _, _ in each.trainable.seen)
    assert all(abs(count - 50) < 5 for count in shown.values()) and len(shown) == 4


def test_weights_count_across_sizes():
    sets = (examples([1.0], weights=(3.0,), size=(1, 2)), examples([5.0], weights=(1.0,)))
    each = loop(sets, batch=1, steps=100)
    for step in range(100):
        list(each.lesson.losses(step))
    assert Counter(number for number, _, _ in each.trainable.seen)[1.0] == pytest.approx(75, abs=2)


def test_class_images_of_another_size_go_through_the_model_by_themselves():
    each = loop(examples([1.0, 2.0], size=(2, 3)), examples([10.0, 20.0]), prior_weight=0.5, prior_target="model")
    (loss,) = each.lesson.losses(3)
    assert each.trainable.batches == [(2, 1, 2, 3), (2, 1, 1, 1)]
    means = [
        sum(n * (1 + t / 1000) for n, _, t in part) / 2 for part in (each.trainable.seen[:2], each.trainable.seen[2:])
    ]
    assert loss.item() == pytest.approx(means[0] + 0.5 * means[1], rel=1e-5)
    assert [teacher is not None for teacher in each.trainable.teachers] == [False, True]


def test_the_held_out_loss_is_the_mean_over_images_of_all_sizes():
    each = loop(examples([1.0]))
    each.lesson.held_out = (examples([5.0, 7.0]), examples([2.0], size=(2, 2)))
    found = each.lesson.held_out_loss()
    assert found == pytest.approx(sum(n * (1 + t / 1000) for n, _, t in each.trainable.seen) / 12, rel=1e-5)


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


def test_a_run_that_goes_on_begins_with_the_steps_done_and_logs_its_first_and_every_tenth(tmp_path):
    events, each = [], loop(examples([1.0]), steps=25, checkpoint_every=100)
    log = ProgressLog(MetricsLog(tmp_path, 3, (), {}), events.append)
    each.run(3, [log])
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == list(range(3, 26))
    assert [event.done for event in progress if event.figures] == [4, 10, 20, 25]


def test_the_average_has_the_decay_that_was_asked_for():
    assert loop(examples([1.0]), ema=0.5).ema.decay == 0.5 and loop(examples([1.0])).ema is None
