"""Moderation: policies, checks and verdicts. A check is a plugin of `limner.moderation`, one file each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, Field, model_validator

from limner.core.errors import LimnerError
from limner.core.files import expand_home
from limner.core.requests import Frozen, Name


def _absolute(reference: str) -> str:
    place = expand_home(reference)
    return str(place.resolve()) if place.exists() else reference


ModelReference = Annotated[Name, AfterValidator(_absolute)]
"""A folder, made absolute so that it means the same to every process, or a Hugging Face id."""


class CheckStage(StrEnum):
    """What is checked: the texts of a request, an input image, or a generated image."""

    PROMPT = "prompt"
    INPUT = "input"
    IMAGE = "picture"

    @property
    def is_text(self) -> bool:
        return self is CheckStage.PROMPT


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. category: why it refuses; None if it allows. score: from 0 to 1, if it has one."""

    category: str | None = None
    score: float | None = None


JudgeFunction = Callable[[Any], Finding]
"""A loaded check: a text or an RGB image -> its finding; any exception means that it cannot judge."""


@runtime_checkable
class Check(Protocol):
    """One check.

    texts, pictures: what it can judge. Options: its settings in a policy.
    """

    Options: type[BaseModel]
    texts: bool
    pictures: bool

    def ready(self, options: Any) -> JudgeFunction:
        """Load what it needs; raises LimnerError if it cannot."""
        ...


class CheckUse(Frozen):
    """A check in a policy. required: refuse what it cannot judge; otherwise that is recorded as skipped."""

    check: Name
    required: bool = True
    options: dict[str, Any] = Field(default_factory=dict[str, Any])


WORDS = "words"
"""The check that every policy has."""


class Policy(Frozen):
    """Which checks judge what. keep_text: store refused texts, not only their hashes."""

    prompt: tuple[CheckUse, ...] = ()
    input: tuple[CheckUse, ...] = ()
    picture: tuple[CheckUse, ...] = ()
    keep_text: bool = False

    @model_validator(mode="after")
    def _with_words(self) -> Policy:
        lists = [use for use in self.prompt if use.check == WORDS]
        if len(lists) > 1:
            raise ValueError("prompt has the check 'words' twice; put all words into one")
        if not all(use.required for use in lists):
            raise ValueError("the check 'words' is always required; leave required out")
        if not lists:
            object.__setattr__(self, "prompt", (CheckUse(check=WORDS), *self.prompt))
        return self

    def uses(self, stage: CheckStage) -> tuple[CheckUse, ...]:
        """The checks of a stage."""
        return getattr(self, stage.value)

    @property
    def text(self) -> str:
        """The policy as canonical JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of that text, by which runs refer to it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Verdict(Frozen):
    """The decision of a check. subject: SHA-256 of the text, or of the image file.

    skipped: it could not judge, and the policy does not require it.
    """

    stage: CheckStage
    subject: str
    check: str
    allowed: bool
    category: str | None = None
    score: float | None = None
    skipped: bool = False


class KeptVerdict(Verdict):
    """A stored verdict. run: None if the request was refused before there was a run.

    policy: its digest. text: the refused text, if the policy keeps it.
    """

    id: int
    run: str | None
    owner: str
    policy: str
    text: str | None = None
    created: datetime


class ImageScreen(Protocol):
    """Judges images and captions that a run reads while it is executed; raises RequestRefused or Unable."""

    @property
    def checks_images(self) -> bool:
        """Whether the policy has checks of input images."""
        ...

    def admit_image(self, picture: Any, sha256: str) -> None:
        """Judge an RGB image. sha256: of its file."""
        ...

    def admit_captions(self, captions: Iterable[str]) -> None:
        """Judge captions, each text once."""
        ...


class RequestRefused(LimnerError):
    """A check refuses something. category says why, but not because of which word."""

    def __init__(self, what: str, category: str) -> None:
        self.category = category
        super().__init__(f"{what}: {category}", "ask for something else")


class CheckUnavailable(LimnerError):
    """A required check cannot judge, so what it should judge is refused."""

    def __init__(self, check: str) -> None:
        super().__init__(f"the check {check!r} is required and cannot judge now", "try again later")
