"""Symbolic links that lead out of a folder of images, which are read only where the user asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limner.core.datasets import Fault, Skipped
from limner.core.files import quoted
from limner.data.entries.byte_sources import escaped_name


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Which links below a folder are followed. root: the folder. follow: also those that lead out of it."""

    root: Path
    follow: bool = False

    def fault(self, path: Path) -> Fault | None:
        """The Fault of a link that leads out of the folder and is not followed; None for other paths."""
        if self.follow or not path.is_symlink():
            return None
        try:
            inside = path.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # reading the link says what is wrong with it
            return None
        problem = f"{quoted(path)} is a link that leads out of the folder; --follow-links reads such links"
        return None if inside else Fault("unreadable", problem)

    def files(self, ending: tuple[str, ...]) -> Iterator[Path | Skipped]:
        """The files in the folder and below whose names in lower case have an ending, by path."""
        for path in sorted(path for path in self.root.rglob("*") if path.name.lower().endswith(ending)):
            fault = self.fault(path)
            yield path if fault is None else Skipped(escaped_name(os.fspath(path.relative_to(self.root))), fault)
