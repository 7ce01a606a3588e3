"""Images of several requests as parts of one run: which exist already, batches, progress and events."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from limner import GenerateRequest
from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, Notice, Progress, Stage
from limner.core.execution import Execution, body_of
from limner.core.workspace import Workspace
from limner.engine.generate import parts
from limner.engine.generate.parts import GenerationPart, JointProgress, existing_images, generate_parts
from limner.provenance.labels import Label, write_png

SAMPLING = {"steps": 10, "guidance": 3.0, "guidance_rescale": 0.0}
FINGERPRINT = "f" * 64


def request_of(**fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": "a cat", "seed": 5, "count": 3, "batch": 4} | fields)


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model that needs no files, and adapters whose hash is their first letter."""
    found = SimpleNamespace(sampling=SAMPLING, fingerprints=lambda: {FINGERPRINT}, domain=None)
    monkeypatch.setattr(parts.loading, "resolve", lambda reference, vae=None: found)
    monkeypatch.setattr(parts, "open_adapter", lambda path: SimpleNamespace(sha256=path[0] * 64))
    return found


def write_image(
    folder: Path, seed: int, memory: Any = "high", adapters: str = "", weights: Any = (), sha256: str = FINGERPRINT
) -> Path:
    request = request_of(seed=5, steps=10, guidance=3.0, guidance_rescale=0.0, width=64, height=64)
    marks: Any = tuple(
        {"name": each, "path": each, "sha256": each * 64, "weight": weight}
        for each, weight in zip(adapters, weights, strict=True)
    )
    model: Any = {"reference": "m", "sha256": sha256, "licence": "mit"}
    body = body_of(request, Execution(memory=memory))
    label = Label(request=body, index=0, seed=seed, version="1", model=model, adapters=marks)
    folder.mkdir(exist_ok=True)
    write_png(Image.new("RGB", (8, 8)), folder / f"{seed}.png", label)
    return folder / f"{seed}.png"


def test_an_image_exists_with_its_seed_model_memory_and_adapters(tmp_path: Path, model: Any) -> None:
    path = write_image(tmp_path / "a", 6)
    write_image(tmp_path / "a", 8), write_image(tmp_path / "a", 4)
    assert existing_images(request_of(), tmp_path / "a") == {6: path}, "seeds 5, 6 and 7 are asked for"
    assert existing_images(request_of(), tmp_path / "a", "low") == {}
    low = write_image(tmp_path / "low", 6, memory="low")
    assert existing_images(request_of(), tmp_path / "low", "low") == {6: low}
    write_image(tmp_path / "other", 6, sha256="e" * 64)
    assert existing_images(request_of(), tmp_path / "other") == {}, "other weights"
    model.fingerprints = set
    assert existing_images(request_of(), tmp_path / "other") != {}, "no weights are known"
    assert existing_images(request_of(), tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("adapters", "same"),
    [
        (["ax:0.5", "by:2"], True),
        (["ax:0.5"], False),
        (["ax:0.5", "by"], False),
        (["by:2", "ax:0.5"], False),
        ([], False),
    ],
)
def test_an_image_exists_with_the_same_adapters_and_weights_only(
    tmp_path: Path, adapters: list[str], same: bool
) -> None:
    write_image(tmp_path / "a", 6, adapters="ab", weights=(0.5, 2.0))
    assert bool(existing_images(request_of(adapter=adapters), tmp_path / "a")) == same


# Generating


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Generate without a model: an event for each image. Returns the jobs of each batch."""
    found: list[Any] = []

    def generate(jobs: Any) -> Any:
        found.append(list(jobs))
        for job in jobs:
            job.emit(Notice(text="the same for all"))
            job.emit(Stage(name="generating", total=job.request.count * 10))
            for place in range(job.request.count):
                path = job.workspace.out / f"{job.request.seed + place}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                job.emit(Progress(done=10 * (place + 1)))
                details = {"seed": job.request.seed + place}
                job.emit(ArtifactCreated(what="picture", path=str(path), sha256="x", details=details))  # type: ignore[arg-type]
            yield job, None

    monkeypatch.setattr(parts, "generate_batch", generate)
    return found


def run(tmp_path: Path, *requests: GenerateRequest, memory: Any = "high") -> tuple[Any, list[Any]]:
    events: list[Any] = []
    workspace = Workspace("run", tmp_path, tmp_path, tmp_path, execution=Execution(memory=memory))
    each = [GenerationPart(request, tmp_path / f"{n}", {"of": f"{n}"}) for n, request in enumerate(requests)]
    return generate_parts("painting", each, workspace, events.append), events


def test_requests_of_one_batch_key_go_together_and_have_one_progress(tmp_path: Path, batches: list[Any]) -> None:
    first, second, other = request_of(), request_of(prompt="a dog"), request_of(steps=4)
    images, events = run(tmp_path, first, second, other)
    assert [[job.request.prompt for job in jobs] for jobs in batches] == [["a cat", "a dog"], ["a cat"]]
    assert [[job.workspace.together for job in jobs] for jobs in batches] == [[4, 4], [3]], "at most their images"
    assert [list(each) for each in images] == [[5, 6, 7]] * 3
    assert images[1][6] == tmp_path / "1" / "6.png"
    stages = [event for event in events if isinstance(event, Stage)]
    assert stages == [Stage(name="painting", total=3 * 10 + 3 * 10 + 3 * 4, unit="steps")], (
        "once, with the steps of all"
    )
    assert [event.done for event in events if isinstance(event, Progress)] == [10 * n for n in range(1, 10)]
    assert [event.text for event in events if isinstance(event, Notice)] == ["the same for all"], "once"
    made = [event.details for event in events if isinstance(event, ArtifactCreated)]
    assert made[4] == {"seed": 6, "part": 1, "of": "1"}


def test_what_exists_is_not_generated_but_keeps_the_size_of_the_batch(tmp_path: Path, batches: list[Any]) -> None:
    write_image(tmp_path / "0", 6)
    images, events = run(tmp_path, request_of())
    assert [(job.request.seed, job.request.count) for job in batches[0]] == [(5, 1), (7, 1)]
    assert {job.workspace.together for job in batches[0]} == {3} and sorted(images[0]) == [5, 6, 7]
    assert events[0].text == "painting: 1 of 3 images exist already"
    assert [event.total for event in events if isinstance(event, Stage)] == [20]
    batches.clear()
    run(tmp_path, request_of(), memory="low")
    assert [job.request.count for job in batches[0]] == [3], "that of another preset is another image"


def test_images_that_were_withheld_are_missing(tmp_path: Path, batches: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: not path.name.startswith("6"))
    images, _ = run(tmp_path, request_of())
    assert sorted(images[0]) == [5, 7]


def test_requests_with_input_images_go_alone_in_batches_of_their_own(tmp_path: Path, batches: list[Any]) -> None:
    run(tmp_path, request_of(hires=2), request_of(hires=2, prompt="a dog"))
    assert [[job.workspace.together for job in jobs] for jobs in batches] == [[None], [None]]


def test_an_error_of_a_job_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "generate_batch", lambda jobs: ((job, LimnerError("no", "stop")) for job in jobs))
    with pytest.raises(LimnerError, match="no; stop"):
        run(tmp_path, request_of())


def test_joint_progress_emits_a_stage_only_when_work_begins() -> None:
    events: list[Any] = []
    receive = JointProgress("painting", events.append, total=0).receiver(0, {})
    for event in (Stage(name="loading"), Stage(name="generating", total=3), Stage(name="generating", total=9)):
        receive(event)
    assert events == [Stage(name="painting", total=None, unit="steps")]
