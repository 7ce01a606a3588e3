"""Recorded feedback as runs read it: what its viewer sees, with files on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gallery import add_image
from limner.core.accounts import Caller, Role
from limner.core.feedback import Rating
from limner.core.preferences import Feedback, FeedbackSelection, JudgedImage, Judgement, Preference
from limner.core.requests import GenerateRequest
from limner.engine import execute
from limner.studio.feedback import with_locations
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from limner.workers.execution import viewer_of


@pytest.fixture
def studio(home: Path) -> Studio:
    return Studio(home)


def image(name: str) -> JudgedImage:
    return JudgedImage(sha256=name, location=f"sha256:{name}", prompt="a cat")


def test_each_image_is_located_once() -> None:
    asked: list[str] = []

    def place(location: str) -> str:
        asked.append(location)
        return f"/here/{location[-1]}"

    a, b = image("a"), image("b")
    given = Feedback(
        ratings=(Judgement(image=a, stars=5, rater="ann"),), pairs=(Preference(better=b, worse=a),), left_out=("x",)
    )
    found = with_locations(given, place)
    assert asked == ["sha256:a", "sha256:b"]
    assert [found.pairs[0].better.location, found.pairs[0].worse.location] == ["/here/b", "/here/a"]
    assert found.ratings[0].image == found.pairs[0].worse and found.ratings[0].rater == "ann"
    assert found.left_out == ("x",)


def test_a_source_reads_what_its_viewer_sees(studio: Studio) -> None:
    ids = [add_image(studio, owner="ann"), add_image(studio, owner="bob")]
    for id in ids:
        studio.feedback.rate(Viewer("eve"), id, Rating(stars=4))
    found = studio.feedback.source(Viewer())("ratings", FeedbackSelection())
    assert len(found.ratings) == 2 and all(Path(each.image.location).is_file() for each in found.ratings)
    (own,) = studio.feedback.source(Viewer("ann", "ann"))(None, FeedbackSelection()).ratings
    assert own.image.sha256 == studio.images.get(Viewer(), ids[0]).sha256


def test_every_run_of_this_machine_may_read_all_feedback(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    studio.feedback.rate(Viewer("eve"), add_image(studio, owner="ann"), Rating(stars=4))
    counts: list[int] = []

    def executed(request: Any, workspace: Any, emit: Any) -> None:
        counts.append(len(workspace.feedback(None, FeedbackSelection()).ratings))

    monkeypatch.setattr(execute, "execute", executed)
    studio.run(GenerateRequest(prompt="a cat"), tmp_path / "out")
    assert counts == [1]


@pytest.mark.parametrize(
    ("owner", "role", "scope"), [("", None, None), ("ann", Role.MAKER, "ann"), ("ann", Role.ADMIN, None)]
)
def test_a_queued_run_reads_the_feedback_that_its_account_sees(
    studio: Studio, owner: str, role: Role | None, scope: str | None
) -> None:
    studio.accounts.add_key("bob", Role.ADMIN)
    if role is not None:
        studio.accounts.add_key(owner, role)
    caller = Caller(account=owner, role=role or Role.ADMIN)
    run = studio.enqueue(GenerateRequest(prompt="a cat"), caller=caller)
    assert viewer_of(studio, run) == Viewer(owner, scope, stored=True)
