"""The sentences about influence, by scores that were chosen by hand."""

from __future__ import annotations

import pytest

from limner.core.influence import ExplainedImage, Influence, TrainingImage, Usefulness, distinct_names

VERDICTS: tuple[Usefulness | None, ...] = ("harmful", "useful", "useless", "harmful", None)


def influence(*scores: tuple[float, ...]) -> Influence:
    """The influence of five training images on images with these scores."""
    training = tuple(
        TrainingImage(picture=f"/t/{number}.png", sha256="0" * 64, caption="a", verdict=verdict)
        for number, verdict in enumerate(VERDICTS)
    )
    pictures = tuple(
        ExplainedImage(picture=f"/g/{number}.png", sha256="1" * 64, prompt="a", scores=each)
        for number, each in enumerate(scores)
    )
    facts = {"adapter": "rex", "sha256": "2" * 64, "model": "m", "data": "/t", "output": "loss", "timesteps": 10}
    return Influence.model_validate(
        facts | {"ridge": 0.1, "seed": 42, "judged_on": 4, "training": training, "pictures": pictures}
    )


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ((0.1, 0.25, -0.9, 0.2, 0.0), "0.png is influenced most by the training image 1.png (+0.25)."),
        ((0.3, 0.25, 0.3, 0.2, 0.0), "0.png is influenced most by the training image 0.png (+0.30)."),
        ((-0.1, -0.25, -0.9, -0.2, 0.0), "0.png is not influenced by any training image."),
        ((-0.1, -0.25, -0.9, -0.2, 0.001), "0.png is influenced most by the training image 4.png (+0.00)."),
    ],
)
def test_the_greatest_score_names_the_training_image(scores: tuple[float, ...], sentence: str) -> None:
    assert influence(scores).verdict == sentence


def test_every_image_has_its_sentence() -> None:
    found = influence((1, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    first, second = found.verdict.split(". ")
    assert first == "0.png is influenced most by the training image 0.png (+1.00)"
    assert second == "1.png is not influenced by any training image."


def test_without_any_verdict_the_reason_is_given() -> None:
    training = tuple(each.model_copy(update={"verdict": None}) for each in influence().training)
    found = influence().model_copy(update={"training": training, "cannot_tell": "4 other images are too few"})
    assert found.verdict == (
        "Cannot tell which of the 5 training images are harmful or useless: 4 other images are too few."
    )
    all_told = influence().model_copy(update={"training": influence().training[:4]})
    assert all_told.verdict == "Of 4 training images 2 are harmful, 1 useless."


def test_training_images_are_counted_where_no_image_is_explained() -> None:
    found = influence()
    assert found.verdict == "Of 5 training images 2 are harmful, 1 useless; cannot tell about 1."
    assert [each.picture for each in found.harmful] == ["/t/0.png", "/t/3.png"]
    assert [each.picture for each in found.useless] == ["/t/2.png"]


def test_images_of_the_same_name_are_told_apart_by_their_folders() -> None:
    assert distinct_names(["/a/x/1.png", "/a/y/1.png", "/a/y/2.png"]) == ["x/1.png", "y/1.png", "y/2.png"]
    assert distinct_names(["/a/x/1.png", "/b/x/1.png"]) == ["a/x/1.png", "b/x/1.png"]
    assert distinct_names(["/a/1.png", "/b/2.png"]) == ["1.png", "2.png"]
    assert distinct_names(["/a/1.png", "/a/1.png"]) == ["1.png", "1.png"]
    assert distinct_names([]) == []


def test_an_image_of_another_model_is_similar_and_not_influenced() -> None:
    def verdict(*scores: float) -> str:
        found = influence(scores)
        other = found.pictures[0].model_copy(update={"painted_by": "starter"})
        return found.model_copy(update={"pictures": (other,)}).verdict

    similar = "0.png is most similar to the training image 1.png (+0.25); rex did not generate it."
    assert verdict(0.1, 0.25, -0.9, 0.2, 0.0) == similar
    assert verdict(-1, -1, -1, -1, 0.0) == "0.png is not similar to any training image; rex did not generate it."
