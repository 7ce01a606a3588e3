"""What is written of generated images: passes, masks, watermarks, labels, events and control images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from limner import GenerateRequest
from limner.core.events import Notice
from limner.core.execution import Execution, split_body
from limner.core.workspace import Workspace
from limner.engine.generate import checks, generate, output, session
from limner.engine.generate.batching import Job, model_passes
from limner.engine.generate.inputs import Inputs, fit_inputs, open_inputs
from limner.engine.generate.refining import SecondPass
from limner.engine.generate.session import Session
from limner.provenance.labels import Label, read_label, write_png
from limner.provenance.xmp import is_fully_generated
from limner.store.files import sha256_of

GREY = np.full((4, 6, 3), 90, np.uint8)


def request_of(**fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": "a cat"} | fields)


def label_of(request: GenerateRequest, index: int = 0) -> Label:
    model: Any = {"reference": "m", "sha256": None, "licence": "mit"}
    return Label(request=request, index=index, seed=request.seed + index, version="1", model=model)


def job_of(request: GenerateRequest, out: Path, **workspace: Any) -> tuple[Job, list[Any]]:
    events: list[Any] = []
    row = {"prompt_embeds": torch.full((1, 3), float(request.seed))}
    return Job(request, Workspace("run", out, out, out, **workspace), events.append, row), events


class FakeSession:
    """Paints each seed as a grey; remembers the seeds of each pass and whose labels were asked for."""

    def __init__(self, batch: int = 8) -> None:
        self.passes: list[list[int]] = []
        self.setup = SimpleNamespace(
            request=SimpleNamespace(batch=batch, prompt="the first"),
            adapters=(),
            facts=SimpleNamespace(long_prompts=False),
        )
        self.inputs, self.sampling = Inputs((6, 4), None, None, (), (), {}), {}

    def sample(self, conditioning: Any, seeds: Any, on_step: Any, **more: Any) -> Any:
        self.passes.append(list(seeds))
        return (np.full((4, 6, 3), seed, np.uint8) for seed in seeds)

    def label(self, request: GenerateRequest, workspace: Workspace) -> Label:
        return label_of(request).model_copy(update={"version": workspace.run})


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was written: seed of the request, index, seed, grey, size of the batch and the label's run."""
    found: list[Any] = []

    def write(job: Job, label: Label, pixels: np.ndarray, inputs: Any) -> None:
        found.append((job.request.seed, label.index, label.seed, int(pixels[0, 0, 0]), label.together, label.version))

    monkeypatch.setattr(generate, "write_image", write)
    return found


def jobs_of(tmp_path: Path, counts: dict[int, int], **workspace: Any) -> list[Job]:
    found = []
    for seed, count in counts.items():
        job, _ = job_of(request_of(seed=seed, count=count), tmp_path, **workspace)
        job.workspace = Workspace(f"run {seed}", tmp_path, tmp_path, tmp_path, **workspace)
        found.append(job)
    return found


def test_each_image_has_its_own_jobs_label_and_the_size_of_its_batch(tmp_path: Path, written: list[Any]) -> None:
    jobs, fake = jobs_of(tmp_path, {10: 2, 20: 1}), FakeSession()
    assert list(generate._write_images(fake, jobs, [])) == jobs  # type: ignore[arg-type]
    assert fake.passes == [[10, 11, 20]]
    assert written == [
        (10, 0, 10, 10, 3, "run 10"),
        (10, 1, 11, 11, 3, "run 10"),
        (20, 0, 20, 20, 3, "run 20"),
    ]


def test_the_batch_of_a_request_alone_is_not_in_its_label(tmp_path: Path, written: list[Any]) -> None:
    fake = FakeSession(batch=2)
    list(generate._write_images(fake, jobs_of(tmp_path, {10: 3}), []))  # type: ignore[arg-type]
    assert fake.passes == [[10, 11], [12]] and [row[4] for row in written] == [None] * 3


