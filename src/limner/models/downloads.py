"""How far a download from the Hugging Face hub is, as events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from typing import Any
from unittest.mock import patch

from limner.core.events import Emit, Progress, Stage

MEGABYTE = 10**6


@contextmanager
def download_progress(emit: Emit) -> Iterator[type]:
    """Open a stage that counts megabytes; what is opened is the bar that the hub's functions take as `tqdm_class`.

    diffusers hands no bar on to the hub, so while this is open its downloads are told here too.
    """
    from diffusers.pipelines import pipeline_utils

    bar = _bar(emit)
    emit(Stage(name="fetching, MB"))
    told = partial(pipeline_utils.snapshot_download, tqdm_class=bar)
    with patch.object(pipeline_utils, "snapshot_download", told):
        yield bar


def _bar(emit: Emit) -> type:
    from tqdm.auto import tqdm

    counting: list[Any] = []

    class Bar(tqdm):
        """Draws nothing. The hub has one for bytes on the wire and one for bytes on disk: the further one is told."""

        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **{**options, "file": StringIO()})
            if options.get("unit") == "B":
                counting.append(self)

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self in counting:
                furthest = max(counting, key=lambda bar: bar.n)
                total = round(furthest.total / MEGABYTE) if furthest.total else None
                emit(Progress(done=round(furthest.n / MEGABYTE), total=total))
            return shown

    return Bar
