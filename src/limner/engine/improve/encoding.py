"""Encodes the feedback of an improvement: pairs, rated images, and the original's photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from limner.core.choice import evenly
from limner.core.preferences import JudgedImage
from limner.core.protocols import Components
from limner.data.sets.pixels import Shape, bucket_shape
from limner.engine.compare.subject import PromptSubject, plain_prompt
from limner.engine.improve.job import ImproveJob
from limner.engine.improve.learning_set import LearningSet, WeightedPair, WeightedRating
from limner.engine.train.batches import uneven
from limner.engine.train.encoding import VALIDATION, DatasetEncoder
from limner.engine.train.examples import Examples
from limner.engine.train.feedback_images import FeedbackEncoder, FeedbackImages, file_of
from limner.engine.train.kto import RatedSet
from limner.engine.train.pairs import PairSet
from limner.engine.train.plan import TrainPlan

LIKED, DISLIKED = 4, 2
"""The fewest stars of a liked image, and the most of a disliked one."""
MIDDLE = 3
Images = dict[Shape, FeedbackImages]


@dataclass(frozen=True)
class EncodedFeedback:
    """Encoded feedback of a lesson, one set for each image size; empty where the lesson does not use it.

    held_out_order: the index in the learning set of each held-out pair, in the order of the sets. watched: those that
    measure the loss during training. plain: the images of training with captions of the class; empty for an original
    without an identifier.
    """

    held_out_pairs: tuple[PairSet, ...]
    held_out_order: tuple[int, ...]
    pairs: tuple[PairSet, ...] = ()
    watched_pairs: tuple[PairSet, ...] = ()
    ratings: tuple[RatedSet, ...] = ()
    watched_ratings: tuple[RatedSet, ...] = ()
    liked: tuple[Examples, ...] = ()
    watched_liked: tuple[Examples, ...] = ()
    photographs: tuple[Examples, ...] = ()
    plain: tuple[Examples, ...] = ()

    def in_order(self, values: Sequence[float]) -> tuple[float, ...]:
        """Values of the held-out pairs, in the order of the learning set."""
        return tuple(value for _, value in sorted(zip(self.held_out_order, values, strict=True)))


class LessonEncoder:
    """Encodes what a lesson uses with a model's own encoders. An image keeps its shape where that suits the model."""

    def __init__(self, job: ImproveJob, plan: TrainPlan, components: Components) -> None:
        self.job, self.plan, self.components = job, plan, components
        self.encoder = FeedbackEncoder(job.model.family, components, job.settings.seed)
        self._shapes: dict[str, Shape] = {}

    def preference(self, learning: LearningSet) -> EncodedFeedback:
        """The pairs of a learning set."""
        pairs, held_out = _sorted_pairs(learning.pairs), learning.held_out_pairs
        watched = evenly(_sorted_pairs(held_out), VALIDATION)
        images = self.encoder.encode(self._of_pairs([*pairs, *held_out]))
        trained, measured = (tuple(group for group, _ in self._pair_sets(each, images)) for each in (pairs, watched))
        plain = self._plain((each.images.examples, (*each.better, *each.worse)) for each in trained)
        return replace(self._held_out(held_out, images), pairs=trained, watched_pairs=measured, plain=plain)

    def kto(self, learning: LearningSet) -> EncodedFeedback:
        """The liked and disliked images of a learning set."""
        chosen = [decided(_sorted_ratings(each)) for each in (learning.ratings, learning.held_out_ratings)]
        images = self._of_all(learning, chosen)
        ratings, measured = (tuple(self._rated_sets(each, images)) for each in (chosen[0], _some(chosen[1])))
        plain = self._plain((each.images.examples, each.rated) for each in ratings)
        encoded = self._held_out(learning.held_out_pairs, images)
        return replace(encoded, ratings=ratings, watched_ratings=measured, plain=plain)

    def liked(self, learning: LearningSet) -> EncodedFeedback:
        """The liked images of a learning set, and the original's photographs."""
        chosen = [liked(_sorted_ratings(each)) for each in (learning.ratings, learning.held_out_ratings)]
        images = self._of_all(learning, chosen)
        shown, measured = (tuple(self._liked_sets(each, images)) for each in (chosen[0], _some(chosen[1])))
        encoded = self._held_out(learning.held_out_pairs, images)
        plain = self._plain((each, range(len(each))) for each in shown)
        return replace(encoded, liked=shown, watched_liked=measured, photographs=self._photographs(), plain=plain)

    def held_out(self, pairs: Sequence[WeightedPair]) -> EncodedFeedback:
        """Pairs that are measured only."""
        return self._held_out(pairs, self.encoder.encode(self._of_pairs(pairs)))

    def _of_all(self, learning: LearningSet, ratings: Sequence[Sequence[WeightedRating]]) -> Images:
        """The images of ratings and of the held-out pairs."""
        every = [rating for each in ratings for rating in each]
        return self.encoder.encode([*self._of_pairs(learning.held_out_pairs), *self._of_ratings(every)])

    def _plain(self, sets: Iterable[tuple[Examples, Iterable[int]]]) -> tuple[Examples, ...]:
        """Those of some images of each set whose captions name the subject, with captions of the class instead."""
        subject = PromptSubject(self.job.subject.identifier, self.job.subject.class_word)
        found: list[Examples] = []
        for examples, places in sets if subject.identifier else ():
            plain = [plain_prompt(text, subject) for text in examples.captions]
            named = {each: 1.0 for each in places if plain[row := examples.caption_of[each]] != examples.captions[row]}
            if named:
                found.append(self.encoder.recaptioned(_part_of(examples, named), plain))
        return tuple(found)

    def _photographs(self) -> tuple[Examples, ...]:
        job = self.job
        if job.photographs is None or not job.settings.photographs:
            return ()
        encoder = DatasetEncoder(job.training, self.plan, job.model, self.components)
        return encoder.encode_files(job.photographs.images, job.training.flip)

    def _shape(self, image: JudgedImage) -> Shape:
        if image.sha256 not in self._shapes:
            self._shapes[image.sha256] = judged_shape(file_of(image).size, self.plan.resolution, self.plan.multiple)
        return self._shapes[image.sha256]

    def _of_pairs(self, pairs: Sequence[WeightedPair]) -> Iterator[tuple[JudgedImage, Shape]]:
        """The images of pairs; both of a pair in the shape of the better one."""
        for each in pairs:
            shape = self._shape(each.pair.better)
            yield from ((each.pair.better, shape), (each.pair.worse, shape))

    def _of_ratings(self, ratings: Sequence[WeightedRating]) -> Iterator[tuple[JudgedImage, Shape]]:
        return ((each.rating.image, self._shape(each.rating.image)) for each in ratings)

    def _held_out(self, pairs: Sequence[WeightedPair], images: Images) -> EncodedFeedback:
        found = self._pair_sets(pairs, images)
        order = tuple(index for _, indices in found for index in indices)
        return EncodedFeedback(tuple(group for group, _ in found), order)

    def _pair_sets(self, pairs: Sequence[WeightedPair], images: Images) -> list[tuple[PairSet, list[int]]]:
        """A set for each shape, with the indices of its pairs."""
        return [
            (_pair_set([pairs[index] for index in indices], images[shape]), indices)
            for shape, indices in _by_shape(pairs, lambda each: self._shape(each.pair.better)).items()
        ]

    def _rated_sets(self, ratings: Sequence[WeightedRating], images: Images) -> Iterator[RatedSet]:
        balanced = _balanced(ratings)
        for shape, indices in _by_shape(ratings, lambda each: self._shape(each.rating.image)).items():
            places = tuple(images[shape].place(ratings[index].rating.image) for index in indices)
            signs = torch.tensor([_sign(ratings[index]) for index in indices])
            weights = torch.tensor([balanced[index] for index in indices])
            yield RatedSet(images[shape], places, signs, weights, torch.tensor([ratings[i].noise for i in indices]))

    def _liked_sets(self, ratings: Sequence[WeightedRating], images: Images) -> Iterator[Examples]:
        """The rated images of each shape; an image that several people rated has the sum of their weights."""
        for shape, indices in _by_shape(ratings, lambda each: self._shape(each.rating.image)).items():
            weights: dict[int, float] = {}
            for index in indices:
                place = images[shape].place(ratings[index].rating.image)
                weights[place] = weights.get(place, 0.0) + _strength(ratings[index])
            yield _part_of(images[shape].examples, weights)