def test_an_image_of_a_batch_is_reproduced_in_a_batch_of_that_size(tmp_path: Path, written: list[Any]) -> None:
    fake = FakeSession(batch=2)
    list(generate._write_images(fake, jobs_of(tmp_path, {10: 3}, together=4), []))  # type: ignore[arg-type]
    assert fake.passes == [[10, 11, 12, 12]] and [row[2:5] for row in written] == [(n, n, 4) for n in (10, 11, 12)]


def test_a_job_that_failed_meanwhile_takes_no_more_steps_and_leaves_no_image() -> None:
    from limner.engine.generate.batching import run_pass

    def check() -> None:
        raise RuntimeError("stopped")

    (first, one), (second, two) = (job_of(request_of(seed=seed), Path("x")) for seed in (10, 20))
    first.workspace = SimpleNamespace(check=check)  # type: ignore[assignment]
    (each,) = model_passes([first, second], 8)

    def paint(conditioning: Any, seeds: Any, on_step: Any) -> Any:
        for step in (1, 2, 3):
            on_step(step * len(seeds))
        yield from (np.zeros((1, 1, 3), np.uint8) for _ in seeds)

    assert [row.seed for row, _, _ in run_pass(each, paint)] == [20]
    assert [len(one), len(two)] == [1, 3] and str(first.failure) == "stopped" and second.failure is None


def test_what_is_outside_the_mask_is_restored_before_and_after_each_second_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(generate, "run_second_pass", lambda second, prompt, pixels, *rest: f"{pixels} again")
    inputs: Any = SimpleNamespace(keep_outside_mask=lambda pixels: seen.append(pixels) or f"kept {pixels}")
    job, _ = job_of(request_of(), Path("x"))
    (each,) = model_passes([job], 1)
    found = generate.refined(each.rows[0], "image", [SecondPass(None, 0.4, 2.0)], inputs, {})  # type: ignore[arg-type]
    assert found == "kept kept image again" and seen == ["image", "kept image again"]


def test_warnings_are_of_each_jobs_own_prompt() -> None:
    tokenizer: Any = lambda text: SimpleNamespace(input_ids=text.split())  # noqa: E731
    fake: Any = FakeSession()
    fake.components, fake.setup.model = (
        None,
        SimpleNamespace(family=SimpleNamespace(tokenizer=lambda components: (tokenizer, 3)), domain=None),
    )
    fake.setup.facts = SimpleNamespace(long_prompts=False)
    (short, none), (long, some) = (
        job_of(request_of(prompt=prompt), Path("x")) for prompt in ("a cat", "a cat on a mat")
    )
    generate._warn_of_prompt(fake, short)
    generate._warn_of_prompt(fake, long)
    assert none == [] and [event.text for event in some] == [
        "the prompt has 5 tokens and the model reads 3; the rest is left out"
    ]


