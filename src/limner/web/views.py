"""Runs and images as pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from limner.core.accounts import Caller
from limner.core.events import ArtifactKind, Event, Stage
from limner.core.requests import GenerateRequest, TrainRequest
from limner.core.runs import Artifact, Run, Status
from limner.server.replies import ArtifactReply
from limner.studio.images import SIDES
from limner.studio.runs import QUEUE
from limner.studio.studio import Studio
from limner.web.own_adapters import RunTexts
from limner.web.titles import title_of
from limner.web.wording import UNKNOWN_WORDS

STATUS_TEXTS = {
    Status.QUEUED: "waiting",
    Status.RUNNING: "running",
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.CANCELLED: "stopped",
    Status.INTERRUPTED: "interrupted",
}
FILES = "/v1/files/"
SMALL = (ArtifactKind.IMAGE, ArtifactKind.GUIDE)
"""Artifacts that pages show as a small copy."""
OPEN = (Status.RUNNING, Status.QUEUED)
GENERATING, STEPS = "generating", "steps"
"""The stage in which a run generates its images, and what is counted in it."""


@dataclass(frozen=True)
class ImageView:
    """An image of a page. url: below the site's root. width, height: in pixels, where they are known. whole: whether it
    has no small copy.
    """

    url: str
    prompt: str
    width: int | None
    height: int | None
    whole: bool = False

    @property
    def small(self) -> str:
        """The URL of its small copy."""
        return self.url if self.whole else small_url(self.url)


@dataclass(frozen=True)
class RunView:
    """A run as a card.

    left: how much longer the stage takes, in words. preview: of what it is working on, or what it learned last.
    preview_text: what it shows. subject: the reference of the adapter that it made. words_of: a model that did not know
    all words of the prompt, "" for none. counted: the images in work, "" where steps are counted.
    """

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
    preview: ImageView | None = None
    preview_text: str = ""
    subject: str = ""
    words_of: str = ""
    counted: str = ""


def run_views(studio: Studio, runs: list[Run]) -> list[RunView]:
    """Runs with what they made so far."""
    ids = [run.id for run in runs]
    artifacts, notices = studio.runs.artifacts_of(ids), studio.runs.notices_of(ids)
    stages = {run.id: last_stage(studio.runs.events(run.id)) for run in runs if run.status is Status.RUNNING}
    texts = RunTexts(studio)
    return [run_view(run, artifacts[run.id], notices[run.id], stages.get(run.id), texts) for run in runs]


def last_stage(events: list[tuple[int, datetime, Event]]) -> tuple[Stage, datetime] | None:
    """The stage that a run is in, and when it began; stages of images that follow each other begin with the first."""
    stages = [(event, began) for _, began, event in reversed(events) if isinstance(event, Stage)]
    if not stages:
        return None
    alike = [*takewhile(lambda each: each[0].unit == STEPS, stages)] or stages[:1]
    return stages[0][0], alike[-1][1]


def run_view(
    run: Run, artifacts: list[Artifact], notices: list[str], stage: tuple[Stage, datetime] | None, texts: RunTexts
) -> RunView:
    """A run with its artifacts, which come newest first. stage: with the time when it began."""
    progress = run.progress if run.status is Status.RUNNING else None
    done, total = progress.done if progress else 0, progress.total if progress else None
    left, name = "", "working" if progress else ""
    if stage is not None and not run.status.ended:
        name, total = stage[0].name, total or stage[0].total
        if (several := images_in_stage(run, stage[0], artifacts)) is not None:
            name, done, total = GENERATING, *several
        left = time_left(stage[1], done, total)
    shown = next((each for each in artifacts if each.kind == ArtifactKind.PREVIEW), None)
    passed = run.status.ended and not run.request.keeps_previews
    preview = None if shown is None or passed else image_view(ArtifactReply.of(shown), title_of(run))
    images = [ArtifactReply.of(each) for each in reversed(artifacts) if each.kind == ArtifactKind.IMAGE]
    model = getattr(run.request, "model", "") if any(UNKNOWN_WORDS in notice for notice in notices) else ""
    return RunView(
        words_of=model,
        id=run.id,
        title=title_of(run),
        status=run.status,
        status_text=STATUS_TEXTS[run.status],
        ended=run.status.ended,
        retriable=run.status in (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED),
        stage=name,
        done=done,
        total=total,
        counted=image_in_work(run, name, done, total),
        left=left,
        images=tuple(image_view(image, run.request.summary) for image in images[:24]),
        notices=tuple(dict.fromkeys(texts.of(run, notice) for notice in notices)),
        error=texts.of(run, run.error or ""),
        preview=preview,
        preview_text=preview_text(run) if preview else "",
        subject=next(
            (ArtifactReply.of(each).reference or "" for each in artifacts if each.kind == ArtifactKind.ADAPTER), ""
        ),
    )


def images_in_stage(run: Run, stage: Stage, artifacts: Sequence[Artifact]) -> tuple[int, int] | None:
    """How many images a sweep, a comparison or an evaluation has made, and how many it makes; None for other runs and
    in other stages. Their steps would not say so, since their requests may differ in the number of steps.
    """
    request = run.request
    if isinstance(request, GenerateRequest) or not request.image_count or stage.unit != STEPS:
        return None
    made = sum(each.kind == ArtifactKind.IMAGE for each in artifacts)
    return made, max(made, request.image_count)


def image_in_work(run: Run, stage: str, done: int, total: int | None) -> str:
    """The images in work of a run that makes several, such as "image 3 of 12", those of one batch together; "" for
    others, and before the number of steps is known. done, total: steps; images, where those are counted.
    """
    request = run.request
    if not isinstance(request, GenerateRequest) and stage == GENERATING and request.image_count > 1 and total:
        return f"image {min(done + 1, total)} of {total}"
    if not isinstance(request, GenerateRequest) or stage != GENERATING or request.count < 2 or not total:
        return ""
    finished = min(request.count - 1, done * request.count // total)
    first = finished // request.batch * request.batch + 1
    last = min(request.count, first + request.batch - 1)
    if last - first + 1 == request.count:
        return f"{request.count} images at once"
    return f"image{'' if first == last else 's'} {first}{'' if first == last else f' to {last}'} of {request.count}"


def preview_text(run: Run) -> str:
    """What the previews of a training show, from left to right; empty for other runs."""
    request = run.request
    if not isinstance(request, TrainRequest):
        return ""
    return (
        f"From left to right: {'; '.join(request.preview_prompt or (request.instance_prompt, request.class_prompt))}."
    )


def time_left(began: datetime, done: int, total: int | None) -> str:
    """How much longer a stage takes at the pace so far, in words; empty if that is not known yet."""
    seconds = (datetime.now(UTC) - began).total_seconds()
    if not total or done < 1 or seconds < 1 or done >= total:
        return ""
    left = seconds / done * (total - done)
    if left < 60:
        return f"about {max(5, round(left / 5) * 5)} s left"
    return f"about {round(left / 60)} min left" if left < 5400 else f"about {left / 3600:.1f} h left"


def image_view(image: ArtifactReply, prompt: str) -> ImageView:
    """An artifact that is an image."""
    width, height = (image.details.get(name) for name in ("width", "height"))
    sized = isinstance(width, int) and isinstance(height, int)
    whole = image.kind not in SMALL
    return ImageView(image.url or "", prompt, width if sized else None, height if sized else None, whole)


def small_url(url: str) -> str:
    """The URL of a small copy of an image, from the URL of its file; the same URL for what is no stored file."""
    stored = url.startswith(FILES)
    return f"/thumbnails/{SIDES[1]}/{url.removeprefix(FILES)}.webp" if stored else url


def open_runs(studio: Studio, caller: Caller, limit: int = 50) -> list[Run]:
    """Running and waiting runs of the caller, those that run first."""
    return [run for status in OPEN for run in studio.runs.list(limit, None, status, None, QUEUE, caller.scope)]
