"""Where Limner keeps its own files: one home folder, and what lies below it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from platformdirs import user_data_path

from limner.core.errors import LimnerError
from limner.store import patterns
from limner.store.files import make_folder


def home() -> Path:
    """The folder of Limner's own files, absolute: $LIMNER_HOME, or the platform's place for user data. Not created."""
    chosen = os.environ.get("LIMNER_HOME")
    return Path(chosen).expanduser().absolute() if chosen else user_data_path("limner", appauthor=False)


def database_file(home: Path) -> Path:
    """The SQLite file of a home, in a folder that exists now."""
    return make_folder(home) / "limner.db"


def runs_folder(home: Path) -> Path:
    """The folders of all runs. Not created."""
    return home / "runs"


def run_folder(home: Path, run_id: str) -> Path:
    """A run's working files and checkpoints; created. LimnerError for what is no id of a run."""
    if re.fullmatch(patterns.RUN, run_id) is None:
        raise LimnerError(f"{run_id[:80]!r} is no id of a run", "list runs with limner runs")
    return make_folder(runs_folder(home) / run_id)


def cache_folder(home: Path) -> Path:
    """What can be made again at any time; created."""
    return make_folder(home / "cache")


def credentials_folder(home: Path) -> Path:
    """The keys and certificates that pictures are signed with, and those that are trusted. Not created."""
    return home / "credentials"
