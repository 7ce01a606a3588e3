"""The service and its workers as processes: started together, and stopped together with nothing lost."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import uvicorn

from limner.core import logs
from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator
from limner.moderation.policy import read_policy
from limner.moderation.preload import try_pictures
from limner.server.app import create_app
from limner.server.connections import config_of
from limner.server.prepared import settled
from limner.server.profile import read_profile
from limner.server.retention import retention
from limner.server.settings import Settings
from limner.server.share import shared
from limner.server.waiting import waiting
from limner.studio.studio import Studio

PORT = 7412
TRIED = 50
FILES = 512
"""Files that the service may have open beside its connections."""
PATIENCE = 60.0
"""Seconds that workers get to put their runs back when the service stops."""
log = logging.getLogger("limner.server")


def listening(settings: Settings) -> socket.socket:
    """A socket on the port that was asked for, or on the first free one from 7412 on."""
    ports = range(PORT, PORT + TRIED) if settings.port is None else (settings.port,)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    problem: OSError = OSError()
    for port in ports:
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named; else each answer takes 40 ms longer.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((settings.host, port))
            found.listen(1024)  # calls wait from now on, until the application is up
            return found
        except OSError as error:
            found.close()
            problem = error
    where = f"port {settings.port}" if settings.port is not None else f"none of the ports {PORT} to {PORT + TRIED - 1}"
    raise LimnerError(f"cannot listen on {where} of {settings.host!r}: {problem.strerror}", "choose another --port")


def allow_files(connections: int) -> None:
    """Let this process have so many connections open, beside its files, as far as the system allows."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES if hard == resource.RLIM_INFINITY else min(hard, connections + FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share_of_cores(workers: int) -> dict[str, str]:
    """What tells each of several workers' numerics how many threads are theirs; one alone takes all."""
    return {} if workers < 2 else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}


@contextmanager
def workers(home: Path, settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Worker processes, each started again when it ends before the block does."""
    ending = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "limner.cli", "worker", "--parent", str(os.getpid())]
        command += ["--log", settings.log, "--together", str(settings.together)]
        command += [] if settings.run_seconds is None else ["--run-seconds", str(settings.run_seconds)]
        environment = {**share_of_cores(settings.workers), **os.environ, "LIMNER_HOME": str(home)}
        return subprocess.Popen(command, env=environment, start_new_session=True)

    def watch() -> None:
        began = [monotonic()] * settings.workers
        while not ending.wait(0.2):
            for index, process in enumerate(running):
                if process.poll() is not None and monotonic() - began[index] > 1:
                    say(f"a worker ended (code {process.returncode}); another one takes its place")
                    running[index], began[index] = begin(), monotonic()

    running.extend(begin() for _ in range(settings.workers))
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        try:
            ending.set()
            watcher.join()
            for process in running:
                process.send_signal(signal.SIGTERM)
            until = monotonic() + PATIENCE
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, until - monotonic()))
        finally:  # those left, also where someone is too impatient: runs go back into the queue when leases run out
            watcher.join()
            for process in running:
                process.kill()
            for process in running:
                process.wait()


def serve(settings: Settings, say: Callable[[str], None], stop: Callable[[], bool]) -> None:
    """Serve until a signal, or `stop`, says that it is enough."""
    logs.configure(settings.log)
    say = log.info if settings.log == "json" else say
    policy = tried_policy(settings.policy)
    studio = Studio(policy=policy, most_pixels=settings.pixels)
    refuse_closed_doors(settings, studio)
    studio.maintenance.check_files()
    studio.check_credentials()
    profile, _ = settled(read_profile(settings.profile), studio)
    sock = listening(settings)
    host, port = sock.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with ExitStack() as ending:
        public = ending.enter_context(shared(settings, port, say)) if settings.share else None
        names = settings.names if public is None else (*settings.names, urlsplit(public).netloc)
        app = create_app(studio, settings.model_copy(update={"names": names}), profile)
        allow_files(settings.connections)
        config = config_of(app, settings)
        ending.enter_context(retention(studio, settings, profile))
        ending.enter_context(workers(studio.home, settings, say))
        say(f"Limner serves at {address}; {address}/docs tells how to call it; Ctrl-C stops it")
        if public is not None:
            say(f"anyone who has a key may use it at {public}")
        if not stop():  # uvicorn hears signals from here on, and is told by `stop` of one that came before
            _Server(config, stop, waiting(studio).stop).run(sockets=[sock])


def tried_policy(path: Path | None) -> Policy:
    """The policy by which the service moderates, every check of it loaded once."""
    policy = read_policy(path)
    Moderator(policy).prepare(CheckStage.PROMPT)
    try_pictures(policy)
    return policy


class _Server(uvicorn.Server):
    """ending: told that the service stops, before uvicorn waits for the answers that are still to come."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], bool], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self.stop, self.ending = stop, ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.ending()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self.stop()


def refuse_closed_doors(settings: Settings, studio: Studio) -> None:
    """A service that asks for keys needs one that opens it."""
    if settings.asks_for_keys and not studio.accounts.has_admin():
        raise LimnerError(
            f"with {_why(settings)} every call needs a key, and no admin has one",
            "make one: limner keys add NAME --role admin",
        )


def _why(settings: Settings) -> str:
    """The setting by which others can reach the service."""
    if settings.share or settings.accounts:
        return "--share" if settings.share else "--accounts"
    return f"--host {settings.host!r}"
