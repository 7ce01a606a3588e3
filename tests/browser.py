"""Pages in a real browser: a script runs in them, and what it leaves in `answer` comes back."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fcntl import F_DUPFD_CLOEXEC, fcntl
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
PRESS = "const press = key => document.dispatchEvent(new KeyboardEvent('keydown', { key }));"
SAVE = """let text; window.Blob = class { constructor(parts) { text = parts[0]; } };
URL.createObjectURL = made => 'data:,'; document.addEventListener('click', event => event.preventDefault());
document.getElementById('save').click(); answer.saved = JSON.parse(text);"""
STATUS = "answer.status = document.getElementById('status').textContent;"
STORAGE = """Object.defineProperty(window, 'localStorage', { value: Object.assign(Object.create({
getItem(key) { return Object.hasOwn(this, key) ? this[key] : null; },
setItem(key, value) { this[key] = String(value); } }), %s) });"""
SECONDS = 120


def drive(page: Path, script: str, profile: Path, *flags: str) -> dict[str, Any]:
    """Open a page, run a script in it, and return its answer. profile: the folder of the browser's data."""
    return drive_in_turn(page, (script,), profile, *flags)[0]


def drive_in_turn(page: Path, scripts: Sequence[str], profile: Path, *flags: str) -> list[dict[str, Any]]:
    """Open a page once for each script, run it, and return the answers.

    Each page has what the one before it stored. Chromium itself loses that at times where the machine is busy.
    """
    answers: list[dict[str, Any]] = []
    stored: dict[str, str] = {}
    with _browser(f"--user-data-dir={profile}", *flags) as browser:
        for script in scripts:
            browser.session = None
            target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
            browser.session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            browser.ask("Page.enable")
            browser.ask("Page.addScriptToEvaluateOnNewDocument", source=STORAGE % json.dumps(stored))
            browser.ask("Page.navigate", url=page.as_uri())
            while browser.evaluate("location.protocol + document.readyState") != "file:complete":
                time.sleep(0.02)
            answers.append(browser.evaluate(f"(async () => {{ const answer = {{}}; {script}; return answer; }})()"))
            stored = browser.evaluate("({ ...localStorage })")
        browser.session = None
        browser.ask("Browser.close")
    return answers


class _Pipe:
    """The browser's debugging pipe: messages of JSON, each ended by a zero byte."""

    def __init__(self, sent: BinaryIO, received: BinaryIO) -> None:
        self.session: str | None = None
        self._sent, self._received, self._numbers = sent, received, count(1)

    def evaluate(self, expression: str) -> Any:
        done = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"]["value"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        whom = {"sessionId": self.session} if self.session else {}
        self._sent.write(json.dumps({"id": number, "method": method, "params": params, **whom}).encode() + b"\0")
        self._sent.flush()
        while (answer := self._message()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _message(self) -> dict[str, Any]:
        message = bytearray()
        while (byte := self._received.read(1)) != b"\0":
            assert byte, f"the browser ended, or was ended after {SECONDS} s"
            message += byte
        return json.loads(message)


@contextmanager
def _browser(*flags: str) -> Iterator[_Pipe]:
    """A browser that reads commands at descriptor 3 and writes answers at 4, ended at the latest after SECONDS."""
    (commands, sending), (receiving, answers) = os.pipe(), os.pipe()
    # Above 4, so that neither is overwritten while it is copied.
    ends = [fcntl(each, F_DUPFD_CLOEXEC, 10) for each in (commands, answers)]
    os.close(commands)
    os.close(answers)

    def placed() -> None:
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, *flags], preexec_fn=placed, close_fds=False, stderr=subprocess.DEVNULL
    )
    for end in ends:
        os.close(end)
    clock = Timer(SECONDS, process.kill)
    clock.start()
    try:
        with open(sending, "wb") as sent, open(receiving, "rb") as received:
            yield _Pipe(sent, received)
            process.wait()
    finally:
        clock.cancel()
        process.kill()
        process.wait()
