"""The lesson of liked images on a model of one number: how often images are shown, and how much photographs count."""

from __future__ import annotations

from collections import Counter

import pytest

from limner.engine.train.denoising import Denoising
from limner.engine.train.lesson import ROUNDS
from limner.engine.train.liked import RatedLesson
from rated import COMPONENTS, Model, examples


def lesson(model, liked, photographs=(), held_out=(), batch=2, share=1.0):
    return RatedLesson(Denoising(model, COMPONENTS), liked, photographs, held_out, batch, 42, share)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_the_loss_is_the_mean_of_the_liked_plus_the_weighted_mean_of_the_photographs(share):
    each = lesson(Model(0.0), [examples([1.0, 3.0])], [examples([2.0, 4.0])], share=share)
    first, second = (loss.item() for loss in each.losses(0))
    assert (first, second) == (pytest.approx(5.0), pytest.approx(share * 10))
    assert each.images == 4


def test_without_photographs_liked_images_are_all():
    each = lesson(Model(0.0), [examples([1.0, 3.0])])
    assert [loss.item() for loss in each.losses(0)] == [pytest.approx(5.0)] and each.images == 2


def test_images_are_shown_as_often_as_their_weights():
    model = Model()
    each = lesson(model, [examples([1.0, 2.0], weights=(0.5, 1.0)), examples([3.0], size=(1, 2), weights=(1.5,))])
    for step in range(120):
        list(each.losses(step))
    shown = Counter(number for number, _, _ in model.seen)
    assert {number: shown[number] / 240 for number in (1.0, 2.0, 3.0)} == pytest.approx(
        {1.0: 1 / 6, 2.0: 1 / 3, 3.0: 1 / 2}, abs=0.02
    )
    assert all(words == number - 1 for number, words, _ in model.seen if number < 3), "each with its own caption"


def test_an_image_of_weight_zero_is_never_shown():
    model = Model()
    each = lesson(model, [examples([1.0, 2.0, 3.0], weights=(1.0, 0.0, 0.5))])
    for step in range(30):
        list(each.losses(step))
    assert {number for number, _, _ in model.seen} == {1.0, 3.0}


def test_liked_images_and_photographs_have_noise_of_their_own():
    model = Model()
    list(lesson(model, [examples([1.0, 2.0])], [examples([3.0, 4.0])]).losses(0))
    assert len({float(noise) for noise in model.noise}) == 4


def test_the_held_out_loss_is_the_mean_over_held_out_images():
    model = Model(0.0)
    each = lesson(model, [examples([1.0])], held_out=[examples([1.0, 2.0, 3.0]), examples([4.0], size=(1, 2))])
    assert each.held_out_loss() == pytest.approx((1 + 4 + 9 + 16) / 4) == each.held_out_loss()
    assert len(model.seen) == 2 * 4 * ROUNDS
    assert lesson(Model(), [examples([1.0])]).held_out_loss() is None
