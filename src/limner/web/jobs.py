"""Jobs as the pages Queue and Run show them: state, place, times, and why one failed and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from limner.core.accounts import Caller
from limner.core.events import ArtifactCreated, ArtifactKind, Event, Notice, Restarted, Stage
from limner.core.kinds import KINDS
from limner.core.requests import GenerateRequest, InfluenceRequest, TrainRequest
from limner.core.runs import INTERNAL_ERROR, STORAGE_ERROR, WORKERS_DIED, Artifact, Run, Status
from limner.core.text import counted
from limner.server.replies import ArtifactReply, error_of, without_paths
from limner.studio.runs import QUEUE, QueueState
from limner.studio.studio import Studio
from limner.web.cards import query_of
from limner.web.own_adapters import RunTexts
from limner.web.rendering import moment, since
from limner.web.titles import kind_text, title_of
from limner.web.views import (
    GENERATING,
    STATUS_TEXTS,
    ImageView,
    image_in_work,
    image_view,
    images_in_stage,
    last_stage,
    preview_text,
    time_left,
)

KIND_HELP = {
    "generate": "Images made from words.",
    "train": "Limner learns a subject or a style from photos.",
    "prepare": "Photos are checked, cropped and described before a training.",
    "evaluate": "How well a trained subject is met, in numbers.",
    "compare": "The same images by several models, side by side.",
    "sweep": "The same image with one setting changed from image to image.",
    "influence": "Which training photos an image owes most to.",
    "improve": "What was taught learns from stars and votes.",
}
_TRAINED_ON = re.compile(r"([0-9]+) images?(?:, ([0-9]+) of them held out)?(?:, [^;]*)?; ([0-9]+) steps of ")
ARTIFACT_TEXTS = {
    ArtifactKind.ADAPTER: "Adapter",
    ArtifactKind.MODEL: "Model",
    ArtifactKind.IMAGE: "Image",
    ArtifactKind.PREVIEW: "Preview",
    ArtifactKind.GUIDE: "Guide image",
    ArtifactKind.COPY: "Copy of an image",
    ArtifactKind.DATASET: "Dataset",
    ArtifactKind.COMPARISON: "Comparison",
    ArtifactKind.ANIMATION: "Animation",
    ArtifactKind.PLOT: "Plot",
    ArtifactKind.REPORT: "Report",
    ArtifactKind.PAGE: "Report",
    ArtifactKind.SCORES: "Scores",
    ArtifactKind.TABLE: "Table",
    ArtifactKind.KEY: "Key of the blind test",
    ArtifactKind.BLIND_PAGE: "Blind test",
    ArtifactKind.SCORE_PAGE: "Score sheet",
    ArtifactKind.INFLUENCE: "Influence scores",
}
PAGES = (ArtifactKind.REPORT, ArtifactKind.PAGE, ArtifactKind.BLIND_PAGE, ArtifactKind.SCORE_PAGE)
PICTURES = (
    ArtifactKind.IMAGE,
    ArtifactKind.PREVIEW,
    ArtifactKind.GUIDE,
    ArtifactKind.COMPARISON,
    ArtifactKind.ANIMATION,
    ArtifactKind.PLOT,
)
RETRIABLE = (Status.FAILED, Status.CANCELLED, Status.INTERRUPTED)
SHOWN_IMAGES = 6


@dataclass(frozen=True)
class JobView:
    """A run as an entry of the queue.

    state: names its colour; one of the statuses, "lost", "silent" or "stopping". position: among all waiting runs,
    from 1. explanation: of a state that needs one. stage: what it is doing, with the steps done and how much longer
    they take, in words; counted: the images in work, "" where steps are counted. preview: of what it is working on.
    advice: what to do about an error. resumes: trying again continues from its last checkpoint. change: the path of the
    page that shows its settings. behind: whether runs of the same account come after it. first, last: whether it is the
    first or last waiting run that the caller can move.
    """

    id: str
    title: str
    kind: str
    state: str
    state_text: str
    explanation: str
    ended: bool
    position: int | None
    times: str
    owner: str
    stage: str
    done: int
    total: int | None
    counted: str
    left: str
    preview: ImageView | None
    preview_text: str
    images: tuple[ImageView, ...]
    more: int
    error: str
    advice: str
    can_retry: bool
    resumes: bool
    change: str
    movable: bool
    behind: bool
    first: bool
    last: bool


@dataclass(frozen=True)
class MadeView:
    """A file or folder that a run made. page: the hash of one that opens as a page. use: of an adapter or model, the
    path of the page Create that tries it. photos: whether the page shows the photos that influenced an image.
    """

    what: str
    name: str
    url: str | None
    page: str
    trigger: str
    use: str
    photos: bool = False


@dataclass(frozen=True)
class EventView:
    """An event of a run in one line."""

    number: int
    time: str
    text: str
    warning: bool


def job_views(studio: Studio, runs: Sequence[Run], waiting: Sequence[Run], caller: Caller) -> list[JobView]:
    """Runs as entries of the queue. waiting: all waiting runs that the caller can move, in their order."""
    ids = [run.id for run in runs]
    artifacts, states = studio.runs.artifacts_of(ids), studio.runs.states(ids)
    stages = {run.id: last_stage(studio.runs.events(run.id)) for run in runs if run.status is Status.RUNNING}
    places = {run.id: number for number, run in enumerate(waiting)}
    owners = [run.owner for run in waiting]
    found: list[JobView] = []
    texts = RunTexts(studio)
    for run in runs:
        place = places.get(run.id)
        behind = owners if place is None else owners[place + 1 :]
        found.append(
            job_view(
                run,
                artifacts[run.id],
                states.get(run.id, QueueState()),
                caller,
                texts,
                stage=stages.get(run.id),
                behind=run.queue == QUEUE and not run.status.ended and run.owner in behind,
                place=place,
                count=len(waiting),
            )
        )
    return found


def job_view(
    run: Run,
    artifacts: Sequence[Artifact],
    state: QueueState,
    caller: Caller,
    texts: RunTexts,
    *,
    stage: tuple[Stage, datetime] | None = None,
    behind: bool = False,
    place: int | None = None,
    count: int = 0,
) -> JobView:
    """A run as an entry of the queue. stage: with the time when it began. place: its index among the `count` runs that
    the caller can move.
    """
    name, text, explanation = state_of(run, state)
    made = [each for each in reversed(artifacts) if each.kind == ArtifactKind.IMAGE]
    title, queued = title_of(run), run.queue is not None
    replies = [ArtifactReply.of(each, queued=queued) for each in made[:SHOWN_IMAGES]]
    images = [image_view(reply, title) for reply in replies if reply.url is not None]
    working = name in ("running", "stopping", "silent")
    at, done, total, left = _progress(run, name, stage, artifacts) if working else ("", 0, None, "")
    previews = [each for each in artifacts if each.kind == ArtifactKind.PREVIEW] if working else []
    shown = ArtifactReply.of(previews[0], queued=queued) if previews else None
    return JobView(
        id=run.id,
        title=title,
        kind=kind_text(run.request.kind),
        state=name,
        state_text=text,
        explanation=explanation,
        ended=run.status.ended,
        position=None if run.status.ended else state.position,
        times=times_of(run, lost=name == "lost"),
        owner=run.owner if caller.scope is None else "",
        stage=at,
        done=done,
        total=total,
        counted=image_in_work(run, at, done, total),
        left=left,
        preview=image_view(shown, title) if shown is not None and shown.url is not None else None,
        preview_text=preview_text(run),
        images=tuple(images),
        more=len(made) - len(images),
        error=texts.of(run, error_of(run) or ""),
        advice=advice_of(run),
        can_retry=run.status in RETRIABLE and run.queue == QUEUE,
        change=change_path(run) if run.status is Status.FAILED and queued else "",
        resumes=continues(run) and run.started is not None,
        movable=place is not None,
        behind=behind,
        first=place == 0,
        last=place is not None and place + 1 >= count,
    )


def _progress(
    run: Run, name: str, stage: tuple[Stage, datetime] | None, artifacts: Sequence[Artifact]
) -> tuple[str, int, int | None, str]:
    """Stage of a run that is worked on, what is done of how much, and the time left. name: of its state."""
    done, total = (run.progress.done, run.progress.total) if run.progress else (0, None)
    if stage is None:
        return "working", done, total, ""
    at, total = stage[0].name, total or stage[0].total
    if (several := images_in_stage(run, stage[0], artifacts)) is not None:
        at, done, total = GENERATING, *several
    return at, done, total, time_left(stage[1], done, total) if name == "running" else ""


def change_path(run: Run) -> str:
    """The path of the page Create with the settings of a run that failed to generate images, which says why; empty for
    other runs.
    """
    query = query_of(run.request) if isinstance(run.request, GenerateRequest) else ""
    return f"/create?{query}&failed={run.id}" if query else ""


def state_of(run: Run, state: QueueState) -> tuple[str, str, str]:
    """The name of a run's state, its text, and an explanation where one is needed."""
    if state.lost and not state.stopping:
        return "lost", "waiting again", _lost(run)
    if state.silent and not state.stopping:
        return "silent", "no answer", _silent()
    if state.stopping:
        return "stopping", "stopping", "It ends after its current step."
    if run.status is Status.QUEUED and run.attempt:
        return "queued", "waiting again", "It continues when a worker is free."
    if run.status is Status.RUNNING and run.attempt > 1:
        return "running", "running", f"Attempt {run.attempt}: its worker stopped before."
    return run.status, STATUS_TEXTS[run.status], ""


