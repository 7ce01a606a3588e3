"""Counts of the gallery are kept only until something changes that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gallery import add_image
from limner.core.feedback import ImageQuery, Rating
from limner.store import facets
from limner.studio.images import Viewer
from limner.studio.maintenance import EraseSelection
from limner.studio.studio import Studio

VIEW = Viewer("ann")
Act = Callable[[Studio, int, Any], object]


def _erase(studio: Studio, image: int, other: int) -> object:
    return studio.maintenance.erase(EraseSelection(images=(image,)))


def _replace(studio: Studio, image: int, other: int) -> object:
    """Erase the newest image and make another one, which may get its id."""
    studio.maintenance.erase(EraseSelection(images=(other,)))
    return add_image(studio, model="sdxl")


CHANGES: dict[str, Act] = {
    "made": lambda studio, image, other: add_image(studio),
    "rated": lambda studio, image, other: studio.feedback.rate(VIEW, image, Rating(stars=5)),
    "rated again": lambda studio, image, other: studio.feedback.rate(VIEW, other, Rating(stars=1)),
    "not rated": lambda studio, image, other: studio.feedback.set_stars(VIEW, {other: None}),
    "favourite": lambda studio, image, other: studio.feedback.set_favourite(VIEW, image, True),
    "no favourite": lambda studio, image, other: studio.feedback.set_favourite(VIEW, other, False),
    "size": lambda studio, image, other: studio.images.record_look(
        studio.store.artifacts(kind="picture")[0].sha256, (64, 32), "ffffff"
    ),
    "erased": _erase,
    "replaced": _replace,
    "hidden": lambda studio, image, other: studio.maintenance.erasures.add(
        "ann", EraseSelection(images=(image,)), derived=False, after=timedelta(days=1)
    ),
}


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    made = Studio(home)
    yield made
    made.close()


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_counted_at_once_by_other_processes_too(studio: Studio, change: str) -> None:
    image, other = add_image(studio), add_image(studio)
    studio.feedback.rate(VIEW, other, Rating(stars=4))
    studio.feedback.set_favourite(VIEW, other, True)
    second = Studio(studio.home)
    if change == "size":
        with studio.store.session() as session:
            from sqlalchemy import update

            from limner.store.tables import ImageIndexRow

            session.execute(update(ImageIndexRow).values(width=None, height=None))
    before = second.images.facets(VIEW, ImageQuery())
    CHANGES[change](studio, image, other)
    after = second.images.facets(VIEW, ImageQuery())
    assert after != before and after == facets.image_facets(studio.store, VIEW, ImageQuery())
    second.close()


def test_an_undone_erasure_is_counted_again(studio: Studio) -> None:
    image = add_image(studio)
    erasures = studio.maintenance.erasures
    made = erasures.add("ann", EraseSelection(images=(image,)), derived=False, after=timedelta(days=1))
    assert studio.images.facets(VIEW, ImageQuery()).total == 0
    erasures.undo("ann", made.id)
    assert studio.images.facets(VIEW, ImageQuery()).total == 1


def test_counts_are_kept_by_viewer_and_query(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    add_image(studio, "a cat", owner="ann")
    counted: list[Any] = []
    count = facets.image_facets

    def counting(*given: Any) -> Any:
        counted.append(given)
        return count(*given)

    monkeypatch.setattr(facets, "image_facets", counting)
    for _ in range(3):
        assert studio.images.facets(VIEW, ImageQuery()).total == 1
        assert studio.images.facets(VIEW, ImageQuery(before=1, limit=7, order="oldest")).total == 1
        assert studio.images.facets(VIEW, ImageQuery(model="sdxl")).total == 0
        assert studio.images.facets(Viewer("ben", "ben"), ImageQuery()).total == 0
    assert len(counted) == 3