# Files and events


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the watermark was embedded with."""
    found: list[Any] = []
    monkeypatch.setattr(output.watermark, "payload_for", lambda pixels: 0xAB)
    monkeypatch.setattr(output.watermark, "embed", lambda pixels, *given: found.extend(given) or pixels)
    return found


def test_the_event_of_an_image_has_its_settings_size_and_watermark(tmp_path: Path, marked: list[Any]) -> None:
    request = request_of(seed=7, steps=5, guidance=2.5, count=2)
    job, events = job_of(request, tmp_path)
    output.write_image(job, label_of(request, 1), GREY, Inputs((6, 4), None, None, (), (), {}))
    ((made),) = events
    assert (made.what, made.path, made.sha256) == (
        "picture",
        str(tmp_path / "0001.png"),
        sha256_of(tmp_path / "0001.png"),
    )
    assert made.details == {
        "seed": 8, "index": 1, "prompt": "a cat", "steps": 5, "guidance": 2.5, "width": 6, "height": 4,
        "mark": "000000ab",
    }  # fmt: skip
    assert marked == [0xAB, None] and is_fully_generated((tmp_path / "0001.png").read_bytes())
    label = read_label(tmp_path / "0001.png")
    assert label is not None and (label.index, label.seed) == (1, 8)


def test_only_what_was_generated_in_a_photograph_is_marked(tmp_path: Path, marked: list[Any]) -> None:
    mask = Image.fromarray(np.tile(np.array([0, 0, 0, 255, 255, 255], np.uint8), (4, 1)))
    inputs = Inputs((6, 4), Image.fromarray(GREY), mask, (), (), {}, foreign=True)
    job, _ = job_of(request_of(), tmp_path)
    output.write_image(job, label_of(request_of()), GREY, inputs)
    assert np.array_equal(marked[1], np.asarray(mask))
    assert not is_fully_generated((tmp_path / "0001.png").read_bytes())


def test_control_images_are_written_once_beside_the_first_image(tmp_path: Path, marked: list[Any]) -> None:
    source, guide = (Image.new("RGB", (6, 4), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    request = request_of(count=2, control=["canny=a.png", "canny=b.png", "given=c.png"])
    files = {"a.png": "a" * 64, "b.png": "b" * 64, "c.png": "c" * 64}
    inputs = Inputs((6, 4), None, None, (source, source, guide), (guide, guide, guide), files)
    job, events = job_of(request, tmp_path)
    for index in range(2):
        output.write_image(job, label_of(request, index), GREY, inputs)
    names = [(event.what, Path(event.path).name) for event in events if event.what != "picture"]
    assert names == [
        ("guide", "guide-canny-aaaaaaaa.png"),
        ("guide", "guide-canny-bbbbbbbb.png"),
        ("guide", "guide-given-cccccccc.png"),
        ("comparison", "beside-run.png"),
    ]
    with Image.open(tmp_path / "beside-run.png") as strip:
        row = np.asarray(strip.convert("RGB"))[0]
    parts = [tuple(row[6 * part + 3].tolist()) for part in range(len(row) // 6)]
    red, blue = (200, 0, 0), (0, 0, 200)
    assert parts == [red, blue, red, blue, blue, (90, 90, 90)], "a control image that was given is shown once"
    packets = {name: (tmp_path / name).read_bytes() for _, name in names}
    assert b"algorithmicMedia" in packets["guide-canny-aaaaaaaa.png"]
    assert b"compositeSynthetic" in packets["beside-run.png"]


def test_images_beside_the_results_are_signed_with_the_credentials_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        output, "write_png", lambda image, path, **named: given.append(named) or image.save(path, "PNG")
    )
    workspace = Workspace("run", tmp_path, tmp_path, tmp_path, home=tmp_path / "home")
    output.write_side_image(Image.fromarray(GREY), tmp_path / "x.png", "copy", "algorithmicMedia", workspace, print)
    assert given == [{"source": "algorithmicMedia", "home": tmp_path / "home"}]


# Inputs


def test_the_first_image_decides_the_size_and_only_a_photograph_is_foreign(tmp_path: Path) -> None:
    Image.new("RGB", (32, 8)).save(tmp_path / "wide.png")
    Image.new("RGB", (8, 32)).save(tmp_path / "tall.png")
    write_png(Image.new("RGB", (8, 8)), tmp_path / "made.png", label_of(request_of()))
    wide, tall, made = (str(tmp_path / f"{name}.png") for name in ("wide", "tall", "made"))

    def fitted(**fields: Any) -> Inputs:
        request = request_of(**fields)
        return fit_inputs(request, open_inputs(request), 64, 8)

    found = fitted(image=wide, control=[f"given={tall}"])
    assert found.size == (128, 32) and found.guides[0].size == (128, 32)
    assert found.files == {path: sha256_of(Path(path)) for path in (wide, tall)} and found.foreign
    assert not fitted(image=made).foreign and not fitted(control=[f"given={tall}"]).foreign


# Checks


def test_a_refiner_is_checked_with_its_own_scheduler_and_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(checks.loading, "part_config", lambda reference, part: f"{part} of {reference}")
    monkeypatch.setattr(checks, "check_steps", lambda *given: found.append(given))
    strengths = {"strength": 0.6, "hires_strength": 0.4, "refiner_strength": 0.3}
    request = request_of(model="mine", refiner="other", scheduler="euler", hires=2)
    checks.check_passes(request, 9, strengths)
    assert found == [("scheduler of mine", "euler", 9, {1.0, 0.4}), ("scheduler of other", None, 9, {0.3})]


@pytest.mark.parametrize(("guidance", "refused"), [(1.0, True), (1.01, False)])
def test_above_guidance_one_methods_and_negative_prompts_have_an_effect(guidance: float, refused: bool) -> None:
    class Pipeline:
        def __call__(self, prompt: str) -> None: ...

    facts: Any = SimpleNamespace(paired=True, remedies={})
    for check in (
        lambda: checks.check_guidance(request_of(guidance_method="apg"), facts, guidance),
        lambda: checks.check_guidance(request_of(guidance_interval="0-0.5"), facts, guidance),
        lambda: checks.check_arguments(request_of(negative_prompt="a dog"), Pipeline(), guidance),
    ):
        if refused:
            with pytest.raises(checks.LimnerError, match="has no effect at guidance 1"):
                check()
        else:
            check()


# The session


def test_a_label_names_files_as_the_user_does(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(fingerprint=lambda dtype: "f" * 64 if dtype is torch.bfloat16 else None, licence="mit")
    adapters = [SimpleNamespace(name=name, sha256=name[0] * 64) for name in ("a rex", "b max")]
    components = SimpleNamespace(dtype=torch.bfloat16)
    inputs = Inputs((6, 4), None, None, (), (), {"blob 3": "c" * 64})
    setup: Any = SimpleNamespace(model=model, adapters=adapters)
    opened = Session(setup, components, None, None, inputs, {}, {}, {})  # type: ignore[arg-type]
    request = request_of(model="blob 1", adapter=["blob 2:0.5", "mine:2"], image="blob 3", seed=4)
    names = {"blob 1": "my model", "blob 2": "my rex", "blob 3": "my photo"}
    execution = Execution(memory="low")
    label = opened.label(request, Workspace("run", tmp_path, tmp_path, tmp_path, names=names, execution=execution))
    assert label.model == {"reference": "my model", "sha256": "f" * 64, "licence": "mit"}
    assert [tuple(mark.values()) for mark in label.adapters] == [
        ("a rex", "my rex", "a" * 64, 0.5),
        ("b max", "mine", "b" * 64, 2.0),
    ]
    assert label.inputs == {"my photo": "c" * 64} and (label.index, label.seed) == (0, 4)
    asked, how = split_body(label.request)
    assert isinstance(asked, GenerateRequest) and how.memory == "low"
    assert (asked.model, asked.image, asked.adapter[0].path) == ("my model", "my photo", "my rex")


def test_prompts_are_cached_by_adapters_and_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(session, "cached_conditioning", lambda *given: seen.append(given[3:]) or {"negative": 1})
    monkeypatch.setattr(session.MODELS, "prompts", lambda components: None)
    setup: Any = SimpleNamespace(
        adapters=[SimpleNamespace(sha256="a"), SimpleNamespace(sha256="b")],
        request=request_of(adapter=["x:0.5", "y:2"]),
        model=SimpleNamespace(family=None),
    )
    opened = Session(setup, None, None, None, None, {}, {}, {})  # type: ignore[arg-type]
    opened.conditioning(request_of(prompt="other", negative_prompt="not this"))
    assert seen == [((("a", 0.5), ("b", 2.0)), "other", "not this")]


def test_terms_of_a_licence_are_told(
    home: Path, tmp_path: Path, tiny_sd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    monkeypatch.setattr(session.loading, "notify_terms", lambda model, emit: emit(Notice(text="some terms")))
    setup = session.check_request(request_of(model=str(tiny_sd), steps=2), Execution())
    session.Session.open(setup, lambda event: notices.append(getattr(event, "text", "")))
    assert "some terms" in notices


@pytest.mark.parametrize(
    ("fields", "rescale"), [({}, 0.7), ({"guidance_method": "apg"}, 0.0), ({"guidance_rescale": 0.2}, 0.2)]
)
def test_the_models_rescaling_applies_to_plain_guidance_only(
    home: Path, starter: Path, fields: dict[str, Any], rescale: float
) -> None:
    opened = session.Session.open(session.check_request(request_of(**fields), Execution()), lambda event: None)
    assert opened.sampling["guidance_rescale"] == rescale
    assert opened.complete(request_of(**fields)).guidance_rescale == rescale
