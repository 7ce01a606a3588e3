"""Tests of the studio: limits of queued requests, uploads, and resumed runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.core.accounts import Caller, Limits, Role
from limner.core.errors import LimnerError, QuotaExceeded
from limner.core.requests import CompareRequest, GenerateRequest, TrainRequest
from limner.core.runs import Status
from limner.studio.studio import Studio

ANN, BOB, ROOT = Caller(account="ann", role=Role.MAKER), Caller(account="bob", role=Role.MAKER), Caller(account="root")


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    found = Studio(home, most_pixels=512 * 512)
    yield found
    found.store.close()


def test_the_number_of_pixels_is_limited(studio: Studio) -> None:
    studio.enqueue(GenerateRequest(prompt="a", width=512, height=512))
    studio.enqueue(GenerateRequest(prompt="a", width=256, height=256, hires=2.0))
    for larger in ({"width": 512, "height": 513}, {"width": 513}, {"width": 256, "height": 256, "hires": 2.1}):
        with pytest.raises(LimnerError, match="the limit is 262,144; request a smaller one"):
            studio.enqueue(GenerateRequest.model_validate({"prompt": "a", **larger}))


def test_a_caller_may_name_only_its_own_files(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    mine = studio.files.upload(tmp_path / "a.png", ANN)
    request = GenerateRequest(prompt="a", image=mine)
    with pytest.raises(LimnerError, match=r"is not yours; upload it"):
        studio.enqueue(request, caller=BOB)
    assert studio.enqueue(request, caller=BOB, granted=[mine]).owner == "bob"
    for caller in (ANN, ROOT, None):
        run = studio.enqueue(request, caller=caller)
        assert run.owner == ("" if caller is None else caller.account)
    with pytest.raises(LimnerError, match="is not yours"):
        studio.enqueue(GenerateRequest(prompt="a", image="sha256:" + "0" * 64), caller=ANN)


def test_a_retry_checks_the_callers_grants(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    mine = studio.files.upload(tmp_path / "a.png", ANN)
    run = studio.enqueue(GenerateRequest(prompt="a", image=mine), caller=ANN)
    studio.store.update(run.id, status=Status.FAILED)
    with pytest.raises(LimnerError, match="is not yours"):
        studio.retry(studio.store.get(run.id), BOB)
    assert studio.store.get(run.id).status is Status.FAILED
    assert studio.retry(studio.store.get(run.id), ANN).status is Status.QUEUED


def test_an_upload_over_the_quota_is_refused(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (tmp_path / "data" / name).write_bytes(b"x" * 50)
    who = ANN.model_copy(update={"limits": Limits(kept_bytes=150)})
    large = ANN.model_copy(update={"limits": Limits(kept_bytes=10**6)})
    (tmp_path / "c").write_bytes(b"c" * 151)
    with pytest.raises(QuotaExceeded, match="151 bytes more than the 0"):
        studio.files.upload(tmp_path / "c", who)
    assert list(studio.files) == [], "what is refused is not written either"
    folder = studio.files.upload(tmp_path / "data", large)
    held = {holding.reference: holding.bytes for holding in studio.files.grants.list("ann")}
    assert held == {folder: 100}, "folders themselves take nothing"


def test_a_file_that_is_erased_during_the_upload_is_restored(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a picture")
    add = studio.files.grants.add

    def erased_before(who: Caller, reference: str, size: int) -> None:
        studio.files.remove(reference.removeprefix("sha256:"))
        add(who, reference, size)

    monkeypatch.setattr(studio.files.grants, "add", erased_before)
    assert studio.files.local_path(studio.files.upload(tmp_path / "a", ANN)).read_bytes() == b"a picture"


def test_the_newest_run_with_a_checkpoint_is_resumed(studio: Studio, tmp_path: Path) -> None:
    request = TrainRequest(data=str(tmp_path), class_word="dog")
    runs = [studio.submit(request) for _ in range(3)]
    for run in runs:
        studio.store.update(run.id, status=Status.INTERRUPTED)
    assert studio._to_resume(runs[0].request).id == runs[2].id, "none has a checkpoint: the newest"
    for run in runs[:2]:
        (studio.store.folder(run.id) / "checkpoint-00000010").mkdir()
    assert studio._to_resume(runs[0].request).id == runs[1].id
    with pytest.raises(LimnerError, match="there is no interrupted run of this request"):
        studio._to_resume(request.model_copy(update={"seed": 7}))


@pytest.mark.parametrize("side", ["width", "height"])
def test_a_comparison_of_one_side_counts_a_square(studio: Studio, side: str) -> None:
    request = CompareRequest.model_validate({"contestants": ["starter", "sd15"], "prompt": ["a cat"], side: 520})
    assert request.pixels == 520 * 520
    with pytest.raises(LimnerError, match="270,400 pixels"):
        studio.enqueue(request)
