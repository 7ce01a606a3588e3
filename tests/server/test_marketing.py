"""/generate-image with a custom profile: adapters by rating, base images, and failed runs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from PIL import Image

from limner.core.accounts import Caller, Role
from limner.core.errors import LimnerError
from limner.core.execution import Execution
from limner.core.requests import AdapterUse, TrainRequest
from limner.core.runs import INTERNAL_ERROR, Run, Status
from limner.server import base_images, marketing, uploads
from limner.server import waiting as waiting_module
from limner.server.app import create_app
from limner.server.bandit import choose_adapter
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.store.queue import Queue
from limner.studio.feedback import StudioFeedback
from limner.studio.images import Viewer
from limner.studio.studio import Studio
from serving import Service, problem, refused
from serving import service as running

CALL = {"prompt": "a red mug on the beach", "industry": "food", "style": "photo"}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, painted: Path) -> list[Path]:
    """Two adapters of the starter."""
    folder = tmp_path_factory.mktemp("adapters")
    studio = Studio(folder / "home")
    for seed in (1, 2):
        request = TrainRequest(
            data=str(painted), class_word="dog", steps=1, prior=False, options={"rank": 1}, seed=seed, flip=False
        )
        studio.run(request, folder / str(seed))
    return [folder / "1", folder / "2"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, adapters: list[Path], starter: Path) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("service")
    profile = {
        "text": {"model": "starter", "steps": 2},
        "industries": {"food": {"text": [str(adapters[0]), str(adapters[1])]}, "slow": {}},
        "styles": {"photo": {}},
    }
    (home / "mine.yaml").write_text(yaml.safe_dump(profile))
    with running(home, profile=home / "mine.yaml") as found:
        yield found


def test_adapters_are_chosen_by_rating(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    call, counted, asked = service.call, StudioFeedback.summary, list[Any]()
    monkeypatch.setattr(StudioFeedback, "summary", lambda *given: asked.append(given[2:]) or counted(*given))
    seen: dict[str, int] = {}
    for industry in ("food", "Food", " FOOD "):
        named = CALL | {"industry": industry}
        sha256 = call("POST", "/generate-image", named).json["generated_image_url"].rsplit("/", 1)[1]
        picture = call("GET", f"/v1/pictures/{sha256}").json
        (use,) = picture["request"]["adapter"]
        assert picture["tags"]["industry"] == "food", "case and spaces are ignored"
        assert picture["tags"]["adapter"] == use["path"] and "the best of 2" in picture["tags"]["chosen"]
        assert picture["label"]["adapters"][0]["path"] == use["path"]
        seen[use["path"]] = picture["id"]
    assert asked == [("adapter", "food")] * 3, "ratings of the same industry"
    rated = next(iter(seen))
    assert [run["priority"] for run in call("GET", "/v1/runs").json] == [1, 1, 1], "clients wait for them"
    call("PUT", f"/v1/pictures/{seen[rated]}/rating", {"stars": 5})
    (standing,) = call("GET", "/v1/ratings/summary?by=adapter").json
    assert (standing["name"], standing["mean"]) == (rated, 5.0)


def test_everything_but_the_prompt_is_optional(service: Service) -> None:
    call = service.call
    assert next(iter(call("GET", "/industries").json["styles"])) == "photo", "the first is the default"
    plain = call("POST", "/generate-image", {"prompt": "a red mug"}).json
    assert plain["generated_image_urls"] == [plain["generated_image_url"]]
    several = {"prompt": "a red mug", "count": 2, "size": "64x128", "seed": plain["seed"]}
    made = call("POST", "/generate-image", several).json
    assert made["seed"] == plain["seed"] and len(set(made["generated_image_urls"])) == 2
    pictures = [call("GET", f"/v1/pictures/{url.rsplit('/', 1)[1]}").json for url in made["generated_image_urls"]]
    assert made["generated_image_url"] == made["generated_image_urls"][0]
    assert [picture["details"]["seed"] - plain["seed"] for picture in pictures] == [0, 1]
    assert [(picture["details"]["width"], picture["details"]["height"]) for picture in pictures] == [(64, 128)] * 2
    assert pictures[0]["tags"] == {"style": "photo"} and pictures[0]["request"]["prompt"] == "a red mug"
    for field, value in (("count", 0), ("count", 11), ("size", "64"), ("seed", -1), ("seed", 2**32)):
        assert field in problem(call("POST", "/generate-image", {"prompt": "a", field: value}), 422)["detail"]


def test_a_blank_prompt_is_refused(service: Service) -> None:
    for blank in ("  ", "\n\t", "\u2003"):
        error = problem(service.call("POST", "/generate-image", CALL | {"prompt": blank}), 422)
        assert "the prompt is blank" in error["detail"]


def test_a_base_image_is_limited_and_decoded_before_it_is_stored(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, ann, bounds = Studio(home), Caller(account="ann", role=Role.MAKER), list[int]()
    Image.new("RGB", (8, 8), "teal").save(tmp_path / "a.png")
    body = b"<html>"

    def fetch(url: str, *, bytes_most: int) -> bytes:
        bounds.append(bytes_most)
        return body

    monkeypatch.setattr(uploads, "fetch", fetch)
    with pytest.raises(LimnerError):
        uploads.store_image_from_url(studio, ann, "https://example.com/a.png", 1000)
    assert bounds == [1000] and [*studio.files] == []
    body = (tmp_path / "a.png").read_bytes()
    reference = uploads.store_image_from_url(studio, ann, "https://example.com/a.png", 2**20)
    assert [held.reference for held in studio.files.grants.list("ann")] == [reference]
    studio.store.close()


class Call:
    """A call of /generate-image whose run is not executed: what it asked for, and how its response was made."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **profile: Any) -> None:
        known = {"industries": {"Food": {}}, "styles": {"Photo": {}}} | profile
        self.studio, self.checkpoints_since_best, self.fetched = Studio(home), list[float](), list[Any]()
        self.settings = Settings(wait_seconds=77, upload_bytes=1234, accounts=True)
        self.app = create_app(self.studio, self.settings, Profile.model_validate(known))
        key = self.studio.accounts.add_key("ann")[1]
        self.client = TestClient(self.app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"})

        async def done(waiter: object, request: object, run: Run, seconds: float) -> Run:
            self.checkpoints_since_best.append(seconds)
            for name in "ab":
                self.studio.store.add_artifact(run.id, "picture", f"/{name}.png", name * 64)
            return run

        def store_image(studio: Studio, caller: Caller, url: str, limit: int) -> str:
            used = marketing.DOWNLOADS.borrowed_tokens, marketing.SUBMISSIONS.borrowed_tokens
            self.fetched.append((caller.account, url, limit, used))
            (home / "base").write_bytes(b"a base image")
            return studio.files.upload(home / "base", caller)

        monkeypatch.setattr(marketing, "wait_until_done", done)
        monkeypatch.setattr(base_images, "store_image_from_url", store_image)

    def __call__(self, **fields: Any) -> tuple[Run, dict[str, Any]]:
        reply = self.client.post("/generate-image", json=CALL | fields)
        assert reply.status_code == 200, reply.text
        return self.studio.store.list(1)[0], reply.json()


def stored(home: Path, *names: str) -> list[str]:
    """Files for the adapters of a profile."""
    for name in names:
        (home / name).write_bytes(name.encode())
    return [str(home / name) for name in names]


def test_the_profile_decides_on_request_and_execution(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (adapter,) = stored(home, "one.safetensors")
    call = Call(
        home,
        monkeypatch,
        text={"steps": 3, "memory": "low", "seed": 7},
        industries={"Food": {"words": "herbs", "text": [adapter]}},
        styles={"Photo": {"prompt": "{prompt}, sharp"}},
    )
    run, _ = call(style=" PHOTO ")
    assert run.request.prompt == "a red mug on the beach, herbs, sharp"  # type: ignore[union-attr]
    assert (run.request.steps, run.request.seed, run.execution) == (3, 7, Execution(memory="low"))  # type: ignore[union-attr]
    assert len(run.request.adapter) == 1, "every caller may use it"  # type: ignore[union-attr]
    assert (run.owner, run.tags) == ("ann", {"industry": "food", "style": "photo"}), "one adapter needs no choice"


def test_the_response_is_of_the_first_image(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((10.0, 13.24))
    monkeypatch.setattr(marketing, "monotonic", lambda: next(clock))
    call = Call(home, monkeypatch)
    _, reply = call()
    address, _, query = reply["generated_image_url"].partition("?")
    assert address == f"http://127.0.0.1/v1/files/{'a' * 64}" and "signature=" in query
    assert (reply["generation_time"], call.checkpoints_since_best) == ("3.2s", [77.0])


def test_a_base_image_has_its_own_adapters_threads_and_limit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, picture = stored(home, "text.safetensors", "picture.safetensors")
    adapters = {"Food": {"text": [text], "picture": [picture]}}
    call = Call(home, monkeypatch, industries=adapters, picture={"strength": 0.25})
    run, _ = call(base_image_url="https://example.com/a.png")
    assert call.fetched == [("ann", "https://example.com/a.png", 1234, (1, 0))]
    request: Any = run.request
    assert [use.path for use in request.adapter] == [call.studio.files.save(Path(picture))]
    assert request.image == call.studio.files.save(home / "base") and request.strength == 0.25
    assert [held.reference for held in call.studio.files.grants.list("ann")] == [request.image]


def test_the_chance_of_an_adapter_is_the_seed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = stored(home, *(f"{number}.safetensors" for number in range(5)))
    call, chosen = Call(home, monkeypatch, industries={"Food": {"text": names}}), set[str]()
    for seed in range(12):
        monkeypatch.setattr(marketing, "secrets", SimpleNamespace(randbelow=lambda most, seed=seed: seed))
        run, _ = call()
        request: Any = run.request
        assert (request.seed, run.tags["chance"]) == (seed, str(seed))
        standings = call.studio.feedback.summary(Viewer(), "adapter")
        uses = [AdapterUse(path=call.studio.files.save(Path(name))) for name in names]
        assert request.adapter == (choose_adapter(uses, standings, seed).adapter,)
        assert run.tags["adapter"] == request.adapter[0].path
        chosen.add(run.tags["adapter"])
    assert len(chosen) > 2


def answered(service: Service) -> tuple[Thread, list[Any], str]:
    """A call in a thread, its responses, and the id of its run, which no worker executes."""
    answers: list[Any] = []
    thread = Thread(target=lambda: answers.append(service.call("POST", "/generate-image", CALL | {"industry": "slow"})))
    thread.start()
    return thread, answers, waiting(service)


def waiting(service: Service) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for run in service.call("GET", "/v1/runs?limit=1&status=queued").json:
            if run["tags"].get("industry") == "slow":
                return run["id"]
        time.sleep(0.02)
    raise AssertionError("no run waits")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[Service]:
    """A server without workers."""
    home = tmp_path_factory.mktemp("idle")
    (home / "mine.yaml").write_text(yaml.safe_dump({"industries": {"slow": {}}, "styles": {"photo": {}}}))
    with running(home, profile=home / "mine.yaml", workers=0, wait_seconds=20) as found:
        yield found


@pytest.mark.parametrize("name", ["industry", "style"])
def test_nothing_is_downloaded_for_unknown_names(idle: Service, name: str) -> None:
    call = CALL | {"industry": "slow", "base_image_url": "http://127.0.0.1:9/a.png"}
    assert "not at a public address" in problem(idle.call("POST", "/generate-image", call), 422)["detail"]
    error = problem(idle.call("POST", "/generate-image", call | {name: "nosuch"}), 422)
    assert f"unknown {name} 'nosuch'" in error["detail"]


@pytest.mark.parametrize(
    ("ending", "error", "status", "message"),
    [
        (Status.CANCELLED, None, 409, "the run was cancelled"),
        (Status.FAILED, f"{INTERNAL_ERROR} (KeyError); see the worker's log", 500, INTERNAL_ERROR),
        (Status.FAILED, "unknown scheduler 'nosuch'", 422, "unknown scheduler"),
    ],
)
def test_errors_of_the_run_are_returned(
    idle: Service, ending: Status, error: str | None, status: int, message: str
) -> None:
    thread, answers, run = answered(idle)
    queue = Queue(Studio(idle.home).store)
    ((claimed, lease),) = queue.claim("w", 1)
    assert claimed.id == run
    queue.finish(lease, ending, error, internal_error=status == 500)
    thread.join()
    assert message in problem(answers[0], status)["detail"]


def test_a_disconnect_cancels_the_run(idle: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "DISCONNECT_POLL", 0.02)
    host, port = idle.call.address.removeprefix("http://").split(":")
    body = json.dumps(CALL | {"industry": "slow"})
    for headers, ends in (({}, "cancelled"), ({"Idempotency-Key": "again"}, "queued")):
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("POST", "/generate-image", body, {"Content-Type": "application/json", **headers})
        run = waiting(idle)
        connection.close()
        until = time.monotonic() + (30 if ends == "cancelled" else 0.5)
        while (status := idle.call("GET", f"/v1/runs/{run}").json["status"]) != "cancelled":
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        assert status == ends
        idle.call("POST", f"/v1/runs/{run}/cancel")


def test_a_profile_with_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({"industries": {"food": {"text": ["/no/such"]}}, "styles": {"photo": {}}})
    )
    message = refused(tmp_path / "home", "serve", "--port", 0, "--profile", tmp_path / "mine.yaml")
    assert message.startswith("limner: the profile uses '/no/such', which does not exist; check the path")
