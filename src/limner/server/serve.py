"""Starts the HTTP server and its worker processes, and stops them together without losing a run."""

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
from fastapi import FastAPI

from limner.core import logs
from limner.core.errors import LimnerError
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator
from limner.moderation.policy import read_policy
from limner.moderation.preload import try_image_checks
from limner.server.app import create_app
from limner.server.connections import server_config
from limner.server.erasure import retention
from limner.server.improving import improving
from limner.server.profile import Profile, read_profile, store_files
from limner.server.settings import Settings
from limner.server.share import public_address
from limner.studio.studio import Studio

PORT = 7412
PORTS_TRIED = 50
OTHER_FILES = 512
"""Files that the server may have open beside its connections."""
WORKER_STOP_SECONDS = 60.0
"""Seconds that workers have to put their runs back into the queue when the server stops."""
log = logging.getLogger("limner.server")


def serve(
    settings: Settings,
    say: Callable[[str], None],
    stop: Callable[[], bool],
    create: Callable[[Studio, Settings, Profile], FastAPI] | None = None,
) -> None:
    """Run the server until it receives a signal, or until `stop` returns True. create: makes the application
    (default: the API alone)."""
    logs.configure(settings.log)
    say = log.info if settings.log == "json" else say
    policy = load_policy(settings.policy)
    studio = Studio(policy=policy, most_pixels=settings.pixels)
    check_admin_key(settings, studio)
    studio.maintenance.check_files()
    studio.check_credentials()
    profile, _ = store_files(read_profile(settings.profile), studio)
    sock = listen(settings)
    host, port = sock.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with ExitStack() as stack:
        public = stack.enter_context(public_address(settings, port, say)) if settings.share else None
        names = settings.names if public is None else (*settings.names, urlsplit(public).netloc)
        app = (create or create_app)(studio, settings.model_copy(update={"names": names}), profile)
        raise_file_limit(settings.connections)
        config = server_config(app, settings)
        stack.enter_context(retention(studio, settings, profile))
        stack.enter_context(improving(studio, profile))
        stack.enter_context(worker_processes(studio.home, settings, say))
        say(f"Limner serves at {address}; API documentation: {address}/docs; stop with Ctrl-C")
        if public is not None:
            say(f"public address: {public} (every call needs a key)")
        if not stop():  # uvicorn handles signals from here on; `stop` reports an earlier one
            _Server(config, stop, app.state.server.waiter.stop).run(sockets=[sock])


def load_policy(path: Path | None) -> Policy:
    """Read the moderation policy and try to load all of its checks; raises LimnerError if one cannot be loaded."""
    policy = read_policy(path)
    Moderator(policy).prepare(CheckStage.PROMPT)
    try_image_checks(policy)
    return policy


def check_admin_key(settings: Settings, studio: Studio) -> None:
    """Raise LimnerError if every call needs a key and no admin has one."""
    if not settings.needs_keys or studio.accounts.has_admin():
        return
    flag = f"--host {settings.host!r}"
    if settings.share or settings.accounts:
        flag = "--share" if settings.share else "--accounts"
    raise LimnerError(
        f"with {flag} every call needs a key, and no admin has one",
        "create one: limner keys add NAME --role admin",
    )


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket on the port of the settings, or on the first free port from 7412 on."""
    ports = range(PORT, PORT + PORTS_TRIED) if settings.port is None else (settings.port,)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    problem: OSError = OSError()
    for port in ports:
        # asyncio sets TCP_NODELAY only if the protocol is named; without it each response takes 40 ms longer
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name != "nt":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.host, port))
            sock.listen(1024)  # connections wait from now on until the application runs
            return sock
        except OSError as error:
            sock.close()
            problem = error
    last = PORT + PORTS_TRIED - 1
    where = f"port {settings.port}" if settings.port is not None else f"any port from {PORT} to {last}"
    raise LimnerError(f"cannot listen on {where} of {settings.host!r}: {problem.strerror}", "choose another --port")


def raise_file_limit(connections: int) -> None:
    """Raise this process's limit of open files so that it suffices for the connections, as far as the system allows."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES if hard == resource.RLIM_INFINITY else min(hard, connections + OTHER_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def thread_variables(workers: int) -> dict[str, str]:
    """Return the environment variables that divide the cores among several workers; a single worker uses all."""
    return {} if workers < 2 else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}


@contextmanager
def worker_processes(home: Path, settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Run worker processes until the block ends; a worker that ends earlier is replaced.

    One more executes quick requests only, so that they do not wait for a training.
    """
    stopping = threading.Event()
    processes: list[subprocess.Popen[bytes]] = []

    def start(quick: bool) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "limner.cli", "worker", "--parent", str(os.getpid())]
        command += ["--log", settings.log, "--together", str(settings.together)]
        command += [] if settings.run_seconds is None else ["--run-seconds", str(settings.run_seconds)]
        command += ["--quick"] if quick else []
        environment = {**thread_variables(settings.workers), **os.environ, "LIMNER_HOME": str(home)}
        return subprocess.Popen(command, env=environment, start_new_session=True)

    def watch() -> None:
        began = [monotonic()] * len(processes)
        while not stopping.wait(0.2):
            for index, process in enumerate(processes):
                if process.poll() is not None and monotonic() - began[index] > 1:
                    say(f"a worker ended (code {process.returncode}) and is started again")
                    processes[index], began[index] = start(quick[index]), monotonic()

    quick = [False] * settings.workers + [True] * bool(settings.workers)
    processes.extend(map(start, quick))
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopping.set()
        _stop(processes, watcher)


def _stop(processes: list[subprocess.Popen[bytes]], watcher: threading.Thread) -> None:
    """Ask the workers to stop, and kill those that take too long; their runs are queued again when leases expire."""
    try:
        watcher.join()
        for process in processes:
            process.send_signal(signal.SIGTERM)
        until = monotonic() + WORKER_STOP_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - monotonic()))
    finally:  # also after a second Ctrl-C
        watcher.join()
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


class _Server(uvicorn.Server):
    """stopping: called when the server stops, before uvicorn waits for the open responses."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], bool], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self.stop, self.stopping = stop, stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.stopping()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self.stop()
