"""Public addresses by tunnel programs, which are scripts with the same output here."""

import os
from pathlib import Path
from queue import SimpleQueue

import pytest

from limner.core.errors import LimnerError
from limner.server import share
from limner.server.settings import Settings
from limner.server.share import public_address
from serving import key_of, problem, refused, service

SAYS = {
    "cloudflared": [
        "INF Requesting new quick Tunnel, see https://developers.cloudflare.com/ and https://api.trycloudflare.com.evil",
        "INF |  https://odd-mug-red.trycloudflare.com                    |",
    ],
    "ngrok": ['{"lvl":"info","msg":"started tunnel","addr":"http://x","url":"https://odd-mug-red.ngrok-free.app"}'],
    "tailscale": ["Available on the internet:", "", "https://odd-mug.red.ts.net/", "|-- proxy http://127.0.0.1:1"],
    "ssh": ["Welcome! see https://docs.example.com/", "odd.example.com tunneled, https://odd-mug.example.com"],
}
COMMAND = {
    "cloudflared": "tunnel --no-autoupdate --url http://127.0.0.1:7412",
    "ngrok": "http 127.0.0.1:7412 --log stdout --log-format json",
    "tailscale": "funnel http://127.0.0.1:7412",
    "ssh": "-T -o ExitOnForwardFailure=yes -o BatchMode=yes -o ServerAliveInterval=30"
    " -R 80:127.0.0.1:7412 -- me@example.com",
}
ADDRESS = {
    "cloudflared": "https://odd-mug-red.trycloudflare.com",
    "ngrok": "https://odd-mug-red.ngrok-free.app",
    "tailscale": "https://odd-mug.red.ts.net",
    "ssh": "https://odd-mug.example.com",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without any tunnel program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(programs: Path, name: str, lines: list[str], then: str = "exec /bin/sleep 60") -> None:
    echo = "\n".join(f"echo '{line}'" for line in lines)
    script = f"#!/bin/sh\necho \"$@\" > '{programs}/{name}.asked'\necho $$ > '{programs}/{name}.pid'\n{echo}\n{then}\n"
    (programs / name).write_text(script)
    (programs / name).chmod(0o755)


@pytest.mark.parametrize("name", share.TUNNELS)
def test_the_address_of_the_tunnel_is_read(programs: Path, name: str) -> None:
    install(programs, name, SAYS[name])
    messages: list[str] = []
    with public_address(Settings(share=True, share_host="me@example.com"), 7412, messages.append) as address:
        assert address == ADDRESS[name]
        os.kill(process := int((programs / f"{name}.pid").read_text()), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert (programs / f"{name}.asked").read_text() == f"{COMMAND[name]}\n"
    assert messages == [], "stopping it is not reported"


def test_the_end_of_the_tunnel_is_reported(programs: Path) -> None:
    install(programs, "ngrok", SAYS["ngrok"], then=f"while [ ! -e '{programs}/end' ]; do /bin/sleep 0.02; done; exit 3")
    messages: SimpleQueue[str] = SimpleQueue()
    with public_address(Settings(share=True), 1, messages.put):
        (programs / "end").touch()
        assert messages.get(timeout=30) == "ngrok ended (code 3): the server has no public address any more"


def test_tunnel_program_selection(programs: Path) -> None:
    for name in ("ngrok", "cloudflared"):
        install(programs, name, SAYS[name])
    with public_address(Settings(share=True), 1, print) as address:
        assert address == ADDRESS["cloudflared"]
    with public_address(Settings(share=True, share_by="ngrok"), 1, print) as address:
        assert address == ADDRESS["ngrok"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no tunnel program is installed (cloudflared, ngrok, tailscale); install one"),
        ({"share_by": "carrier-pigeon"}, "choose one of: cloudflared, ngrok, tailscale, ssh"),
        ({"share_by": "ssh"}, "set it with --share-host"),
        ({"share_host": "me@example.com"}, "no tunnel program is installed (cloudflared, ngrok, tailscale, ssh)"),
    ],
)
def test_errors_of_tunnel_settings(programs: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(LimnerError) as caught, public_address(Settings(share=True, **settings), 1, print):  # type: ignore[arg-type]
        pass
    assert message in str(caught.value)


@pytest.mark.parametrize("host", ["-oProxyCommand=evil", "a b", "a;b", ""])
def test_a_host_cannot_be_an_option(host: str) -> None:
    with pytest.raises(ValueError):
        Settings(share=True, share_host=host)


def test_a_tunnel_that_fails_or_prints_nothing(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(programs, "cloudflared", ["ERR no network"], then="exit 3")
    with (
        pytest.raises(LimnerError, match=r"cloudflared ended .last line: 'ERR no network'"),
        public_address(Settings(share=True), 1, print),
    ):
        pass
    monkeypatch.setattr(share, "START_SECONDS", 0.5)
    install(programs, "cloudflared", ["INF waiting"])
    with (
        pytest.raises(LimnerError, match=r"no address in 0\.5 s"),
        public_address(Settings(share=True), 1, print),
    ):
        pass


def test_the_public_name_is_allowed(programs: Path, tmp_path: Path) -> None:
    install(programs, "cloudflared", SAYS["cloudflared"])
    key = {"Authorization": f"Bearer {key_of(tmp_path, 'root', '--role', 'admin')}"}
    name = "odd-mug-red.trycloudflare.com"
    with service(tmp_path, share=True, workers=0) as running:
        asked = f"http://{(programs / 'cloudflared.asked').read_text().rsplit('http://', 1)[1].strip()}"
        assert asked == running.call.address, "the tunnel leads to the port of this server"
        for host, status in ((name, 200), ("127.0.0.1", 200), ("other.trycloudflare.com", 421)):
            assert running.call("GET", "/v1/runs", Host=host, **key).status == status
        assert running.call("GET", "/v1/runs", Host=name, Origin=f"https://{name}", **key).status == 200
        problem(running.call("GET", "/v1/runs", Host=name), 401)


def test_sharing_needs_an_admin_key(home: Path) -> None:
    message = "limner: with --share every call needs a key, and no admin has one"
    assert refused(home, "serve", "--share").startswith(message)
