"""What influence.html shows, from scores made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limner.core.influence import ExplainedImage, Influence, TrainingImage
from limner.core.workspace import Workspace
from limner.engine.influence import influence


def explained(scores: list[float], worths: list[float | None]) -> Influence:
    training = tuple(
        TrainingImage(picture=f"data/{n}.png", sha256=f"{n}", caption=f"dog {n}", worth=worth, verdict="useful")
        for n, worth in enumerate(worths)
    )
    picture = ExplainedImage(picture="far/away/made.png", sha256="x", prompt="a dog", scores=tuple(scores))
    return Influence(
        adapter="blob", sha256="0", model="m", data="d", output="loss", timesteps=1, ridge=0.1, seed=1, judged_on=3,
        training=training, pictures=(picture, picture.model_copy(update={"painted_by": "max"})),
    )  # fmt: skip


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The values of the page, with image names in place of images."""
    monkeypatch.setattr(influence, "open_image", lambda path: path)
    monkeypatch.setattr(influence, "data_url", lambda image, side: f"{Path(image).name} at {side}")
    workspace = Workspace("test", tmp_path, tmp_path, tmp_path, names={"blob": "adapters/rex"})
    return lambda found: influence.page_of(found, workspace)


def test_an_images_page_has_the_six_most_and_the_three_least_influential(page_of: Any) -> None:
    scores = [0.5, -0.2, 0.9, 0.1, 0.3, 0.8, 0.05, 0.7, -0.4, 0.0, 0.6]
    page = page_of(explained(scores, [None] * 11))
    first, second = page["rows"]
    assert [each["name"] for each in first["most"]] == [f"{n}.png" for n in (2, 5, 7, 10, 0, 4)]
    assert [each["name"] for each in first["least"]] == [f"{n}.png" for n in (9, 1, 8)]
    assert first["most"][0] == {"src": "2.png at 160", "name": "2.png", "score": "+0.90"}
    assert (first["src"], first["name"], first["prompt"]) == ("made.png at 160", "away/made.png", "a dog")
    assert (first["painted_by"], second["painted_by"]) == (None, "max")
    assert page["adapter"] == "rex" and page["judged"] == []


def test_no_image_is_among_the_most_and_the_least(page_of: Any) -> None:
    (row, _) = page_of(explained([0.5, 0.0, 0.4, 0.3], [None] * 4))["rows"]
    assert [each["name"] for each in row["most"]] == ["0.png", "2.png", "3.png"]
    assert [each["name"] for each in row["least"]] == ["1.png"], "a score of zero is no influence"


def test_training_images_are_listed_from_the_most_harmful(page_of: Any) -> None:
    page = page_of(explained([0.1] * 4, [0.2, -0.5, None, 0.0]))
    assert [(each["name"], each["worth"], each["caption"]) for each in page["judged"]] == [
        ("1.png", "-0.500", "dog 1"),
        ("3.png", "+0.000", "dog 3"),
        ("0.png", "+0.200", "dog 0"),
    ]
