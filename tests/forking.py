"""Processes that are forked from one which has imported torch: a fresh one takes six CPU seconds to start."""

from __future__ import annotations

import atexit
import gc
import io
import os
import pickle
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from limner.studio.studio import Studio

IMPORTED = (
    "accelerate",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "limner.cli.app",
    "limner.cli.commands.requests",
    "limner.cli.commands.shared",
    "limner.engine.execute",
    "limner.plugins.families.sd",
    "limner.plugins.methods.lora",
    "limner.workers.worker",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
)
"""What most commands import, besides what the collected tests have."""
DIGITS = 16


def forked(studio: Studio, act: Callable[[], object]) -> ForkProcess:
    """A process, forked from this one, that calls `act` and ends.

    studio: its database is closed here first, since no connection may be open in two processes.
    """
    studio.store.close()
    process = get_context("fork").Process(target=act)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where other threads run
        process.start()
    return process


class Process:
    """A started process, with the part of subprocess.Popen's methods that tests use. Its output goes to files."""

    def __init__(self, pid: int, status: int, files: Sequence[IO[bytes]]) -> None:
        self.pid, self.returncode = pid, None
        self._status, self._files = status, files
        self._output = "", ""

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            self.returncode = int(os.read(self._status, DIGITS))
            self.output()
            os.close(self._status)
            for file in self._files:
                file.close()
        return self.returncode

    def output(self) -> tuple[str, str]:
        """What it has written to stdout and stderr so far."""
        if not self._files[0].closed:
            out, err = (os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in self._files)
            self._output = out, err
        return self._output

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self._output

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Kill it if it still runs."""
        self.kill()
        self.wait()


class Forker:
    """Starts processes by forking. It is forked itself before the first test, so that it knows of no test."""

    def __init__(self) -> None:
        for name in IMPORTED:
            import_module(name)
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the thread by which pytest-xdist reads stays behind
            self._pid = os.fork()
        if self._pid == 0:
            _as_a_fresh_process(theirs.fileno())
            _serve(theirs)
        theirs.close()
        self._channel = ours

    def start(
        self, call: Callable[..., object], *arguments: object, environment: Mapping[str, str], folder: Path
    ) -> Process:
        """Call a function of a module in a process of its own, with its environment and working folder."""
        message = pickle.dumps((call, arguments, dict(environment), str(folder)))
        files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
        status, told = os.pipe()
        socket.send_fds(self._channel, [len(message).to_bytes(8)], [told, *(file.fileno() for file in files)])
        os.close(told)
        self._channel.sendall(message)
        return Process(int(os.read(status, DIGITS)), status, files)

    def limner(self, *arguments: object, environment: Mapping[str, str], folder: Path) -> Process:
        """The command line."""
        return self.start(_limner, *map(str, arguments), environment=environment, folder=folder)

    def close(self) -> None:
        self._channel.close()
        os.waitpid(self._pid, 0)


def _limner(*arguments: str) -> None:
    from limner.cli import main

    sys.argv = ["limner", *arguments]
    main()


def _as_a_fresh_process(kept: int) -> None:
    """Let go of what belongs to the tests: their open files, handlers and filters."""
    atexit._clear()
    warnings.resetwarnings()
    for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", kind)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/dev/fd")):
        if number not in (kept, nowhere):
            with suppress(OSError):  # the one by which the folder is listed
                os.dup2(nowhere, number)  # not closed: objects that are still there would close a later file's number
    gc.collect()
    gc.freeze()


def _serve(channel: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while True:
        size, numbers, _, _ = socket.recv_fds(channel, 8, 3)
        if not size:
            os._exit(0)
        message = channel.recv(int.from_bytes(size), socket.MSG_WAITALL)
        if os.fork() == 0:
            channel.close()
            _keep(message, *numbers)
        for number in numbers:
            os.close(number)


def _keep(message: bytes, status: int, out: int, err: int) -> NoReturn:
    """Start the process and tell its number and, when it has ended, how."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _be(message, out, err)
    os.write(status, f"{pid:{DIGITS}}".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(status, f"{code:{DIGITS}}".encode())
    os._exit(0)


def _be(message: bytes, out: int, err: int) -> NoReturn:
    """What the interpreter does between its start and its end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, place in ((out, 1), (err, 2)):
        os.dup2(number, place)
        os.close(number)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.FileIO(0))
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.FileIO(1, "w"), "utf-8")
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(io.FileIO(2, "w"), "utf-8", "backslashreplace", line_buffering=True)
    random.seed()
    code = 1
    try:
        call, arguments, environment, folder = pickle.loads(message)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        os.chdir(folder)
        call(*arguments)
        code = 0
    except SystemExit as stop:
        code = 0 if stop.code is None else stop.code if isinstance(stop.code, int) else 1
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    with suppress(BaseException):
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    os._exit(code)