def _silent() -> str:
    return "The program that works on it does not answer. It may be busy; if it has ended, another one takes over soon."


def _lost(run: Run) -> str:
    again = " Training continues from its last checkpoint." if continues(run) else ""
    return f"The program that worked on it stopped. The next free worker takes it up again.{again}"


def continues(run: Run) -> bool:
    """Whether a run that is tried again continues from its last checkpoint."""
    return KINDS[run.request.kind].makes_adapter


def advice_of(run: Run) -> str:
    """What to do about a run that did not end well; empty where its error already says so."""
    error = run.error or ""
    if continues(run) and run.started is not None and run.status in (Status.INTERRUPTED, Status.CANCELLED):
        return "Resume continues from its last checkpoint."
    if run.status is Status.INTERRUPTED:
        return "Try again starts it anew."
    if run.status is not Status.FAILED:
        return ""
    if error.endswith(WORKERS_DIED):
        return (
            "The program that worked on it was killed each time, most often because memory ran out. Close other "
            "programs, or make it smaller: fewer images at once, a smaller size or model. Then choose Try again."
        )
    if error.startswith(INTERNAL_ERROR) or run.internal_error:
        return "This is a fault of Limner, not of your request. Choose Try again; report it if it happens again."
    if error.startswith(STORAGE_ERROR):
        return "Choose Try again once the server works again."
    if "; " in error:
        return ""
    return "Choose Try again, or change the request and send it again."


