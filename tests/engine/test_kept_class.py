"""The part of a lesson that keeps the class, on a model of one number."""

from __future__ import annotations

import pytest

from limner.engine.train.kept_class import KeptClass
from limner.engine.train.preference import PreferenceLesson, RewardSettings
from rated import Model, compared, examples, pairs

PLAIN = [examples([7.0, 8.0, 9.0])]


def lesson(model, moved=0.0, weight=2.0, plain=PLAIN):
    both = compared(model, moved=moved)
    inner = PreferenceLesson(both, [pairs([1.0, 3.0], [0], [1])], (), RewardSettings(1.0, 100.0, 0.0), 1)
    return KeptClass(inner, both.denoising, both.reference, plain, weight, 2, 42)


def test_at_the_reference_the_class_costs_nothing():
    model = Model(1.0)
    first, last = lesson(model).losses(0)
    last.backward()
    assert first.item() > 0 and last.item() == 0 and model.weight.grad.item() == 0


def test_the_class_is_pulled_back_to_the_reference_and_not_to_the_images():
    model = Model(1.0)
    each = lesson(model, moved=0.5)
    first, last = each.losses(0)
    assert first.item() == next(iter(each.lesson.losses(0))).item()
    last.backward()
    assert last.item() == pytest.approx(2 * 0.5**2) and model.weight.grad.item() == pytest.approx(2 * 2 * 0.5)
    assert model.weight.item() == 1.5, "the model has its own tensors again"


def test_every_image_of_the_class_is_shown_with_its_own_caption():
    model = Model()
    each = lesson(model)
    for step in range(6):
        list(each.losses(step))
    shown = [(number, words) for number, words, _ in model.seen if number >= 7]
    assert sorted(shown) == sorted(4 * [(7.0, 0.0), (8.0, 1.0), (9.0, 2.0)])
    assert each.images == each.lesson.images + 2


def test_the_held_out_loss_is_that_of_the_lesson():
    assert lesson(Model()).held_out_loss() is None
