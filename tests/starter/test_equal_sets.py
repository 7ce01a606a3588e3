"""Sets of equally good images: what they have in common, and the difference that most of them do not reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.metrics import ImageSet, ScoredImage
from limner.plugins import registry
from limner.starter.exam import equal_sets as equals
from limner.starter.exam.agreement_cases import ImageWriter
from limner.starter.exam.equal_sets import IMAGES, EqualSets, equal_sets, smallest_differences
from limner.starter.painter import CHARACTERS

SETS_ONLY = {"fid", "kid"}
"""Metrics with a single value for all images, which decide no verdict."""
NAMED = {"preference", "aesthetic"}
"""Metrics that need a download."""


@pytest.fixture(scope="module")
def all_sets(tmp_path_factory: pytest.TempPathFactory) -> list[EqualSets]:
    return list(equal_sets(ImageWriter(tmp_path_factory.mktemp("equal")), 2))


@pytest.mark.slow
def test_there_are_sets_for_every_metric_that_may_decide(all_sets: list[EqualSets]) -> None:
    measured = [name for each in all_sets for name in each.metrics]
    assert sorted(measured) == sorted({*registry.metrics.names()} - SETS_ONLY - NAMED)
    for each in all_sets:
        assert all(len(family) == 2 for family in each.families)
        for images in (images for family in each.families for images in family):
            groups = {item.group for item in images.items}
            assert (len(groups) if "diversity" in each.metrics else len(images.items)) == IMAGES
            assert len({path.read_bytes() for path in images.paths}) == len(images.paths), "no image is there twice"


def test_sets_of_a_character_have_the_same_places_and_poses_and_other_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}

    def paint(scene):
        drawn[len(drawn)] = scene
        return Image.new("RGB", (2, 2), (len(drawn) - 1,) * 3)

    monkeypatch.setattr(equals, "paint", paint)
    found = equals.same_character(ImageWriter(tmp_path), 2)
    assert len(found.families) == 2
    for family in found.families:
        scenes = [[drawn[Image.open(path).getpixel((0, 0))[0]] for path in images.paths] for images in family]
        (name,) = {scene.character for each in scenes for scene in each}
        assert name in CHARACTERS
        for one, other in zip(*scenes, strict=True):
            assert (one.place, one.pose) == (other.place, other.pose) and one != other
        assert family[0].references == family[1].references != ()


def test_the_difference_is_between_sets_of_one_family_and_most_do_not_reach_it(tmp_path: Path) -> None:
    writer = ImageWriter(tmp_path)

    def grey_images(*levels: int) -> ImageSet:
        """Images of two halves, whose clipping grows with the level."""
        items = []
        for level in levels:
            image = np.zeros((10, 10, 3), np.uint8)
            image[:, :, :] = 128
            image[: level // 10, :, :] = 255
            items.append(ScoredImage(writer.write(Image.fromarray(image))))
        return ImageSet(tuple(items))

    low, middle, high = grey_images(10, 10), grey_images(20, 20), grey_images(40, 40)
    far = EqualSets(("clipping",), "alike", ((low, middle, high),))
    (found,) = smallest_differences(far)
    values = [float(np.mean(score)) for score in ([10, 10], [20, 20], [40, 40])]
    apart = [abs(values[i] - values[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found.value == pytest.approx(np.quantile(apart, 0.95)) and (found.images, found.pairs) == (2, 3)
    assert (found.metric, found.network, found.sets) == ("clipping", None, "alike")
    (near,) = smallest_differences(replace(far, families=((low, low), (high, high))))
    assert near.value == 0 and near.pairs == 2, "sets of different families are not compared"


def test_equal_sets_are_always_the_same(tmp_path: Path) -> None:
    first, second = (equals.drifted(ImageWriter(tmp_path), 2) for _ in range(2))
    for one, other in zip(first.families[0], second.families[0], strict=True):
        assert [path.read_bytes() for path in one.paths] == [path.read_bytes() for path in other.paths]
        assert [item.prompt for item in one.items] == [item.prompt for item in one.base]
