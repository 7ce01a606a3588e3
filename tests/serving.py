"""The server for tests, in this process or as a program, and an HTTP client for it."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from limner.cli import main
from limner.core.moderation import CheckStage, Policy
from limner.moderation.moderator import Moderator
from limner.server import serve
from limner.server.settings import Settings
from limner.studio.studio import Studio
from limner.web.site import create_site
from limner.workers.worker import Worker

ADDRESS = re.compile(r"serves at (http://\S+);")
CALL = {"prompt": "a red mug on the beach", "industry": "Food", "style": "watercolour"}
PAINT = {"kind": "generate", "prompt": "a cat in the park", "steps": 2}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """HTTP client of one server."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(self, method: str, path: str, body: Any = None, timeout: float = 120, **headers: str) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.address + path, data, kind | named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())


@dataclass
class Service:
    home: Path
    call: Client


@dataclass
class Process(Service):
    process: subprocess.Popen[str]


@contextmanager
def service(home: Path, variables: Mapping[str, str] | None = None, **settings: Any) -> Iterator[Service]:
    """Run `limner serve` in threads of this process, with its worker.

    variables: environment variables during the start.
    """
    addresses: SimpleQueue[str | BaseException] = SimpleQueue()
    ending = threading.Event()

    def say(text: str) -> None:
        if found := ADDRESS.search(text):
            addresses.put(found[1])

    def run() -> None:
        try:
            serve.serve(Settings(port=0, **settings), say, ending.is_set, create_site)
        except BaseException as error:
            addresses.put(error)

    thread = threading.Thread(target=run)
    with _same_logging():
        try:
            with pytest.MonkeyPatch.context() as patch:  # all are read before the server prints its address
                for name, value in {"LIMNER_HOME": str(home), **(variables or {})}.items():
                    patch.setenv(name, value)
                patch.setattr(serve, "worker_processes", workers)
                patch.setattr(serve, "try_image_checks", try_image_checks)
                thread.start()
                address = addresses.get(timeout=60)
            if isinstance(address, BaseException):
                raise address
            yield Service(home, Client(address))
        finally:
            ending.set()
            thread.join()


def try_image_checks(policy: Policy) -> None:
    """Do what `limner.moderation.preload` does, in this process."""
    Moderator(policy).prepare(CheckStage.INPUT, CheckStage.IMAGE)


@contextmanager
def _same_logging() -> Iterator[None]:
    """Restore the loggers, which the server configures."""
    loggers = [logging.getLogger(name) for name in ("limner", "limner.calls", "uvicorn")]
    before = [(each, each.handlers, each.propagate, each.level) for each in loggers]
    try:
        yield
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


@contextmanager
def workers(home: Path, settings: Settings, say: object = None) -> Iterator[None]:
    """Run the workers of a server as threads of this process."""
    ending = threading.Event()
    studios = [Studio(home) for _ in range(settings.workers)]
    owns = [Worker(each, together=settings.together, seconds=settings.run_seconds) for each in studios]
    threads = [threading.Thread(target=each.work, args=(ending.is_set,)) for each in owns]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()
        for studio in studios:
            studio.store.close()


def start(home: Path, *flags: str, port: int = 0) -> Process:
    """Start `limner serve` as a program, by default on a free port, with one worker."""
    environment = os.environ | {"LIMNER_HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "limner.cli", "serve", "--port", str(port), *flags]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := ADDRESS.search(line):
            return Process(home, Client(found[1]), process)
    raise AssertionError(f"it ended with code {process.wait()}")


@contextmanager
def program(home: Path, *flags: str) -> Iterator[Process]:
    """Run `limner serve` as a program until the block ends."""
    running = start(home, *flags)
    try:
        yield running
    finally:
        end(running)


def end(service: Process) -> int:
    service.process.send_signal(signal.SIGTERM)
    try:
        return service.process.wait(90)
    finally:
        service.process.kill()
        assert service.process.stderr is not None
        service.process.stderr.close()


def problem(reply: Reply, status: int) -> dict[str, Any]:
    """Check a problem response and return its body."""
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["status"] == status and {"type", "title", "detail"} <= reply.json.keys()
    return reply.json


def parsed(stream: bytes) -> list[dict[str, str]]:
    """Parse server-sent events into dictionaries, without comments."""
    blocks = [block.splitlines() for block in stream.decode().split("\n\n") if block.strip()]
    events = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [event for event in events if event]


def command(home: Path, *arguments: object) -> tuple[int, str, str]:
    """Run a command in this process; returns exit code, stdout and stderr."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, _same_logging(), redirect_stdout(out), redirect_stderr(err):
        patch.setenv("LIMNER_HOME", str(home))
        patch.setattr(serve, "try_image_checks", try_image_checks)
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return code, out.getvalue(), err.getvalue()


def key_of(home: Path, account: str, *flags: str) -> str:
    """Create a key for the server of a home."""
    code, out, err = command(home, "keys", "add", account, *flags)
    assert code == 0, err
    return out.strip()


def refused(home: Path, *arguments: object) -> str:
    """Run a command that must fail; returns its error line."""
    code, out, err = command(home, *arguments)
    assert (code, out) == (2, ""), (code, out, err)
    (line,) = err.splitlines()
    return line
