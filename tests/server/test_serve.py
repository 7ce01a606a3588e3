"""Setting up the server: what it is given by its settings, and whom it asks for an admin's key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from limner.core.accounts import Role
from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator
from limner.moderation.policy import read_policy
from limner.server import serve
from limner.server.settings import Settings
from limner.studio.studio import Studio


class Started:
    """A server that is set up and stopped at once: what its parts were given."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.given: dict[str, tuple[Any, ...]] = {}
        self.statement: list[str] = []
        policy = Policy(keep_text=True)

        @contextmanager
        def part(name: str, value: Any, *given: Any) -> Iterator[Any]:
            self.given[name] = given
            yield value

        def called(name: str, value: Any = None) -> Any:
            return lambda *given: self.given.update({name: given}) or value

        with monkeypatch.context() as patch:
            patch.setenv("LIMNER_HOME", str(home))
            patch.setattr(serve.logs, "configure", called("log"))
            patch.setattr(serve, "load_policy", called("policy", policy))
            patch.setattr(serve, "raise_file_limit", called("files"))
            patch.setattr(serve, "server_config", called("config"))
            patch.setattr(serve, "create_app", called("app"))
            address = "https://lively-cat.trycloudflare.com"
            patch.setattr(serve, "public_address", lambda *given: part("public", address, *given))
            patch.setattr(serve, "retention", lambda *given: part("retention", None, *given))
            patch.setattr(serve, "improving", lambda *given: part("improving", None, *given))
            patch.setattr(serve, "worker_processes", lambda *given: part("workers", None, *given))
            self.settings, self.policy = Settings(port=0, **settings), policy
            listening = serve.listen(self.settings)
            patch.setattr(serve, "listen", lambda settings: listening)
            with listening:
                serve.serve(self.settings, self.statement.append, lambda: True)
            self.studio.close()

    @property
    def studio(self) -> Studio:
        return self.given["app"][0]


def test_the_studio_has_the_limits_and_the_policy_of_the_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(home, monkeypatch, pixels=4096, connections=77, policy=home / "policy.yaml")
    studio = started.studio
    assert (studio.most_pixels, studio.gate.moderator.policy) == (4096, started.policy)
    assert started.given["policy"] == (home / "policy.yaml",) and started.given["files"] == (77,)
    assert studio.files.users() == {studio.store.fingerprint}, "that files can be stored is known at the start"
    assert list((home / "credentials").iterdir()), "that images can be signed, too"


def test_retention_and_workers_run_beside_the_application(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(home, monkeypatch, retention_days=3, workers=2)
    studio, settings, profile = started.given["app"]
    assert started.given["retention"] == (studio, started.settings, profile)
    assert started.given["improving"] == (studio, profile)
    assert started.given["workers"][:2] == (home, started.settings)
    assert settings == started.settings and started.given["config"][1] == started.settings
    (line,) = started.statement
    assert line.startswith("Limner serves at http://127.0.0.1:") and line.endswith("/docs; stop with Ctrl-C")


def test_the_public_name_is_a_name_of_the_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Studio(home).accounts.add_key("root", Role.ADMIN)
    started = Started(home, monkeypatch, share=True, names=("limner.example",))
    assert started.given["app"][1].names == ("limner.example", "lively-cat.trycloudflare.com")
    settings, port, _ = started.given["public"]
    assert settings == started.settings and f":{port};" in started.statement[0]
    assert started.statement[1] == "public address: https://lively-cat.trycloudflare.com (every call needs a key)"


def test_with_a_json_log_nothing_is_said_beside_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started(home, monkeypatch, log="json")
    assert (started.given["log"], started.statement) == (("json",), [])


def test_an_ipv6_address_is_shown_in_brackets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Started(home, monkeypatch, host="::1").statement[0].startswith("Limner serves at http://[::1]:")


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"accounts": True}, "--accounts"),
        ({"share": True}, "--share"),
        ({"share": True, "accounts": True, "host": "0.0.0.0"}, "--share"),
        ({"host": "192.0.2.1"}, "--host '192.0.2.1'"),
    ],
)
def test_an_admin_needs_a_key_before_others_do(home: Path, settings: dict[str, Any], flag: str) -> None:
    studio = Studio(home)
    studio.accounts.add_key("ann")
    with pytest.raises(LimnerError, match=f"^with {flag} every call needs a key, and no admin has one; create one"):
        serve.check_admin_key(Settings(**settings), studio)
    serve.check_admin_key(Settings(), studio)
    studio.accounts.add_key("root", Role.ADMIN)
    serve.check_admin_key(Settings(**settings), studio)


def test_a_policy_that_cannot_be_loaded_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text("prompt: [{check: words, options: {add: [7, {}]}}]\n")
    tried: list[Any] = []
    monkeypatch.setattr(serve, "try_image_checks", tried.append)
    monkeypatch.setattr(Moderator, "prepare", lambda moderator, *stages: tried.append((moderator.policy, *stages)))
    with pytest.raises(LimnerError, match="words"):
        serve.load_policy(tmp_path / "policy.yaml")
    policy = serve.load_policy(None)
    assert policy == read_policy(None) and tried == [(policy, CheckStage.PROMPT), policy]
