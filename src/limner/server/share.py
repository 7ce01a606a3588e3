"""A public address for the service, by a tunnel program that is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from time import monotonic

from limner.core.errors import LimnerError, clean_line
from limner.server.settings import Settings

PATIENCE = 30.0
"""Seconds in which a tunnel must say its address."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A program that tells, in what it writes, at which address it leads to a port of this machine.

    command: with {port} and {host} to be filled in. address: what its address looks like, in the first group.
    """

    command: tuple[str, ...]
    address: re.Pattern[str]


TUNNELS = {
    "cloudflared": Tunnel(
        ("cloudflared", "tunnel", "--no-autoupdate", "--url", "http://127.0.0.1:{port}"),
        re.compile(r"(https://[a-z0-9-]+\.trycloudflare\.com)(?![\w.])"),
    ),
    "ngrok": Tunnel(
        ("ngrok", "http", "127.0.0.1:{port}", "--log", "stdout", "--log-format", "json"),
        re.compile(r'"url":"(https://[a-z0-9.-]+)"'),
    ),
    "tailscale": Tunnel(
        ("tailscale", "funnel", "http://127.0.0.1:{port}"),
        re.compile(r"(https://[a-z0-9.-]+\.ts\.net)(?![\w.])"),
    ),
    "ssh": Tunnel(
        ("ssh", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=30")
        + ("-R", "80:127.0.0.1:{port}", "--", "{host}"),
        re.compile(r"(https://(?!www\.|docs\.|admin\.)[a-z0-9-]+(?:\.[a-z0-9-]+){2,})"),
    ),
}


@contextmanager
def shared(settings: Settings, port: int, say: Callable[[str], None]) -> Iterator[str]:
    """The public address of a port, as long as the block lasts; LimnerError where no program makes one."""
    name = _chosen(settings)
    command = [part.format(port=port, host=settings.share_host) for part in TUNNELS[name].command]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    ending = threading.Event()
    lines: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:  # to its end, for a full pipe would stop it
            lines.put(line)
        lines.put(None)
        if not ending.wait(0.5):
            say(f"{name} ended (code {process.wait()}): the service has no public address any more")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield _address(name, lines)
    finally:
        ending.set()
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def _chosen(settings: Settings) -> str:
    """The tunnel program that was named, or the first that is installed; ssh only with a host to go by."""
    if settings.share_by is not None:
        if settings.share_by not in TUNNELS:
            raise LimnerError(f"--share-by {settings.share_by!r} is unknown", f"choose one of: {', '.join(TUNNELS)}")
        wanted = (settings.share_by,)
    else:
        wanted = tuple(name for name in TUNNELS if name != "ssh" or settings.share_host is not None)
    if "ssh" in wanted and settings.share_host is None:
        raise LimnerError("--share-by ssh has no host to go by", "name it by --share-host, such as USER@HOST")
    for name in wanted:
        if shutil.which(name):
            return name
    raise LimnerError(
        f"no tunnel program is installed ({', '.join(wanted)})", "install one, or name a host of yours by --share-host"
    )


def _address(name: str, lines: Queue[str | None]) -> str:
    """The address, as soon as the program has told it."""
    until, last = monotonic() + PATIENCE, ""
    while True:
        try:
            line = lines.get(timeout=max(0.01, until - monotonic()))
        except Empty:
            why = f"told no address in {PATIENCE:g} s"
            raise LimnerError(f"{name} {why} (it last said: {clean_line(last)[:160]!r})", "try it by itself") from None
        if line is None:
            raise LimnerError(f"{name} ended (it last said: {clean_line(last)[:160]!r})", "try it by itself")
        if found := TUNNELS[name].address.search(line):
            return found[1]
        last = line if line.strip() else last
