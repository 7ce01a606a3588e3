"""Tests of what an improvement learns from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.feedback import Reason
from limner.core.preferences import Feedback, JudgedImage, Judgement, Preference
from limner.engine.improve.learning_set import LearningSet, learning_set, noise_of
from limner.engine.improve.target_images import TargetImages

OURS, OTHERS = "a" * 64, "b" * 64
TARGET = TargetImages("rex", frozenset({OURS}), frozenset({"starter"}))


@pytest.fixture
def image(tmp_path: Path) -> Any:
    """Makes a judged image with a file. gone: without it."""

    def make(name: object, prompt: str = "a dog", gone: bool = False, **more: Any) -> JudgedImage:
        path = tmp_path / f"{name}.png"
        if not gone:
            path.touch()
        fields = {"sha256": f"{name}", "location": str(path), "prompt": prompt, "model": "starter", "adapters": [OURS]}
        return JudgedImage.model_validate(fields | more)

    return make


def learn(*given: Judgement | Preference, share: float = 0.0, **more: Any) -> LearningSet:
    ratings = tuple(each for each in given if isinstance(each, Judgement))
    pairs = tuple(each for each in given if isinstance(each, Preference))
    return learning_set(Feedback(ratings=ratings, pairs=pairs, **more), TARGET, 0, share)


def rating(image: JudgedImage, stars: int, rater: str = "ann", **more: Any) -> Judgement:
    return Judgement.model_validate({"image": image, "stars": stars, "rater": rater, **more})


def pair(better: JudgedImage, worse: JudgedImage, rater: str = "ann", **more: Any) -> Preference:
    return Preference.model_validate({"better": better, "worse": worse, "rater": rater, **more})


def names(found: LearningSet) -> set[tuple[str, str]]:
    return {(each.pair.better.sha256, each.pair.worse.sha256) for each in found.pairs}


def test_feedback_on_the_targets_images_is_used(image: Any) -> None:
    found = learn(pair(image(1), image(2)), rating(image(3), 4))
    assert names(found) == {("1", "2")} and [each.rating.stars for each in found.ratings] == [4]
    assert found.left_out == () and found.pairs[0].weight == found.ratings[0].weight == 1
    assert {each.rater: each.judgements for each in found.trust.raters} == {"ann": 2}


def test_what_cannot_be_used_is_counted(image: Any) -> None:
    good = pair(image(1), image(2))
    other = image(9, adapters=[OTHERS], model="sdxl")
    found = learn(
        good,
        pair(image(1), other),
        pair(other, image(1)),
        rating(other, 5),
        rating(image(8, adapters=[]), 5),
        pair(image(1), image(7, gone=True)),
        rating(image(6, gone=True), 5),
        pair(image(1), image(3, "a cat")),
        pair(image(1), image(4, negative_prompt="blur")),
        pair(image(1), image(5), tie=True),
        pair(image(1), image(1)),
    )
    assert names(found) == {("1", "2")} and found.ratings == ()
    assert set(found.left_out) == {
        "2 pairs: an image is not one of 'rex' ('sdxl')",
        "2 ratings: an image is not one of 'rex' ('sdxl')",
        "1 pair: an image is gone",
        "1 rating: the image is gone",
        "2 pairs: the images belong to two prompts",
        "1 pair: neither image is better",
        "1 pair: both images are the same",
    }


def test_feedback_that_does_not_say_is_used_with_a_line(image: Any) -> None:
    unknown = {"adapters": None, "model": None}
    found = learn(pair(image(1, **unknown), image(2, **unknown)), pair(image(3), image(4)))
    assert len(found.pairs) == 2
    assert found.left_out == ("1 pair: used, although nothing says what generated the images",)


def test_contradictory_pairs_of_one_rater_are_left_out(image: Any) -> None:
    one, two = image(1), image(2)
    found = learn(pair(one, two), pair(two, one), pair(one, two, "bob"), pair(image(3), image(4)))
    assert {(each.pair.rater, each.pair.better.sha256) for each in found.pairs} == {("bob", "1"), ("ann", "3")}
    assert found.left_out == ("2 pairs: contradicted by the same rater, who judged it both ways",)
    ann = next(each for each in found.trust.raters if each.rater == "ann")
    assert ann.why == ("contradicts own answers in 1 of 1 repetitions",)
    assert {each.pair.rater: each.weight for each in found.pairs} == {"bob": 1.0, "ann": ann.weight} and ann.weight < 1


def test_repeated_feedback_counts_once(image: Any) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2)
    found = learn(
        *[pair(image(1), image(2), created=moment) for moment in (late, early)],
        rating(image(3), 1, created=late),
        rating(image(3), 5, created=early),
        rating(image(3), 4, "bob"),
    )
    assert [each.pair.created for each in found.pairs] == [early]
    assert {(each.rating.rater, each.rating.stars) for each in found.ratings} == {("ann", 1), ("bob", 4)}
    assert found.left_out == ("1 pair: given twice by one rater", "1 rating: the same rater rated the image again")


def test_stars_on_the_same_prompt_are_pairs_too(image: Any) -> None:
    ratings = [rating(image(1), 5), rating(image(2), 2, reasons=["blurred"]), rating(image(3, "a cat"), 1)]
    found = learn(*ratings)
    assert names(found) == {("1", "2")} and found.pairs[0].pair.source == "stars" and len(found.ratings) == 3
    assert found.pairs[0].noise == (0.0, 0.5)
    assert names(learn(*ratings, pair(image(1), image(2)))) == {("1", "2")}, "the rater compared them too"
    assert names(learn(*ratings, pair(image(2), image(1), "bob"))) == {("1", "2"), ("2", "1")}
    assert learn(*ratings, pair(image(2), image(1))).pairs == (), "the comparison contradicts the stars"


def test_an_untrusted_rater_is_left_out(image: Any) -> None:
    ends = [(image(f"{n}a"), image(f"{n}b")) for n in range(12)]
    honest = [pair(*each, rater) for rater in ("ann", "bob", "cat") for each in ends]
    honest += [pair(image("x"), image(f"y{rater}"), rater) for rater in ("ann", "bob", "cat")]
    found = learn(*honest, *(pair(worse, better, "eve") for better, worse in ends), rating(image("z"), 5, "eve"))
    assert {each.pair.rater for each in found.pairs} == {"ann", "bob", "cat"} and found.ratings == ()
    eve = next(each for each in found.trust.raters if each.rater == "eve")
    assert eve.weight == 0 and eve.why == ("opposes the majority of the others in 12 of 12 answers",)
    assert found.left_out == ("12 pairs: its rater is not trusted", "1 rating: its rater is not trusted")


def test_no_feedback_is_an_error_that_says_why(image: Any) -> None:
    with pytest.raises(LimnerError, match=r"^there is no feedback on images of 'rex' that can be used; rate"):
        learn()
    with pytest.raises(LimnerError, match="can be used: 2 ratings: an image is not one of 'rex'; rate"):
        learn(rating(image(1, adapters=[OTHERS]), 5), rating(image(2, adapters=[OTHERS]), 5))
    with pytest.raises(LimnerError, match="can be used: 3 rows: x; rate"):
        learn(left_out=("3 rows: x",))


def test_lines_of_the_source_follow(image: Any) -> None:
    found = learn(rating(image(1), 5), rating(image(2, gone=True), 5), left_out=("3 rows: x",))
    assert found.left_out == ("1 rating: the image is gone", "3 rows: x")


def test_no_prompt_is_on_both_sides(image: Any) -> None:
    given = [
        each
        for n in range(60)
        for each in (
            pair(image(f"{n}a", f"a dog {n}"), image(f"{n}b", f"a dog {n}")),
            rating(image(f"{n}c", f"A  Dog {n}"), 1 + n % 5),
        )
    ]
    found = learn(*given, share=0.2)
    held = {each.pair.better.prompt for each in found.held_out_pairs}
    kept = {each.pair.better.prompt for each in found.pairs}
    assert held and not held & kept and len(held) + len(kept) == 60 and len(held) < 25
    rated = {" ".join(each.rating.image.prompt.split()).lower() for each in found.held_out_ratings}
    assert rated == held == {prompt.lower().replace("  ", " ") for prompt in found.held_out_prompts}
    assert len(found.held_out_prompts) == len(held) and len(found.ratings) + len(found.held_out_ratings) == 60
    assert learn(*given, share=0.0).held_out_prompts == ()
    more = learn(*given, pair(image("x", "a cat"), image("y", "a cat")), share=0.2)
    assert {*found.held_out_prompts} == {*more.held_out_prompts} - {"a cat"}


def test_reasons_choose_noise_levels() -> None:
    assert noise_of([Reason.OFF_PROMPT]) == noise_of([Reason.WRONG_SUBJECT, Reason.BAD_ANATOMY]) == (0.4, 1.0)
    assert noise_of([Reason.BLURRED, Reason.OTHER]) == noise_of([Reason.BAD_TEXT, Reason.ARTEFACTS]) == (0.0, 0.5)
    assert noise_of([Reason.BLURRED, Reason.OFF_PROMPT]) == noise_of([Reason.WRONG_STYLE]) == (0.0, 1.0)
    assert noise_of([]) == noise_of([Reason.OTHER]) == noise_of([Reason.UNSAFE]) == (0.0, 1.0)


def test_reasons_are_counted_and_reach_the_pairs(image: Any) -> None:
    found = learn(
        pair(image(1), image(2), reasons=["off_prompt", "blurred"]),
        pair(image(3), image(4), reasons=["off_prompt"]),
        rating(image(5, "a cat"), 5),
        rating(image(6, "a cat"), 2, reasons=["bad_text"]),
    )
    assert found.reasons == {Reason.OFF_PROMPT: 2, Reason.BLURRED: 1, Reason.BAD_TEXT: 1}
    assert {each.pair.better.sha256: each.noise for each in found.pairs} == {
        "1": (0.0, 1.0),
        "3": (0.4, 1.0),
        "5": (0.0, 0.5),
    }
    assert {each.rating.stars: each.noise for each in found.ratings} == {5: (0.0, 1.0), 2: (0.0, 0.5)}


def test_the_digest_is_of_the_feedback_that_is_used(image: Any) -> None:
    given = [pair(image(1), image(2)), rating(image(3), 4), rating(image(4), 1, "bob")]
    digest = learn(*given).digest
    assert len(digest) == 64 and learn(*given[::-1]).digest == learn(*given, share=0.2).digest == digest
    assert learn(*given, rating(image(5, gone=True), 5)).digest == digest
    moved = [pair(image(1), image(2, location=image(9).location)), *given[1:]]
    assert learn(*moved).digest == digest, "files may lie elsewhere"
    dated = [each.model_copy(update={"created": datetime(2026, 1, 9 - n)}) for n, each in enumerate(given)]
    assert learn(*dated).digest == digest, "when it was given does not matter"
    others = [
        given[:2],  # without the feedback of an account
        [pair(image(2), image(1)), *given[1:]],
        [pair(image(1), image(2), reasons=["blurred"]), *given[1:]],
        [pair(image(1), image(2), "bob"), *given[1:]],
        [given[0], rating(image(3), 5), given[2]],
        [given[0], rating(image(3), 4, "bob"), given[2]],
        [given[0], rating(image(3, "a cat"), 4), given[2]],
    ]
    assert len({digest, *(learn(*each).digest for each in others)}) == 8


def test_the_order_of_feedback_changes_nothing(image: Any) -> None:
    given = [pair(image(f"{n}a", f"dog {n}"), image(f"{n}b", f"dog {n}"), f"r{n % 3}") for n in range(20)]
    given += [rating(image(f"{n}c", f"dog {n}"), 1 + n % 5) for n in range(20)]
    assert learn(*given, share=0.2) == learn(*given[::-1], share=0.2)
