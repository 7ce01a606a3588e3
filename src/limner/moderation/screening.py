"""A run as a policy lets it be: what it brings is judged before, and what it makes before anyone is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from limner.core.events import Emit, Event, Made, Notice
from limner.core.moderation import CheckStage, RequestRefused
from limner.core.requests import EvaluateRequest, PrepareRequest, Request, references_of
from limner.moderation.moderator import Judged, Moderator
from limner.store.files import sha256_of
from limner.store.removal import remove

PICTURE = "picture"
COMPOSED = "comparison"
"""Artifacts that show pictures of the run; a check may overlook in a small part what it withheld as a whole."""


class Screening:
    """Judges what one run brings and makes. keep: where verdicts go. folder: where all that it makes is."""

    def __init__(self, moderator: Moderator, keep: Callable[[Judged], None], folder: Path) -> None:
        self.moderator, self.keep, self.folder = moderator, keep, folder
        self.seen, self.withheld = 0, list[RequestRefused]()

    def admit(self, request: Request) -> None:
        """Judge the pictures that a request brings, and their captions; raises Refused or Unable.

        request: with its files where they lie on this machine. What a dataset is prepared from is judged as it is read.
        """
        if isinstance(request, PrepareRequest):
            return
        brought = dict.fromkeys(references_of(request))
        for kind, path in brought:
            if kind == "picture":
                self._admit(Path(path))
            if kind == "pictures":
                self._admit_folder(path)
        if isinstance(request, EvaluateRequest):
            self._admit_target(request)

    def through(self, emit: Emit) -> Emit:
        """What tells the events of the run to `emit`, but for what is withheld."""

        def screened(event: Event) -> None:
            for told in self._passed(event):
                emit(told)

        return screened

    def settle(self) -> None:
        """Raise Refused where nothing is left of what was painted."""
        if self.seen and len(self.withheld) == self.seen:
            what = "the picture was withheld" if self.seen == 1 else f"all {self.seen} pictures were withheld"
            raise RequestRefused(what, ", ".join(dict.fromkeys(refused.category for refused in self.withheld)))

    def _admit_target(self, request: EvaluateRequest) -> None:
        from limner.engine.compare.targets import ImagesTarget, target_of

        if isinstance(target := target_of(request.target), ImagesTarget):
            self._admit_folder(str(target.folder))

    def _admit_folder(self, path: str) -> None:
        from limner.data.sets.folder import scan

        found = scan(path)
        photographs = (*found.photographs, *found.validation)
        self.admit_captions(photo.caption for photo in photographs if photo.caption)
        for photo in photographs:
            self._admit(photo.path)

    def _admit(self, path: Path) -> None:
        from limner.imaging.decode import open_photograph

        if self.sees_pictures:
            self.admit_picture(open_photograph(path), sha256_of(path))

    @property
    def sees_pictures(self) -> bool:
        return bool(self.moderator.policy.input)

    def admit_picture(self, picture: Any, sha256: str) -> None:
        self._kept(
            self.moderator.judge(CheckStage.INPUT, picture, sha256, "a picture that the request brings is refused")
        )

    def admit_captions(self, captions: Iterable[str]) -> None:
        self._kept(self.moderator.judge_texts(dict.fromkeys(captions), "a caption is refused"))

    def _passed(self, event: Event) -> list[Event]:
        """The event, or what is told in its place."""
        if not isinstance(event, Made) or not self.moderator.policy.picture:
            return [event]
        from limner.imaging.decode import SUFFIXES

        place = Path(event.path)
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        told: list[Event] = []
        try:
            for file in files:
                if file.suffix.lower() in SUFFIXES and (refused := self._refusal(event, file)):
                    remove(file, self.folder)
                    told.append(
                        Notice(text=f"{_called(event, file)} was withheld: {refused.category}", level="warning")
                    )
        except BaseException:
            remove(place, self.folder)
            raise
        return [*told, event] if place.exists() else told

    def _refusal(self, event: Made, file: Path) -> RequestRefused | None:
        """Why a picture that was made is withheld."""
        self.seen += event.what == PICTURE
        if event.what == COMPOSED and self.withheld:
            return self.withheld[-1]
        from limner.imaging.decode import open_photograph

        judged = self.moderator.judge(
            CheckStage.PICTURE, open_photograph(file), sha256_of(file), "the picture was withheld"
        )
        self.keep(judged)
        if isinstance(judged.refusal, RequestRefused):
            self.withheld += [judged.refusal] if event.what == PICTURE else []
            return judged.refusal
        if judged.refusal is not None:
            raise judged.refusal
        return None

    def _kept(self, judged: Judged) -> None:
        self.keep(judged)
        if judged.refusal is not None:
            raise judged.refusal


def _called(event: Made, file: Path) -> str:
    """How the user knows a picture."""
    if event.what == PICTURE and "index" in event.details:
        return f"picture {event.details['index'] + 1}"
    return f"the {event.what}" if file == Path(event.path) else f"{file.name} of the {event.what}"
