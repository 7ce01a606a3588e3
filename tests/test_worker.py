"""Workers execute queued runs completely and once, also after crashes and outages."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sqlalchemy import update

from forking import forked
from limner.cli import main
from limner.cli.commands.service import empty_folder
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import ArtifactCreated, Event, Notice, Restarted, Stage
from limner.core.execution import Execution
from limner.core.logs import RUN
from limner.core.requests import AdapterUse, GenerateRequest, PrepareRequest, TrainRequest
from limner.core.runs import Run, Status
from limner.engine.generate import session as generating
from limner.models.cache import MODELS
from limner.provenance.labels import read_label
from limner.store import sessions
from limner.store.database import DatabaseUnavailable
from limner.store.queue import Queue
from limner.store.runs import Lease
from limner.store.tables import RunRow
from limner.studio.studio import Studio
from limner.workers import worker
from limner.workers.execution import ClaimedRun, execute_claimed
from limner.workers.worker import Worker
from waiting import until
from working import execute_queue


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio()


def named(studio: Studio, folder: Path) -> str:
    """The reference of a stored model or dataset."""
    return studio.files.save(folder)


def test_a_run_is_executed_and_its_results_are_stored_by_content(studio: Studio, tiny_sd: Path) -> None:
    model = named(studio, tiny_sd)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=2, count=2), tags={"industry": "food"})
    execute_queue(studio)
    done = studio.store.get(run.id)
    assert (done.status, done.attempt, done.tags) == (Status.DONE, 1, {"industry": "food"})
    pictures = studio.store.artifacts(run.id, kind="picture")
    assert len(pictures) == 2
    for picture in pictures:
        kept = studio.files.local_path(picture.details["reference"])
        with Image.open(kept) as image:
            assert image.size == (64, 64)
        label = read_label(kept)
        assert label is not None and isinstance(label.request, GenerateRequest)
        assert label.request.model == label.model["reference"] == model, "no path of this machine is stored"
        assert str(studio.home).encode() not in kept.read_bytes()


def test_a_trained_adapter_is_used_by_reference(studio: Studio, tiny_sd: Path, painted: Path) -> None:
    model = named(studio, tiny_sd)
    taught = studio.enqueue(
        TrainRequest(
            data=named(studio, painted), class_word="dog", model=model, steps=2, class_pictures=1, options={"rank": 2}
        )
    )
    execute_queue(studio)
    assert studio.store.get(taught.id).error is None
    (adapter,) = studio.store.artifacts(taught.id, kind="adapter")
    folder = studio.files.local_path(adapter.details["reference"])
    assert {"README.md", "metrics.jsonl"} < {path.name for path in folder.iterdir()}
    assert not [path for path in folder.iterdir() if str(studio.home).encode() in path.read_bytes()]
    for reference in (adapter.details["reference"], f"sha256:{studio.files.put(next(folder.glob('*.safetensors')))}"):
        run = studio.enqueue(
            GenerateRequest(prompt="sks dog", model=model, steps=1, adapter=(AdapterUse(path=reference),))
        )
        execute_queue(studio)
        assert studio.store.get(run.id).error is None
        (picture,) = studio.store.artifacts(run.id, kind="picture")
        label = read_label(studio.files.local_path(picture.details["reference"]))
        assert label is not None and label.adapters[0]["path"] == reference


def test_a_prepared_dataset_is_used_by_reference(studio: Studio, pool_here: None, tiny_sd: Path, painted: Path) -> None:
    prepared = studio.enqueue(
        PrepareRequest(sources=(named(studio, painted),), class_word="dog", size=64, encoder=None),
        execution=Execution(workers=1),
    )
    execute_queue(studio)
    assert studio.store.get(prepared.id).error is None
    (dataset,) = studio.store.artifacts(prepared.id, kind="dataset")
    folder = studio.files.local_path(dataset.details["reference"])
    assert (folder / "train" / "metadata.jsonl").is_file()
    assert not [p for p in folder.rglob("*") if p.is_file() and str(studio.home).encode() in p.read_bytes()]
    taught = studio.enqueue(
        TrainRequest(
            data=dataset.details["reference"],
            class_word="dog",
            model=named(studio, tiny_sd),
            steps=2,
            class_pictures=1,
            options={"rank": 2},
        )
    )
    execute_queue(studio)
    assert studio.store.get(taught.id).error is None


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "./x",
        ".ssh/id_rsa",
        "~/model",
        "model.safetensors",
        "a/../../b",
        "sha256:0",
    ],
)
def test_paths_of_the_machine_are_refused(studio: Studio, path: str) -> None:
    for request in (
        GenerateRequest(prompt="x", model=path),
        GenerateRequest(prompt="x", image=path),
        GenerateRequest(prompt="x", adapter=(AdapterUse(path=path),)),
        TrainRequest(data=path, class_word="dog"),
    ):
        with pytest.raises(LimnerError, match="is not a reference"):
            studio.enqueue(request)


def test_hub_names_are_no_folders(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "here")
    studio.enqueue(GenerateRequest(prompt="x", model="here/model"))
    with empty_folder():
        assert not Path("here/model").exists(), "a worker would use it as the model"
        assert os.environ["HF_HOME"] == str(tmp_path / "here"), "relative paths in variables keep their meaning"
    assert Path("here/model").exists()


def test_logs_name_a_run_until_it_has_ended(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []
    end = Worker._end
    monkeypatch.setattr(Worker, "_end", lambda *given: named.append(RUN.get()) or end(*given))
    run = studio.store.create(GenerateRequest(prompt="x", image="/etc/passwd"), queue="default")
    execute_queue(studio)
    assert named == [run.id] and RUN.get() == ""


def test_a_run_with_a_path_fails(studio: Studio) -> None:
    run = studio.store.create(GenerateRequest(prompt="x", image="/etc/passwd"), queue="default")
    execute_queue(studio)
    failed = studio.store.get(run.id)
    assert failed.status is Status.FAILED and "is not a reference" in (failed.error or "")


@pytest.mark.parametrize("reference", ["starter", "owner/name", "Pictures/cat.png"])
def test_files_are_named_by_hash_only(studio: Studio, reference: str) -> None:
    studio.enqueue(GenerateRequest(prompt="x", model="owner/name", vae="owner/name/vae.safetensors"))
    for request in (
        GenerateRequest(prompt="x", image=reference),
        GenerateRequest(prompt="x", image="sha256:" + "0" * 64, mask=reference),
        GenerateRequest(prompt="x", adapter=(AdapterUse(path=reference),)),
        TrainRequest(data=reference, class_word="dog"),
    ):
        with pytest.raises(LimnerError, match="is not a reference"):
            studio.enqueue(request)


def test_errors_contain_no_path_of_the_machine(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no tensors")
    broken = f"sha256:{studio.files.put(tmp_path / 'text.txt')}"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("no picture")
    bare = studio.files.save(tmp_path / "empty")
    requests = (
        GenerateRequest(prompt="x", adapter=(AdapterUse(path=broken),)),
        GenerateRequest(prompt="x", model=bare),
        GenerateRequest(prompt="x", image=broken),
        TrainRequest(data=bare, class_word="dog"),
    )
    runs = [studio.enqueue(request) for request in requests]
    execute_queue(studio)
    for run, reference in zip(runs, (broken, bare, broken, bare), strict=True):
        error = studio.store.get(run.id).error
        assert error is not None and reference[-64:] in error and str(tmp_path) not in error


def test_errors_of_a_run_are_one_line(studio: Studio) -> None:
    missing = studio.enqueue(GenerateRequest(prompt="x", image="sha256:" + "0" * 64))
    useless = studio.enqueue(GenerateRequest(prompt="x", guidance=1, guidance_method="apg"))
    execute_queue(studio)
    errors = [studio.store.get(run.id) for run in (missing, useless)]
    assert [run.status for run in errors] == [Status.FAILED] * 2
    assert errors[0].error is not None and errors[0].error.startswith("there is no file 000000000000")
    assert errors[1].error is not None and "(apg) has no effect at guidance 1" in errors[1].error


def test_a_second_attempt_starts_over(studio: Studio, tiny_sd: Path) -> None:
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=named(studio, tiny_sd), steps=1, count=2))
    queue = Queue(studio.store, lease=timedelta(seconds=-1))
    ((_, dead),) = queue.claim("dead", 1)
    studio.store.add_artifact(run.id, "picture", "/gone/0001.png", "0" * 64, lease=dead)
    execute_queue(studio)
    pictures = studio.store.artifacts(run.id, kind="picture")
    assert len(pictures) == 2 and studio.store.get(run.id).attempt == 2
    first, *_ = events_of(studio, run)
    assert first == Restarted(attempt=2, gone=("0" * 64,)), "listeners would count an image twice"


def events_of(studio: Studio, run: Run) -> list[Event]:
    return [event for _, _, event in studio.store.events(run.id)]


class Gone:
    """Makes a method fail as if the database did not respond, a number of times."""

    def __init__(self, act: object, times: int) -> None:
        self.act, self.times = act, times

    def __call__(self, *given: object) -> object:
        self.times -= 1
        if self.times >= 0:
            raise DatabaseUnavailable("the database cannot be used")
        return self.act(*given)  # type: ignore[operator]


@pytest.mark.parametrize(("holder", "name"), [("queue", "finish"), ("store", "add_event"), ("store", "add_artifact")])
def test_a_short_database_outage_is_retried(
    studio: Studio, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch, holder: str, name: str
) -> None:
    monkeypatch.setattr(sessions, "RETRY_SECONDS", 0.01)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=named(studio, tiny_sd), steps=1))
    queue = Queue(studio.store)
    claimed = queue.claim("w", 1)
    place = queue if holder == "queue" else studio.store
    monkeypatch.setattr(place, name, Gone(getattr(place, name), 2))
    Worker(studio, queue).execute(claimed, lambda: False)
    assert (status_of(studio, run), studio.store.get(run.id).attempt) == (Status.DONE, 1)
    assert [event.kind for event in events_of(studio, run)] == ["stage", "stage", "made"]


@pytest.mark.parametrize("name", ["finish", "release"])
def test_a_long_database_outage_requeues_the_run(
    studio: Studio, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sessions, "RETRY_SECONDS", 0.01)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=named(studio, tiny_sd), steps=1))
    queue = Queue(studio.store, lease=timedelta(seconds=0.2))
    claimed = queue.claim("w", 1)
    monkeypatch.setattr(queue, name, Gone(None, 10**9))
    Worker(studio, queue).execute(claimed, lambda: name == "release")
    assert status_of(studio, run) is Status.RUNNING
    expire(studio, run)
    execute_queue(studio)
    assert (status_of(studio, run), studio.store.get(run.id).attempt) == (Status.DONE, 2)


def training(studio: Studio, tiny_sd: Path, painted: Path, **fields: int) -> TrainRequest:
    return TrainRequest(
        data=named(studio, painted),
        class_word="dog",
        model=named(studio, tiny_sd),
        class_pictures=1,
        options={"rank": 2},
        **fields,
    )


def test_a_second_attempt_replaces_the_adapter(studio: Studio, tiny_sd: Path, painted: Path) -> None:
    run = studio.enqueue(training(studio, tiny_sd, painted, steps=2), execution=Execution(preview_every=1))
    (claimed,) = Queue(studio.store, lease=timedelta(seconds=-1)).claim("dead", 1)
    ((_, failure),) = execute_claimed(studio, [ClaimedRun(*claimed)])
    assert failure is None
    (first,) = studio.store.artifacts(run.id, kind="adapter")
    execute_queue(studio)
    assert studio.store.get(run.id).error is None
    assert len(studio.store.artifacts(run.id, kind="adapter")) == 1
    assert len(studio.store.artifacts(run.id, kind="preview")) == 2, "previews before the checkpoint stay"
    anew = [event for event in events_of(studio, run) if isinstance(event, Restarted)]
    assert anew == [Restarted(attempt=2, gone=(first.sha256,))]


def test_training_resumes_after_the_home_was_moved(
    studio: Studio, tiny_sd: Path, painted: Path, tmp_path: Path
) -> None:
    run = studio.enqueue(training(studio, tiny_sd, painted, steps=4), execution=Execution(preview_every=1))
    queue = Queue(studio.store)
    ((claimed, lease),) = queue.claim("w", 1)
    made: list[Event] = []
    part = ClaimedRun(claimed, lease, made.append, lambda: any(isinstance(event, ArtifactCreated) for event in made))
    ((_, failure),) = execute_claimed(studio, [part])
    assert isinstance(failure, Interrupted)
    queue.release(lease)
    studio.store.close()
    studio.home.rename(tmp_path / "moved")
    moved = Studio(tmp_path / "moved")
    execute_queue(moved)
    assert moved.store.get(run.id).error is None
    assert any(isinstance(event, Notice) and "resuming from step" in event.text for event in events_of(moved, run))
    moved.store.close()


def together(studio: Studio) -> list[tuple[Run, Lease]]:
    return Queue(studio.store).claim("w", 8)


def pixels(studio: Studio, run: Run) -> list[np.ndarray]:
    """The images of a run, oldest first."""
    made = reversed(studio.store.artifacts(run.id, kind="picture"))
    return [np.asarray(Image.open(studio.files.local_path(picture.details["reference"]))) for picture in made]


PROMPTS = ("a cat", "a dog in the snow", "a bird", "a cat")


@pytest.fixture
def four(studio: Studio, tiny_sd: Path) -> list[Run]:
    """Runs that fit into one batch, with different prompts or seeds."""
    model = named(studio, tiny_sd)
    requests = [
        GenerateRequest(prompt=prompt, model=model, steps=3, seed=seed, guidance=7.5, count=1 + seed % 2)
        for seed, prompt in enumerate(PROMPTS)
    ]
    return [studio.enqueue(request) for request in requests]


def test_a_batch_gives_the_images_of_single_runs(
    studio: Studio, four: list[Run], tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    paint = generating.sample_images

    def counted(*given: Any, **options: Any) -> Any:
        rows.append(options["batch"])
        return paint(*given, **options)

    monkeypatch.setattr(generating, "sample_images", counted)
    found = together(studio)
    assert [run.id for run, _ in found] == [run.id for run in four]
    Worker(studio).execute(found, lambda: False)
    assert rows == [6]
    for run in four:
        done, request = studio.store.get(run.id), run.request
        assert isinstance(request, GenerateRequest) and (done.status, done.error) == (Status.DONE, None)
        assert done.progress is None or done.progress.done <= 3 * request.count
        stage = Stage(name="generating", total=3 * request.count, unit="steps")
        assert [event.kind for event in events_of(studio, run)] == ["stage", "stage", *["made"] * request.count]
        assert events_of(studio, run)[1] == stage
        alone = studio.enqueue(request)
        execute_queue(studio)
        for ours, theirs in zip(pixels(studio, run), pixels(studio, alone), strict=True):
            assert np.abs(ours.astype(int) - theirs).max() <= 1 and ours.std() > 0
        kept = [studio.files.local_path(made.details["reference"]) for made in studio.store.artifacts(run.id)]
        labels = [read_label(path) for path in kept]
        assert [label and (label.seed, label.request.prompt) for label in reversed(labels)] == [
            (request.seed + index, request.prompt) for index in range(request.count)
        ]
        assert {label and label.together for label in labels} == {6}
        local = studio.submit(request.model_copy(update={"model": str(tiny_sd)}), tmp_path / run.id)
        studio.execute(local, batch=6)
        again = [np.asarray(Image.open(path)) for path in sorted((tmp_path / run.id).glob("*.png"))]
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(pixels(studio, run), again, strict=True))


def test_runs_of_a_batch_end_independently(studio: Studio, four: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    found = together(studio)
    cancelled, lost, failing, good = (run.id for run in four)
    renew, encoded = Queue.renew, generating.cached_conditioning
    paint = generating.sample_images
    begun, heard = threading.Event(), threading.Semaphore(0)
    wishes: list[list[bool | None]] = []

    def renewed(queue: Queue, signs: Any) -> Any:
        renewed_signs = renew(queue, signs)
        if begun.is_set():
            wishes.append(renewed_signs)
            heard.release()
        return renewed_signs

    def fails(kept: Any, family: Any, components: Any, acting: Any, prompt: str, negative: str) -> Any:
        if prompt == PROMPTS[2]:
            raise LimnerError("no such bird")
        return encoded(kept, family, components, acting, prompt, negative)

    def slowly(*given: Any, **options: Any) -> Any:
        Queue(studio.store).cancel(cancelled)
        with studio.store.writing() as session:
            session.execute(update(RunRow).where(RunRow.id == lost).values(worker="another", attempt=2))
        begun.set()
        for _ in range(2):  # the heartbeat has processed the first answer at its second beat
            assert heard.acquire(timeout=60)
        return paint(*given, **options)

    monkeypatch.setattr(worker, "HEARTBEAT", 0.01)
    monkeypatch.setattr(Queue, "renew", renewed)
    monkeypatch.setattr(generating, "cached_conditioning", fails)
    monkeypatch.setattr(generating, "sample_images", slowly)
    Worker(studio).execute(found, lambda: False)
    assert wishes[0] == [True, None, False, False]
    ends = {run.id: studio.store.get(run.id) for run in four}
    assert ends[cancelled].status is Status.CANCELLED and studio.store.artifacts(cancelled) == []
    assert (ends[lost].status, ends[lost].attempt) == (Status.RUNNING, 2) and studio.store.artifacts(lost) == []
    assert (ends[failing].status, ends[failing].error) == (Status.FAILED, "no such bird")
    assert ends[good].status is Status.DONE and len(pixels(studio, four[3])) == 2


def test_runs_are_executed_singly_after_a_batch_fails(
    studio: Studio, four: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    paint, sizes = generating.sample_images, list[int]()

    def fails(pipeline: Any, prepared: Any, seeds: list[int], *given: Any, **options: Any) -> Any:
        sizes.append(len(seeds))
        if len(seeds) > 2 or seeds == [2]:
            raise RuntimeError("cannot allocate memory")
        return paint(pipeline, prepared, seeds, *given, **options)

    monkeypatch.setattr(generating, "sample_images", fails)
    Worker(studio).execute(together(studio), lambda: False)
    assert sizes == [6, 1, 2, 1, 2]
    ends = [studio.store.get(run.id) for run in four]
    assert [run.status for run in ends] == [Status.DONE, Status.DONE, Status.FAILED, Status.DONE]
    assert ends[2].error is not None and ends[2].error.startswith("the machine ran out of memory; use")
    assert all(len(pixels(studio, run)) == n for run, n in zip(four, (1, 2, 0, 2), strict=True))


def test_a_stopping_worker_requeues_its_batch(studio: Studio, four: list[Run]) -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 5

    Worker(studio).execute(together(studio), stop)
    back = [studio.store.get(run.id) for run in four]
    assert [(run.status, run.attempt) for run in back] == [(Status.QUEUED, 0)] * 4
    execute_queue(studio)
    assert all(status_of(studio, run) is Status.DONE for run in four)


def test_a_prompt_is_encoded_once(studio: Studio, four: list[Run]) -> None:
    execute_queue(studio)
    (model,) = MODELS.models()
    assert model.prompts.misses == 3, "four requests have three prompts"
    studio.enqueue(four[0].request)
    execute_queue(studio)
    assert model.prompts.misses == 3
    MODELS.drop_models()
    assert MODELS.prompts(model.value).misses == 0


@pytest.fixture
def worker_process(studio: Studio) -> Iterator[Callable[[], ForkProcess]]:
    """Starts worker processes, and kills those left at the end."""
    running: list[ForkProcess] = []

    def start() -> ForkProcess:
        running.append(forked(studio, lambda: main(["worker"])))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.join()


def expire(studio: Studio, run: Run) -> None:
    """Let the lease of a run expire."""
    with studio.store.writing() as session:
        session.execute(update(RunRow).where(RunRow.id == run.id).values(lease=run.created))


def learnt(studio: Studio, run: Run) -> dict[str, torch.Tensor]:
    """The weights of the adapter that a run trained."""
    (adapter,) = studio.store.artifacts(run.id, kind="adapter")
    return load_file(next(studio.files.local_path(adapter.details["reference"]).glob("*.safetensors")))


def status_of(studio: Studio, run: Run) -> Status:
    return studio.store.get(run.id).status


@pytest.mark.slow
def test_killed_training_resumes_exactly(studio: Studio, tiny_sd: Path, painted: Path, worker_process) -> None:
    """The weights are those of an uninterrupted run."""
    request = TrainRequest(
        data=named(studio, painted),
        class_word="dog",
        model=named(studio, tiny_sd),
        steps=30,
        checkpoint_every=5,
        class_pictures=1,
        options={"rank": 2},
        precision="fp32",
    )
    undisturbed = studio.enqueue(request)
    execute_queue(studio)
    run = studio.enqueue(request)
    folder = studio.store.folder(run.id)
    process = worker_process()
    until("a checkpoint", lambda: list(folder.glob("checkpoint-*")))
    process.kill()
    process.join()
    killed = studio.store.get(run.id)
    assert killed.status is Status.RUNNING, "it ended before it could be killed"
    assert Queue(studio.store).claim("other", 1) == [], "its lease has not expired"
    expire(studio, run)
    execute_queue(studio)
    done = studio.store.get(run.id)
    assert (done.status, done.attempt) == (Status.DONE, 2)
    ours, theirs = (learnt(studio, each) for each in (run, undisturbed))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_terminated_worker_requeues_its_run(studio: Studio, tiny_sd: Path, worker_process) -> None:
    model = named(studio, tiny_sd)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=900, count=8, batch=1))
    process = worker_process()
    until("its beginning", lambda: (studio.store.get(run.id).progress or None) is not None)
    process.terminate()
    process.join(60)
    assert process.exitcode == 0
    back = studio.store.get(run.id)
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


def test_cancel_a_running_run(studio: Studio, tiny_sd: Path, worker_process) -> None:
    model = named(studio, tiny_sd)
    run = studio.enqueue(GenerateRequest(prompt="a cat", model=model, steps=900, count=8, batch=1))
    after = studio.enqueue(GenerateRequest(prompt="a dog", model=model, steps=1))
    worker_process()
    until("its beginning", lambda: (studio.store.get(run.id).progress or None) is not None)
    Queue(studio.store).cancel(run.id)
    until("its end", lambda: status_of(studio, run).ended)
    assert status_of(studio, run) is Status.CANCELLED
    until("the next run's end", lambda: status_of(studio, after).ended)
    assert status_of(studio, after) is Status.DONE
