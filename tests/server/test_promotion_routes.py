"""Routes of promotions: blind votes by accounts, decisions by admins, and what the bandit draws then."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gallery import add_image
from improvements import PLAN, PROMPTS, finish, rate, store_adapter, vote_for, voting
from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.promotions import PromotionStatus
from limner.server import improving, marketing
from limner.server.app import create_app
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.studio.studio import Studio
from waiting import until

EVE = Caller(account="eve")
PROFILE = {"industries": {"Food": {}}, "styles": {"photo": {}}}


class Api:
    """A service with accounts, and a client of each role."""

    def __init__(self, home, **profile) -> None:
        self.studio = Studio(home)
        app = create_app(self.studio, Settings(accounts=True), Profile.model_validate(PROFILE | profile))
        self.state = app.state.server

        def client(name, role):
            key = self.studio.accounts.add_key(name, role)[1]
            return TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"})

        self.eve, self.ann, self.vic = client("eve", Role.ADMIN), client("ann", Role.MAKER), client("vic", Role.VIEWER)


@pytest.fixture
def api(home):
    made = Api(home)
    yield made
    made.studio.close()


def test_only_admins_see_and_decide(api):
    promotion, _, _ = voting(api.studio)
    for client in (api.ann, api.vic):
        assert client.get("/v1/promotions").status_code == 403
        for what in ("promote", "restore"):
            assert client.post(f"/v1/promotions/{promotion.id}/{what}").status_code == 403
            assert client.post(f"/v1/promotions/999/{what}").status_code == 403, "as if nothing was there"
    (listed,) = api.eve.get("/v1/promotions").json()
    assert (listed["status"], listed["new"], listed["old"], listed["votes"]) == ("voting", None, None, 0)
    assert api.eve.post("/v1/promotions/999/promote").status_code == 404
    assert api.eve.post(f"/v1/promotions/{promotion.id}/promote").json()["status"] == "promoted"
    refused = api.eve.post(f"/v1/promotions/{promotion.id}/promote")
    assert refused.status_code == 409 and "improvement 1 is promoted" in refused.json()["detail"]
    restored = api.eve.post(f"/v1/promotions/{promotion.id}/restore").json()
    assert [(each["status"], each["account"]) for each in restored["steps"][2:]] == [
        ("promoted", "eve"),
        ("restored", "eve"),
    ]


def test_accounts_vote_blindly_on_their_own_prompts(api):
    promotion, _, _ = voting(api.studio)
    place = f"/v1/promotions/{promotion.id}"
    for client in (api.ann, api.vic):
        assert client.get(f"{place}/pairs").status_code == 404
        assert client.get(f"{place}/pairs/0/left").status_code == 404
        assert client.post(f"{place}/votes", json={"pair": 0, "choice": "left"}).status_code == 404
    add_image(api.studio, PROMPTS[0], owner="ann")
    add_image(api.studio, PROMPTS[0], owner="vic")
    pairs = api.ann.get(f"{place}/pairs").json()
    assert len(pairs) == 4 and {each["prompt"] for each in pairs} == {PROMPTS[0]}
    assert len(api.eve.get(f"{place}/pairs").json()) == 8
    answer = api.ann.post(f"{place}/votes", json={"pair": pairs[0]["pair"], "choice": "left"})
    assert answer.json() == {"status": "voting", "votes": 1, "needed": 6}, "nothing says which one was new"
    assert api.ann.get(f"{place}/pairs").json()[0]["vote"] == "left"
    assert api.vic.post(f"{place}/votes", json={"pair": pairs[0]["pair"], "choice": "tie"}).status_code == 200
    for pair, choice in ((99, "left"), (pairs[0]["pair"], "new")):
        assert api.ann.post(f"{place}/votes", json={"pair": pair, "choice": choice}).status_code in (409, 422)


def test_images_of_a_pair_do_not_say_how_they_were_made(api):
    promotion, _, new = voting(api.studio)
    text = api.eve.get(f"/v1/promotions/{promotion.id}/pairs").text
    for secret in (new.path.partition(":")[2], '"new"', '"old"', "seed", "folder", "sha256"):
        assert secret not in text
    seen = set()
    for pair in api.eve.get(f"/v1/promotions/{promotion.id}/pairs").json():
        for side in ("left", "right"):
            answer = api.eve.get(pair[side])
            assert answer.headers["content-type"] == "image/webp" and answer.headers["cache-control"] == "no-store"
            assert "etag" not in answer.headers and "sha256" not in str(answer.headers)
            image = Image.open(io.BytesIO(answer.content))
            seen.add(image.convert("RGB").getpixel((5, 5)))
            assert b"request" not in answer.content
    assert len(seen) == 2
    assert api.eve.get(f"/v1/promotions/{promotion.id}/pairs/99/left").status_code == 404
    assert api.eve.get(f"/v1/promotions/{promotion.id}/pairs/0/middle").status_code == 422


def test_the_bandit_draws_a_promoted_adapter_for_every_account(home, monkeypatch):
    studio = Studio(home)
    old = store_adapter(studio, "old food")
    studio.close()
    profile = {"Food": {"text": [old.path], "improve": PLAN.model_dump()}}
    api = Api(home, industries=profile)
    promotion, _, new = voting(api.studio)
    ann = Caller(account="ann", role=Role.MAKER)

    def drawn(count=40):
        found = set()
        for seed in range(count):
            call = marketing.MarketingRequest(prompt="a mug", industry=" FOOD ", seed=seed)
            run = marketing.submit_marketing(api.state, call, ann, SimpleNamespace())  # type: ignore[arg-type]
            (use,) = run.request.adapter
            found.add(use.path)
            last[0] = run
        return found

    last = [None]
    assert drawn() == {old.path}
    vote_for(api.studio, promotion, EVE, "new", 6)
    assert drawn() == {old.path, new.path}, "which ann does not own"
    assert api.studio.promotions.promoted() == {new.path} and new.path in api.state.granted
    api.studio.promotions.restore(promotion.id, "eve")
    assert drawn() == {old.path}
    with pytest.raises(LimnerError, match="not yours"):
        api.studio.enqueue(
            last[0].request.model_copy(update={"adapter": (new,)}), caller=ann, granted=api.state.granted
        )
    api.studio.close()


def test_the_service_starts_and_follows_improvements(home, monkeypatch):
    monkeypatch.setattr(improving, "INTERVAL", 0.01)
    studio = Studio(home)
    old = store_adapter(studio, "old")
    bad = {"text": ["sha256:" + "0" * 64], "improve": PLAN.model_dump()}
    good = {"text": [old.path], "improve": PLAN.model_dump()}
    profile = Profile.model_validate(PROFILE | {"industries": {"bad": bad, "Food": good, "idle": {"text": [old.path]}}})
    rate(studio, old, 9, "food")
    with improving.improving(studio, profile):
        rate(studio, old, 30, "idle", first=100)
        assert studio.promotions.list() == []
        rate(studio, old, 1, "food", first=9)
        until("an improvement", lambda: any(each.run for each in studio.promotions.list()), 20)
        (started,) = studio.promotions.list()
        assert (started.industry, started.image) == ("food", False)
        finish(studio, started.run)
        until("votes", lambda: studio.promotions.get(started.id).status is PromotionStatus.VOTING, 20)
    assert len(studio.runs.list(kind="improve")) == 1
    studio.close()


def test_an_industry_that_fails_does_not_stop_the_others(home, monkeypatch, caplog):
    studio, asked = Studio(home), []
    plan = {"text": ["sha256:" + "0" * 64], "improve": PLAN.model_dump()}

    def start(name, image, adapters, plan, model):
        asked.append((name, image, model))
        if name == "a":
            raise LimnerError("its adapter is going", "wait")

    monkeypatch.setattr(studio.promotions, "start", start)
    profile = Profile.model_validate(
        PROFILE | {"industries": {"a": plan, "b": plan}, "picture": {"model": "owner/model"}}
    )
    with caplog.at_level(logging.WARNING, "limner.server"), improving.improving(studio, profile):
        until("both", lambda: len(asked) >= 4, 20)
    models = ((False, "starter"), (True, "owner/model"))
    assert asked[:4] == [(name, image, model) for name in "ab" for image, model in models]
    assert "could not improve the adapters of a: its adapter is going" in caplog.text
    studio.close()


@pytest.mark.parametrize(
    ("improve", "problem"),
    [
        ({"after": 9}, "after"),
        ({"after": 50, "votes": 5}, "votes"),
        ({"after": 50, "by": "luck"}, "by"),
        ({"after": 50, "every": 1}, "every"),
    ],
)
def test_a_plan_is_checked(improve, problem):
    industry = {"text": ["sha256:" + "0" * 64], "improve": improve}
    with pytest.raises(ValueError, match=problem):
        Profile.model_validate(PROFILE | {"industries": {"Food": industry}})


def test_a_plan_needs_an_adapter():
    with pytest.raises(ValueError, match="improve is given, but no adapter"):
        Profile.model_validate(PROFILE | {"industries": {"Food": {"improve": {"after": 50}}}})
