"""The feedback that an improvement can use: on images of its target that are there, without contradictions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from limner.core.left_out import LeftOut
from limner.core.moments import utc
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.engine.improve.target_images import TargetImages, missing


def usable_ratings(feedback: Feedback, target: TargetImages, left_out: LeftOut) -> list[Judgement]:
    """The ratings of the target's images, in an order that does not depend on theirs."""
    gone, fits = missing(each.image for each in feedback.ratings), _Fits(target)
    found: list[Judgement] = []
    for each in sorted(feedback.ratings, key=_rating_order):
        if each.image.location in gone:
            left_out.add("rating", "the image is gone")
        elif fits.check("rating", (each.image,), left_out):
            found.append(each)
    fits.say("rating", left_out)
    return found


def usable_pairs(feedback: Feedback, target: TargetImages, left_out: LeftOut) -> list[Preference]:
    """The pairs of two images of the target with one prompt, of which one is better, in an order of their own."""
    gone = missing(image for pair in feedback.pairs for image in (pair.better, pair.worse))
    fits, found = _Fits(target), list[Preference]()
    for pair in sorted(feedback.pairs, key=_pair_order):
        images = (pair.better, pair.worse)
        if pair.tie:
            left_out.add("pair", "neither image is better")
        elif pair.better.sha256 == pair.worse.sha256:
            left_out.add("pair", "both images are the same")
        elif len({(image.prompt, image.negative_prompt) for image in images}) > 1:
            left_out.add("pair", "the images belong to two prompts")
        elif not gone.isdisjoint(image.location for image in images):
            left_out.add("pair", "an image is gone")
        elif fits.check("pair", images, left_out):
            found.append(pair)
    fits.say("pair", left_out)
    return found


class _Fits:
    """Whether images are the target's, each image asked once."""

    def __init__(self, target: TargetImages) -> None:
        self._target = target
        self._known: dict[str, bool | None] = {}
        self._unknown = 0

    def check(self, what: str, images: Sequence[JudgedImage], left_out: LeftOut) -> bool:
        """Whether none of the images is another one's; counts what is left out, and what does not say."""
        for image in images:
            if image.sha256 not in self._known:
                self._known[image.sha256] = self._target.have(image)
            if self._known[image.sha256] is False:
                other = "" if image.model is None or image.model in self._target.models else image.model
                left_out.add(what, f"an image is not one of {self._target.name!r}", other)
                return False
        self._unknown += any(self._known[image.sha256] is None for image in images)
        return True

    def say(self, what: str, left_out: LeftOut) -> None:
        """Add a line of how much feedback does not say what its images were generated with, although it is used."""
        left_out.add(what, "used, although nothing says what generated the images", count=self._unknown)


def latest_ratings(ratings: Sequence[Judgement], left_out: LeftOut) -> list[Judgement]:
    """The last rating of each image by each rater; where no rater is named, all."""
    latest = {(each.rater or number, each.image.sha256): each for number, each in enumerate(ratings)}
    left_out.add("rating", "the same rater rated the image again", count=len(ratings) - len(latest))
    return [*latest.values()]


def consistent_pairs(pairs: Sequence[Preference], left_out: LeftOut) -> list[Preference]:
    """The pairs, each rater's once, without those that a rater judged both ways."""
    once = {pair_key(pair): pair for pair in reversed(pairs)}
    left_out.add("pair", "given twice by one rater", count=len(pairs) - len(once))
    found = [pair for key, pair in once.items() if (key[0], key[2], key[1]) not in once]
    left_out.add("pair", "contradicted by the same rater, who judged it both ways", count=len(once) - len(found))
    return found[::-1]


def pair_key(pair: Preference) -> tuple[str, str, str]:
    return pair.rater, pair.better.sha256, pair.worse.sha256


def _rating_order(each: Judgement) -> tuple[float, str, str, int]:
    return _when(each.created), each.rater, each.image.sha256, each.stars


def _pair_order(pair: Preference) -> tuple[float, str, str, str]:
    return _when(pair.created), *pair_key(pair)


def _when(created: datetime | None) -> float:
    return utc(created).timestamp() if created else 0.0
