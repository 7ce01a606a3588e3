"""Evaluations on tiny models: images, scores, reports and errors."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import networks
from limner import Studio, TrainRequest
from limner.core.errors import LimnerError
from limner.core.prompts import MARKETING, PETS, suite
from limner.core.requests import EvaluateRequest, parse_request
from limner.core.requests.evaluate import Requirement
from working import enqueue_and_execute

METRICS = ["saturation", "sharpness", "diversity"]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "photographs", np.random.default_rng(0)
    folder.mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def evaluated(home: Path, out: Path, target: Path, **fields: object) -> dict:
    asked = {"target": str(target), "steps": 2, "count": 2, "metric": METRICS, **fields}
    Studio(home).run(EvaluateRequest.model_validate(asked), out)
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


def test_a_model_is_evaluated_with_prompts(home: Path, tmp_path: Path, tiny_sd: Path) -> None:
    out = tmp_path / "out"
    report = evaluated(home, out, tiny_sd, prompt=["a {} in the park", "a tree"], class_word="cat")
    assert [each["prompt"] for each in report["pictures"]] == ["a cat in the park"] * 2 + ["a tree"] * 2
    assert set(report["scores"]) == set(METRICS) and report["passed"]
    with (out / "report.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert np.isclose(np.mean([float(row["sharpness"]) for row in rows]), report["scores"]["sharpness"]["mean"])
    for name in ("report.html", "score.html"):
        page = (out / name).read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href)=["'](?!data:|#)[^"']""", page), "the page needs something beside it"
    assert tiny_sd.name not in page and all(each["sha256"] in page for each in report["pictures"])
    with Image.open(out / "results.png") as figure:
        figure.load()
    before = {path: path.stat().st_mtime_ns for path in (out / "pictures").rglob("*.png")}
    evaluated(home, out, tiny_sd, prompt=["a {} in the park", "a tree"], class_word="cat")
    assert before == {path: path.stat().st_mtime_ns for path in (out / "pictures").rglob("*.png")}, "generated again"


def test_an_adapter_is_compared_with_photographs_and_its_class(
    home: Path, tmp_path: Path, tiny_sd: Path, photographs: Path
) -> None:
    training = TrainRequest(
        data=str(photographs), class_word="cat", identifier="zwx", model=str(tiny_sd), steps=2, prior=False
    )
    Studio(home).run(training, tmp_path / "adapter")
    report = evaluated(
        home,
        tmp_path / "out",
        tmp_path / "adapter",
        prompt=["a photo of {}"],
        dataset=str(photographs),
        metric=[],
        require=["subject_fidelity>=-1", "memorisation<=0"],
    )
    assert report["subject"] == "zwx cat"
    assert {each["prompt"] for each in report["pictures"]} == {"a photo of zwx cat"}
    assert {each["told_to_encoders"] for each in report["pictures"]} == {"a photo of a cat"}
    assert {"subject_fidelity", "memorisation", "class_drift", "diversity"} <= set(report["scores"])
    assert [each["met"] for each in report["requirements"]] == [True, report["scores"]["memorisation"]["mean"] <= 0]
    assert report["passed"] == all(each["met"] for each in report["requirements"])
    assert (tmp_path / "out" / "class").is_dir()
    sheet = (tmp_path / "out" / "score.html").read_text(encoding="utf-8")
    assert "a photo of a cat" in sheet and "zwx" not in sheet, "people do not know the identifier"


def test_class_drift_has_images_of_its_own(home: Path, tmp_path: Path, tiny_sd: Path, photographs: Path) -> None:
    training = TrainRequest(data=str(photographs), class_word="cat", model=str(tiny_sd), steps=1, prior=False)
    Studio(home).run(training, tmp_path / "adapter")
    asked = {"prompt": list("abcd"), "count": 1, "metric": ["saturation", "class_drift"]}  # as many as of the class
    report = evaluated(home, tmp_path / "out", tmp_path / "adapter", **asked)
    assert len(report["scores"]["class_drift"]["values"]) == len(report["pictures"]) == 4
    header = (tmp_path / "out" / "report.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "prompt,picture,saturation"


def test_a_folder_of_images_is_evaluated(home: Path, tmp_path: Path, photographs: Path) -> None:
    (photographs / "0.txt").write_text("a cat\n", encoding="utf-8")
    report = evaluated(home, tmp_path / "out", photographs, metric=["saturation"])
    assert [each["prompt"] for each in report["pictures"]] == ["a cat", "all", "all"]
    with pytest.raises(LimnerError, match="needs the prompt"):
        evaluated(home, tmp_path / "two", photographs, metric=["prompt_fidelity"])
    with pytest.raises(LimnerError, match="the target is a folder of images"):
        evaluated(home, tmp_path / "two", photographs, prompt=["a dog"])


def test_a_queued_evaluation_contains_no_local_path(
    home: Path, tmp_path: Path, tiny_sd: Path, photographs: Path
) -> None:
    studio = Studio(home)
    head = f"sha256:{studio.files.put(networks.linear_head(tmp_path / 'head.safetensors'))}"
    clip = studio.files.save(networks.clip(tmp_path / "clip"))
    metric = f"aesthetic={head}@{clip}"
    fields = {"metric": [metric], "encoder": clip, "require": [f"{metric}>=-1000"], "steps": 1, "count": 1}
    model, folder = studio.files.save(tiny_sd), studio.files.save(photographs)
    for target in ({"target": model, "prompt": ["a cat"], "identifier": "x", "class_word": "cat"}, {"target": folder}):
        run = enqueue_and_execute(studio, EvaluateRequest.model_validate({"model": "starter", **fields, **target}))
        assert run.error is None
        made = {artifact.kind: artifact for artifact in studio.store.artifacts(run.id)}
        assert {"comparison", "scores", "table", "score page", "report"} <= made.keys()
        for artifact in made.values():
            assert str(home).encode() not in studio.files.local_path(artifact.details["reference"]).read_bytes()
        report = json.loads(studio.files.local_path(made["scores"].details["reference"]).read_text())
        assert report["scores"][metric]["model"] == f"{head}@{clip}" and report["passed"]
        assert report["verdict"].startswith(target["target"].partition(":")[2][:8])


def test_a_requirement_is_parsed() -> None:
    wanted = Requirement.model_validate("prompt_fidelity=some/model >= 0.25")
    assert (wanted.metric, wanted.holds, wanted.value) == ("prompt_fidelity=some/model", ">=", 0.25)
    assert wanted.met(0.25) and not wanted.met(0.2)
    request = EvaluateRequest.model_validate({"target": "starter", "require": ["saturation<90"], "prompt": ["a"]})
    assert parse_request(request.model_dump_json()) == request


def test_a_request_lists_the_words_of_its_prompts() -> None:
    asked = {"target": "starter", "prompt": ["a photo of {}"], "identifier": "zwx", "class_word": "gun"}
    assert EvaluateRequest.model_validate(asked).texts == ("a photo of zwx gun", "zwx", "gun")


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"target": "folder:" + "0" * 64}, ("model", "identifier", "class_word")),
        ({"target": "folder:" + "0" * 64, "model": "starter", "class_word": "cat"}, ("identifier",)),
        ({"target": "starter+folder:" + "0" * 64, "identifier": "zwx"}, ("class_word",)),
        ({"target": "starter"}, ()),
    ],
)
def test_fields_that_an_adapter_would_fill_must_be_given(fields: dict[str, str], left: tuple[str, ...]) -> None:
    assert EvaluateRequest.model_validate({"prompt": ["a photo of {}"], **fields}).unresolved == left


