"""The whole cycle of a team over HTTP: ratings start an improvement, and blind votes promote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from limner.core.accounts import Caller
from limner.core.requests import TrainRequest
from limner.engine.improve import training
from limner.server import improving
from limner.studio.studio import Studio
from serving import Client, service
from waiting import until

THINGS = ("mug", "vase", "chair", "apple", "boat", "house", "hat")
"""Two of their prompts are held out, so that there are eight pairs to vote on."""


@pytest.fixture
def profile(tmp_path: Path, painted: Path) -> Path:
    """A profile with one industry, whose adapter of the starter is improved after 14 ratings."""
    request = TrainRequest(data=str(painted), class_word="dog", steps=1, prior=False, options={"rank": 1}, flip=False)
    Studio(tmp_path / "trained").run(request, tmp_path / "adapter")
    plan = {"after": 14, "by": "votes", "votes": 6, "lesson": "preference"}
    found = {
        "text": {"model": "starter", "steps": 2},
        "industries": {"food": {"text": [str(tmp_path / "adapter")], "improve": plan}},
        "styles": {"photo": {}},
    }
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(found))
    return tmp_path / "profile.yaml"


def generate(call: Client, thing: str) -> dict[str, Any]:
    """Generate an image, and return it as the history has it."""
    asked = {"prompt": f"a red {thing} on the beach", "industry": "food", "style": "photo"}
    sha256 = call("POST", "/generate-image", asked).json["generated_image_url"].rsplit("/", 1)[1]
    return call("GET", f"/v1/pictures/{sha256}").json


def adapter_of(image: dict[str, Any]) -> str:
    (use,) = image["request"]["adapter"]
    return use["path"]


def state(call: Client) -> str:
    listed = call("GET", "/v1/promotions").json
    return listed[0]["status"] if listed else "none"


def vote_for_new(call: Client, promotion: int, studio: Studio) -> None:
    """Vote for the new adapter's image of each pair until votes have decided."""
    new = {pair.number: pair.new for pair in studio.promotions.pairs(studio.promotions.get(promotion))}
    shown = studio.promotions.shown_pairs(studio.promotions.get(promotion), Caller())
    for pair in shown[:6]:
        side = "left" if pair.left == new[pair.number] else "right"
        answer = call("POST", f"/v1/promotions/{promotion}/votes", {"pair": pair.number, "choice": side})
        assert answer.status == 200, answer.body


@pytest.mark.slow
def test_ratings_start_an_improvement_that_votes_promote_and_one_call_takes_back(
    home: Path, starter: Path, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STEPS", 2)
    monkeypatch.setattr(improving, "INTERVAL", 0.5)
    with service(home, profile=profile) as server:
        call = server.call
        old = None
        for thing in THINGS:
            for stars in (5, 1):
                image = generate(call, thing)
                old = old or adapter_of(image)
                assert call("PUT", f"/v1/pictures/{image['id']}/rating", {"stars": stars}).status < 300
        until("the vote", lambda: state(call) == "voting")
        (promotion,) = call("GET", "/v1/promotions").json
        assert promotion["original"]["path"] == old
        studio = Studio(home)
        vote_for_new(call, promotion["id"], studio)
        studio.close()
        assert state(call) == "promoted"
        new = call("GET", "/v1/promotions").json[0]["candidate"]["path"]
        assert new != old
        used = [adapter_of(generate(call, "mug")) for _ in range(12)]
        assert set(used) == {old, new}, "the bandit draws both"
        assert call("POST", f"/v1/promotions/{promotion['id']}/restore").json["status"] == "restored"
        assert {adapter_of(generate(call, "mug")) for _ in range(6)} == {old}
        steps = call("GET", "/v1/promotions").json[0]["steps"]
        assert [step["status"] for step in steps] == ["training", "voting", "promoted", "restored"]
        assert all(step["why"] for step in steps[2:])
