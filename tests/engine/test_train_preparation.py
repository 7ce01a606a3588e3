"""What happens around training: notices, what is encoded, samplers, scores of checkpoints, and what is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from limner import TrainRequest
from limner.core.checkpoint_scores import CheckpointScores, StepScores
from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Notice, Progress, Stage
from limner.core.execution import Execution
from limner.core.protocols import SubjectWords
from limner.core.workspace import Workspace
from limner.data.sets.folder import ImageFile
from limner.engine.train import checkpoint_scores, dataset_notices, encoding, job, preview_sampler, prior, train
from limner.engine.train.callbacks import ScoreCheckpoints
from limner.engine.train.checkpoint_scores import CheckpointScorer
from limner.engine.train.dataset_notices import describe_run, scan_dataset
from limner.engine.train.encoding import DatasetEncoder, strip


def request_of(**fields: Any) -> TrainRequest:
    return TrainRequest.model_validate({"data": "photos", "class_word": "dog", "identifier": "sks"} | fields)


def image(number: int, caption: str | None = None, weight: float = 1.0, mask: bool = False) -> ImageFile:
    path = Path(f"photos/{number}.png")
    return ImageFile(path, f"{number}", (64, 64), caption, path if mask else None, weight=weight)


def plan_of(**fields: Any) -> Any:
    plain = {
        "held_out": (), "validation": False, "steps": 30, "batch": 4, "resolution": 64, "learning_rate": 1e-4,
        "prior": False, "class_pictures": 5, "shape_of": lambda image: (64, 64),
    }  # fmt: skip
    return SimpleNamespace(**plain | fields)


def scan_of(*images: ImageFile, **fields: Any) -> Any:
    plain = {"images": images, "skipped": (), "warnings": (), "validation": (), "unused": ()}
    return SimpleNamespace(**plain | fields)


# Notices


def test_what_is_odd_about_a_dataset_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = scan_of(
        image(1, mask=True), image(2), image(3), skipped=("a.txt: no image",), unused=("b",), warnings=("small",)
    )
    monkeypatch.setattr(dataset_notices, "scan", lambda data: found)
    events: list[Any] = []
    assert scan_dataset(request_of(), events.append) is found
    assert [(event.text, event.level) for event in events] == [
        ("skipped a.txt: no image", "warning"),
        ("b", "warning"),
        ("small", "warning"),
    ]
    scan_dataset(request_of(masked=True), events.append)
    assert events[-1].text == "images without a mask are trained on as a whole: '2.png', '3.png'"
    found.images = found.images[1:]
    with pytest.raises(LimnerError, match="no image of 'photos' has a mask"):
        scan_dataset(request_of(masked=True), events.append)


def described(plan: Any, dataset: Any, **fields: Any) -> list[str]:
    events: list[Any] = []
    describe_run(plan, dataset, request_of(**fields), events.append)
    return [event.text for event in events if isinstance(event, Notice)]


def test_a_run_is_described_by_its_plan() -> None:
    images = [image(n, "sks dog" if n < 2 else None) for n in range(5)]
    shapes = plan_of(held_out=(4,), shape_of=lambda image: (64, 32 if image.sha256 == "0" else 64))
    assert described(shapes, scan_of(*images), steps=9) == [
        "5 images, 1 of them held out, 2 with a caption; 30 steps of 4 at 64 px in 2 sizes, learning rate "
        '0.0001; use it as "a photo of sks dog"'
    ]
    assert described(plan_of(validation=True), scan_of(image(1), validation=images[:3])) == [
        '1 image, 3 more for validation; 30 steps of 4 at 64 px, learning rate 0.0001; use it as "a photo of sks dog"'
    ]


def test_captions_without_the_identifier_are_counted() -> None:
    images = [image(0, "sks dog"), image(1, "a dog"), image(2), image(3, "my dog")]
    assert described(plan_of(), scan_of(*images))[1] == (
        "captions without the identifier 'sks': 2, such as of '1.png'; write 'sks dog' into them"
    )
    assert len(described(plan_of(), scan_of(image(0, "sks dog"), image(2)))) == 1


# What is encoded


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Encode a scan without a model; returns what was encoded: numbers, captions, flip and further captions."""
    seen: list[Any] = []

    class Files:
        def __init__(self, files: Any, shape: Any, masked: bool) -> None:
            self.numbers, self.masked = [file.sha256 for file in files], masked

    def encode(family: Any, components: Any, images: Any, captions: Any, flip: bool, rng: Any, extra: Any = ()) -> Any:
        numbers = images.numbers if isinstance(images, Files) else "class images"
        seen.append((numbers, list(captions), flip, tuple(extra)))
        seen_seeds.append(rng.initial_seed())
        masks.append(getattr(images, "masked", None))
        return Encoded()

    def class_images(model: Any, components: Any, prompts: Any, plan: Any, seed: int, *rest: Any) -> list[str]:
        asked.append((prompts, seed, rest[-1]))
        return ["made"] * plan.class_pictures

    seen_seeds: list[int] = []
    masks: list[Any] = []
    asked: list[Any] = []
    monkeypatch.setattr(encoding, "CroppedFiles", Files)
    monkeypatch.setattr(encoding, "encode", encode)
    monkeypatch.setattr(encoding, "replace", lambda examples, weights: weights)
    monkeypatch.setattr(encoding, "class_images", class_images)
    monkeypatch.setattr(encoding, "check_masks", lambda images, plan, emit: None)
    monkeypatch.setattr(encoding, "warn_if_truncated", lambda tokenizer, limit, what, text, emit: None)

    class Encoded: ...

    def run(scan: Any, plan: Any, **fields: Any) -> Any:
        for found in (seen, seen_seeds, masks, asked):
            found.clear()
        family: Any = SimpleNamespace(tokenizer=lambda components: (None, 9))
        encoder = DatasetEncoder(request_of(**fields), plan, SimpleNamespace(family=family), None)  # type: ignore
        sets = encoder.encode_all(scan, None, lambda event: None)  # type: ignore[arg-type]
        return SimpleNamespace(seen=list(seen), seeds=list(seen_seeds), masks=list(masks), asked=list(asked), sets=sets)

    return run


