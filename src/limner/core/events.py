"""What happens while a run goes on. The engine emits events; everything else listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from limner.core.requests import Frozen


class Stage(Frozen):
    """A part of the work begins; `total` steps of it, when that is known."""

    kind: Literal["stage"] = "stage"
    name: str
    total: int | None = None


class Progress(Frozen):
    """`done` steps of the current stage are finished; `figures` are numbers worth showing beside the bar.

    total: of the stage, where it became known after its beginning.
    """

    kind: Literal["progress"] = "progress"
    done: int
    total: int | None = None
    figures: dict[str, float] = Field(default_factory=dict)


class Notice(Frozen):
    """One line that the user should read. `level` is "info" or "warning"."""

    kind: Literal["notice"] = "notice"
    text: str
    level: Literal["info", "warning"] = "info"


class Made(Frozen):
    """A file or folder is finished; `what` is the kind of artifact."""

    kind: Literal["made"] = "made"
    what: str
    path: str
    sha256: str
    details: dict[str, Any] = Field(default_factory=dict)


class Restarted(Frozen):
    """A run is taken up once more. `gone`: the hashes of what it made before that counts no more."""

    kind: Literal["anew"] = "anew"
    attempt: int
    gone: tuple[str, ...] = ()


Event = Annotated[Stage | Progress | Notice | Made | Restarted, Field(discriminator="kind")]
Emit = Callable[[Stage | Progress | Notice | Made | Restarted], None]
