"""Suites and files of prompts, named in a request: expanded where it is submitted, on every surface."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from limner import CompareRequest, EvaluateRequest, LimnerError, Studio
from limner.core.choice import evenly
from limner.core.prompts import PETS, suite
from limner.starter.exam.prompts import exam_prompts


def test_a_suite_is_expanded_with_its_class_word(tmp_path: Path) -> None:
    asked = EvaluateRequest(target="starter", suite="pets")  # pyright: ignore[reportArgumentType]
    found = asked.expanded()
    assert (found.prompt, found.suite) == (PETS, None) and found.expanded() is found
    (tmp_path / "prompts_and_classes.txt").write_text(
        "rex,dog\ntom,cat\ncup,cup\nprompt_list = ['a {0} {1}']\nprompt_list = ['my {0} {1}']\n", encoding="utf-8"
    )
    for subject, prompts in (("tom", ("my {}",)), ("cup", ("a {}",))):
        fields = {"target": "rex", "suite": "dreambench", "dataset": str(tmp_path / subject)}
        assert EvaluateRequest.model_validate(fields).expanded().prompt == prompts
    asked = EvaluateRequest.model_validate({"target": "rex", "suite": "dreambench", "dataset": str(tmp_path / "rex")})
    assert (asked.expanded().prompt, asked.expanded().class_word) == (("my {}",), "dog")
    assert asked.changed(class_word="cat").expanded().class_word == "cat"


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
