"""A public address for the server, through an installed tunnel program."""

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

START_SECONDS = 30.0
"""Seconds in which a tunnel program must print its address."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A program that makes a port of this machine public, and prints the public address.

    command: with placeholders {port} and {host}. address: matches the address, in its first group.
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
def public_address(settings: Settings, port: int, say: Callable[[str], None]) -> Iterator[str]:
    """Yield the public address of a port, which is valid until the block ends; raises LimnerError without one."""
    name = _select(settings)
    command = [part.format(port=port, host=settings.share_host) for part in TUNNELS[name].command]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    stopping = threading.Event()
    lines: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:  # to its end: a full pipe would block the program
            lines.put(line)
        lines.put(None)
        if not stopping.wait(0.5):
            say(f"{name} ended (code {process.wait()}): the server has no public address any more")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield _read_address(name, lines)
    finally:
        stopping.set()
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()


def _select(settings: Settings) -> str:
    """Return the tunnel program of the settings, or the first installed one; ssh only if a host is set."""
    if settings.share_by is not None:
        if settings.share_by not in TUNNELS:
            raise LimnerError(f"--share-by {settings.share_by!r} is unknown", f"choose one of: {', '.join(TUNNELS)}")
        names = (settings.share_by,)
    else:
        names = tuple(name for name in TUNNELS if name != "ssh" or settings.share_host is not None)
    if "ssh" in names and settings.share_host is None:
        raise LimnerError("--share-by ssh needs a host", "set it with --share-host, such as USER@HOST")
    for name in names:
        if shutil.which(name):
            return name
    raise LimnerError(
        f"no tunnel program is installed ({', '.join(names)})", "install one, or set --share-host to a host of yours"
    )


def _read_address(name: str, lines: Queue[str | None]) -> str:
    """Return the address that the program prints; raises LimnerError when it ends or takes too long."""
    until, last = monotonic() + START_SECONDS, ""
    while True:
        try:
            line = lines.get(timeout=max(0.01, until - monotonic()))
        except Empty:
            problem = f"{name} printed no address in {START_SECONDS:g} s (last line: {clean_line(last)[:160]!r})"
            raise LimnerError(problem, "run it by itself to see why") from None
        if line is None:
            raise LimnerError(f"{name} ended (last line: {clean_line(last)[:160]!r})", "run it by itself to see why")
        if found := TUNNELS[name].address.search(line):
            return found[1]
        last = line if line.strip() else last
