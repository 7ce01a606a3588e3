"""Dependencies of the routes: the server's state, the caller's view, and the run or image that a path names."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request

from limner.core.accounts import Caller
from limner.core.errors import LimnerError, Unavailable
from limner.core.feedback import GeneratedImage
from limner.core.runs import Run
from limner.server.auth import CallerDep, SignedLinks
from limner.server.limits import ExaminationLimit
from limner.server.problems import HTTPError, http_status
from limner.server.profile import Profile
from limner.server.settings import Settings
from limner.server.waiting import RunWaiter
from limner.studio.images import Viewer
from limner.studio.runs import QUEUE, UnreadableRun
from limner.studio.studio import Studio

ImageId = Annotated[
    str, Path(pattern="^([0-9]{1,10}|[0-9a-f]{64})$", description="An image's id, or its SHA-256.", examples=["7"])
]


@dataclass(frozen=True, eq=False)
class ServerState:
    """What the routes of one application share.

    named: references that the profile names. links: None if no key is needed.
    """

    studio: Studio
    settings: Settings
    profile: Profile
    named: frozenset[str]
    links: SignedLinks | None
    waiter: RunWaiter
    examinations: ExaminationLimit

    @property
    def granted(self) -> frozenset[str]:
        """References that every caller may use: of files that the profile names, and of promoted adapters."""
        return self.named | self.studio.promotions.promoted()


async def server_state(request: Request) -> ServerState:
    """Return the state of the application that received the request."""
    return request.app.state.server


StateDep = Annotated[ServerState, Depends(server_state)]


async def current_studio(state: StateDep) -> Studio:
    """Return the studio of the application."""
    return state.studio


StudioDep = Annotated[Studio, Depends(current_studio)]


async def current_view(caller: CallerDep, state: StateDep) -> Viewer:
    """Return what the caller sees of the image history. Images of the command line belong to no account, so admins
    see them, and every caller if no key is needed.
    """
    return Viewer(caller.account, caller.scope, stored=True)


ViewDep = Annotated[Viewer, Depends(current_view)]


def sees_run(caller: Caller, run: Run | UnreadableRun) -> bool:
    """Return whether a caller may see a run. Runs of the command line belong to no account, so admins see them, and
    every caller where no key is needed.
    """
    return caller.scope is None or (run.queue, run.owner) == (QUEUE, caller.scope)


def find_run(run_id: str, state: StateDep, caller: CallerDep) -> Run:
    """Return a run that the caller may see; raises HTTPError (404) for any other."""
    found: Run | UnreadableRun | None = None
    try:
        found = state.studio.runs.get(run_id)
    except UnreadableRun as error:
        found = error
    except Unavailable:
        raise
    except LimnerError:
        pass
    if found is None or found.id != run_id or not sees_run(caller, found):
        raise HTTPError(HTTPStatus.NOT_FOUND, f"there is no run {run_id[:40]!r}", "GET /v1/runs lists your runs")
    if isinstance(found, UnreadableRun):
        raise HTTPError(HTTPStatus.CONFLICT, found.problem, found.remedy) from found
    return found


RunDep = Annotated[Run, Depends(find_run)]


def find_queued_run(run: RunDep) -> Run:
    """Return a run of the queue; raises HTTPError (409) for one of the command line, which is controlled there."""
    if run.queue != QUEUE:
        remedy = f"stop, resume or erase it there: limner show {run.id}, limner erase {run.id}"
        raise HTTPError(HTTPStatus.CONFLICT, f"run {run.id} was started on the command line", remedy)
    return run


QueuedRunDep = Annotated[Run, Depends(find_queued_run)]


def find_image(picture: ImageId, studio: StudioDep, view: ViewDep) -> GeneratedImage:
    """Return the image with an id or SHA-256; raises HTTPError (404) if the caller sees none."""
    return image_named(picture, studio, view, "GET /v1/pictures lists your images")


def image_named(picture: str, studio: Studio, view: Viewer, remedy: str) -> GeneratedImage:
    """Return the image with an id or SHA-256; raises HTTPError (404) with this remedy if the viewer sees none."""
    with http_status(HTTPStatus.NOT_FOUND, remedy):
        return studio.images.get(view, picture if len(picture) == 64 else min(int(picture), 2**31 - 1))


ImageDep = Annotated[GeneratedImage, Depends(find_image)]


def check_access(studio: Studio, caller: Caller, reference: str) -> None:
    """Raise HTTPError (404) if the caller may not read a file or folder, as if it did not exist."""
    if not studio.files.may_use(caller, reference):
        problem, remedy = f"there is no {reference[:19]}", "use a file of your account, or one that is shared with it"
        raise HTTPError(HTTPStatus.NOT_FOUND, problem, remedy)
