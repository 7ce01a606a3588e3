"""Screening by a worker: allowed images are stored, refused ones are deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import update

import classifiers
from limner.core.events import ArtifactCreated, Notice
from limner.core.execution import Execution
from limner.core.moderation import CheckStage, CheckUnavailable, CheckUse, Policy, RequestRefused
from limner.core.requests import EvaluateRequest, GenerateRequest, TrainRequest
from limner.core.runs import Run, Status
from limner.imaging.decode import open_image
from limner.plugins import registry
from limner.store.queue import Queue
from limner.store.tables import RunRow
from limner.studio.studio import Studio
from working import execute_queue


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifiers")
    for name, bias in (("never", -500), ("some", 0), ("always", 500)):
        classifiers.picture_classifier(folder / name, bias)
    return folder


def use(model: Path, threshold: float = 0.5, required: bool = True) -> CheckUse:
    options = {"model": str(model), "refuse": {"unsafe": threshold}}
    return CheckUse(check="image_classifier", required=required, options=options)


def painted(studio: Studio, tiny_sd: Path, **fields: object) -> Run:
    model = studio.files.save(tiny_sd)
    run = studio.enqueue(GenerateRequest.model_validate({"prompt": "a cat", "model": model, "steps": 1, **fields}))
    execute_queue(Studio(studio.home))
    return studio.store.get(run.id)


def notices(studio: Studio, run: Run) -> list[str]:
    return [event.text for _, _, event in studio.store.events(run.id) if isinstance(event, Notice)]


def pictures_left(studio: Studio, tiny: Path) -> set[Path]:
    """Every image in the home folder."""
    return {path for path in studio.home.rglob("*.png")} | {
        path for path in (studio.home / "files").rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x89PNG"
    }


def test_allowed_images_are_stored_with_verdicts(home: Path, tiny_sd: Path, models: Path) -> None:
    studio = Studio(policy=Policy(picture=(use(models / "never"),)))
    run = painted(studio, tiny_sd, count=2)
    assert run.status is Status.DONE and run.policy == studio.gate.moderator.policy.digest
    made = studio.store.artifacts(run.id, kind="picture")
    verdicts = studio.verdicts.list(10, run=run.id)
    assert [(verdict.stage, verdict.check, verdict.allowed) for verdict in reversed(verdicts)] == [
        (CheckStage.PROMPT, "words", True),
        (CheckStage.IMAGE, "image_classifier", True),
        (CheckStage.IMAGE, "image_classifier", True),
    ]
    assert {verdict.subject for verdict in verdicts[:2]} == {picture.sha256 for picture in made}


def test_only_refused_images_are_withheld(home: Path, tiny_sd: Path, models: Path) -> None:
    open_policy = Studio(policy=Policy(picture=(use(models / "never"),)))
    run = painted(open_policy, tiny_sd, count=3, seed=5)
    check = registry.checks.get("image_classifier")
    judge = check.ready(check.Options.model_validate(use(models / "some", 1.0).options))
    made = sorted(open_policy.store.artifacts(run.id), key=lambda one: one.details["index"])
    kept = {one.sha256 for one in made}
    scores = [judge(open_image(open_policy.files.local_path(one.details["reference"]))).score or 0.0 for one in made]
    worst = max(scores)
    index, threshold = scores.index(worst), (worst + sorted(scores)[1]) / 2
    assert sorted(scores)[1] < worst, scores
    studio = Studio(home / "other", policy=Policy(picture=(use(models / "some", threshold),)))
    run = painted(studio, tiny_sd, count=3, seed=5)
    assert run.status is Status.DONE
    left = studio.store.artifacts(run.id)
    assert {one.details["index"] for one in left} == {0, 1, 2} - {index}
    assert f"image {index + 1} was withheld: unsafe" in notices(studio, run)
    (refused,) = studio.verdicts.list(10, run=run.id, allowed=False)
    assert (refused.category, refused.score) == ("unsafe", pytest.approx(worst, abs=1e-5))
    assert len(pictures_left(studio, tiny_sd)) == 4, "two images, each also where it was generated"
    assert refused.subject not in studio.files and kept


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_fails_if_all_images_are_withheld(home: Path, tiny_sd: Path, models: Path, count: int) -> None:
    studio = Studio(policy=Policy(picture=(use(models / "always"),)))
    run = painted(studio, tiny_sd, count=count)
    what = "the image was withheld" if count == 1 else "all 2 images were withheld"
    assert (run.status, run.error) == (Status.FAILED, f"{what}: unsafe; ask for something else")
    assert studio.store.artifacts(run.id) == [] and pictures_left(studio, tiny_sd) == set()


def test_refused_previews_are_never_stored(home: Path, tiny_sd: Path, models: Path) -> None:
    studio = Studio(policy=Policy(picture=(use(models / "always"),)))
    request = GenerateRequest(prompt="a cat", model=studio.files.save(tiny_sd), steps=4)
    run = studio.enqueue(request, execution=Execution(preview_every=1))
    execute_queue(Studio(studio.home))
    assert not [event for _, _, event in studio.store.events(run.id) if isinstance(event, ArtifactCreated)]
    assert "the preview was withheld: unsafe" in notices(studio, run)
    assert pictures_left(studio, tiny_sd) == set()


def test_artifacts_with_a_withheld_image_are_withheld(home: Path, tiny_sd: Path, models: Path, painted: Path) -> None:
    from limner.core.events import ArtifactCreated
    from limner.moderation.enforcement import Screening
    from limner.moderation.moderator import Moderator

    events: list[object] = []
    screening = Screening(Moderator(Policy(picture=(use(models / "always"),))), lambda judged: None, home)
    emit = screening.through(events.append)
    for name, what, details in (("a", "picture", {"index": 0}), ("b", "comparison", {}), ("c", "preview", {"step": 5})):
        place = home / f"{name}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((painted / "0.png").read_bytes())
        emit(ArtifactCreated(what=what, path=str(place), sha256="0" * 64, details=details))
        assert not place.exists()
    folder = home / "adapter"
    folder.mkdir()
    (folder / "preview-1.png").write_bytes((painted / "0.png").read_bytes())
    (folder / "weights.safetensors").write_bytes(b"weights")
    made = ArtifactCreated(what="adapter", path=str(folder), sha256="0" * 64)
    emit(made)
    assert events[-1] == made and [path.name for path in folder.iterdir()] == ["weights.safetensors"]
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "image 1 was withheld: unsafe",
        "the comparison was withheld: unsafe",
        "the preview was withheld: unsafe",
        "preview-1.png of the adapter was withheld: unsafe",
    ]


def test_a_comparison_is_withheld_with_its_image(home: Path, models: Path, painted: Path) -> None:
    from limner.core.events import ArtifactCreated
    from limner.core.moderation import Finding
    from limner.moderation.enforcement import Screening
    from limner.moderation.moderator import Moderator

    moderator = Moderator(Policy(picture=(use(models / "always"),)))
    findings = iter([Finding("unsafe"), Finding()])  # the strip as a whole would be allowed
    moderator._judge_of = lambda stage, use: lambda picture: next(findings)  # type: ignore[method-assign]
    events: list[object] = []
    emit = Screening(moderator, lambda judged: None, home).through(events.append)
    for what in ("picture", "comparison"):
        place = home / f"{what}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((painted / "0.png").read_bytes())
        emit(ArtifactCreated(what=what, path=str(place), sha256="0" * 64))
        assert not place.exists()


@pytest.mark.parametrize("required", [True, False])
def test_a_check_that_fails(home: Path, tiny_sd: Path, tmp_path: Path, required: bool) -> None:
    studio = Studio(policy=Policy(picture=(use(tmp_path / "gone", required=required),)))
    run = painted(studio, tiny_sd)
    verdict = studio.verdicts.list(1, run=run.id)[0]
    assert (verdict.stage, verdict.allowed, verdict.skipped) == (CheckStage.IMAGE, not required, True)
    if required:
        assert run.status is Status.FAILED and run.error is not None
        assert run.error.startswith("the check 'image_classifier' is required and cannot judge now")
        assert str(tmp_path) not in run.error
        assert studio.store.artifacts(run.id) == [] and pictures_left(studio, tiny_sd) == set()
    else:
        assert run.status is Status.DONE and len(studio.store.artifacts(run.id)) == 1


def test_input_images_are_judged_before_generation(home: Path, tiny_sd: Path, models: Path, painted: Path) -> None:
    studio = Studio(policy=Policy(input=(use(models / "always"),)))
    base = studio.files.save(painted / "0.png")
    model = studio.files.save(tiny_sd)
    data = studio.files.save(painted)
    runs = [
        studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=2, image=base)),
        studio.enqueue(TrainRequest(data=data, class_word="dog", model=model, steps=2)),
        studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=1)),
    ]
    execute_queue(Studio(studio.home))
    refused = "an image of the request is refused: unsafe; ask for something else"
    assert [studio.store.get(run.id).error for run in runs] == [refused, refused, None]
    assert studio.store.events(runs[0].id) == [], "nothing was generated"


def test_images_of_an_evaluated_folder_are_judged(home: Path, models: Path, painted: Path, tmp_path: Path) -> None:
    refused = "an image of the request is refused: unsafe; ask for something else"
    strict, loose = (Studio(home / name, policy=Policy(input=(use(models / name),))) for name in ("always", "never"))
    for studio, error in ((strict, refused), (loose, None)):
        fields = {"target": studio.files.save(painted), "model": "starter", "metric": ["saturation"]}
        run = studio.enqueue(EvaluateRequest.model_validate(fields))
        execute_queue(Studio(studio.home))
        assert studio.store.get(run.id).error == error
        assert len(studio.verdicts.list(10, run=run.id)) == (1 if error else 6), (
            "each of the six, up to the first refused"
        )
        assert (studio.store.artifacts(run.id) == []) == bool(error)
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "0.png").write_bytes((painted / "0.png").read_bytes())
    (tmp_path / "words" / "0.txt").write_text("a dog with a sw4stika")
    fields = {"target": loose.files.save(tmp_path / "words"), "model": "starter", "metric": ["saturation"]}
    run = loose.enqueue(EvaluateRequest.model_validate(fields))
    execute_queue(loose)
    assert loose.store.get(run.id).error == "a caption is refused: hate; ask for something else"


def test_captions_are_judged(home: Path, tiny_sd: Path, painted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "0.png").write_bytes((painted / "0.png").read_bytes())
    (folder / "0.txt").write_text("a dog with a sw4stika")
    studio = Studio()
    request = TrainRequest(data=studio.files.save(folder), class_word="dog", model=studio.files.save(tiny_sd), steps=1)
    run = studio.enqueue(request)
    execute_queue(Studio(studio.home))
    assert studio.store.get(run.id).error == "a caption is refused: hate; ask for something else"


@pytest.mark.parametrize(
    "fields",
    [
        {"class_word": "swastika"},
        {"identifier": "swastika", "prompt": "a {class}"},
        {"prompt": "a {class} with a swastika"},
        {"preview_prompt": ("a {class}", "a swastika")},
    ],
)
def test_all_texts_of_a_training_request_are_judged(home: Path, fields: dict[str, object]) -> None:
    studio = Studio()
    request = TrainRequest.model_validate({"data": "folder:" + "0" * 64, "class_word": "dog", **fields})
    with pytest.raises(RequestRefused, match="the prompt is refused: hate"):
        studio.enqueue(request)
    assert studio.runs.list() == []


def test_negative_prompts_are_not_judged(home: Path) -> None:
    studio, words = Studio(), "nsfw, nude, child, swastika"
    run = studio.enqueue(GenerateRequest(prompt="a cat", negative_prompt=words))
    assert run.status is Status.QUEUED
    (verdict,) = studio.verdicts.list(10)
    assert (verdict.run, verdict.check, verdict.allowed) == (run.id, "words", True)
    with pytest.raises(RequestRefused):
        studio.enqueue(GenerateRequest(prompt=words))


@pytest.mark.parametrize("keep", [True, False])
def test_refused_prompts_are_recorded_without_text(home: Path, keep: bool) -> None:
    studio = Studio(policy=Policy(keep_text=keep))
    with pytest.raises(RequestRefused) as caught:
        studio.enqueue(GenerateRequest(prompt="a swastika"))
    assert caught.value.category == "hate" and "swastika" not in str(caught.value)
    (verdict,) = studio.verdicts.list(10, allowed=False)
    assert (verdict.run, verdict.category, verdict.text) == (None, "hate", "a swastika" if keep else None)
    assert keep or b"a swastika" not in (home / "limner.db").read_bytes()


def test_prompts_that_cannot_be_judged_are_refused(home: Path) -> None:
    down = CheckUse(check="service", options={"url": "http://127.0.0.1:9/", "seconds": 2})
    with pytest.raises(CheckUnavailable, match="'service' is required"):
        Studio(policy=Policy(prompt=(down,))).enqueue(GenerateRequest(prompt="a cat"))
    loose = Studio(policy=Policy(prompt=(down.model_copy(update={"required": False}),)))
    run = loose.enqueue(GenerateRequest(prompt="a cat"))
    verdicts = loose.verdicts.list(10, run=run.id)
    assert [(verdict.check, verdict.allowed, verdict.skipped) for verdict in verdicts] == [
        ("service", True, True),
        ("words", True, False),
    ]


def test_a_worker_that_cannot_read_the_policy_fails_the_run(home: Path, tiny_sd: Path) -> None:
    studio = Studio()
    text = '{"prompt": [], "of_the_future": true}'
    studio.verdicts.save_policy(digest := hashlib.sha256(text.encode()).hexdigest(), text)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=studio.files.save(tiny_sd), steps=1))
    with studio.store.session() as session:
        session.execute(update(RunRow).values(policy=digest))
    execute_queue(Studio(studio.home))
    error = studio.store.get(run.id).error
    assert error is not None and f"this worker cannot read the run's moderation policy {digest[:12]}" in error
    assert studio.store.artifacts(run.id) == []


def test_a_retry_uses_the_current_policy(home: Path, tiny_sd: Path) -> None:
    before = Studio()
    run = before.enqueue(GenerateRequest(prompt="a cat", model=before.files.save(tiny_sd), steps=1))
    Queue(before.store).cancel(run.id)
    words = CheckUse(check="words", options={"add": ["cat"]})
    stricter = Studio(policy=Policy(prompt=(words,)))
    with pytest.raises(RequestRefused):
        stricter.retry(before.store.get(run.id))
    assert before.store.get(run.id).status is Status.CANCELLED
    other = Studio(policy=Policy(keep_text=True))
    again = other.retry(before.store.get(run.id))
    assert (again.status, again.policy) == (Status.QUEUED, other.gate.moderator.policy.digest)
