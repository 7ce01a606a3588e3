"""Moderation over HTTP: the real server and worker, with a custom policy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image

import classifiers
from limner.core.moderation import CheckStage, Verdict
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.studio.studio import Studio
from moderating import answering
from serving import CALL, PAINT, Client, problem, refused, service

SECRET = "zyx-marker"
"""A word that the outside service, and not the list, refuses."""


@pytest.fixture(scope="module")
def down() -> dict[str, bool]:
    """Makes the moderation service fail while it is set."""
    return {"now": False}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory, starter: Path, down: dict[str, bool]) -> Iterator[Client]:
    """A server that refuses pure red base images, with a moderation service that the test controls."""
    folder = tmp_path_factory.mktemp("moderated")

    def answer(subject: Any) -> Any:
        if down["now"]:
            return b"down for maintenance"
        if isinstance(subject, str):
            return {"results": [{"flagged": SECRET in subject, "categories": {"house rule": True}}]}
        return {"results": [{"flagged": is_pure_red(subject), "categories": {"too red": True}}]}

    always = {"model": str(classifiers.picture_classifier(folder / "always", 500)), "refuse": {"fine": 0.5}}
    with answering(answer) as url:
        outside = {"check": "service", "options": {"url": url, "seconds": 10}}
        policy = {
            "prompt": [{"check": "words", "options": {"add": ["rival brand"]}}, outside],
            "input": [outside],
            "picture": [{"check": "image_classifier", "options": always}],
        }
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
        with service(folder / "home", policy=folder / "policy.yaml") as running:
            yield running.call


def is_pure_red(subject: list[dict[str, Any]]) -> bool:
    import base64

    data = base64.b64decode(subject[0]["image_url"]["url"].partition(",")[2])
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("RGB").resize((1, 1)).getpixel((0, 0)) == (255, 0, 0)


def of_colour(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


def test_an_allowed_request_is_executed(call: Client) -> None:
    run = call("POST", "/v1/runs", PAINT, Prefer="wait").json
    assert (run["status"], len(run["artifacts"])) == ("done", 1), run["error"]
    verdicts = call("GET", f"{run['url']}/verdicts").json
    assert [(each["stage"], each["check"], each["allowed"]) for each in reversed(verdicts)] == [
        ("prompt", "words", True),
        ("prompt", "service", True),
        ("picture", "image_classifier", True),
    ]
    assert verdicts[0]["subject"] == run["artifacts"][0]["sha256"]


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("a wall with a sw\u0430stika", "hate"),
        ("a mug of the rival brand", "words that the policy of this server forbids"),
        (f"a {SECRET}", "house rule"),
    ],
)
def test_a_refused_prompt(call: Client, prompt: str, category: str) -> None:
    before = len(call("GET", "/v1/runs?limit=1000").json)
    for path, body in (("/v1/runs", PAINT | {"prompt": prompt}), ("/generate-image", CALL | {"prompt": prompt})):
        error = problem(call("POST", path, body), 422)
        assert (error["type"], error["category"]) == ("urn:limner:moderation:refused", category)
        assert error["detail"] == f"the prompt is refused: {category}" and error["remedy"]
    assert len(call("GET", "/v1/runs?limit=1000").json) == before, "no run is created"
    newest = call("GET", "/v1/verdicts?allowed=false&stage=prompt&limit=1").json[0]
    assert (newest["category"], newest["run"], newest["text"]) == (category, None, None)


def test_a_refused_base_image(call: Client) -> None:
    for colour, status in (((255, 0, 0), "failed"), ((10, 200, 30), "done")):
        image = call("POST", "/v1/files", of_colour(colour)).json["reference"]
        run = call("POST", "/v1/runs", PAINT | {"image": image}, Prefer="wait").json
        assert run["status"] == status, run["error"]
        if status == "failed":
            assert run["error"] == "an image of the request is refused: too red; ask for something else"
            assert call("GET", f"{run['url']}/verdicts?limit=1").json[0]["category"] == "too red"


def test_requests_are_refused_while_a_required_check_fails(call: Client, down: dict[str, bool]) -> None:
    down["now"] = True
    try:
        error = problem(call("POST", "/v1/runs", PAINT), 503)
    finally:
        down["now"] = False
    assert error["type"] == "urn:limner:moderation:unable" and "'service' is required" in error["detail"]
    newest = call("GET", "/v1/verdicts?allowed=false&limit=1").json[0]
    assert (newest["check"], newest["skipped"], newest["category"]) == ("service", True, None)
    assert call("POST", "/v1/runs", PAINT).status == 202, "the check is used again when it works"


def test_pages_of_verdicts(call: Client) -> None:
    call("POST", "/v1/runs", PAINT, Prefer="wait")
    first = call("GET", "/v1/verdicts?limit=2").json
    second = call("GET", f"/v1/verdicts?limit=1&before={first[-1]['id']}").json
    ids = [each["id"] for each in (*first, *second)]
    assert ids == sorted(set(ids), reverse=True) and len(ids) == 3
    problem(call("GET", "/v1/verdicts?stage=nosuch"), 422)
    problem(call("GET", "/v1/runs/nosuch/verdicts"), 404)


def test_withheld_images_are_not_available(tmp_path: Path, starter: Path) -> None:
    model = classifiers.picture_classifier(tmp_path / "always", 500)
    picture = {"check": "image_classifier", "options": {"model": str(model), "refuse": {"unsafe": 0.5}}}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"picture": [picture]}))
    with service(tmp_path / "home", policy=tmp_path / "policy.yaml") as running:
        call = running.call
        run = call("POST", "/v1/runs", PAINT | {"count": 2}, Prefer="wait").json
        assert (run["status"], run["artifacts"]) == ("failed", [])
        assert run["error"] == "all 2 images were withheld: unsafe; ask for something else"
        events = call("GET", f"{run['url']}/events").body.decode()
        assert "image 2 was withheld: unsafe" in events and "event: made" not in events
        error = problem(call("POST", "/generate-image", CALL), 422)
        assert error["detail"] == "the image was withheld: unsafe; ask for something else"
        verdicts = call("GET", f"{run['url']}/verdicts").json
        refused = [verdict["subject"] for verdict in verdicts if not verdict["allowed"]]
        assert len(refused) == 2
        for sha256 in refused:
            problem(call("GET", f"/v1/files/{sha256}"), 404)
        assert not [path for path in running.home.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x89PNG"]


def test_an_invalid_policy_is_reported_at_start(tmp_path: Path, home: Path) -> None:
    checker = {"check": "safety_checker", "options": {"model": "somebody/nosuch"}}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"picture": [checker]}))
    message = (
        "checks of the policy cannot be loaded: picture: safety_checker: classifier 'somebody/nosuch' is not on disk"
    )
    assert refused(home, "serve", "--port", 0, "--policy", tmp_path / "policy.yaml").startswith(f"limner: {message}")


def test_verdicts_are_listed_by_result_and_stage_in_pages(home: Path) -> None:
    studio = Studio(home)
    client = TestClient(create_app(studio, Settings()), base_url="http://127.0.0.1")
    run = client.post("/v1/runs", json=PAINT).json()
    studio.verdicts.save_policy(studio.gate.moderator.policy.digest, studio.gate.moderator.policy.text)
    for number in range(2):
        for stage in (CheckStage.INPUT, CheckStage.IMAGE):
            verdict = Verdict(stage=stage, subject="a" * 64, check="x", allowed=number == 0)
            studio.verdicts.add([verdict], studio.gate.moderator.policy.digest, run=run["id"] if number else None)

    def listed(path: str) -> list[tuple[str, bool]]:
        return [(each["stage"], each["allowed"]) for each in client.get(path).json()]

    all_verdicts = [("picture", False), ("input", False), ("picture", True), ("input", True), ("prompt", True)]
    ids = [each["id"] for each in client.get("/v1/verdicts").json()]
    assert listed("/v1/verdicts") == all_verdicts and listed("/v1/verdicts?limit=2") == all_verdicts[:2]
    assert listed(f"/v1/verdicts?before={ids[1]}&limit=2") == all_verdicts[2:4]
    assert listed("/v1/verdicts?allowed=false&stage=input") == [("input", False)]
    assert listed("/v1/verdicts?stage=picture") == [("picture", False), ("picture", True)]
    of_run = [*all_verdicts[:2], all_verdicts[4]]
    assert listed(f"{run['url']}/verdicts") == of_run and listed(f"{run['url']}/verdicts?limit=1") == of_run[:1]
    assert listed(f"{run['url']}/verdicts?before={ids[0]}&limit=1") == of_run[1:2]
    studio.verdicts.add([verdict] * 100, studio.gate.moderator.policy.digest, run=run["id"])
    assert len(listed("/v1/verdicts")) == len(listed(f"{run['url']}/verdicts")) == 100
    studio.close()
