"""Events of a run. The engine emits them; the store, workers and surfaces receive them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from limner.core.requests import Frozen


class ArtifactKind(StrEnum):
    """What an artifact is."""

    ADAPTER = "adapter"
    MODEL = "model"
    IMAGE = "picture"
    PREVIEW = "preview"
    GUIDE = "guide"
    COPY = "copy"
    DATASET = "dataset"
    COMPARISON = "comparison"
    ANIMATION = "animation"
    PLOT = "plot"
    REPORT = "report"
    PAGE = "page"
    SCORES = "scores"
    TABLE = "table"
    KEY = "key"
    BLIND_PAGE = "blind page"
    SCORE_PAGE = "score page"
    INFLUENCE = "influence"


class Stage(Frozen):
    """A stage of the work begins. total: its steps, if known. unit: what is counted, if the name does not say it."""

    kind: Literal["stage"] = "stage"
    name: str
    total: int | None = None
    unit: str = ""


class Progress(Frozen):
    """`done` steps of the current stage are finished. figures: numbers to show beside the bar.

    total: of the stage, if it became known after the stage began.
    """

    kind: Literal["progress"] = "progress"
    done: int
    total: int | None = None
    figures: dict[str, float] = Field(default_factory=dict)


class Notice(Frozen):
    """One line that the user should read."""

    kind: Literal["notice"] = "notice"
    text: str
    level: Literal["info", "warning"] = "info"


class ArtifactCreated(Frozen):
    """A file or folder is finished. what: the kind of artifact."""

    kind: Literal["made"] = "made"
    what: ArtifactKind
    path: str
    sha256: str
    details: dict[str, Any] = Field(default_factory=dict)


class Restarted(Frozen):
    """A run starts again. gone: the hashes of artifacts of an earlier attempt that no longer exist."""

    kind: Literal["anew"] = "anew"
    attempt: int
    gone: tuple[str, ...] = ()


Event = Annotated[Stage | Progress | Notice | ArtifactCreated | Restarted, Field(discriminator="kind")]
Emit = Callable[[Stage | Progress | Notice | ArtifactCreated | Restarted], None]