def test_images_are_encoded_with_mirror_images_and_held_out_ones_without(encoded: Any) -> None:
    scan = scan_of(
        *(image(n, "own" if n == 1 else None) for n in range(3)), validation=tuple(map(image, range(10, 30)))
    )
    found = encoded(scan, plan_of(held_out=(2,)), caption_dropout=0.1, flip=True)
    assert found.seen == [
        (["0", "1"], ["a photo of sks dog", "own"], True, ("",)),
        (["2"], ["a photo of sks dog"], False, ()),
    ]
    assert found.masks == [False, False] and found.sets.subject == (None,), "equal weights are none"
    plain = encoded(scan, plan_of(validation=True))
    assert plain.seen[0][2:] == (False, ()) and plain.seen[1][0] == [str(10 + n * 20 // 16) for n in range(16)]
    assert plain.seen[1][2] is False
    assert len(encoded(scan, plan_of()).seen) == 1, "validation images measure nothing unless the plan says so"


def test_weights_masks_and_the_seed_reach_the_encoder(encoded: Any) -> None:
    found = encoded(scan_of(image(0, weight=2), image(1)), plan_of(), masked=True, seed=3)
    other = encoded(scan_of(image(0)), plan_of(), seed=4)
    assert found.sets.subject == ((2, 1.0),) and found.masks == [True] and found.seeds != other.seeds


def test_class_images_are_made_from_the_runs_seed_and_mirrored_too(encoded: Any) -> None:
    scan = scan_of(*(image(n, f"sks dog on the {place}") for n, place in enumerate(("beach", "road", "roof", "bed"))))
    found = encoded(scan, plan_of(prior=True, class_pictures=8), seed=3, quantise="nf4", flip=True)
    ((prompts, seed, quantised),) = found.asked
    four = ("dog on the beach", "dog on the road", "dog on the roof", "dog on the bed")
    assert seed == 3 and quantised == "nf4"
    assert prompts == ("a photo of dog", *four[:3], "a photo of dog", four[3])
    assert found.seen[0] == ("class images", [*prompts, *prompts[:2]], True, ("",))


def test_what_the_loop_does_not_need_is_freed() -> None:
    def parts() -> Any:
        vae = torch.nn.Module()
        vae.encoder = torch.nn.Linear(1, 1)
        names = ("text_encoder", "text_encoder_2", "image_encoder", "unet")
        return SimpleNamespace(
            parts={name: torch.nn.Linear(1, 1) for name in names} | {"vae": vae}, device=torch.device("cpu")
        )

    kept, freed = parts(), parts()
    strip(kept, torch.bfloat16, keep_text=True)
    strip(freed, None, keep_text=False)
    assert kept.parts["text_encoder_2"].weight.dtype is torch.bfloat16 and kept.parts["image_encoder"] is None
    assert kept.parts["vae"].encoder is None and freed.parts["vae"].encoder is None
    assert freed.parts["text_encoder"] is None and freed.parts["unet"].weight.dtype is torch.float32


# Samplers


@pytest.fixture
def samplers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Prepare the samplers of a run; returns what each was given, and what the scorer was."""
    made: list[Any] = []
    scorer: list[Any] = []
    monkeypatch.setattr(train, "PreviewSampler", lambda model, components, *given, **named: made.append((given, named)))
    monkeypatch.setattr(
        train, "CheckpointScorer", lambda *given: scorer.extend(given) or SimpleNamespace(describe=lambda emit: None)
    )

    def run(keep: bool = False, preview_every: int = 0, **fields: Any) -> Any:
        made.clear(), scorer.clear()
        workspace = Workspace(
            "run", tmp_path, tmp_path, tmp_path, home=tmp_path / "home",
            execution=Execution(preview_every=preview_every),
        )  # fmt: skip
        each: Any = SimpleNamespace(
            request=request_of(seed=7, keep="best" if keep else "last", **fields), workspace=workspace, model=None,
            scorers="scorers" if keep else None,
            dataset=scan_of(image(1), image(2)), emit=lambda event: None,
        )  # fmt: skip
        train.SamplerSet(each, plan_of(resolution=96), SimpleNamespace(side=512))  # type: ignore[arg-type]
        return list(made), list(scorer)

    return run


def test_previews_show_the_subject_and_its_class_from_one_seed(samplers: Any, tmp_path: Path) -> None:
    ((given, named),), _ = samplers(preview_every=5)
    assert given == (("a photo of sks dog", "a photo of dog"), [7, 7], 96) and named == {"home": tmp_path / "home"}
    assert samplers(preview_every=5, preview_prompt=["one", "two", "three"])[0][0][0][:2] == (
        ("one", "two", "three"),
        [7, 7, 7],
    )
    assert samplers() == ([], [])


def test_checkpoints_are_scored_on_images_of_different_seeds(samplers: Any) -> None:
    (base, subject), scorer = samplers(keep=True)
    assert base[0] == ([text.replace("{}", "dog") for text in train.PROMPTS], [7, 8, 9, 10, 11, 12], 96, 4)
    assert subject[0][0] == [text.replace("{}", "sks dog") for text in train.PROMPTS] and subject[0][1:] == base[0][1:]
    assert scorer[1] == "scorers" and scorer[4] == [Path("photos/1.png"), Path("photos/2.png")]
    (base, _), _ = samplers(keep=True, trial_prompt=["{} at home"])
    assert base[0][:2] == (["dog at home"], [7])


def test_images_of_a_model_whose_text_encoder_is_trained_are_of_prompts_encoded_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = iter(range(9))
    used: list[int] = []
    monkeypatch.setattr(preview_sampler, "conditioning", lambda *given: next(counted))
    monkeypatch.setattr(
        preview_sampler, "sample_images", lambda pipeline, prompts, *given, **named: used.append(prompts) or []
    )
    model: Any = SimpleNamespace(family=SimpleNamespace(pipeline=lambda components: None), sampling={})
    components: Any = SimpleNamespace(parts={"text_encoder": None})
    sampler = preview_sampler.PreviewSampler(model, components, ["a"], [1], 64)
    sampler.sample()
    components.parts["text_encoder"] = "still there"
    sampler.sample()
    assert used == [0, 1]


def test_images_during_training_are_marked_and_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        preview_sampler, "write_png", lambda image, path, **named: given.append(named) or image.save(path, "PNG")
    )
    monkeypatch.setattr(preview_sampler.watermark, "embed", lambda pixels, name: pixels + 1)
    preview_sampler.write_labelled(np.zeros((8, 8, 3), np.uint8), tmp_path / "x.png", tmp_path)
    assert given == [{"home": tmp_path}] and np.asarray(Image.open(tmp_path / "x.png")).max() == 1


# Scores of checkpoints


def scores_of(*steps: int) -> CheckpointScores:
    """The best is the first step."""
    base = StepScores(step=0, subject=(0.2,), prompt=(0.5,))
    after = tuple(StepScores(step=step, subject=(0.5 - step / 100,), prompt=(0.5,)) for step in steps)
    return CheckpointScores(
        prompts=("one",),
        encoder="x",
        weight=1,
        training_similarity=0.8,
        unrelated_similarity=0.1,
        base=base,
        after=after,
    )


@pytest.fixture
def scorer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Open the scorer of a run that scores nothing itself; returns it."""
    monkeypatch.setattr(CheckpointScorer, "_score_base", lambda self, base: scores_of())
    sampler: Any = SimpleNamespace(prompts=["a dog"], sample=lambda: [np.zeros((8, 8, 3), np.uint8)])
    subject: Any = SimpleNamespace(prompts=["sks dog"], sample=lambda: [np.zeros((8, 8, 3), np.uint8)])

    def opened(resume: bool = False, scorers: Any = None, **fields: Any) -> CheckpointScorer:
        workspace = Workspace("run", tmp_path, tmp_path, tmp_path, resume=resume)
        return CheckpointScorer(request_of(**fields), scorers, sampler, subject, [Path("photo.png")], workspace)

    return opened


def test_scores_go_on_in_a_resumed_run_only(scorer: Any) -> None:
    first = scorer()
    first.scores = scores_of(10, 20)
    first._save()
    assert [each.step for each in scorer(resume=True).scores.after] == [10, 20]
    assert scorer().scores.after == ()


@pytest.mark.parametrize(
    ("patience", "steps", "finished"), [(None, 3, False), (None, 4, True), (2, 3, True), (5, 5, False)]
)
def test_a_run_is_finished_after_as_many_worse_checkpoints_as_its_patience(
    scorer: Any, patience: int | None, steps: int, finished: bool
) -> None:
    each = scorer(keep="best", patience=patience) if patience else scorer(keep="best")
    each.scores = scores_of(*(10 * n for n in range(1, steps + 1)))
    assert each.finished == finished and each.patience == (patience or 3)


def test_images_are_scored_by_the_prompt_without_the_identifier(scorer: Any) -> None:
    seen: list[Any] = []

    def score(gallery: Any) -> Any:
        seen.append(gallery)
        return {"subject_fidelity": SimpleNamespace(values=(0.25,)), "prompt_fidelity": SimpleNamespace(values=(0.75,))}

    each = scorer(scorers=SimpleNamespace(score=score))
    found = each._score(10, [Path("made.png")])
    assert (found.subject, found.prompt, found.step) == ((0.25,), (0.75,), 10)
    ((item,), references) = seen[0].items, seen[0].references
    assert (item.prompt, references) == ("a dog", (Path("photo.png"),))


def test_only_the_best_weights_are_saved_and_they_replace_the_average(
    scorer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    saved: list[int] = []
    monkeypatch.setattr(checkpoint_scores, "save_weights", lambda trainable, folder: saved.append(trainable))
    monkeypatch.setattr(checkpoint_scores, "load_weights", lambda folder, trainable: None)
    each = scorer()
    monkeypatch.setattr(each, "_score", lambda step, images: scores_of(step).after[0])
    for step in (20, 10, 30):
        each.score(step, SimpleNamespace(evaluating=nullcontext, trainable=step))
    assert saved == [20, 10] and each.scores.best.step == 10
    loop = SimpleNamespace(trainable=0, ema="average")
    each.restore_best(loop)
    assert loop.ema is None


def test_a_checkpoint_that_was_saved_and_not_scored_is_scored_first() -> None:
    seen: list[Any] = []
    fake: Any = SimpleNamespace(
        drop_after=lambda step: seen.append(("drop", step)),
        has=lambda step: step == 20,
        score=lambda step, loop: seen.append(("score", step)) or {},
    )
    each = ScoreCheckpoints(fake, lambda step, figures: None)
    loop: Any = SimpleNamespace(checkpoint_due=lambda step: step % 10 == 0)
    for first in (0, 10, 15, 20):
        each.begin(loop, first)
    assert seen == [("drop", 0), ("drop", 10), ("score", 10), ("drop", 15), ("drop", 20)]


# The job


def test_a_job_has_the_models_own_defaults_and_attaches_with_the_runs_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    method: Any = SimpleNamespace(makes="adapter", attach=lambda *given: seen.extend(given))
    monkeypatch.setattr(job.registry.methods, "get", lambda name: method)
    family: Any = SimpleNamespace(facts=job.registry.families.get("sd").facts)
    model: Any = SimpleNamespace(family=family, defaults={"steps": 77})
    each = job.TrainJob(
        request_of(seed=9), None, None, None, None, model, None, None, None, None  # type: ignore[arg-type]
    )  # fmt: skip
    assert each.facts.defaults == {"steps": 77} and not each.whole
    each.attach("components")  # type: ignore[arg-type]
    assert seen == ["components", each.facts, None, SubjectWords("sks", "dog"), 9]


# Class images


def test_class_images_count_their_steps_and_stop_when_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def sample(pipeline: Any, prompts: Any, seeds: Any, sampling: Any, size: Any, batch: int, on_step: Any) -> Any:
        on_step(7)
        yield from (np.zeros((8, 8, 3), np.uint8) for _ in seeds)

    monkeypatch.setattr(prior, "sample_images", sample)
    monkeypatch.setattr(prior, "conditioning", lambda *given: None)
    sampling = {"steps": 5, "guidance": 2.0}
    components: Any = SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32)

    def run(place: Path, stop: Any = lambda: False, vae: str | None = None, **more: Any) -> list[Any]:
        events: list[Any] = []
        family = SimpleNamespace(pipeline=lambda components: None)
        model: Any = SimpleNamespace(
            sampling=sampling | more, family=family, fingerprint=lambda dtype: "f", location="m", vae=vae
        )
        workspace = Workspace("run", place, place, place, stop=stop)
        prior.class_images(model, components, ["a dog"], plan_of(class_pictures=10), 3, workspace, events.append)
        return events

    stage, progress = run(tmp_path)
    assert stage == Stage(name="class images", total=16 * 5, unit="steps") and progress == Progress(done=7), (
        "in whole batches"
    )
    assert run(tmp_path) == [] and run(tmp_path, guidance=3.0) and run(tmp_path, vae="other"), "of other settings anew"
    with pytest.raises(Interrupted):
        run(tmp_path / "stopped", stop=lambda: True)


def test_optimiser_lesson_and_loop_get_the_runs_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    built: dict[str, Any] = {}
    monkeypatch.setattr(train, "strip", lambda components, dtype, keep_text: built.update(strip=(dtype, keep_text)))
    monkeypatch.setattr(train, "build_optimiser", lambda *given: built.update(optimiser=given) or "optimiser")
    monkeypatch.setattr(train, "SubjectLesson", lambda **given: built.update(lesson=given) or "lesson")
    monkeypatch.setattr(train, "Loop", lambda *given: given)
    trainable = SimpleNamespace(groups=lambda: {"denoiser": [1]})

    def loop(whole: bool, **fields: Any) -> Any:
        method = SimpleNamespace(trains_text=lambda options: True)
        each: Any = SimpleNamespace(
            request=request_of(**fields), named="named", method=method, options=None, whole=whole, autocast="bf16",
            attach=lambda components: trainable, model=SimpleNamespace(family="family"), device="cpu",
            processes="alone",
        )  # fmt: skip
        sets: Any = SimpleNamespace(subject="subject", prior="prior", held_out="held out")
        return train.build_loop(each, plan_of(rates={"denoiser": 1e-3}), "components", sets)  # type: ignore[arg-type]

    found = loop(False, weight_decay=0.3, optimiser="adafactor")
    assert built["optimiser"] == ("adafactor", {"denoiser": [1]}, {"denoiser": 1e-3}, 0.3)
    assert built["strip"] == ("bf16", True) and (found[0], *found[2:]) == (
        "named", "lesson", trainable, "optimiser", "cpu", "bf16", "alone",
    )  # fmt: skip
    lesson = built["lesson"]
    assert [lesson[name] for name in ("subject", "prior", "held_out", "autocast", "trains_text", "processes")] == [
        "subject", "prior", "held out", "bf16", True, "alone",
    ]  # fmt: skip
    loop(True)
    assert built["strip"] == (None, True), "its own weights are trained in full precision"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"optimiser": "prodigy"}, "optimiser 'prodigy' needs a package that is missing"),
        ({"model": "flux-dev", "resolution": 72}, "resolution 72 is not a multiple of 16"),
        ({"method": "full", "quantise": "int8"}, "cannot be trained"),
    ],
)
def test_a_job_is_refused_before_the_model_is_loaded(
    home: Path, painted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], problem: str
) -> None:
    def missing(name: str) -> None:
        if name == "prodigy":
            raise LimnerError("optimiser 'prodigy' needs a package that is missing", "install it")

    monkeypatch.setattr(job, "check_optimiser", missing)
    monkeypatch.setattr(job, "check_quantised", lambda name, device: None)
    request = request_of(**{"data": str(painted)} | fields)
    workspace = Workspace("run", tmp_path, tmp_path / "out", tmp_path)
    with pytest.raises(LimnerError, match=problem):
        job.check_job(request, workspace, lambda event: None)