def judged_shape(size: Shape, resolution: int, multiple: int) -> Shape:
    """The shape (width, height) in which a judged image is trained: its own where the model generates that shape.

    A smaller image is not enlarged, because people judged it as it is.
    """
    own = math.sqrt(size[0] * size[1])
    return bucket_shape(size, min(resolution, max(multiple, round(own / multiple) * multiple)), multiple)


def _by_shape(items: Sequence[object], shape_of: Callable[..., Shape]) -> dict[Shape, list[int]]:
    """Indices of items by shape."""
    found: dict[Shape, list[int]] = {}
    for index, item in enumerate(items):
        found.setdefault(shape_of(item), []).append(index)
    return dict(sorted(found.items()))


def _pair_set(pairs: Sequence[WeightedPair], images: FeedbackImages) -> PairSet:
    return PairSet(
        images,
        tuple(images.place(each.pair.better) for each in pairs),
        tuple(images.place(each.pair.worse) for each in pairs),
        torch.tensor([each.weight for each in pairs]),
        torch.tensor([each.noise for each in pairs]),
    )


def _part_of(examples: Examples, weights: dict[int, float]) -> Examples:
    """Some images of a set, with how often each is shown."""
    places = sorted(weights)
    return replace(
        examples,
        latents=examples.latents[places],
        caption_of=tuple(examples.caption_of[place] for place in places),
        frames=examples.frames[places],
        weights=uneven([weights[place] for place in places]),
    )


