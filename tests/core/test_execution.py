"""Request and execution: one body on the surfaces, two objects inside, and a digest of the request alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from limner.core.errors import Interrupted
from limner.core.execution import Execution, body_model, body_of, digests_of, parse_body, split_body, split_fields
from limner.core.kinds import KINDS
from limner.core.requests import GenerateRequest, PrepareRequest, TrainRequest
from limner.core.requests.request import digest_of
from limner.studio.studio import Studio

TRAIN: dict[str, Any] = {"kind": "train", "data": "photos", "class_word": "dog"}


def test_a_body_is_split_and_put_together_again() -> None:
    fields = TRAIN | {"device": "cuda:1", "track": ["wandb"], "preview_every": 5, "steps": 7}
    request, execution = parse_body(fields)
    assert type(request) is TrainRequest and request.steps == 7
    assert execution == Execution(device="cuda:1", track=("wandb",), preview_every=5)
    body = body_of(request, execution)
    assert isinstance(body, TrainRequest)
    dumped = body.model_dump(mode="json")
    assert dumped == request.model_dump(mode="json") | {"device": "cuda:1", "track": ["wandb"], "preview_every": 5}
    assert split_body(body) == (request, execution)
    assert body.model_dump(exclude_unset=True).keys() == fields.keys()


def test_the_digest_is_of_the_request_alone() -> None:
    found = {parse_body(TRAIN | how)[0].digest for how in ({}, {"device": "cuda:1"}, {"preview_every": 3})}
    assert found == {TrainRequest(data="photos", class_word="dog").digest}


def test_a_digest_of_an_earlier_version_is_known() -> None:
    """It was of the whole body."""
    request, execution = parse_body(TRAIN | {"device": "cpu"})
    first = request.model_dump(mode="json", exclude={"adapter", "keep_checkpoints"})  # which came later
    old = digest_of(first | {"device": "cpu", "track": [], "preview_every": 0})
    assert digests_of(request, execution) == {request.digest, old}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_takes_its_own_fields_of_an_execution(kind: str) -> None:
    request = KINDS[kind].load_request()
    assert not set(Execution.model_fields) & set(request.model_fields)
    assert set(body_model(kind).model_fields) == {*request.model_fields, *KINDS[kind].execution}
    assert body_model(kind).__name__ == request.__name__


def test_a_field_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        parse_body({"kind": "generate", "prompt": "a cat", "workers": 3})
    with pytest.raises(ValidationError, match="device"):
        parse_body({"kind": "generate", "prompt": "a cat", "device": "gpu"})


def test_what_a_kind_does_not_take_is_not_in_its_body() -> None:
    body = body_of(GenerateRequest(prompt="a cat"), Execution(workers=3, device="cpu"))
    assert body.model_dump().keys() & Execution.model_fields.keys() == {"memory", "device"}
    assert split_body(GenerateRequest(prompt="a cat")) == (GenerateRequest(prompt="a cat"), Execution())


def test_fields_are_split_by_name() -> None:
    assert split_fields({"sources": ["a"], "workers": 2}) == ({"sources": ["a"]}, {"workers": 2})
    request, execution = parse_body('{"kind": "prepare", "sources": ["a"], "workers": 2}')
    assert (request, execution) == (PrepareRequest(sources=("a",)), Execution(workers=2))


def test_a_run_is_resumed_on_another_device(home: Path, tiny_sd: Path, painted: Path, tmp_path: Path) -> None:
    """The execution of the resumed command is used, and the run is found in spite of it."""
    request = TrainRequest.model_validate(
        {"data": str(painted), "class_word": "dog", "model": str(tiny_sd), "steps": 3, "batch": 1, "prior": False}
    )
    studio, steps = Studio(home), iter(range(100))
    with pytest.raises(Interrupted):
        studio.run(request, tmp_path / "rex", stop=lambda: next(steps) >= 1, execution=Execution(preview_every=2))
    run = studio.run(request, resume=True, execution=Execution(device="cpu"))
    assert (run.status, run.execution) == ("done", Execution(device="cpu"))
    assert len(studio.runs.list()) == 1 and (tmp_path / "rex").is_dir()
    studio.store.close()
