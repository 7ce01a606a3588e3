"""Enforcement of the policy: on requests when they are submitted, on what a run reads, and on what it makes.

A request is judged by the current policy, a run by the policy that admitted it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from unicodedata import normalize

from pydantic import ValidationError

from limner.core.errors import LimnerError
from limner.core.events import ArtifactCreated, Emit, Event, Notice
from limner.core.moderation import CheckStage, Policy, RequestRefused, Verdict
from limner.core.requests import EvaluateRequest, PrepareRequest, Request, references_of
from limner.core.runs import Run
from limner.moderation.moderator import Judgement, Moderator
from limner.moderation.policy import read_policy
from limner.store.files import sha256_of
from limner.store.removal import remove
from limner.store.runs import Lease
from limner.store.verdicts import Verdicts

MAX_CHARACTERS = 250_000
"""Most characters of all prompts of a queued request, after NFKC normalisation: moderation reads every one."""
IMAGE = "picture"
COMPOSED = "comparison"
"""Artifacts that contain images of the run. A check may miss in a small part what it refused as a whole image."""


class Enforcer:
    """Judges requests and runs, and records the verdicts. policy: the default policy when None."""

    def __init__(self, verdicts: Verdicts, policy: Policy | None = None) -> None:
        self.verdicts = verdicts
        self._policy = policy
        self._run_moderator: Moderator | None = None

    @cached_property
    def moderator(self) -> Moderator:
        """The moderator for requests that are submitted here."""
        return Moderator(self._policy or read_policy())

    def admit(self, request: Request, owner: str, run: str | None = None) -> list[Verdict]:
        """Return the verdicts that admit a request; raises RequestRefused or Unable, and records why."""
        _check_length(request.texts)
        policy = self.moderator.policy
        self.verdicts.save_policy(policy.digest, policy.text)
        judgement = self.moderator.judge_request(request)
        if judgement.refusal is not None:
            text = judgement.text if policy.keep_text else None
            self.verdicts.add(judgement.verdicts, policy.digest, run=run, owner=owner, text=text)
            raise judgement.refusal
        return judgement.verdicts

    def screening(self, run: Run, hold: Lease, folder: Path) -> Screening:
        """Return the screening of a run by the policy that admitted it. folder: contains all that the run makes."""
        moderator = self._moderator_of(run)
        policy = moderator.policy
        self.verdicts.save_policy(policy.digest, policy.text)

        def record(judgement: Judgement) -> None:
            text = judgement.text if policy.keep_text else None
            self.verdicts.add(judgement.verdicts, policy.digest, run=run.id, owner=run.owner, text=text, lease=hold)

        return Screening(moderator, record, folder)

    def _moderator_of(self, run: Run) -> Moderator:
        """Return the moderator of a run's policy; the current one for runs from before policies were recorded.

        The last other policy stays loaded, so that its models are not loaded for every run.
        """
        if run.policy is None:
            return self.moderator
        if run.policy == self.moderator.policy.digest:
            return self.moderator
        if self._run_moderator is None or run.policy != self._run_moderator.policy.digest:
            text = self.verdicts.policy(run.policy)
            try:
                self._run_moderator = Moderator(Policy.model_validate_json(text or ""))
            except ValidationError as error:
                raise LimnerError(
                    f"this worker cannot read the run's moderation policy {run.policy[:12]}",
                    "install the server's version of Limner on the worker",
                ) from error
        return self._run_moderator


def _check_length(texts: Iterable[str]) -> None:
    """Raise LimnerError where the prompts of a request are longer than is moderated."""
    length = sum(len(text if text.isascii() else normalize("NFKC", text)) for text in texts)
    if length > MAX_CHARACTERS:
        raise LimnerError(
            f"the prompts of the request have {length:,} characters in total; the limit is {MAX_CHARACTERS:,}",
            "shorten them, or send several requests",
        )


class Screening:
    """Judges what one run reads and makes.

    record: called with each judgement. folder: contains all that the run makes. seen: images that were judged;
    withheld: the refusals among them.
    """

    def __init__(self, moderator: Moderator, record: Callable[[Judgement], None], folder: Path) -> None:
        self.moderator, self.record, self.folder = moderator, record, folder
        self.seen, self.withheld = 0, list[RequestRefused]()

    def admit(self, request: Request) -> None:
        """Judge the images that a request names, and their captions; raises RequestRefused or Unable.

        request: with paths of this machine. The sources of a dataset to prepare are judged when they are read.
        """
        if isinstance(request, PrepareRequest):
            return
        for kind, path in dict.fromkeys(references_of(request)):
            if kind == "picture":
                self._admit_file(Path(path))
            if kind == "pictures":
                self._admit_folder(path)
        if isinstance(request, EvaluateRequest):
            self._admit_target(request)

    def through(self, emit: Emit) -> Emit:
        """Return an `emit` that judges images before it passes their events on, and withholds refused ones."""

        def screen(event: Event) -> None:
            for passed in self._screen(event):
                emit(passed)

        return screen

    def settle(self) -> None:
        """Raise RequestRefused where every image of the run was withheld."""
        if self.seen and len(self.withheld) == self.seen:
            what = "the image was withheld" if self.seen == 1 else f"all {self.seen} images were withheld"
            raise RequestRefused(what, ", ".join(dict.fromkeys(refused.category for refused in self.withheld)))

    @property
    def checks_images(self) -> bool:
        """Whether the policy has checks of input images."""
        return bool(self.moderator.policy.input)

    def admit_image(self, picture: Any, sha256: str) -> None:
        """Judge an input image (RGB); raises RequestRefused or Unable. sha256: of its file."""
        self._admit(self.moderator.judge(CheckStage.INPUT, picture, sha256, "an image of the request is refused"))

    def admit_captions(self, captions: Iterable[str]) -> None:
        """Judge captions, each text once; raises RequestRefused or Unable."""
        self._admit(self.moderator.judge_texts(dict.fromkeys(captions), "a caption is refused"))

    def _admit(self, judgement: Judgement) -> None:
        self.record(judgement)
        if judgement.refusal is not None:
            raise judgement.refusal

    def _admit_target(self, request: EvaluateRequest) -> None:
        from limner.engine.compare.targets import ImagesTarget, target_of

        if isinstance(target := target_of(request.target), ImagesTarget):
            self._admit_folder(str(target.folder))

    def _admit_folder(self, path: str) -> None:
        from limner.data.sets.folder import scan

        found = scan(path)
        images = (*found.images, *found.validation)
        self.admit_captions(image.caption for image in images if image.caption)
        for image in images:
            self._admit_file(image.path)

    def _admit_file(self, path: Path) -> None:
        from limner.imaging.decode import open_image

        if self.checks_images:
            self.admit_image(open_image(path), sha256_of(path))

    def _screen(self, event: Event) -> list[Event]:
        """Return the events to pass on: the event itself, and a notice for each image that is withheld."""
        if not isinstance(event, ArtifactCreated) or not self.moderator.policy.picture:
            return [event]
        from limner.imaging.decode import SUFFIXES

        place = Path(event.path)
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        passed: list[Event] = []
        try:
            for file in files:
                if file.suffix.lower() in SUFFIXES and (refused := self._refusal(event, file)):
                    remove(file, self.folder)
                    text = f"{_describe(event, file)} was withheld: {refused.category}"
                    passed.append(Notice(text=text, level="warning"))
        except BaseException:
            remove(place, self.folder)
            raise
        return [*passed, event] if place.exists() else passed

    def _refusal(self, event: ArtifactCreated, file: Path) -> RequestRefused | None:
        """Judge an image that the run made; return why it is withheld, None where it is allowed."""
        self.seen += event.what == IMAGE
        if event.what == COMPOSED and self.withheld:
            return self.withheld[-1]
        from limner.imaging.decode import open_image

        image = open_image(file)
        judgement = self.moderator.judge(CheckStage.IMAGE, image, sha256_of(file), "the image was withheld")
        self.record(judgement)
        if isinstance(judgement.refusal, RequestRefused):
            self.withheld += [judgement.refusal] if event.what == IMAGE else []
            return judgement.refusal
        if judgement.refusal is not None:
            raise judgement.refusal
        return None


def _describe(event: ArtifactCreated, file: Path) -> str:
    """Return how to name an image to the user."""
    if event.what == IMAGE and "index" in event.details:
        return f"image {event.details['index'] + 1}"
    return f"the {event.what}" if file == Path(event.path) else f"{file.name} of the {event.what}"
