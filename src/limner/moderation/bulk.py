"""Judges many texts by the policy, such as those of an import: by several processes where that is faster.

    python -m limner.moderation.bulk

is such a process. It reads JSON lines: the policy, then lists of texts. It prints the places of the refused texts of
each list, and ends when its input does, so that none is left when the program that started it is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from limner.core.moderation import WORDS, CheckStage, CheckUnavailable, Policy
from limner.moderation.moderator import Moderator

FEW = 1000
"""So many texts are judged faster than a process starts."""
MOST_PROCESSES = 4


class BulkJudge:
    """Judges texts as a moderator does. Its processes end with the context."""

    def __init__(self, moderator: Moderator) -> None:
        self._moderator = moderator
        self._processes: list[subprocess.Popen[str]] | None = None

    def __enter__(self) -> BulkJudge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes or ():
            self._end(process)

    def refused(self, texts: Sequence[str]) -> set[str]:
        """Those of the texts that are refused. Raises CheckUnavailable where a required check cannot judge."""
        processes = self._started() if len(texts) >= FEW else []
        share = -(-len(texts) // (len(processes) + 1))
        asked = list[tuple[subprocess.Popen[str], Sequence[str]]]()
        own = [*texts[:share]]
        for number, process in enumerate(processes, 1):
            part = texts[number * share : (number + 1) * share]
            try:
                _write(process, part)
                asked.append((process, part))
            except (OSError, ValueError):
                own += part
        found = self._moderator.refused(own)
        for process, part in asked:
            try:
                found |= {part[place] for place in _read(process)}
            except (OSError, ValueError, TypeError, IndexError):  # it was killed
                found |= self._moderator.refused(part)
        return found

    def _started(self) -> list[subprocess.Popen[str]]:
        """The processes that run. A check that loads a model, or asks a service, is used by this process alone."""
        if self._processes is None:
            self._processes = []
            policy = self._moderator.policy
            light = all(use.check == WORDS for use in policy.uses(CheckStage.PROMPT))
            for _ in range(min(_cores() - 1, MOST_PROCESSES) if light else 0):
                with suppress(OSError, ValueError):
                    self._processes.append(_start(policy))
        for process in [each for each in self._processes if each.poll() is not None]:
            self._end(process)
            self._processes.remove(process)
        return self._processes

    def _end(self, process: subprocess.Popen[str]) -> None:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.kill()
        process.wait()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(policy: Policy) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "limner.moderation.bulk"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="ascii",
        start_new_session=True,  # Ctrl-C is for the program that started it
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(policy.model_dump(mode="json")) + "\n")
    return process


def _write(process: subprocess.Popen[str], texts: Sequence[str]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps([*texts]) + "\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    places = json.loads(process.stdout.readline())
    if not isinstance(places, list):
        raise ValueError("a check is unavailable")
    return places


def _main() -> None:
    """Judge what stands on standard input. A list that cannot be judged has the answer null: then the other tries."""
    moderator = Moderator(Policy.model_validate(json.loads(sys.stdin.readline())))
    for line in sys.stdin:
        texts = json.loads(line)
        try:
            found = moderator.refused(texts)
            answer = [place for place, text in enumerate(texts) if text in found]
        except CheckUnavailable:
            answer = None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
