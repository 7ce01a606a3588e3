"""Advice on datasets with known faults: it is right, and good datasets get no warning."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner.data.diversity.advice import (
    Advice,
    advise_on_dataset,
    advise_on_subject,
    on_backgrounds,
    on_balance,
    on_captions,
    on_copies,
    on_licences,
    on_number,
)
from limner.data.diversity.balance import NONE, ValueCounts
from limner.data.diversity.scenes import Light, describe_scene

GROUNDS = ("white", "#2a6e2a", "#203060", "#d08030", "#707070", "#602050", "#f0e060", "#101010", "#60c0d0")


def picture(ground, number=0, box=(40, 40, 88, 88)):
    """A subject that looks another way each time, and a map of it."""
    image, where = Image.new("RGB", (128, 128), ground), np.zeros((128, 128), np.float32)
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, "brown")
    for line in range(6):
        at = box[0] + 8 * line
        angle = number * 29 % 180 / 57.3
        draw.line((at, 64, at + 40 * np.cos(angle), 64 + 40 * np.sin(angle)), "white", 3)
    where[box[1] : box[3], box[0] : box[2]] = 1
    return describe_scene(image, where)


def texts(found: list[Advice], level: str = "") -> str:
    return "\n".join(advice.text for advice in found if not level or advice.level == level)


def test_nine_of_twelve_on_one_background():
    grounds = ["white"] * 4 + ["#2a6e2a", "#203060", "#d08030"] + ["white"] * 5
    found = advise_on_subject([picture(ground, number) for number, ground in enumerate(grounds)])
    shared = [advice for advice in found if "share one background" in advice.text]
    assert len(shared) == 1 and shared[0].level == "warning"
    assert shared[0].text.startswith("9 of 12 images share one background: add others")
    assert shared[0].pictures == (0, 1, 2, 3, 7, 8, 9, 10, 11)
    assert found == sorted(found, key=lambda advice: ("warning", "info", "good").index(advice.level))


def test_varied_pictures_are_praised():
    found = advise_on_subject([picture(ground, number) for number, ground in enumerate(GROUNDS)], looked_at_faces=True)
    assert not texts(found, "warning") and "same light" not in texts(found)
    assert "9 images show about 9 backgrounds" in texts(found, "good")
    assert "all images share one background" in texts(advise_on_subject([picture("white", at) for at in range(6)]))


@pytest.mark.parametrize(("alike", "said"), [(3, "good"), (4, None), (5, "warning")])
def test_of_nine_three_on_one_background_are_varied_and_five_are_too_many(alike, said):
    """A third and less is praised, more than a half is warned of."""
    grounds = ["white"] * alike + list(GROUNDS[1 : 10 - alike])
    found = on_backgrounds([picture(ground, number) for number, ground in enumerate(grounds)])
    assert [advice.level for advice in found] == ([said] if said else [])


def test_light_and_views():
    seen = [picture(ground, number) for number, ground in enumerate(GROUNDS)]
    noon = [replace(each, light=Light(0.5, 0.2, 1.0, 0.0)) for each in seen]
    assert "same light" in texts(advise_on_subject(noon))
    evening = [replace(each, light=Light(0.5, 0.2, 25.0 * (at % 2), 0.0)) for at, each in enumerate(seen)]
    assert "same light" not in texts(advise_on_subject(evening))
    assert "looks much the same" in texts(advise_on_subject([replace(each, view=seen[0].view) for each in seen]))
    blank = [replace(each, view=np.zeros_like(each.view)) for each in seen]
    assert "looks much the same" not in texts(advise_on_subject(blank)), "what is not seen is not alike"


def test_small_subjects_are_named():
    seen = [picture(ground, number) for number, ground in enumerate(GROUNDS)]
    seen[2], seen[5] = picture("white", 3, (60, 60, 90, 90)), picture("green", 4, (10, 10, 30, 30))
    found = [advice for advice in advise_on_subject(seen) if "fills less than 10%" in advice.text]
    assert [advice.pictures for advice in found] == [(2, 5)] and "2 images: crop closer" in found[0].text
    untold = [describe_scene(Image.new("RGB", (64, 64))) for _ in range(6)]
    assert "fills less" not in texts(advise_on_subject(untold))


@pytest.mark.parametrize("count", range(5))
def test_few_images_are_a_warning(count):
    assert ("no image" if not count else f"only {count} image") in texts(on_number(count), "warning")
    assert texts(advise_on_subject([picture("white")] * count), "warning")


def test_five_pictures_are_enough():
    assert not on_number(5)


def test_copies_captions_and_licences():
    assert not on_copies([]) and not on_copies([1, 2, 3, 4, 5]) and not on_copies([1, 1, *range(2, 9)])
    assert on_copies([1, 1, 2, 3]) and not on_copies([1, 1, 2, 3, 4]), "from a quarter on"
    found = on_copies([7, 7, 7, 1, 2])
    assert "2 of 5 images" in found[0].text and found[0].pictures == (0, 1, 2)
    assert "all captions are the same" in texts(on_captions(Counter(["a dog"] * 5)))
    assert not on_captions(Counter(["a dog", "a dog", "a cat"])) and not on_captions(Counter())
    assert "2 of 3 images have no caption" in texts(on_captions(Counter(["a dog", None, ""])), "warning")
    assert not on_licences([], 5)
    assert "not known for 2 of 5 images" in texts(on_licences([1, 2], 5), "info")
    assert "no licence is known for any image" in texts(on_licences([], 3, 3))


def test_advice_on_balance_has_its_figures():
    found = advise_on_dataset([ValueCounts("breed", (("corgi", 80), ("husky", 10), ("poodle", 10)))], Counter(), 3, 100)
    text = texts(found, "warning")
    assert "breed: 'corgi' has 80 of 100 images (80%), 2.4 times an equal share" in text
    assert "weights would count each 0.42 times" in text and "sample would keep 30 of all" in text
    assert "the licence is not known for 3 of 100 images" in texts(found, "info")
    assert not texts(on_balance(ValueCounts("style", (("a", 50), ("b", 48)))), "warning")
    assert "not known for 5 of 25" in texts(on_balance(ValueCounts("style", (("a", 10), ("b", 10), (NONE, 5)))))
    assert not on_balance(ValueCounts("style", ())) and not on_balance(ValueCounts("style", (("a", 5),)))


def test_advice_begins_with_what_hurts_the_result_most():
    small = [picture("white", at, (60, 60, 68, 68)) for at in range(4)]
    seen = [replace(each, light=Light(0.5, 0.2, 1.0, 0.0), view=small[0].view) for each in small]
    found = advise_on_subject(seen, copies=(0, 0, 1, 1), captions=["a dog"] * 4, licences=[None] * 4)
    parts = (
        "only 4 images",
        "crop closer",
        "nearly the same as another",
        "share one background",
        "looks much the same",
        "same light",
        "all captions are the same",
        "no licence is known",
    )
    assert len(found) == len(parts) and all(part in advice.text for part, advice in zip(parts, found, strict=True))


def test_expressions_are_mentioned_only_for_faces():
    seen = [picture(ground, number) for number, ground in enumerate(GROUNDS)]
    assert "expression" not in texts(advise_on_subject(seen)) + texts(advise_on_subject([seen[0]] * 9))
    assert "expressions" in texts(advise_on_subject([seen[0]] * 9, looked_at_faces=True))


def test_advice_on_faces_mentions_expressions():
    from limner.data.diversity.advice import on_views

    alike = [describe_scene(*subject) for subject in [_face(0)] * 4]
    (advice,) = on_views(alike, faces=True)
    assert advice.level == "info" and "expressions" in advice.text
    (advice,) = on_views([describe_scene(*_face(seed)) for seed in range(4)], faces=True)
    assert advice.level == "good" and "expressions" in advice.text


def _face(seed):
    """Noise, in the middle of which the face shall be."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).resize(
        (128, 128), Image.Resampling.BICUBIC
    )
    where = np.zeros((128, 128), dtype=np.float32)
    where[32:96, 32:96] = 1
    return picture, where
