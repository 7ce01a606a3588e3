"""Every result folder is filled by one program at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.core.errors import LimnerError
from limner.core.kinds import KINDS, RequestKind
from limner.core.requests import GenerateRequest, Request
from limner.core.workspace import Workspace
from limner.engine import execute as executing
from limner.engine.generate.batching import Job
from limner.starter.demo import run_demo
from limner.starter.exam.agreement import measure_agreement
from limner.starter.exam.exam import run_exam
from limner.starter.exam.personalise import run_personalisation_exam
from limner.store.locks import Locked, output_lock


@pytest.mark.parametrize("kind", [kind.load_request() for kind in KINDS.values()])
def test_each_kind_holds_its_folder_but_the_one_that_shares_it(
    kind: type[Request], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read or loaded, and until its work ends."""
    work: list[str] = []

    def fill(request: Request, workspace: Workspace, emit: Any) -> None:
        work.append("done")
        try:
            with output_lock(workspace.out):
                work.append("shared")
        except Locked:
            work.append("held")

    monkeypatch.setattr(RequestKind, "load_executor", lambda self: fill)
    workspace = Workspace("run", tmp_path / "run", tmp_path / "rex", tmp_path / "cache", home=home)
    request = kind.model_construct()
    executing.execute(request, workspace, print)
    assert work == ["done", "shared" if kind is GenerateRequest else "held"]
    with output_lock(tmp_path / "rex"):
        if kind is GenerateRequest:
            executing.execute(request, workspace, print)
        else:
            with pytest.raises(Locked, match="is being filled by another program"):
                executing.execute(request, workspace, print)
    assert len(work) == (4 if kind is GenerateRequest else 2)


def test_nothing_is_executed_where_images_could_not_be_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(home: Path | None) -> None:
        raise LimnerError(f"no key in {home}", "make one")

    monkeypatch.setattr(executing.credentials, "check_signing", refuse)
    monkeypatch.setattr(RequestKind, "load_executor", lambda self: pytest.fail("it was executed"))
    monkeypatch.setattr(executing, "generate_batch", lambda jobs: pytest.fail("it was executed"))
    workspace = Workspace("run", tmp_path, tmp_path, tmp_path, home=Path("here"))
    with pytest.raises(LimnerError, match="no key in here"):
        executing.execute(GenerateRequest(prompt="a"), workspace, print)
    with pytest.raises(LimnerError, match="no key in here"):
        list(executing.execute_together([Job(GenerateRequest(prompt="a"), workspace, print)]))


@pytest.mark.parametrize("fill", [run_exam, run_personalisation_exam, measure_agreement, run_demo])
def test_exams_and_the_demo_hold_their_folders(fill: Callable[..., Any], tmp_path: Path) -> None:
    with output_lock(tmp_path / "out"), pytest.raises(Locked, match="is being filled by another program"):
        fill(tmp_path / "out", None, None, None)
    assert not (tmp_path / "out").exists()
