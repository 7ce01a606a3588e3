"""What a lesson uses of a learning set: shapes, weights of ratings, and what is watched."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from limner.core.preferences import JudgedImage, Judgement
from limner.engine.improve import encoding
from limner.engine.improve.encoding import LessonEncoder, judged_shape
from limner.engine.improve.learning_set import WeightedRating
from rated import feedback


@pytest.mark.parametrize(
    ("size", "resolution", "multiple", "shape"),
    [
        ((512, 512), 512, 8, (512, 512)),
        ((512, 640), 512, 8, (512, 640)),
        ((2048, 2048), 512, 8, (512, 512)),
        ((64, 64), 1024, 16, (64, 64)),
        ((96, 64), 1024, 16, (96, 64)),
        ((100, 100), 1024, 16, (96, 96)),
        ((3, 3), 1024, 16, (16, 16)),
        ((640, 480), 512, 64, (576, 448)),
    ],
)
def test_an_image_keeps_its_shape_and_is_not_enlarged(size, resolution, multiple, shape):
    assert judged_shape(size, resolution, multiple) == shape


def rating(stars, weight=1.0, image="0"):
    judged = JudgedImage(sha256=image, location="x", prompt="")
    return WeightedRating(Judgement(image=judged, stars=stars), weight)


@pytest.fixture
def encoder(monkeypatch):
    """An encoder of images that are numbers, all of one shape."""
    monkeypatch.setattr(encoding, "file_of", lambda image: SimpleNamespace(size=(8, 8)))
    subject = SimpleNamespace(identifier="", class_word="dog")
    job = SimpleNamespace(model=SimpleNamespace(family=None), settings=SimpleNamespace(seed=1), subject=subject)
    return LessonEncoder(job, SimpleNamespace(resolution=8, multiple=8), None)


IMAGES = {(8, 8): feedback([0.0, 1.0, 2.0, 3.0])}


def rated_sets(encoder, *ratings):
    (found,) = encoder._rated_sets(list(ratings), IMAGES)
    return found


def test_liked_and_disliked_images_count_alike_and_by_their_distance_from_the_middle(encoder):
    found = rated_sets(encoder, rating(5), rating(4, image="1"), rating(5, 0.5, "2"), rating(1, image="3"))
    assert found.signs.tolist() == [1, 1, 1, -1] and found.rated == (0, 1, 2, 3)
    # strengths 1, 1/2, 1/2 and 1: a sum of 3, half of it for either side
    assert found.weights.tolist() == pytest.approx([0.75, 0.375, 0.375, 1.5])


@pytest.mark.parametrize("stars", [(5, 4), (1, 2)])
def test_where_all_are_alike_nothing_is_balanced(encoder, stars):
    assert rated_sets(encoder, *map(rating, stars)).weights.tolist() == [1.0, 0.5]


def test_three_stars_decide_nothing_and_distrusted_ones_are_not_liked():
    ratings = [rating(stars) for stars in (1, 2, 3, 4, 5)]
    assert [each.rating.stars for each in encoding.decided(ratings)] == [1, 2, 4, 5]
    assert [each.rating.stars for each in encoding.liked([*ratings, rating(5, 0.0)])] == [4, 5]


def test_an_image_that_several_people_like_is_shown_as_often_as_their_sum(encoder):
    ratings = [rating(5, image="2"), rating(4, image="0"), rating(5, 0.5, "2")]
    (found,) = encoder._liked_sets(ratings, IMAGES)
    assert found.weights == (0.5, 1.5) and found.latents.flatten().tolist() == [0, 2]
    assert found.captions_for([0, 1]) == [0, 2]


def test_at_most_sixteen_held_out_pairs_are_watched(encoder, monkeypatch, learning):
    many = tuple(replace(learning.pairs[0], weight=1 + index / 100) for index in range(40))
    places = SimpleNamespace(place=lambda image: 0)
    monkeypatch.setattr(encoder.encoder, "encode", lambda images: dict.fromkeys([shape for _, shape in images], places))
    found = encoder.preference(replace(learning, held_out_pairs=many))
    assert sum(map(len, found.watched_pairs)) == 16 and sum(map(len, found.held_out_pairs)) == 40
    assert sum(map(len, found.pairs)) == 3 and found.held_out_order == tuple(range(40))
    assert torch.equal(found.held_out_pairs[0].weights, torch.tensor([each.weight for each in many]))
    assert found.in_order(list(map(float, range(40)))) == tuple(map(float, range(40)))


def test_values_of_held_out_pairs_are_in_the_order_of_the_learning_set(encoder, monkeypatch, learning):
    """Sets are in the order of their shapes: the second and the fourth pair are of the smaller one."""
    first = learning.pairs[0]
    better = [rating(5, image=name).rating.image for name in ("a16", "b8", "c16", "d8")]
    pairs = [replace(first, pair=first.pair.model_copy(update={"better": image})) for image in better]
    side = {"a16": 16, "b8": 8, "c16": 16, "d8": 8}
    monkeypatch.setattr(encoding, "judged_shape", lambda size, *given: size)
    monkeypatch.setattr(encoding, "file_of", lambda image: SimpleNamespace(size=(side[image.sha256], 8)))
    places = SimpleNamespace(place=lambda image: 0)
    monkeypatch.setattr(encoder.encoder, "encode", lambda images: dict.fromkeys([shape for _, shape in images], places))
    found = encoder.held_out(pairs)
    assert found.held_out_order == (1, 3, 0, 2) and found.in_order([1.0, 3.0, 0.0, 2.0]) == (0.0, 1.0, 2.0, 3.0)


def test_the_class_is_kept_on_images_whose_captions_name_the_subject(encoder, monkeypatch):
    encoder.job.subject = SimpleNamespace(identifier="sks", class_word="dog")
    monkeypatch.setattr(encoder.encoder, "recaptioned", lambda images, captions: replace(images, captions=captions))
    known = replace(feedback([0.0, 1.0, 2.0, 3.0]).examples, captions=("sks dog", "a dog", "a photo of sks dog", "x"))
    (found,) = encoder._plain([(known, (0, 1, 2)), (known, (3,))])
    assert found.latents.flatten().tolist() == [0, 2], "the third and the fourth are not about the subject"
    assert [found.captions[row] for row in found.caption_of] == ["a dog", "a photo of a dog"]
    encoder.job.subject = SimpleNamespace(identifier="", class_word="dog")
    assert encoder._plain([(known, (0, 1, 2))]) == ()