def times_of(run: Run, *, lost: bool = False) -> str:
    """How long a run waits or works, or when it ended and how long it took."""
    now = datetime.now(UTC)
    if run.started is None:
        if run.status.ended:
            return f"stopped {since(run.finished or run.created)}, before it began"
        return f"waiting for {duration(now - run.created)}"
    if run.status is Status.QUEUED or lost:
        return f"first started {since(run.started)}"
    if not run.status.ended:
        return f"running for {duration(now - run.started)}"
    took = duration((run.finished or run.started) - run.started)
    return f"ended {since(run.finished or run.started)}, took {took}"


def dates_of(run: Run) -> list[tuple[str, str]]:
    """When a run was submitted, started and ended."""
    dates = (("Sent", run.created), ("Started", run.started), ("Ended", run.finished))
    return [(name, moment(date)) for name, date in dates if date is not None]


def duration(length: timedelta) -> str:
    """A length of time in words: "12 s", "3 min 20 s", "1 h 5 min", "2 days 3 h"."""
    seconds = max(0, round(length.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def made_views(run: Run, artifacts: Sequence[Artifact]) -> list[MadeView]:
    """What a run made besides pictures, in the order in which it was made."""
    found: list[MadeView] = []
    for artifact in reversed(artifacts):
        if artifact.kind in PICTURES or artifact.kind == ArtifactKind.COPY:
            continue
        reply = ArtifactReply.of(artifact, queued=run.queue is not None)
        words = artifact.details.get("trigger_words")
        trigger = ", ".join(map(str, words)) if isinstance(words, list) else ""
        usable = artifact.kind in (ArtifactKind.ADAPTER, ArtifactKind.MODEL) and reply.reference is not None
        found.append(
            MadeView(
                what=_artifact_text(artifact.kind),
                name=reply.name,
                url=reply.url,
                page=artifact.sha256 if artifact.kind in PAGES and reply.url is not None else "",
                trigger=trigger,
                use=use_path(artifact.kind, reply.reference or "", artifact.details.get("say")) if usable else "",
                photos=artifact.kind == ArtifactKind.PAGE and isinstance(run.request, InfluenceRequest),
            )
        )
    return found


def use_path(kind: str, reference: str, say: object = None) -> str:
    """The path of the page Create with an adapter or model chosen. say: the prompt that it was trained on."""
    field = "adapter" if kind == ArtifactKind.ADAPTER else "model"
    return f"/create?{urlencode({field: reference, **({'prompt': str(say)} if say else {})})}"


def _artifact_text(kind: str) -> str:
    return ARTIFACT_TEXTS[ArtifactKind(kind)] if kind in set(ArtifactKind) else kind


def picture_views(run: Run, artifacts: Sequence[Artifact]) -> list[tuple[str, list[ImageView]]]:
    """The pictures that a run made, by what they are."""
    title, queued, found = title_of(run), run.queue is not None, dict[str, list[ImageView]]()
    for artifact in reversed(artifacts):
        if artifact.kind in PICTURES:
            reply = ArtifactReply.of(artifact, queued=queued)
            if reply.url is not None:
                step = artifact.details.get("step")
                text = f"Step {step}" if isinstance(step, int) else title
                found.setdefault(f"{_artifact_text(artifact.kind)}s", []).append(image_view(reply, text))
    return list(found.items())


def event_view(run: Run, number: int, time: datetime, event: Event, texts: RunTexts) -> EventView:
    """An event of a run in one line."""
    shown = time.astimezone(UTC).strftime("%H:%M:%S")
    text, warning = str(event.kind), False
    if isinstance(event, Stage):
        text = f"Stage: {event.name}{f', {event.total} steps' if event.total else ''}"
    elif isinstance(event, Notice):
        text, warning = texts.of(run, event.text), event.level == "warning"
    elif isinstance(event, ArtifactCreated):
        name = event.path.replace("\\", "/").rpartition("/")[2]
        text = f"Made: {_artifact_text(event.what).lower()} {name}"
    elif isinstance(event, Restarted):
        text = f"Started again, attempt {event.attempt}"
    return EventView(number, shown, text if run.queue is not None else without_paths(text), warning)


@dataclass(frozen=True)
class NoticeView:
    """A notice of a run. technical: what it says in technical terms, where its text is simpler; "" elsewhere."""

    text: str
    technical: str = ""


def notice_views(run: Run, notices: Iterable[str]) -> list[NoticeView]:
    """The notices of a run; what a training does is said in plain words."""
    return [_plain_notice(text) if isinstance(run.request, TrainRequest) else NoticeView(text) for text in notices]


def _plain_notice(text: str) -> NoticeView:
    found = _TRAINED_ON.match(text)
    if found is None:
        return NoticeView(text)
    images, kept, steps = (int(each or 0) for each in found.groups())
    learns = f"It learns from {counted(images - kept, 'image')} in {steps:,} small steps."
    aside = f" {kept} more {'is' if kept == 1 else 'are'} kept aside, to see what it has learned." if kept else ""
    return NoticeView(learns + aside, text)


def kinds() -> list[tuple[str, str]]:
    """The kinds of runs and their names in the filter."""
    return [(kind, kind_text(kind)) for kind in KINDS]
