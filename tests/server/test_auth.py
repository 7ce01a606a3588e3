"""Authentication by keys, roles, limits of keys, and signed links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from limner.core.accounts import Caller, Limits
from limner.server.auth import AuthMiddleware
from limner.server.limits import RateLimit
from limner.store.accounts import Accounts
from serving import Client, Reply, key_of, problem, refused, service

PAINT = {"kind": "generate", "prompt": "a cat in the park", "steps": 1}


@dataclass(frozen=True)
class As:
    """A client with a key."""

    call: Client
    key: str

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        return self.call(method, path, body, Authorization=f"Bearer {self.key}", **headers)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory, starter: Path) -> Iterator[dict[str, As]]:
    home = tmp_path_factory.mktemp("accounts")
    keys = {
        name: key_of(home, name, *flags)
        for name, *flags in (
            ("root", "--role", "admin"),
            ("ann",),
            ("bob", "--kept-bytes", "4000", "--pictures-per-day", "3"),
            ("eve", "--role", "viewer"),
            ("fast", "--per-minute", "2"),
        )
    }
    with service(home, accounts=True) as running:
        yield {"nobody": As(running.call, "limner_x")} | {name: As(running.call, key) for name, key in keys.items()}


def test_calls_without_a_valid_key_are_refused(clients: dict[str, As]) -> None:
    call = clients["ann"].call
    for method, path in (("GET", "/v1/runs"), ("POST", "/v1/runs"), ("POST", "/generate-image"), ("GET", "/nosuch")):
        reply = call(method, path, {} if method == "POST" else None)
        assert (
            "the request has no key" in problem(reply, 401)["detail"] and reply.headers["WWW-Authenticate"] == "Bearer"
        )
    assert "unknown, expired or revoked" in problem(clients["nobody"]("GET", "/v1/runs"), 401)["detail"]
    assert call("GET", "/healthz").status == call("GET", "/readyz").status == call("GET", "/openapi.json").status == 200


def test_a_viewer_may_only_read(clients: dict[str, As]) -> None:
    assert clients["eve"]("GET", "/v1/runs").json == []
    assert "a viewer may not do this" in problem(clients["eve"]("POST", "/v1/runs", PAINT), 403)["detail"]


def test_accounts_see_their_own_runs_and_files(clients: dict[str, As]) -> None:
    ann, bob, root = clients["ann"], clients["bob"], clients["root"]
    run = ann("POST", "/v1/runs", PAINT, Prefer="wait").json
    assert run["status"] == "done", run["error"]
    file = run["artifacts"][0]["url"]
    for method, path in (
        ("GET", run["url"]), ("POST", f"{run['url']}/cancel"), ("GET", f"{run['url']}/events"), ("GET", file)
    ):  # fmt: skip
        problem(bob(method, path), 404)
    assert run["id"] not in [each["id"] for each in bob("GET", "/v1/runs").json]
    assert ann("GET", file).status == root("GET", file).status == 200
    assert run["id"] in [each["id"] for each in root("GET", "/v1/runs").json]
    use = PAINT | {"image": run["artifacts"][0]["reference"]}
    assert "is not yours" in problem(bob("POST", "/v1/runs", use), 422)["detail"]
    share = {"reference": run["artifacts"][0]["reference"], "account": "bob"}
    problem(bob("POST", "/v1/shares", share), 422)
    assert ann("POST", "/v1/shares", share).status == 201
    assert bob("GET", file).status == 200 and bob("POST", "/v1/runs", use).status == 202
    assert ann("POST", "/v1/shares/revoke", share).status == 200
    problem(bob("GET", file), 404)


def test_limits_of_a_key(clients: dict[str, As]) -> None:
    bob = clients["bob"]
    assert bob("POST", "/v1/files", b"x" * 3000).status == 201
    assert "are over its 4,000" in problem(bob("POST", "/v1/files", b"y" * 3000), 429)["detail"]
    assert "are over 3" in problem(bob("POST", "/v1/runs", PAINT | {"count": 4}), 429)["detail"]
    account = bob("GET", "/v1/account").json
    assert (account["name"], account["role"], account["limits"]["pictures_per_day"]) == ("bob", "maker", 3)
    assert account["kept_bytes"] >= 3000
    replies = [clients["fast"]("GET", "/v1/account") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429] and int(replies[2].headers["Retry-After"]) <= 30


def test_a_signed_link_opens_its_image_without_a_key(clients: dict[str, As]) -> None:
    ann = clients["ann"]
    call = {"prompt": "a red mug", "industry": "food", "style": "photo"}
    url = ann("POST", "/generate-image", call).json["generated_image_url"].removeprefix(ann.call.address)
    assert ann.call("GET", url).headers["Content-Type"] == "image/png"
    path, query = url.split("?")
    other = "0" if query[-1] != "0" else "1"
    for bad in (path, f"{path}?{query[:-1]}{other}", f"/v1/runs?{query}", url.replace("until=", "until=9")):
        problem(ann.call("GET", bad), 401)
    problem(ann.call("DELETE", url), 401)


def test_a_large_body_is_refused(clients: dict[str, As]) -> None:
    reply = clients["ann"]("POST", "/v1/runs", {"kind": "generate", "prompt": "x", "negative_prompt": "y" * 2**20})
    assert "larger than 1,048,576 bytes" in problem(reply, 413)["detail"]


def test_serving_other_machines_needs_a_key(home: Path) -> None:
    message = "limner: with --host '0.0.0.0' every call needs a key, and no admin has one"
    assert refused(home, "serve", "--host", "0.0.0.0", "--port", 0).startswith(message)


def test_any_address_is_allowed_on_all_interfaces(tmp_path: Path) -> None:
    key = key_of(tmp_path, "root", "--role", "admin")
    with service(tmp_path, host="0.0.0.0", workers=0, names=("limner.example",)) as running:
        call = Client(running.call.address.replace("0.0.0.0", "127.0.0.1"))
        problem(call("GET", "/v1/runs"), 401)
        bearer = f"Bearer {key}"
        assert call("GET", "/v1/runs", Authorization=bearer, Host="10.1.2.3").status == 200
        assert call("GET", "/v1/runs", Authorization=bearer, Host="limner.example:80").status == 200
        problem(call("GET", "/v1/runs", Authorization=bearer, Host="evil.example"), 421)


def test_a_token_bucket_is_refilled() -> None:
    now = [0.0]
    rate_limit = RateLimit(lambda: now[0], buckets=2)
    assert [rate_limit.wait("a", 2) for _ in range(3)] == [0, 0, 30]
    now[0] = 29.0
    assert rate_limit.wait("a", 2) == pytest.approx(1)
    now[0] = 30.0
    assert (rate_limit.wait("a", 2), rate_limit.wait("a", 2)) == (0, 30)
    rate_limit.wait("b", 1), rate_limit.wait("c", 1)
    assert rate_limit.wait("a", 2) == 0, "the bucket that was used least recently is dropped"


def guarded(per_minute: int, now: list[float]) -> TestClient:
    """A client of an application whose keys belong to one account and allow some requests per minute."""
    limits = Limits(per_minute=per_minute)
    accounts = SimpleNamespace(
        caller=lambda secret: Caller(account="ann", key=secret, limits=limits) if secret else None
    )
    middleware = AuthMiddleware(PlainTextResponse("in"), cast(Accounts, accounts), None)
    middleware.rate_limit = RateLimit(lambda: now[0])
    return TestClient(middleware)


def test_each_key_of_an_account_has_its_own_rate_limit() -> None:
    client = guarded(1, [0.0])
    statuses = [client.get("/", headers={"Authorization": f"Bearer {key}"}).status_code for key in "aab"]
    assert statuses == [200, 429, 200]


def test_the_refusal_names_the_limit_and_the_time_that_is_left() -> None:
    now = [0.0]
    client = guarded(2, now)
    for _ in range(2):
        client.get("/", headers={"Authorization": "Bearer x"})
    now[0] = 15.0
    refused = client.get("/", headers={"Authorization": "Bearer x"})
    assert (refused.json()["detail"], refused.json()["remedy"], refused.headers["Retry-After"]) == (
        "the key allows 2 requests per minute",
        "try again in 15 seconds",
        "15",
    )


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("bearer x", None),
        ("BEARER x ", None),
        ("Basic x", "the key is unknown, expired or revoked"),
        ("Bearer", "the request has no key"),
        ("", "the request has no key"),
    ],
)
def test_the_scheme_of_a_key_is_bearer(header: str, problem: str | None) -> None:
    reply = guarded(9, [0.0]).get("/", headers={"Authorization": header})
    assert reply.status_code == (200 if problem is None else 401)
    assert problem is None or reply.json()["detail"] == problem


def test_retry_after_is_long_enough() -> None:
    now = [0.0]
    accounts = SimpleNamespace(caller=lambda secret: Caller(account="ann", key="k", limits=Limits(per_minute=7)))
    middleware = AuthMiddleware(PlainTextResponse("in"), cast(Accounts, accounts), None)
    middleware.rate_limit = RateLimit(lambda: now[0])
    client = TestClient(middleware, headers={"Authorization": "Bearer x"})
    replies = [client.get("/v1/runs") for _ in range(8)]
    assert [reply.status_code for reply in replies] == [200] * 7 + [429]
    now[0] = float(replies[-1].headers["Retry-After"])
    assert client.get("/v1/runs").status_code == 200
