"""Logging of the service and its workers, as plain lines or JSON, each with its API call and run."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from limner.core.text import printable

LogFormat = Literal["text", "json"]
CALL: ContextVar[str] = ContextVar("call", default="")
RUN: ContextVar[str] = ContextVar("run", default="")


class _Json(logging.Formatter):
    """Formats a record as a line of JSON: time, level, logger, message, call, run, `facts` of `extra`, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "call": CALL.get(),
            "run": RUN.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in fields.items() if value not in ("", None)}, default=str)


class _Plain(logging.Formatter):
    """Formats a record as lines of text that a terminal may show."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def configure(form: LogFormat) -> None:
    """Log to stderr: everything as JSON; or as text, API calls and uvicorn only from warnings."""
    handler = logging.StreamHandler()
    plain = _Plain("%(asctime)s %(name)s %(message)s")
    handler.setFormatter(_Json() if form == "json" else plain)
    for name, level in (("limner", logging.INFO), ("uvicorn", logging.WARNING)):
        root = logging.getLogger(name)
        root.handlers, root.propagate = [handler], False
        root.setLevel(level)
    logging.getLogger("limner.calls").setLevel(logging.INFO if form == "json" else logging.WARNING)
