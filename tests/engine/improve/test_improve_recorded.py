"""An improvement on feedback that the studio recorded: images are generated, rated and learnt from."""

from __future__ import annotations

import pytest

from limner import GenerateRequest, ImproveRequest, Studio
from limner.core.feedback import ImageQuery, Rating
from limner.core.improve import ImprovementRecord
from limner.models.adapters import open_adapter
from limner.studio.images import Viewer

PROMPTS = ("a photo of sks dog in snow", "sks dog on a beach", "a photo of sks dog at home")


@pytest.mark.slow
def test_ratings_of_generated_images_improve_their_adapter(original, tmp_path):
    studio = Studio()
    for prompt in PROMPTS:
        request = GenerateRequest(prompt=prompt, adapter=[str(original)], model=model_of(original), count=4, steps=2)
        studio.run(request, tmp_path / "pictures")
    other = GenerateRequest(prompt=PROMPTS[0], model=model_of(original), count=1, steps=2)
    studio.run(other, tmp_path / "pictures")
    for number, image in enumerate(studio.images.list(Viewer(), ImageQuery())):
        studio.feedback.rate(Viewer("ann"), image.id, Rating(stars=1 + number % 5))
    request = ImproveRequest(target=str(original), steps=1, batch=1, count=2)
    run = studio.run(request, tmp_path / "better")
    found = ImprovementRecord.model_validate_json((tmp_path / "better" / "record.json").read_text())
    assert found.sha256 == open_adapter(str(tmp_path / "better")).sha256 != found.original
    assert found.ratings + found.held_out_ratings == 12, "the image of the model alone is not the adapter's"
    assert found.pairs and found.held_out_pairs and found.left_out == ("1 rating: an image is not one of 'rex'",)
    kinds = [artifact.kind for artifact in studio.runs.show(run.id)[1] if artifact.kind != "picture"]
    assert sorted(kinds) == ["adapter", "report", "scores"]
    again = ImproveRequest(target=str(tmp_path / "better"), steps=1, batch=1, count=2)
    with pytest.raises(ValueError, match="there is no feedback on images of 'better'"):
        studio.run(again, tmp_path / "best")


def model_of(original) -> str:
    return open_adapter(str(original)).facts["base"]["reference"]
