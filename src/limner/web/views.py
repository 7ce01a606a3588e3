"""Runs and images as pages show them."""

from __future__ import annotations

from dataclasses import dataclass

from limner.core.accounts import Caller
from limner.core.events import ArtifactKind
from limner.core.runs import Artifact, Run, Status
from limner.server.replies import ArtifactReply
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio

STATUS_TEXTS = {
    Status.QUEUED: "waiting",
    Status.RUNNING: "running",
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.CANCELLED: "stopped",
    Status.INTERRUPTED: "interrupted",
}
OPEN = (Status.RUNNING, Status.QUEUED)


@dataclass(frozen=True)
class ImageView:
    """An image of a page. url: below the site's root. width, height: in pixels, where they are known."""

    url: str
    prompt: str
    width: int | None
    height: int | None


@dataclass(frozen=True)
class RunView:
    """A run as a card. left: how much longer the stage takes, in words."""

    id: str
    title: str
    status: str
    status_text: str
    ended: bool
    retriable: bool
    stage: str
    done: int
    total: int | None
    left: str
    images: tuple[ImageView, ...]
    notices: tuple[str, ...]
    error: str


def run_views(studio: Studio, runs: list[Run]) -> list[RunView]:
    """Runs with what they made so far."""
    ids = [run.id for run in runs]
    artifacts, notices = studio.runs.artifacts_of(ids), studio.runs.notices_of(ids)
    return [run_view(run, artifacts[run.id], notices[run.id]) for run in runs]


def run_view(run: Run, artifacts: list[Artifact], notices: list[str]) -> RunView:
    """A run with its artifacts, which come newest first."""
    progress = None if run.status.ended else run.progress
    images = [ArtifactReply.of(each) for each in reversed(artifacts) if each.kind == ArtifactKind.IMAGE]
    return RunView(
        id=run.id,
        title=run.request.summary or run.request.kind,
        status=run.status,
        status_text=STATUS_TEXTS[run.status],
        ended=run.status.ended,
        retriable=run.status in (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED),
        stage="working" if progress else "",
        done=progress.done if progress else 0,
        total=progress.total if progress else None,
        left="",
        images=tuple(image_view(image, run.request.summary) for image in images[:24]),
        notices=tuple(notices),
        error=run.error or "",
    )


def image_view(image: ArtifactReply, prompt: str) -> ImageView:
    """An artifact that is an image."""
    width, height = (image.details.get(name) for name in ("width", "height"))
    sized = isinstance(width, int) and isinstance(height, int)
    return ImageView(image.url, prompt, width if sized else None, height if sized else None)


def open_runs(studio: Studio, caller: Caller, limit: int = 50) -> list[Run]:
    """Running and waiting runs of the caller, those that run first."""
    return [run for status in OPEN for run in studio.runs.list(limit, None, status, None, QUEUE, caller.scope)]
