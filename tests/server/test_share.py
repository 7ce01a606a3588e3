"""A public address by a tunnel program, which is here a script that says what such a program says."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from limner.core.errors import LimnerError
from limner.server import share
from limner.server.app import create_app
from limner.server.settings import Settings
from limner.server.share import shared
from limner.studio import Studio
from serving import refused

SAYS = {
    "cloudflared": [
        "INF Requesting new quick Tunnel, see https://developers.cloudflare.com/ and https://api.trycloudflare.com.evil",
        "INF |  https://odd-mug-red.trycloudflare.com                    |",
    ],
    "ngrok": ['{"lvl":"info","msg":"started tunnel","addr":"http://x","url":"https://odd-mug-red.ngrok-free.app"}'],
    "tailscale": ["Available on the internet:", "", "https://odd-mug.red.ts.net/", "|-- proxy http://127.0.0.1:1"],
    "ssh": ["Welcome! see https://docs.example.com/", "odd.example.com tunneled, https://odd-mug.example.com"],
}
ADDRESS = {
    "cloudflared": "https://odd-mug-red.trycloudflare.com",
    "ngrok": "https://odd-mug-red.ngrok-free.app",
    "tailscale": "https://odd-mug.red.ts.net",
    "ssh": "https://odd-mug.example.com",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path on which nothing is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(programs: Path, name: str, lines: list[str], then: str = "exec /bin/sleep 60") -> None:
    told = "\n".join(f"echo '{line}'" for line in lines)
    script = f"#!/bin/sh\necho \"$@\" > '{programs}/{name}.asked'\n{told}\n{then}\n"
    (programs / name).write_text(script)
    (programs / name).chmod(0o755)


@pytest.mark.parametrize("name", share.TUNNELS)
def test_the_address_is_read(programs: Path, name: str) -> None:
    install(programs, name, SAYS[name])
    said: list[str] = []
    with shared(Settings(share=True, share_host="me@example.com"), 7412, said.append) as address:
        assert address == ADDRESS[name]
    assert "127.0.0.1:7412" in (programs / f"{name}.asked").read_text()
    assert said == [], "its end was ours"


def test_the_first_that_is_installed_or_the_one_that_is_named(programs: Path) -> None:
    for name in ("ngrok", "cloudflared"):
        install(programs, name, SAYS[name])
    with shared(Settings(share=True), 1, print) as address:
        assert address == ADDRESS["cloudflared"]
    with shared(Settings(share=True, share_by="ngrok"), 1, print) as address:
        assert address == ADDRESS["ngrok"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "no tunnel program is installed (cloudflared, ngrok, tailscale); install one"),
        ({"share_by": "carrier-pigeon"}, "choose one of: cloudflared, ngrok, tailscale, ssh"),
        ({"share_by": "ssh"}, "name it by --share-host"),
        ({"share_host": "me@example.com"}, "no tunnel program is installed (cloudflared, ngrok, tailscale, ssh)"),
    ],
)
def test_what_cannot_be_shared(programs: Path, settings: dict[str, str], said: str) -> None:
    with pytest.raises(LimnerError) as caught, shared(Settings(share=True, **settings), 1, print):  # type: ignore[arg-type]
        pass
    assert said in str(caught.value)


@pytest.mark.parametrize("host", ["-oProxyCommand=evil", "a b", "a;b", ""])
def test_a_host_that_is_an_option(host: str) -> None:
    with pytest.raises(ValueError):
        Settings(share=True, share_host=host)


def test_a_program_that_fails_or_says_nothing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "cloudflared", ["ERR no network"], then="exit 3")
    with (
        pytest.raises(LimnerError, match=r"cloudflared ended .it last said: 'ERR no network'"),
        shared(Settings(share=True), 1, print),
    ):
        pass
    monkeypatch.setattr(share, "PATIENCE", 0.5)
    install(programs, "cloudflared", ["INF waiting"])
    with pytest.raises(LimnerError, match=r"told no address in 0.5 s"), shared(Settings(share=True), 1, print):
        pass


def test_its_name_is_let_in_and_no_other(tmp_path: Path) -> None:
    app = create_app(Studio(tmp_path), Settings(names=("odd-mug-red.trycloudflare.com",)))
    client = TestClient(app, base_url="http://127.0.0.1")
    for host, status in (("odd-mug-red.trycloudflare.com", 200), ("127.0.0.1", 200), ("other.trycloudflare.com", 421)):
        assert client.get("/healthz", headers={"Host": host}).status_code == status
    own = {"Host": "odd-mug-red.trycloudflare.com", "Origin": "https://odd-mug-red.trycloudflare.com"}
    assert client.get("/healthz", headers=own).status_code == 200


def test_nothing_is_shared_without_accounts(home: Path) -> None:
    said = "limner: with --share every call needs a key, and no admin has one"
    assert refused(home, "serve", "--share").startswith(said)
