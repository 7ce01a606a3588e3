"""Paths of Limner's own files: the home folder and the folders below it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from platformdirs import user_data_path

from limner.core.errors import LimnerError
from limner.core.files import expand_home
from limner.store import patterns
from limner.store.files import make_folder


def home() -> Path:
    """The absolute home folder: $LIMNER_HOME, or the platform's folder for user data. Not created."""
    chosen = os.environ.get("LIMNER_HOME")
    return expand_home(chosen).absolute() if chosen else user_data_path("limner", appauthor=False)


def database_file(home: Path) -> Path:
    """The SQLite file of a home, whose folder is created."""
    return make_folder(home) / "limner.db"


def runs_folder(home: Path) -> Path:
    """The folder of all runs. Not created."""
    return home / "runs"


def run_folder(home: Path, run_id: str) -> Path:
    """The folder of a run's working files and checkpoints; created. Raises LimnerError for an invalid id."""
    if re.fullmatch(patterns.RUN, run_id) is None:
        raise LimnerError(f"{run_id[:80]!r} is not the id of a run", "list runs with limner runs")
    return make_folder(runs_folder(home) / run_id)


def cache_folder(home: Path) -> Path:
    """The folder of files that can be rebuilt at any time; created."""
    return make_folder(home / "cache")


def credentials_folder(home: Path) -> Path:
    """The folder of keys and certificates that sign images, and of trusted ones. Not created."""
    return home / "credentials"
