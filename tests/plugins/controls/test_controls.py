"""Control images: edges between two thresholds, depth from black to white, and a given image as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import LimnerError
from limner.plugins.controls import canny, depth, given


def edges(upper: int, lower: int) -> tuple[int, int]:
    """The number of edge pixels in the halves of a grey image with a step of so many levels in the middle of each."""
    pixels = np.full((40, 40), 100, np.uint8)
    pixels[:20, 20:] += upper
    pixels[20:, 20:] += lower
    found = canny.plugin.guide(Image.fromarray(pixels).convert("RGBA"))
    assert found.mode == "RGB" and found.size == (40, 40)
    white = (np.asarray(found) == 255).all(-1)
    assert (white | (np.asarray(found) == 0).all(-1)).all()
    return int(white[:16].sum()), int(white[24:].sum())


@pytest.mark.parametrize(
    ("upper", "lower", "found"),
    [
        (51, 51, (True, True)),  # Sobel's gradient is four times the step: 204, above 200
        (49, 49, (False, False)),
        (51, 26, (True, True)),  # above 100, and it continues a strong one
        (51, 24, (True, False)),
    ],
)
def test_edges_begin_at_200_and_go_on_down_to_100(upper: int, lower: int, found: tuple[bool, bool]) -> None:
    counts = edges(upper, lower)
    assert tuple(count >= 16 for count in counts) == found == tuple(count > 0 for count in counts)


def test_an_edge_between_colours_of_the_same_lightness_is_found() -> None:
    image = Image.new("RGB", (40, 40), (255, 0, 0))
    image.paste((0, 130, 0), (20, 0, 40, 40))
    assert abs(image.convert("L").getpixel((0, 0)) - image.convert("L").getpixel((30, 0))) < 3  # type: ignore[operator]
    assert np.asarray(canny.plugin.guide(image)).any()


@pytest.fixture
def estimates(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the estimator returns from now on: the last item. It records what it was made with in front."""
    found: list[Any] = []

    def pipeline(task: str, *, model: str) -> Any:
        found.insert(0, (task, model))
        return lambda image: {"depth": Image.fromarray(found[-1])}

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(pipeline=pipeline))
    depth._estimator.cache_clear()
    yield found
    depth._estimator.cache_clear()


def test_depth_is_spread_from_black_to_white_in_the_images_size(estimates: list[Any]) -> None:
    image = Image.new("RGB", (30, 20), "teal")
    estimates.append(np.repeat(np.float32([[2.0, 3.0, 6.0]]), 2, axis=0))
    found = depth.plugin.guide(image)
    assert (found.mode, found.size) == ("RGB", (30, 20))
    levels = np.asarray(found)
    assert (levels[:, 0] == 0).all() and (levels[:, -1] == 255).all()
    assert (np.diff(levels[0, :, 0].astype(int)) >= 0).all() and abs(int(levels[10, 14, 0]) - 64) < 20
    estimates.append(np.full((2, 3), 7.0, np.float32))
    assert not np.asarray(depth.plugin.guide(image)).any()
    assert estimates[:-2] == [("depth-estimation", "depth-anything/Depth-Anything-V2-Small-hf")], "it is loaded once"


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_missing_estimator_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("no network")

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(pipeline=fail))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    depth._estimator.cache_clear()
    with pytest.raises(LimnerError, match=r"could not be fetched \(no network\)"):
        depth.plugin.guide(Image.new("RGB", (8, 8)))


def test_a_given_image_is_used_as_it_is() -> None:
    image = Image.new("RGBA", (3, 5))
    assert given.plugin.guide(image) is image
