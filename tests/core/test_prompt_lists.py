"""Suites and files of prompts, named in a request: expanded where it is submitted, on every surface."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from limner import CompareRequest, EvaluateRequest, LimnerError, Studio
from limner.core import prompts
from limner.core.choice import evenly
from limner.core.prompts import PETS, read_prompts, suite
from limner.starter.exam.prompts import exam_prompts


def test_a_suite_is_expanded_with_its_class_word(tmp_path: Path) -> None:
    asked = EvaluateRequest(target="starter", suite="pets")  # pyright: ignore[reportArgumentType]
    found = asked.expanded()
    assert (found.prompt, found.suite) == (PETS, None) and found.expanded() is found
    (tmp_path / "prompts_and_classes.txt").write_text(
        "rex,dog\ntom,cat\ncup,cup\nprompt_list = ['a {0} {1}']\nprompt_list = ['my {0} {1}']\n", encoding="utf-8"
    )
    for subject, wanted in (("tom", ("my {}",)), ("cup", ("a {}",))):
        fields = {"target": "rex", "suite": "dreambench", "dataset": str(tmp_path / subject)}
        assert EvaluateRequest.model_validate(fields).expanded().prompt == wanted
    asked = EvaluateRequest.model_validate({"target": "rex", "suite": "dreambench", "dataset": str(tmp_path / "rex")})
    assert (asked.expanded().prompt, asked.expanded().class_word) == (("my {}",), "dog")
    assert asked.changed(class_word="cat").expanded().class_word == "cat"


def test_a_subject_of_dreambench_needs_its_list(tmp_path: Path) -> None:
    page = tmp_path / "prompts_and_classes.txt"
    lists = "prompt_list = ['a {0} {1}']\nprompt_list = ['my {0} {1}']\n"
    remedy = "give --dataset DREAMBENCH/SUBJECT, a folder of DreamBooth's dataset"

    def refused(dataset: str | None) -> str:
        with pytest.raises(LimnerError) as caught:
            suite("dreambench", dataset)
        return str(caught.value)

    assert refused(None) == f"the suite dreambench needs the folder of a subject; {remedy}"
    for uploaded in ("sha256:0", "folder:0"):
        assert refused(uploaded).endswith("which an upload does not have; give its prompts by --prompt")
    assert refused(str(tmp_path / "rex")) == f"the prompts in {str(page)!r} cannot be read; {remedy}"
    page.write_text(f"rex,dog\n{lists}", encoding="utf-8")
    assert suite("dreambench", str(tmp_path / "rex")) == (("my {}",), "dog")
    assert refused(str(tmp_path / "tom")) == f"'tom' is not a subject of {str(page)!r}; {remedy}"
    page.write_text("can,soda can \nrex,dog\n" + lists, encoding="utf-8")
    assert suite("dreambench", str(tmp_path / "can")) == (("a {}",), "soda can")
    for broken in ("", lists.splitlines()[0], lists + lists, lists.replace("my {0}", "my")):
        page.write_text(f"rex,dog\n{broken}", encoding="utf-8")
        assert refused(str(tmp_path / "rex")) == f"{str(page)!r} does not hold two lists of prompts; {remedy}"


def test_a_file_of_prompts_has_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeff a cat \n\n a dog\na cat\n".encode())
    assert read_prompts(path) == ["a cat", "a dog"]
    monkeypatch.setattr(prompts, "LONGEST", path.stat().st_size)
    assert read_prompts(path) == ["a cat", "a dog"]
    monkeypatch.setattr(prompts, "LONGEST", path.stat().st_size - 1)
    with pytest.raises(LimnerError, match=rf"or a file of over {path.stat().st_size - 1} bytes"):
        read_prompts(path)


def test_prompts_come_from_one_place() -> None:
    for fields in ({"suite": "pets", "prompt": ["a"]}, {"prompts": "a.txt", "prompt": ["a"]}):
        with pytest.raises(ValidationError, match=r"prompts come from --\w+ and from --prompt; choose one of them"):
            EvaluateRequest.model_validate({"target": "starter", **fields})
    with pytest.raises(ValidationError, match="prompt is missing; give --prompt or --prompts"):
        CompareRequest.model_validate({"contestants": ["a", "b"]})


def test_the_exam_is_that_of_the_starter() -> None:
    found = dict.fromkeys(question.text for question in evenly(exam_prompts(), 64))
    assert suite("exam") == (tuple(found), None)


def test_a_queued_request_may_name_a_suite_or_an_uploaded_file(home: Path, tmp_path: Path) -> None:
    studio = Studio(home)
    (tmp_path / "prompts.txt").write_text("a {}\nanother {}\n", encoding="utf-8")
    reference = studio.files.upload(tmp_path / "prompts.txt")
    fields = {"target": "starter", "identifier": "sks", "class_word": "dog", "model": "starter"}
    run = studio.enqueue(EvaluateRequest.model_validate({**fields, "prompts": reference}))
    assert isinstance(run.request, EvaluateRequest) and run.request.prompt == ("a {}", "another {}")
    run = studio.enqueue(EvaluateRequest.model_validate({**fields, "suite": "pets"}))
    assert isinstance(run.request, EvaluateRequest) and run.request.prompt == PETS
    with pytest.raises(LimnerError, match="is not a reference"):
        studio.enqueue(EvaluateRequest.model_validate({**fields, "prompts": str(tmp_path / "prompts.txt")}))
    folder = studio.files.upload(Path(__file__).parent)
    with pytest.raises(LimnerError, match="which an upload does not have"):
        studio.enqueue(EvaluateRequest.model_validate({**fields, "suite": "dreambench", "dataset": folder}))
    studio.store.close()
