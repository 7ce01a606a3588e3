"""An improvement on feedback that the studio recorded: images are generated, rated and learnt from."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner import GenerateRequest, ImproveRequest, Studio
from limner.core.feedback import ImageQuery, Rating
from limner.core.improve import ImprovementRecord
from limner.core.runs import Status
from limner.models.adapters import open_adapter
from limner.store.queue import Queue
from limner.studio.images import Viewer
from limner.workers.execution import ClaimedRun, execute_claimed

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


@pytest.mark.slow
def test_a_queued_improvement_learns_from_what_its_account_sees(original, tmp_path, painted):
    studio = Studio()
    model, adapter = (studio.files.upload(Path(place)) for place in (model_of(original), original))
    photos = studio.files.upload(painted)
    for prompt in PROMPTS:
        request = GenerateRequest(prompt=prompt, adapter=[adapter], model=model, count=2, steps=2)
        assert [failure for _, failure in worked(studio, request)] == [None]
    for number, image in enumerate(studio.images.list(Viewer(), ImageQuery())):
        studio.feedback.rate(Viewer("ann"), image.id, Rating(stars=1 + 4 * (number % 2)))
    request = ImproveRequest.model_validate(
        {"target": adapter, "model": model, "references": photos, "steps": 1, "batch": 1, "count": 2}
    )
    ((claimed, failure),) = worked(studio, request)
    assert failure is None
    artifacts = {artifact.kind: artifact for artifact in studio.runs.artifacts(claimed.run.id)}
    text = studio.files.local_path(artifacts["scores"].details["reference"]).read_text()
    found = ImprovementRecord.model_validate_json(text)
    assert found.pairs + found.held_out_pairs == 3 and "subject_fidelity" in [each.name for each in found.measured]
    assert str(tmp_path) not in text and str(studio.home) not in text, "no path of the machine"
    assert found.request["target"]["model"] == adapter and found.request["model"] == found.model == model
    folder = studio.files.local_path(artifacts["adapter"].details["reference"])
    assert open_adapter(str(folder)).sha256 == found.sha256
    assert str(studio.home) not in str(open_adapter(str(folder)).header)


@pytest.mark.slow
def test_the_new_adapter_of_a_model_names_no_path_of_the_worker(original, tmp_path):
    studio = Studio()
    model = studio.files.upload(Path(model_of(original)))
    for prompt in PROMPTS:
        worked(studio, GenerateRequest(prompt=prompt, model=model, count=2, steps=2))
    for number, image in enumerate(studio.images.list(Viewer(), ImageQuery())):
        studio.feedback.rate(Viewer("ann"), image.id, Rating(stars=1 + 4 * (number % 2)))
    request = ImproveRequest.model_validate({"target": model, "model": model, "steps": 1, "batch": 1, "count": 2})
    ((claimed, failure),) = worked(studio, request)
    assert failure is None
    (made,) = studio.runs.artifacts(claimed.run.id, "adapter")
    adapter = open_adapter(str(studio.files.local_path(made.details["reference"])))
    assert str(studio.home) not in str(adapter.header) and adapter.facts["base"]["reference"] == model
    assert made.details["base"] == model


def worked(studio, request):
    """Queue a request and execute it as a worker does."""
    studio.enqueue(request)
    ((run, lease),) = Queue(studio.store).claim("w", 1)
    found = list(execute_claimed(studio, [ClaimedRun(run, lease)]))
    studio.store.update(run.id, status=Status.DONE)
    return found


def model_of(original) -> str:
    return open_adapter(str(original)).facts["base"]["reference"]
