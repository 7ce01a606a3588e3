"""Logs of the service and its workers: plain lines, or JSON, each with the call and the run that it is of."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
CALL: ContextVar[str] = ContextVar("call", default="")
RUN: ContextVar[str] = ContextVar("run", default="")


class _Json(logging.Formatter):
    """A record as a line of JSON: time, level, logger, message, call, run, what `extra` gives as `facts`, and the
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "call": CALL.get(),
            "run": RUN.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in told.items() if value not in ("", None)}, default=str)


def configure(form: LogFormat) -> None:
    """Write what Limner's own parts log to stderr: everything as JSON, or as text from warnings on for the service."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(name)s %(message)s")
    handler.setFormatter(_Json() if form == "json" else plain)
    for name, level in (("limner", logging.INFO), ("uvicorn", logging.WARNING)):
        root = logging.getLogger(name)
        root.handlers, root.propagate = [handler], False
        root.setLevel(level)
    logging.getLogger("limner.calls").setLevel(logging.INFO if form == "json" else logging.WARNING)