def _sign(rating: WeightedRating) -> float:
    return 1.0 if rating.rating.stars >= LIKED else -1.0


def _strength(rating: WeightedRating) -> float:
    """The weight of a rating, by half where it is one star from the middle."""
    return rating.weight * abs(rating.rating.stars - MIDDLE) / 2


def _balanced(ratings: Sequence[WeightedRating]) -> list[float]:
    """Weights of ratings, scaled so that liked and disliked images count alike in all."""
    strengths = [_strength(each) for each in ratings]
    sums = {
        sign: sum(strength for each, strength in zip(ratings, strengths, strict=True) if _sign(each) == sign)
        for sign in (1.0, -1.0)
    }
    if not all(sums.values()):
        return strengths
    half = sum(sums.values()) / 2
    return [strength * half / sums[_sign(each)] for each, strength in zip(ratings, strengths, strict=True)]


def _some(ratings: Sequence[WeightedRating]) -> list[WeightedRating]:
    return evenly(ratings, VALIDATION)


def decided(ratings: Sequence[WeightedRating]) -> list[WeightedRating]:
    """Ratings of liked and disliked images, without those in the middle."""
    return [each for each in ratings if each.rating.stars >= LIKED or each.rating.stars <= DISLIKED]


def liked(ratings: Sequence[WeightedRating]) -> list[WeightedRating]:
    """Ratings of liked images that count."""
    return [each for each in ratings if each.rating.stars >= LIKED and each.weight > 0]


def _sorted_pairs(pairs: Sequence[WeightedPair]) -> list[WeightedPair]:
    """Pairs in an order that does not depend on the order of the feedback."""

    def key(each: WeightedPair) -> tuple[str, str, str, str, float]:
        pair = each.pair
        return pair.better.sha256, pair.worse.sha256, pair.better.prompt, pair.rater, each.weight

    return sorted(pairs, key=key)


def _sorted_ratings(ratings: Sequence[WeightedRating]) -> list[WeightedRating]:
    """Ratings, likewise."""

    def key(each: WeightedRating) -> tuple[str, str, str, int, float]:
        rating = each.rating
        return rating.image.sha256, rating.image.prompt, rating.rater, rating.stars, each.weight

    return sorted(ratings, key=key)
