"""Downloads of base models in the background of the server, one at a time; their state is in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from limner.core.errors import Interrupted, LimnerError
from limner.core.events import Event, Progress, Stage

log = logging.getLogger("limner.web")
State = Literal["running", "stopping", "done", "failed", "stopped"]


class Fetch(Protocol):
    """Downloads a model, as `Studio.fetch` does."""

    def __call__(self, model: str, *, listener: Callable[[Event], None]) -> Path: ...


@dataclass(frozen=True)
class Download:
    """A download of a model. done, total: in megabytes; the total is None until it is known. error: why it failed."""

    model: str
    state: State = "running"
    stage: str = "looking for the files"
    done: int = 0
    total: int | None = None
    error: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("running", "stopping")


class Busy(LimnerError):
    """Another download is in progress."""


class Downloads:
    """The download in progress, or the last one that ended."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._lock = fetch, threading.Lock()
        self._current: Download | None = None

    @property
    def current(self) -> Download | None:
        """The download in progress, or the last one; None if there was none since the server started."""
        return self._current

    def start(self, model: str) -> None:
        """Begin to download a model. Raises Busy if another download is in progress."""
        with self._lock:
            if self._current is not None and self._current.active:
                raise Busy(
                    f"{self._current.model!r} is being downloaded", "wait until it is complete, or stop it first"
                )
            self._current = Download(model)
        threading.Thread(target=self._run, args=(model,), daemon=True, name=f"download of {model}").start()

    def stop(self) -> None:
        """Stop the download in progress; what was downloaded stays, and the next download goes on from there."""
        with self._lock:
            if self._current is not None and self._current.active:
                self._current = replace(self._current, state="stopping")

    def dismiss(self) -> None:
        """Forget a download that ended."""
        with self._lock:
            if self._current is not None and not self._current.active:
                self._current = None

    def _run(self, model: str) -> None:
        try:
            self._fetch(model, listener=self._listen)
        except Interrupted:
            self._change(state="stopped")
        except LimnerError as error:
            self._change(state="failed", error=str(error))
        except Exception as error:
            if self._stopping:  # libraries wrap what the listener raised
                self._change(state="stopped")
                return
            log.exception("download of %s failed", model)
            problem = f"the download failed ({type(error).__name__})"
            self._change(
                state="failed", error=f"{problem}; try again, and look into the server's log if it fails again"
            )
        else:
            self._change(state="done")

    @property
    def _stopping(self) -> bool:
        return self._current is not None and self._current.state == "stopping"

    def _listen(self, event: Event) -> None:
        if self._stopping:
            raise Interrupted("the download was stopped")
        if isinstance(event, Stage):
            self._change(stage=event.name.partition(",")[0])
        elif isinstance(event, Progress):
            self._change(done=event.done, total=event.total)

    def _change(self, **values: object) -> None:
        with self._lock:
            if self._current is not None:
                self._current = replace(self._current, **values)  # type: ignore[arg-type]