@pytest.mark.parametrize("text", ["subject_fidelity", "subject_fidelity=0.7", "a>=b", ">=1", "a>=nan"])
def test_invalid_requirements(text: str) -> None:
    with pytest.raises(ValidationError, match="METRIC>=VALUE"):
        Requirement.model_validate(text)


def test_suites_have_prompts_with_a_subject(tmp_path: Path) -> None:
    assert suite("pets", None) == (PETS, None) and suite("marketing", None) == (MARKETING, None)
    assert all("{}" in prompt for prompt in (*PETS, *MARKETING))
    exam, class_word = suite("exam", None)
    assert len(exam) > 40 and class_word is None
    page = "Classes\n\ncup,cup\nrex,dog\n\nprompt_list = [\n'one {0} {1} here'.format(a, b),\n]\n"
    (tmp_path / "prompts_and_classes.txt").write_text(
        page + "prompt_list = [\n'a living {0} {1}'.format(a, b),\n]\n", encoding="utf-8"
    )
    assert suite("dreambench", str(tmp_path / "cup")) == (("one {} here",), "cup")
    assert suite("dreambench", str(tmp_path / "rex")) == (("a living {}",), "dog")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["MODEL"], "there are no prompts"),
        (["MODEL", "--suite", "pest"], "did you mean 'pets'"),
        (["MODEL", "--suite", "dreambench"], "give --dataset"),
        (["MODEL", "--suite", "pets", "--prompt", "a"], "choose one of them"),
        (["MODEL", "--suite", "pets"], "none is known; give --class"),
        (["MODEL", "--prompt", "a cat", "--metric", "class_drift"], "class drift needs an adapter and a class"),
        (["MODEL", "--prompt", "a cat", "--metric", "subject_fidelity"], "needs photos of the subject"),
        (["MODEL", "--prompt", "a cat", "--require", "subject_fidelity>=0.5"], "needs photos of the subject"),
        (["MODEL", "--prompt", "a cat", "--require", "class_drift<=0.5"], "add --metric class_drift"),
        (["MODEL", "--prompt", "a", "--metric", "saturation", "--require", "clipping<=1"], "add --metric clipping"),
        (["EMPTY", "--prompt", "a cat"], "EMPTY' is not a model or an adapter and contains no images; give a model"),
        (["EMPTY"], "EMPTY' is not a model or an adapter and contains no images; give a model"),
        (["MODEL", "--prompt", "a", "--metric", "aesthetic=a@b@c"], "is not of the form aesthetic=HEAD@"),
        (["nowhere-at-all", "--prompt", "a cat"], "is not an adapter, not a folder and not the name of a model"),
    ],
)
def test_mistakes_are_one_line(limner, tiny_sd: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "EMPTY" / "passwd").write_text("root")
    typed = [str(tiny_sd) if each == "MODEL" else each for each in arguments]
    output = limner("evaluate", *typed, "--out", tmp_path / "out", "--steps", 2, "--count", 2)
    assert output.code == 2 and message in output.err and "Traceback" not in output.err, output.err


def test_unmet_requirements_set_the_exit_code(limner, tiny_sd: Path, tmp_path: Path) -> None:
    asked = ["evaluate", tiny_sd, "--prompt", "a cat", "--steps", 2, "--count", 2, "--metric", "saturation"]
    assert limner(*asked, "--require", "saturation>=0", "--out", tmp_path / "out").code == 0
    missed = limner(*asked, "--require", "saturation>=1000", "--out", tmp_path / "out")
    assert missed.code == 1 and "Not met: saturation>=1000" in missed.out
