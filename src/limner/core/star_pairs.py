"""Pairs of a preferred and a rejected image that follow from stars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from limner.core.moments import utc
from limner.core.preferences import Judgement, Preference

T = TypeVar("T")


def opposite_ends(group: Sequence[T], stars: Callable[[T], int]) -> Iterator[tuple[T, T]]:
    """The first with the last, the second with the one before the last, and so on, as long as their stars differ.

    group: by falling stars. So no item is in two pairs.
    """
    for best, worst in zip(group[: len(group) // 2], reversed(group), strict=False):
        if stars(best) > stars(worst):
            yield best, worst


def pairs_from_stars(ratings: Sequence[Judgement]) -> Iterator[Preference]:
    """Pairs of images of the same prompts by one rater's stars, the best with the worst, and so on.

    Ratings without a rater are one rater's. The reasons are those of the worse image.
    """
    ordered = sorted(ratings, key=lambda each: (*_group(each), -each.stars, each.image.sha256))
    for (rater, _, _), group in groupby(ordered, _group):
        for best, worst in opposite_ends([*group], lambda each: each.stars):
            moments = [utc(each.created) for each in (best, worst) if each.created is not None]
            yield Preference(
                better=best.image,
                worse=worst.image,
                reasons=worst.reasons,
                rater=rater,
                source="stars",
                created=max(moments, default=None),
            )


def _group(rating: Judgement) -> tuple[str, str, str]:
    return rating.rater, rating.image.prompt, rating.image.negative_prompt
